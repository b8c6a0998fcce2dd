"""The view of a figure on the page."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.results.page.names import anchor, files_of, heading
from benchmark.results.page.tables import RunView, provenance_of, runs_of
from benchmark.results.schema import FigureResult


@dataclass(frozen=True)
class FigureView:
    """A figure.

    Attributes:
        id: unique on the page.
        name: such as ``Figure 4``.
        title: the caption, shortened.
        state: ``drawn``, ``partly``, or ``unavailable``.
        file: the picture beside the page; empty where there is none.
        caption: how to read it.
        reason: why there is none.
        rows: (label, status, reason or empty).
        data: what it is drawn from.
        notes: of the figure.
        provenance: (name, text).
        runs: what it is drawn from.
        files: beside the page: (word to show, file name).
    """

    id: str
    name: str
    title: str
    state: str
    file: str
    caption: str
    reason: str
    rows: Sequence[tuple[str, str, str]]
    data: str
    notes: Sequence[str]
    provenance: Sequence[tuple[str, str]]
    runs: Sequence[RunView]
    files: Sequence[tuple[str, str]]


def view(name: str, drawing: FigureResult, folder: Path) -> FigureView:
    """Return the figure of a result whose files, in `folder`, are called `name`."""
    picture = f"{name}.png"
    drawn = drawing.status == "drawn" and (folder / picture).is_file()
    whole = all(row.status == "measured" for row in drawing.rows)
    return FigureView(
        id=anchor(name),
        name=heading(name),
        title=drawing.title,
        state=("drawn" if whole else "partly") if drawn else "unavailable",
        file=picture if drawn else "",
        caption=drawing.caption,
        reason=drawing.reason or ("" if drawn else "its picture is not here"),
        rows=[(row.label, row.status, row.reason or "") for row in drawing.rows],
        data=drawing.data,
        notes=drawing.notes,
        provenance=provenance_of(drawing.provenance),
        runs=runs_of(drawing.provenance),
        files=files_of(name, folder, (".json", ".md", ".png")),
    )
