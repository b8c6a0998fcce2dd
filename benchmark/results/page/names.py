"""Names of tables and figures on the page, and of the files beside it."""

import re
from collections.abc import Sequence
from pathlib import Path

from benchmark.api.paths import file_name


def heading(name: str) -> str:
    """Return ``Table 3`` for table3; other names as they are."""
    known = re.fullmatch(r"(table|figure)(\d+)", name)
    return f"{known[1].capitalize()} {known[2]}" if known else name


def anchor(name: str) -> str:
    """Return `name` as part of an id in HTML, which has no spaces."""
    return file_name(name) or "unnamed"


def files_of(name: str, folder: Path, suffixes: Sequence[str]) -> list[tuple[str, str]]:
    """Return (word to show, file name) of the files beside the page that have these suffixes.

    SVG files are written, but not committed: a page that is committed must not link them.
    """
    names = [f"{name}{suffix}" for suffix in suffixes]
    return [(file.rpartition(".")[2], file) for file in names if (folder / file).is_file()]


def shortened(text: str, length: int = 42) -> str:
    """Return `text` on one line that fits beside a picture."""
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"
