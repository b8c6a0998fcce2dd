"""Compares measured systems, column by column."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from benchmark.api.errors import UserError
from benchmark.api.metric import POOLED, Score
from benchmark.api.paths import display_path
from benchmark.api.table import PAPER, Column, TableSpec
from benchmark.commands.compare import notes
from benchmark.commands.compare.schema import ClipChange, Comparison, Difference, MeasuredSystem
from benchmark.commands.compare.systems import Estimator, System
from benchmark.commands.compare.trainings import seed_statistics, training_facts
from benchmark.results import paired
from benchmark.results import table as report
from benchmark.results.cells import RowOutcome, make_cell
from benchmark.results.schema import Cell
from benchmark.runs.checkpoints import weights_sha256
from benchmark.runs.outcomes import Outcomes
from benchmark.runs.work_item import RunContext
from datasets.tools.files import sha256_of

_LEVEL = 0.95
_EXTREMES = 10  # clips listed at either end
_NONE = "no clip has a value of both systems"
_OTHER = "it is a value of all clips together, and some clips are in one of the two systems' alone"


def make_result(
    table: TableSpec,
    systems: Sequence[System],
    trainings: Sequence[System],
    estimator: Estimator,
    outcomes: Outcomes,
    context: RunContext,
    *,
    with_paper: bool,
    options: Mapping[str, object],
) -> Comparison:
    """Compare the first system with each of the others, and with the paper.

    Args:
        table: whose columns they are compared in.
        systems: the checkpoint and its opponents, measured.
        trainings: the checkpoint and its further trainings, measured; or none.
        estimator: see `benchmark.commands.compare.systems.find_estimator`.
        outcomes: of all of them.
        context: they were measured in.
        with_paper: compare with the paper's numbers, too.
        options: of the command, for the record.

    Raises:
        UserError: a system is not measured, or not on the same clips as another.
    """
    columns, data = (*table.columns, *table.more_columns), systems[0].item.data

    def measured(system: System) -> tuple[RowOutcome, dict[str, Cell]]:
        row = _row(outcomes, system)
        return row, _cells(table, system, row)

    known, again = [*map(measured, systems)], [*map(measured, trainings)]
    (own, cells), *others = known
    comparisons = []
    for other, theirs in others:
        for column in columns:
            pair = cells[column.key], theirs[column.key]
            scores = own.scores(column), other.scores(column)
            line = against(column, *pair, *scores, data.group_of)
            clips = own.clips(column), other.clips(column)
            if line.difference is not None and line.n is None and clips[0] != clips[1]:
                line = dataclasses.replace(line, difference=None, relative=None, reason=_OTHER)
            comparisons.append(line)
    comparisons = decide(comparisons, columns)
    if with_paper:
        comparisons += [against_paper(cells[column.key]) for column in columns]
    texts = [
        *(notes.of_tests(systems[0], comparisons) if len(systems) > 1 else ()),
        *notes.of_clips(comparisons, [row for row, _ in known], columns),
        *(notes.of_seeds(systems[0], len(trainings)) if trainings else ()),
        *notes.of_task(table.task),
        *data.notes,
        *(notes.of_paper(table, systems[0]) if with_paper else ()),
        *notes.of_methods(systems),
        *report.row_notes([row for row, _ in (*known, *again[1:])]),
    ]
    return Comparison(
        task=table.task,
        table=table.id,
        data=f"{data.name}: {report.test_text(data)}",
        body=systems[0].item.metric_context(context).body_id,
        estimator=notes.estimator_text(estimator, context) if table.task == "i2vm" else None,
        protocol=report.protocols(table, [systems[0].item], context),
        columns=columns,
        systems={row.row.label: _measured_system(row, found) for row, found in known},
        comparisons=tuple(comparisons),
        trainings={row.row.label: training_facts(row) for row, _ in again},
        seeds=seed_statistics([found for _, found in again], columns) if trainings else {},
        notes=tuple(dict.fromkeys(texts)),
        provenance=report.made_with(context, [data], options),
    )


def against(
    column: Column,
    cell: Cell,
    other: Cell,
    own: Sequence[Score],
    theirs: Sequence[Score],
    group_of: Callable[[str], str],
) -> Difference:
    """Compare one column with another system's; test it where single clips have values.

    Clips that one of them alone has a value of are in no number.

    Args:
        column: of both.
        cell: of the first system.
        other: of the second.
        own: the first's scores of the column.
        theirs: the second's.
        group_of: clip id -> name of its group.

    Raises:
        UserError: a clip is scored twice.
    """
    found = _difference(cell, other.row, cell.value, other.value, other.run_id)
    if found.difference is None:
        return dataclasses.replace(found, reason=cell.reason or other.reason)
    if not own or any(score.clip_id == POOLED for score in [*own, *theirs]):
        reason = "no single clip has a value of it: no interval and no test"
        return dataclasses.replace(found, reason=reason)
    try:
        pairs = paired.join(own, theirs)
    except ValueError as error:
        raise UserError(
            f"{column.label} of {cell.row} and {other.row} (runs {cell.run_id} and "
            f"{other.run_id}): {error}"
        ) from error
    if not pairs.ids:
        return dataclasses.replace(found, difference=None, relative=None, reason=_NONE)
    if any(len(pairs.ids) < sum(score.count > 0 for score in side) for side in (own, theirs)):
        found = _difference(cell, other.row, *pairs.means, other.run_id)
    groups = paired.grouped(pairs, group_of)
    low, high = paired.difference_interval(groups, level=_LEVEL) or (None, None)
    found = dataclasses.replace(
        found,
        low=low,
        high=high,
        n=len(pairs.ids),
        groups=len(groups.ids),
        p=paired.signed_rank(groups.differences),
    )
    if column.better is None:
        return found
    changes = pairs.differences
    gains = changes if column.better == "higher" else -changes
    improved, worsened = int((gains > 0).sum()), int((gains < 0).sum())
    ranked = [
        ClipChange(clip_id=pairs.ids[index], difference=float(changes[index]))
        for index in (-gains).argsort(kind="stable")
    ]
    return dataclasses.replace(
        found,
        improved=improved,
        worsened=worsened,
        best=tuple(ranked[: min(improved, _EXTREMES)]),
        worst=tuple(ranked[::-1][: min(worsened, _EXTREMES)]),
    )


def against_paper(cell: Cell) -> Difference:
    """Compare one column with the number that the paper prints, which no test can use."""
    missing = cell.reason or ("the paper has no number" if cell.paper is None else None)
    found = _difference(cell, PAPER, cell.value, cell.paper)
    return dataclasses.replace(found, reason=missing)


def decide(comparisons: Sequence[Difference], columns: Sequence[Column]) -> list[Difference]:
    """Return the comparisons with corrected p-values and verdicts, where they have a test."""
    better = {column.key: column.better for column in columns}
    corrected = iter(paired.holm([line.p for line in comparisons if line.p is not None]))
    decided = []
    for line in comparisons:
        if line.p is not None:
            line = dataclasses.replace(line, p_holm=next(corrected))
            line = dataclasses.replace(line, verdict=_verdict(line, better[line.column]))
        decided.append(line)
    return decided


def _verdict(
    line: Difference, direction: Literal["lower", "higher"] | None
) -> Literal["better", "worse", "undecided"] | None:
    """Return better or worse only where interval and test agree that it is not chance."""
    if direction is None or line.difference is None:
        return None
    apart = line.interval is not None and not line.interval[0] <= 0 <= line.interval[1]
    if not apart or line.p_holm is None or line.p_holm >= 1 - _LEVEL:
        return "undecided"
    return "better" if (line.difference < 0) == (direction == "lower") else "worse"


def _difference(
    cell: Cell,
    opponent: str,
    value: float | None,
    other: float | None,
    run_id: str | None = None,
) -> Difference:
    difference = None if value is None or other is None else value - other
    return Difference(
        against=opponent,
        column=cell.column,
        value=value,
        against_value=other,
        difference=difference,
        relative=difference / other if difference is not None and other else None,
        run_id=cell.run_id,
        against_run_id=run_id,
    )


def _row(outcomes: Outcomes, system: System) -> RowOutcome:
    outcome = outcomes.of(system.item)
    if outcome.missing:
        raise UserError(
            f"{system.row.weights} was written again while it was measured: run the same command "
            "once more"
        )
    return RowOutcome(row=system.row, items=[system.item], outcomes=[outcome])


def _cells(table: TableSpec, system: System, row: RowOutcome) -> dict[str, Cell]:
    quoted = table.quoted()[system.paper.label] if system.paper else {}
    return {
        column.key: make_cell(row, column, quoted.get(column.key))
        for column in (*table.columns, *table.more_columns)
    }


def _measured_system(row: RowOutcome, cells: dict[str, Cell]) -> MeasuredSystem:
    weights, outcome = row.row.weights, row.outcomes[0]
    return MeasuredSystem(
        path=display_path(weights),
        method=row.row.method,
        weights_sha256=weights_sha256(weights),
        file_sha256=sha256_of(weights),
        facts=outcome.facts,
        cells=cells,
        runs=report.run_facts(outcome),
    )
