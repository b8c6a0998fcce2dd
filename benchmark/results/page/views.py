"""The tables and figures of the page: what `page.html.j2` shows of a result."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark.api.table import Column
from benchmark.results.figure_schema import FigureResult
from benchmark.results.origin import Git, Provenance
from benchmark.results.page.drawing_cache import Chart
from benchmark.results.page.names import anchor, files_of, heading
from benchmark.results.render import layout
from benchmark.results.schema import Cell, Result


def table(name: str, result: Result, charts: Sequence[Chart], folder: Path) -> dict[str, Any]:
    """Return the view of a table whose files, in `folder`, are called `name`.

    Returns:
        ``id``, unique on the page; ``name``, such as ``Table 3``; ``result``; ``rows`` of the paper
        and those ``beside`` them, each a `layout.Row` with its state; ``state`` of the whole, and
        ``counts`` in words; ``letters`` of the reasons; ``marks``, (letter or mark, text) below the
        table; ``charts``; ``files`` beside the page, (word to show, file name).
    """
    letters = layout.reasons(result.cells)
    rows = [(row, _state(row.cells, result)) for row in layout.rows(result)]
    own = [(row, state) for row, state in rows if not row.beside]
    state, counts = _state_of_table([state for _, state in own])
    marks = [(letter, reason) for reason, letter in letters.items()]
    if any(cell.literature_printed for cell in result.cells):
        marks.append(("†", f"published elsewhere: {result.source}"))
    return {
        "id": anchor(name),
        "name": heading(name),
        "result": result,
        "rows": own,
        "beside": [(row, state) for row, state in rows if row.beside],
        "state": state,
        "counts": counts,
        "letters": letters,
        "marks": marks,
        "charts": charts,
        "files": files_of(name, folder, (".json", ".md", ".csv", ".tex", ".png")),
    }


def figure(name: str, result: FigureResult, folder: Path) -> dict[str, Any]:
    """Return the view of a figure whose files, in `folder`, are called `name`.

    Returns:
        ``id``, ``name``, ``result`` and ``files`` as of a table; ``state``: ``drawn``, ``partly``
        or ``unavailable``; ``file``, the picture beside the page, empty where there is none; and
        ``reason``, why there is none.
    """
    picture = f"{name}.png"
    has_picture = result.status == "drawn" and (folder / picture).is_file()
    whole = all(row.status == "measured" for row in result.rows)
    return {
        "id": anchor(name),
        "name": heading(name),
        "result": result,
        "state": ("drawn" if whole else "partly") if has_picture else "unavailable",
        "file": picture if has_picture else "",
        "reason": result.reason or ("" if has_picture else "its picture is not here"),
        "files": files_of(name, folder, (".json", ".md", ".png")),
    }


def details(cell: Cell, column: Column, paper: str) -> str:
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
    return "; ".join([*parts, *([cell.run_id] if cell.run_id else [])])


def _state(cells: Sequence[Cell], result: Result) -> str:
    found = {cell.status for cell in cells}
    if "measured" in found:
        whole = "computed" if result.profile is None else "measured"
        return "partly" if found & {"unavailable", "failed"} else whole
    if "failed" in found:
        return "failed"
    return "unavailable" if "unavailable" in found else "not applicable"


def _state_of_table(states: Sequence[str]) -> tuple[str, str]:
    """Return the state of a table, and how many of the paper's rows have which state."""
    names = ("measured", "computed", "partly", "failed", "unavailable", "not applicable")
    counts = {name: states.count(name) for name in names if name in states}
    state = next(iter(counts), "unavailable") if len(counts) == 1 else "partly"
    if not counts.keys() & {"measured", "computed", "partly"}:
        state = "unavailable"
    words = ", ".join(
        f"{number} {'partly measured' if name == 'partly' else name}"
        for name, number in counts.items()
    )
    return state, f"{words} of {len(states)} rows"


def provenance(found: Provenance) -> list[tuple[str, str]]:
    """Return when, where and with what a result was made: (name, text)."""
    installed = [f"{name} {version}" for name, version in found.packages.items() if version]
    body = found.body
    pairs = [
        ("Made", found.created),
        ("Command", f"python -m benchmark.run {shlex.join(found.argv)}"),
        ("Code", _code(found.git)),
        ("Software", ", ".join([f"Python {found.python}", *installed])),
        ("Machine", ", ".join(filter(None, (found.cpu, found.platform)))),
        *(
            (f"Data {name}", f"sha256 {data.sha256}; split: {data.split_rule}")
            for name, data in found.data.items()
        ),
        ("Body", f"{body.name}, sha256 {body.sha256}" if body else ""),
        ("Arithmetic", ", ".join(f"{name} {value}" for name, value in found.arithmetic.items())),
        ("Seeds", ", ".join(map(str, found.seeds))),
    ]
    return [(name, text) for name, text in pairs if text]


def runs(found: Provenance) -> list[tuple[str, ...]]:
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
        for row, stages in found.run_facts.items()
        for stage, run in stages.items()
    ]


def _code(git: Git | None, length: int = 40) -> str:
    if git is None:
        return ""
    changed = {True: " with changes", False: "", None: ", changes unknown"}[git.dirty]
    return f"{git.commit[:length]}{changed}"
