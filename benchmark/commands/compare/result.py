"""A comparison as one JSON object, from which its files are made.

It has ``schema_version``, ``task``, ``table``, ``data``, ``body``, ``estimator`` (what says which
motion is in a generated video, or why there is none), ``protocol``, ``columns``, ``systems`` (label
-> what was measured of it, and in which runs), ``comparisons``, ``trainings`` (label -> what
identifies it, of ``--seeds``), ``seeds`` (column -> ``n``, ``mean``, ``std`` over n - 1 and
``values``, in the order of the trainings), ``notes`` and ``provenance``. A comparison has
``against`` (a label, or ``paper``), ``column``, ``value``, ``against_value``, ``difference`` (value
minus against_value), ``relative`` (difference over against_value), ``low`` and ``high`` (95 %
paired bootstrap interval of the difference), ``n`` (clips), ``groups`` (of clips: what interval and
test take as independent), ``improved`` and ``worsened`` (clips), ``p``, ``p_holm``, ``verdict``
(``better``, ``worse`` or ``undecided``), ``reason`` (why something is missing), ``best`` and
``worst`` (clips), ``run_id`` and ``against_run_id``; null where there is nothing.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from benchmark.api.errors import UserError
from benchmark.api.metric import Score
from benchmark.api.paths import display_path
from benchmark.api.table import PAPER, Column, TableSpec
from benchmark.commands.compare import notes, paired
from benchmark.commands.compare.systems import Judge, System
from benchmark.commands.compare.trainings import seed_statistics, training_facts
from benchmark.results import table as report
from benchmark.results.cells import RowOutcome, cell
from benchmark.runs import chain, provenance
from benchmark.runs.checkpoints import weights_sha256
from benchmark.runs.work_item import RunContext
from datasets.tools.files import sha256_of

SCHEMA_VERSION = 1
_LEVEL = 0.95
_EXTREMES = 10  # clips listed at either end


def make_result(
    table: TableSpec,
    systems: Sequence[System],
    trainings: Sequence[System],
    judge: Judge,
    context: RunContext,
    *,
    with_paper: bool,
    options: Mapping[str, object],
) -> dict:
    """Compare the first system with each of the others, and with the paper.

    Args:
        table: whose columns they are compared in.
        systems: the checkpoint and its opponents, measured.
        trainings: the checkpoint and its further trainings, measured; or none.
        judge: see `benchmark.commands.compare.systems.find_judge`.
        context: they were measured in.
        with_paper: compare with the paper's numbers, too.
        options: of the command, for the record.

    Raises:
        UserError: a system is not measured, or not on the same clips as another.
    """
    columns, data = (*table.columns, *table.more_columns), systems[0].item.data
    rows = [_row(context, system) for system in systems]
    cells = [_cells(table, system, row) for system, row in zip(systems, rows, strict=True)]
    comparisons = []
    for other, theirs in zip(rows[1:], cells[1:], strict=True):
        for column in columns:
            pair = cells[0][column.key], theirs[column.key]
            scores = _scores(rows[0], column), _scores(other, column)
            comparisons.append(against(column, *pair, *scores, data.group_of))
    decide(comparisons, columns)
    if with_paper:
        comparisons += [against_paper(cells[0][column.key]) for column in columns]
    again = [_row(context, system) for system in trainings]
    spread = [_cells(table, system, row) for system, row in zip(trainings, again, strict=True)]
    told = [
        *(notes.of_tests(systems[0], comparisons) if len(systems) > 1 else ()),
        *(notes.of_seeds(systems[0], len(trainings)) if trainings else ()),
        *notes.of_task(table),
        *data.notes,
        *(notes.of_paper(table, systems[0]) if with_paper else ()),
        *notes.of_methods(systems),
        *report.row_notes([*rows, *again[1:]]),
    ]
    return {
        "schema_version": SCHEMA_VERSION,
        "task": table.task,
        "table": table.id,
        "data": f"{data.name}: {report.test_text(data)}",
        "body": systems[0].item.metric_context(context).body_id,
        "estimator": notes.judge_text(judge, context) if table.task == "i2vm" else None,
        "protocol": report.protocols(table, [systems[0].item], context),
        "columns": [dataclasses.asdict(column) for column in columns],
        "systems": {
            row.row.label: _system_facts(row, own) for row, own in zip(rows, cells, strict=True)
        },
        "comparisons": comparisons,
        "trainings": {
            row.row.label: training_facts(system, row.outcomes[0])
            for system, row in zip(trainings, again, strict=True)
        },
        "seeds": seed_statistics(spread, columns) if trainings else {},
        "notes": list(dict.fromkeys(told)),
        "provenance": provenance.collect()
        | {
            "options": dict(options),
            "data": {"sha256": data.sha256, "split_rule": data.split_rule},
            "body": {"name": context.body.name, "sha256": context.body.sha256},
        },
    }


def against(
    column: Column,
    cell: dict,
    other: dict,
    own: Sequence[Score],
    theirs: Sequence[Score],
    group_of: Callable[[str], str],
) -> dict:
    """One column against another system; tested only where single clips have values.

    Args:
        column: of both.
        cell: of the first system, as in `benchmark.results.table`.
        other: of the second.
        own: the first's scores of the column.
        theirs: the second's.
        group_of: clip id -> name of its group.

    Raises:
        UserError: the scores are not of the same clips.
    """
    line = _line(cell, other["row"], other["value"]) | {"against_run_id": other["run_id"]}
    if line["difference"] is None:
        return line | {"reason": cell["reason"] or other["reason"]}
    if not own or any(score.clip_id == "pooled" for score in [*own, *theirs]):
        return line | {"reason": "no single clip has a value of it: no interval and no test"}
    try:
        pairs = paired.join(own, theirs)
    except ValueError as error:
        raise UserError(
            f"{column.label} of {cell['row']} and {other['row']}: {error}; runs "
            f"{cell['run_id']} and {other['run_id']} are of different clips"
        ) from error
    groups = paired.grouped(pairs, group_of)
    low, high = paired.difference_interval(groups, level=_LEVEL) or (None, None)
    line |= {"low": low, "high": high, "n": len(pairs.ids), "groups": len(groups.ids)}
    line["p"] = paired.signed_rank(groups.differences)
    if column.better is None:
        return line
    changes = pairs.differences
    gains = changes if column.better == "higher" else -changes
    improved, worsened = int((gains > 0).sum()), int((gains < 0).sum())
    ranked = [
        {"clip_id": pairs.ids[index], "difference": float(changes[index])}
        for index in (-gains).argsort(kind="stable")
    ]
    return line | {
        "improved": improved,
        "worsened": worsened,
        "best": ranked[: min(improved, _EXTREMES)],
        "worst": ranked[::-1][: min(worsened, _EXTREMES)],
    }


def against_paper(cell: dict) -> dict:
    """One column against the number that the paper prints, which no test can use."""
    missing = cell["reason"] or ("the paper has no number" if cell["paper"] is None else None)
    return _line(cell, PAPER, cell["paper"]) | {"reason": missing}


def decide(comparisons: Sequence[dict], columns: Sequence[Column]) -> None:
    """Fill in the corrected p-values of comparisons with a test, and their verdicts."""
    better = {column.key: column.better for column in columns}
    tested = [line for line in comparisons if line["p"] is not None]
    for line, p in zip(tested, paired.holm([line["p"] for line in tested]), strict=True):
        line["p_holm"] = p
        if better[line["column"]] is not None:
            line["verdict"] = _verdict(line, lower=better[line["column"]] == "lower")


def _verdict(line: dict, *, lower: bool) -> str:
    """Better or worse only where interval and test agree that it is not chance."""
    apart = line["low"] is not None and not line["low"] <= 0 <= line["high"]
    if not apart or line["p_holm"] >= 1 - _LEVEL:
        return "undecided"
    return "better" if (line["difference"] < 0) == lower else "worse"


def _line(cell: dict, opponent: str, value: float | None) -> dict:
    difference = None if cell["value"] is None or value is None else cell["value"] - value
    return {
        "against": opponent,
        "column": cell["column"],
        "value": cell["value"],
        "against_value": value,
        "difference": difference,
        "relative": difference / value if difference is not None and value else None,
        "low": None,
        "high": None,
        "n": None,
        "groups": None,
        "improved": None,
        "worsened": None,
        "p": None,
        "p_holm": None,
        "verdict": None,
        "reason": None,
        "best": [],
        "worst": [],
        "run_id": cell["run_id"],
        "against_run_id": None,
    }


def _row(context: RunContext, system: System) -> RowOutcome:
    outcome = chain.lookup(context, system.item)
    if outcome.missing:
        raise UserError(
            f"{system.row.weights} was written again while it was measured: run the same command "
            "once more"
        )
    return RowOutcome(system.row, [system.item], [outcome])


def _cells(table: TableSpec, system: System, row: RowOutcome) -> dict[str, dict]:
    quoted = table.quoted()[system.paper.label] if system.paper else {}
    return {
        column.key: cell(row, column, quoted.get(column.key))
        for column in (*table.columns, *table.more_columns)
    }


def _scores(row: RowOutcome, column: Column) -> list[Score]:
    return [
        score
        for scores in row.outcomes[0].scores.values()
        for score in scores
        if score.column == column.key
    ]


def _system_facts(row: RowOutcome, cells: dict[str, dict]) -> dict:
    weights, outcome = row.row.weights, row.outcomes[0]
    return {
        "path": display_path(weights),
        "method": row.row.method,
        "weights_sha256": weights_sha256(weights),
        "file_sha256": sha256_of(weights),
        "facts": outcome.facts,
        "cells": cells,
        "runs": report.run_facts(outcome),
    }
