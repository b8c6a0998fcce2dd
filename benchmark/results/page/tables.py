"""What the page shows of a table: its cells, their details, what it was made with."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.api.table import Column
from benchmark.results.page.kept import Chart
from benchmark.results.page.names import anchor, files_of, heading
from benchmark.results.render import RENDERERS, layout

_PAPER = "paper (difference)"  # label of the grid's lines with the paper's numbers


@dataclass(frozen=True)
class CellView:
    """A cell.

    Attributes:
        status: as in the result.
        text: the measured value, or ``n/a`` or a dash.
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
class RunView:
    """A stage of a row: which run, where and when."""

    row: str
    stage: str
    run_id: str
    finished: str
    device: str
    seconds: str
    code: str


@dataclass(frozen=True)
class TableView:
    """A table.

    Attributes:
        id: unique on the page.
        name: such as ``Table 3``.
        title: the caption.
        profile: or empty, for a table that is computed.
        data: what it is measured on, or empty.
        headings: of the columns.
        rows: of the paper.
        beside: rows shown beside them.
        state: of the whole, and `counts` in words.
        reasons: (letter, reason), and what the mark of published numbers means.
        facts: (name, text).
        notes: of the result.
        provenance: (name, text).
        runs: what the cells are from.
        charts: drawn from the cache.
        files: beside the page: (word to show, file name).
    """

    id: str
    name: str
    title: str
    profile: str
    data: str
    headings: Sequence[str]
    rows: Sequence[RowView]
    beside: Sequence[RowView]
    state: str
    counts: str
    reasons: Sequence[tuple[str, str]]
    facts: Sequence[tuple[str, str]]
    notes: Sequence[str]
    provenance: Sequence[tuple[str, str]]
    runs: Sequence[RunView]
    charts: Sequence[Chart]
    files: Sequence[tuple[str, str]]


def view(name: str, result: dict, charts: Sequence[Chart], folder: Path) -> TableView:
    """The table of a result whose files, in `folder`, are called `name`."""
    columns = layout.columns_of(result)
    reasons = layout.reasons(result)
    rows = []
    for row, fields in zip(result["rows"], _by_row(layout.grid(result)[1:], columns), strict=True):
        cells = [layout.cell_of(result, row["label"], column) for column in columns]
        views = [
            _cell(row["label"], column, cell, *both, reasons)
            for column, cell, both in zip(columns, cells, fields, strict=True)
        ]
        has_paper = any(cell["paper"] is not None for cell in cells)
        state = _state(cells)
        if state == "measured" and result["profile"] is None:
            state = "computed"
        rows.append(RowView(row["label"], state, views, has_paper))
    beside = [row["beside"] for row in result["rows"]]
    own = [row for row, aside in zip(rows, beside, strict=True) if not aside]
    state, counts = _of_all(own)
    facts = layout.facts(result)[len(reasons) :]
    marks = [(letter, reason) for reason, letter in reasons.items()]
    if any(cell["literature_printed"] for cell in result["cells"]):
        marks.append(("†", f"published elsewhere: {result['source']}"))
    return TableView(
        id=anchor(name),
        name=heading(name),
        title=result["title"],
        profile=result["profile"] or "",
        data=result["data"] or "",
        headings=[column.heading for column in columns],
        rows=own,
        beside=[row for row, aside in zip(rows, beside, strict=True) if aside],
        state=state,
        counts=counts,
        reasons=marks,
        facts=facts,
        notes=result["notes"],
        provenance=provenance_of(result.get("provenance", {})),
        runs=runs_of(result.get("provenance", {})),
        charts=charts,
        files=files_of(name, folder, (".json", *RENDERERS)),
    )


def _by_row(
    lines: Sequence[Sequence[layout.Field]], columns: Sequence[Column]
) -> list[list[tuple[layout.Field, str]]]:
    """The grid's lines by row: for each column what was measured, and the paper's as printed."""
    found: list[list[tuple[layout.Field, str]]] = []
    for line in lines:
        fields = line[1 : 1 + len(columns)]
        if not line[0].quoted:
            printed = line[1 + len(columns) :] or [layout.Field("-")] * len(columns)
            found.append([(own, its.text) for own, its in zip(fields, printed, strict=True)])
        elif line[0].text == _PAPER:
            found[-1] = [(own, its.text) for (own, _), its in zip(found[-1], fields, strict=True)]
    return found


