"""Writes ``index.html`` from the JSON results of a folder, and what is drawn beside it.

The results are all that the page needs. What only the cache of runs knows, errors of single clips,
losses and the clips of the gallery, is drawn while the cache has it and kept in the folders
``page`` and ``gallery``; it is shown for as long as it is of the runs that the tables are of.
"""

import re
from pathlib import Path
from urllib.parse import quote

from benchmark.results import table
from benchmark.results.page import figures, gallery, plots, tables
from datasets.tools.files import locked, read_json, write_text

_FILES = Path(__file__).parent
_FIGURE_KEYS = {"figure", "title", "profile", "status", "reason", "caption", "rows", "notes"}


def write_page(folder: Path, cache: Path) -> list[Path]:
    """Write the page of a folder; returns its path, or nothing where there are no results.

    Args:
        folder: of the results, such as ``reports/embedded``.
        cache: of the runs; it need not exist.
    """
    results, drawings, unread = read(folder)
    if not results and not drawings:
        return []
    with locked(folder.parent / "runs" / "locks" / f"{folder.name}-page"):
        charts = {name: plots.charts(result, folder, cache) for name, result in results.items()}
        galleries = [
            found
            for name, result in results.items()
            if (found := gallery.gallery(result, folder, cache)) is not None
        ]
        views = [
            tables.view(name, result, charts[name], folder) for name, result in results.items()
        ]
        shown = [figures.view(name, drawing, folder) for name, drawing in drawings.items()]
        path = folder / "index.html"
        write_text(path, to_html(views, shown, galleries, unread, folder.name))
    return [path]


def read(folder: Path) -> tuple[dict[str, dict], dict[str, dict], list[str]]:
    """Name -> result of the tables, the same of the figures, and the files that are neither."""
    results, drawings, unread = {}, {}, []
    for path in sorted(folder.glob("*.json"), key=_in_order):
        value = read_json(path) or {}
        if table.is_result(value):
            results[path.stem] = value
        elif value.keys() >= _FIGURE_KEYS:
            drawings[path.stem] = value
        else:
            unread.append(path.name)
    return results, drawings, unread


def to_html(
    results: list[tables.TableView],
    drawings: list[figures.FigureView],
    galleries: list[gallery.Gallery],
    unread: list[str],
    name: str,
) -> str:
    """The text of the page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_FILES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["path"] = quote  # of file names, which may hold ? and #
    return environment.get_template("page.html.j2").render(
        name=name,
        tables=results,
        figures=drawings,
        galleries=galleries,
        unread=unread,
        style=(_FILES / "style.css").read_text("utf-8"),
        script=(_FILES / "play.js").read_text("utf-8"),
    )


def _in_order(path: Path) -> tuple:
    """table9 before table10."""
    return tuple(int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", path.stem))
