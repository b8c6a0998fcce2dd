"""The view of a figure on the page."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.results.page.names import anchor, files_of, heading
from benchmark.results.schema import FigureResult


@dataclass(frozen=True)
class FigureView:
    """A figure.

    Attributes:
        id: unique on the page.
        name: such as ``Figure 4``.
        result: that it shows.
        state: ``drawn``, ``partly``, or ``unavailable``.
        file: the picture beside the page; empty where there is none.
        reason: why there is none.
        files: beside the page: (word to show, file name).
    """

    id: str
    name: str
    result: FigureResult
    state: str
    file: str
    reason: str
    files: Sequence[tuple[str, str]]


def view(name: str, result: FigureResult, folder: Path) -> FigureView:
    """Return the figure of a result whose files, in `folder`, are called `name`."""
    picture = f"{name}.png"
    has_picture = result.status == "drawn" and (folder / picture).is_file()
    whole = all(row.status == "measured" for row in result.rows)
    return FigureView(
        id=anchor(name),
        name=heading(name),
        result=result,
        state=("drawn" if whole else "partly") if has_picture else "unavailable",
        file=picture if has_picture else "",
        reason=result.reason or ("" if has_picture else "its picture is not here"),
        files=files_of(name, folder, (".json", ".md", ".png")),
    )