def _cell(
    row: str,
    column: Column,
    cell: dict,
    field: layout.Field,
    paper: str,
    reasons: Mapping[str, str],
) -> CellView:
    measured = cell["status"] == "measured"
    return CellView(
        status=cell["status"],
        text=field.text if measured else "n/a" if cell["status"] == "not_applicable" else "–",
        spread=field.rest if cell["std"] is not None else "",
        rank=field.rank,
        paper=paper,
        published=cell["literature_printed"] or "",
        details=_details(row, column, cell, paper),
        letter="" if measured else reasons[cell["reason"]],
    )


def _details(row: str, column: Column, cell: dict, paper: str) -> str:
    """A cell in words: what it is, over how many clips, how sure, beside what, from which run."""
    unit = f" {column.unit}" if column.unit else ""
    if cell["status"] != "measured":
        return f"{row}, {column.label}: {cell['status'].replace('_', ' ')}: {cell['reason']}"
    parts = [f"{row}, {column.label}: {column.format(cell['value'])}{unit}"]
    if cell["n"] is not None:
        parts.append(f"n = {cell['n']} clips")
    if cell["low"] is not None:
        low, high = column.format(cell["low"]), column.format(cell["high"])
        parts.append(f"95 % interval {low} to {high}{unit}")
    if cell["std"] is not None:
        parts.append(f"standard deviation over trainings {column.format(cell['std'])}{unit}")
    if cell["paper"] is not None:
        parts.append(f"paper (difference) {paper}")
    if cell["literature_printed"]:
        parts.append(f"published elsewhere {cell['literature_printed']}")
    if cell["run_id"]:
        parts.append(cell["run_id"])
    return "; ".join(parts)


def _state(cells: Sequence[dict]) -> str:
    found = {cell["status"] for cell in cells}
    if "measured" in found:
        return "partly" if "unavailable" in found else "measured"
    return "unavailable" if "unavailable" in found else "not applicable"


def _of_all(rows: Sequence[RowView]) -> tuple[str, str]:
    """State of a table, and how many of the paper's rows have what."""
    states = [row.state for row in rows]
    kinds = ("measured", "computed", "partly", "unavailable", "not applicable")
    counts = {kind: states.count(kind) for kind in kinds if kind in states}
    state = next(iter(counts), "unavailable") if len(counts) == 1 else "partly"
    if not counts.keys() & {"measured", "computed", "partly"}:
        state = "unavailable"
    words = ", ".join(
        f"{number} {'partly measured' if kind == 'partly' else kind}"
        for kind, number in counts.items()
    )
    return state, f"{words} of {len(rows)} rows"


def provenance_of(provenance: Mapping) -> list[tuple[str, str]]:
    """What a result was made with: name -> text, of what it says."""
    found = [("Made", provenance.get("created", ""))]
    if "argv" in provenance:
        found.append(("Command", f"python -m benchmark.run {shlex.join(provenance['argv'])}"))
    if "git" in provenance:
        found.append(("Code", _code(provenance["git"])))
    if "python" in provenance:
        packages = provenance.get("packages", {}).items()
        installed = [f"{name} {version}" for name, version in packages if version]
        found.append(("Software", ", ".join([f"Python {provenance['python']}", *installed])))
    machine = [provenance.get("cpu", ""), provenance.get("platform", "")]
    found.append(("Machine", ", ".join(filter(None, machine))))
    for name, data in provenance.get("data", {}).items():
        found.append((f"Data {name}", f"sha256 {data['sha256']}; split: {data['split_rule']}"))
    if "body" in provenance:
        body = provenance["body"]
        found.append(("Body", f"{body['name']}, sha256 {body['sha256']}"))
    if "seeds" in provenance:
        found.append(("Seeds", ", ".join(map(str, provenance["seeds"]))))
    return [(name, text) for name, text in found if text]


def runs_of(provenance: Mapping) -> list[RunView]:
    """The runs that a result was made from."""
    return [
        RunView(
            row,
            stage,
            run["run_id"],
            run.get("finished", ""),
            run.get("gpu") or run.get("device", ""),
            f"{run['seconds']:g} s" if "seconds" in run else "",
            _code(run["git"], length=7) if "git" in run else "",
        )
        for row, stages in provenance.get("runs", {}).items()
        for stage, run in stages.items()
    ]


def _code(git: Mapping, length: int = 40) -> str:
    changed = {True: " with changes", False: "", None: ", changes unknown"}[git["dirty"]]
    return f"{git['commit'][:length]}{changed}"
