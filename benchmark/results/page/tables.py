"""The view of a table on the page: its cells, their details, its provenance."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.api.table import Column
from benchmark.results.origin import Git, Provenance
from benchmark.results.page.drawing_cache import Chart
from benchmark.results.page.names import anchor, files_of, heading
from benchmark.results.render import layout
from benchmark.results.schema import Cell, Result


@dataclass(frozen=True)
class CellView:
    """A cell.

    Attributes:
        status: as in the result.
        text: the measured value, or ``n/a``, ``failed`` or a dash.
        spread: `` ± …`` of several trainings.
        rank: 0 best, 1 second, else None.
        paper: the paper's number and, in parentheses, measured minus paper; ``-`` without one.
        published: what the system's authors publish, or empty.
        details: the cell in words.
        letter: of the reason why there is nothing, or empty.
    """

    status: str
    text: str
    spread: str
    rank: int | None
    paper: str
    published: str
    details: str
    letter: str


@dataclass(frozen=True)
class RowView:
    """A row; `state` is ``measured``, ``computed``, ``partly``, ``unavailable`` or the like."""

    label: str
    state: str
    cells: Sequence[CellView]
    has_paper: bool


@dataclass(frozen=True)
class TableView:
    """A table.

    Attributes:
        id: unique on the page.
        name: such as ``Table 3``.
        result: that it shows.
        rows: of the paper.
        beside: rows shown beside them.
        state: of the whole, and `counts` in words.
        reasons: (letter, reason), and what the mark of published numbers means.
        charts: drawn from the cache.
        files: beside the page: (word to show, file name).
    """

    id: str
    name: str
    result: Result
    rows: Sequence[RowView]
    beside: Sequence[RowView]
    state: str
    counts: str
    reasons: Sequence[tuple[str, str]]
    charts: Sequence[Chart]
    files: Sequence[tuple[str, str]]


def view(name: str, result: Result, charts: Sequence[Chart], folder: Path) -> TableView:
    """Return the table of a result whose files, in `folder`, are called `name`."""
    letters = layout.reasons(result.cells)
    own: list[RowView] = []
    beside: list[RowView] = []
    for row in layout.rows(result):
        state = _state(row.cells)
        if state == "measured" and result.profile is None:
            state = "computed"
        cells = [
            _cell_view(column, row, place, letters) for place, column in enumerate(result.columns)
        ]
        (beside if row.beside else own).append(RowView(row.label, state, cells, row.has_paper))
    state, counts = _state_of_table(own)
    marks = [(letter, reason) for reason, letter in letters.items()]
    if any(cell.literature_printed for cell in result.cells):
        marks.append(("†", f"published elsewhere: {result.source}"))
    return TableView(
        id=anchor(name),
        name=heading(name),
        result=result,
        rows=own,
        beside=beside,
        state=state,
        counts=counts,
        reasons=marks,
        charts=charts,
        files=files_of(name, folder, (".json", ".md", ".csv", ".tex", ".png")),
    )


def _cell_view(column: Column, row: layout.Row, place: int, letters: Mapping[str, str]) -> CellView:
    cell, field, paper = row.cells[place], row.measured[place], row.paper[place]
    no_value = {"not_applicable": "n/a", "failed": "failed"}.get(cell.status, "–")
    return CellView(
        status=cell.status,
        text=no_value if cell.value is None else field.text,
        spread=field.spread,
        rank=field.rank,
        paper=paper,
        published=cell.literature_printed or "",
        details=_details(column, cell, paper),
        letter="" if cell.reason is None else letters[cell.reason],
    )


def _details(column: Column, cell: Cell, paper: str) -> str:
    """Return a cell in words: its value, clips, interval, the paper's number and the run."""
    unit = f" {column.unit}" if column.unit else ""
    if cell.value is None:
        return f"{cell.row}, {column.label}: {cell.status.replace('_', ' ')}: {cell.reason}"
    parts = [f"{cell.row}, {column.label}: {column.format(cell.value)}{unit}"]
    if cell.n is not None:
        parts.append(f"n = {cell.n} clips")
    if cell.interval is not None:
        low, high = map(column.format, cell.interval)
        parts.append(f"95 % interval {low} to {high}{unit}")
    if cell.std is not None:
        parts.append(f"standard deviation over trainings {column.format(cell.std)}{unit}")
    if cell.paper is not None:
        parts.append(f"paper (difference) {paper}")
    if cell.literature_printed:
        parts.append(f"published elsewhere {cell.literature_printed}")
    if cell.run_id:
        parts.append(cell.run_id)
    return "; ".join(parts)


def _state(cells: Sequence[Cell]) -> str:
    found = {cell.status for cell in cells}
    if "measured" in found:
        return "partly" if found & {"unavailable", "failed"} else "measured"
    if "failed" in found:
        return "failed"
    return "unavailable" if "unavailable" in found else "not applicable"


def _state_of_table(rows: Sequence[RowView]) -> tuple[str, str]:
    """Return the state of a table, and how many of the paper's rows have which state."""
    states = [row.state for row in rows]
    names = ("measured", "computed", "partly", "failed", "unavailable", "not applicable")
    counts = {name: states.count(name) for name in names if name in states}
    state = next(iter(counts), "unavailable") if len(counts) == 1 else "partly"
    if not counts.keys() & {"measured", "computed", "partly"}:
        state = "unavailable"
    words = ", ".join(
        f"{number} {'partly measured' if name == 'partly' else name}"
        for name, number in counts.items()
    )
    return state, f"{words} of {len(rows)} rows"


def provenance_of(provenance: Provenance) -> list[tuple[str, str]]:
    """Return when, where and with what a result was made: (name, text)."""
    installed = [f"{name} {version}" for name, version in provenance.packages.items() if version]
    body = provenance.body
    found = [
        ("Made", provenance.created),
        ("Command", f"python -m benchmark.run {shlex.join(provenance.argv)}"),
        ("Code", _code(provenance.git)),
        ("Software", ", ".join([f"Python {provenance.python}", *installed])),
        ("Machine", ", ".join(filter(None, (provenance.cpu, provenance.platform)))),
        *(
            (f"Data {name}", f"sha256 {data.sha256}; split: {data.split_rule}")
            for name, data in provenance.data.items()
        ),
        ("Body", f"{body.name}, sha256 {body.sha256}" if body else ""),
        ("Seeds", ", ".join(map(str, provenance.seeds))),
    ]
    return [(name, text) for name, text in found if text]


def runs_of(provenance: Provenance) -> list[tuple[str, ...]]:
    """Return the runs that a result was made from: row, stage, run, end, device, time, code."""
    return [
        (
            row,
            stage,
            run.run_id,
            run.finished,
            run.gpu or run.device,
            "" if run.seconds is None else f"{run.seconds:g} s",
            _code(run.git, length=7),
        )
        for row, stages in provenance.run_facts.items()
        for stage, run in stages.items()
    ]


def _code(git: Git | None, length: int = 40) -> str:
    if git is None:
        return ""
    changed = {True: " with changes", False: "", None: ", changes unknown"}[git.dirty]
    return f"{git.commit[:length]}{changed}"
