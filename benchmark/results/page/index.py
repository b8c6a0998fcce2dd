"""Writes ``reports/index.html``: links to the pages of all report folders and to comparisons."""

from collections.abc import Iterable
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from urllib.parse import quote

from datasets.tools.discovery import natural_key
from datasets.tools.files import write_text

_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Reports</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
small{color:#666}</style>
</head>
<body>
<h1>Reports</h1>
"""


def write_index(out: Path) -> Path:
    """Write the index of a folder of reports, such as ``reports``; return its path."""
    pages = sorted(out.glob("*/index.html"), key=lambda page: natural_key(page.parent.name))
    compared = sorted(out.glob("compare/*/compare.md"))
    text = _HEAD + _list(page for page in pages)
    if compared:
        text += "<h2>Comparisons</h2>\n" + _list(compared)
    path = out / "index.html"
    write_text(path, text + "</body>\n</html>\n")
    return path


def _list(pages: Iterable[Path]) -> str:
    return "<ul>\n" + "".join(map(_line, pages)) + "</ul>\n"


def _line(page: Path) -> str:
    """Return a link to a page, with what its folder holds and when it was written."""
    folder = page.parent
    depth = 2 if folder.parent.name == "compare" else 1
    link = quote("/".join(page.parts[-1 - depth :]))
    names = sorted((file.stem for file in folder.glob("*.json")), key=natural_key)
    written = datetime.fromtimestamp(page.stat().st_mtime, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        f'<li><a href="{link}">{escape(folder.name)}</a>: {escape(", ".join(names))} '
        f"<small>{written}</small></li>\n"
    )
