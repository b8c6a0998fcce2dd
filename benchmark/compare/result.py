"""A comparison as one JSON object, from which its files are made.

It has ``schema_version``, ``task``, ``table``, ``data``, ``body``, ``protocol``, ``columns``,
``systems`` (label -> what was measured of it, and in which runs), ``comparisons``, ``notes`` and
``provenance``. A comparison has ``against`` (a label, or ``paper``), ``column``, ``value``,
``against_value``, ``difference`` (value minus against_value), ``relative`` (difference over
against_value), ``low`` and ``high`` (95 % paired bootstrap interval of the difference), ``n``
(clips), ``improved`` and ``worsened`` (clips), ``p``, ``p_holm``, ``verdict`` (``better``,
``worse`` or ``undecided``), ``reason`` (why something is missing), ``best`` and ``worst`` (clips),
``run_id`` and ``against_run_id``; null where there is nothing.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from benchmark import discover, paired, provenance, report, stages, store
from benchmark.compare.systems import System
from benchmark.compare.tasks import PAPER
from benchmark.options import shown
from benchmark.spec import Column, Score, TableSpec, UserError

SCHEMA_VERSION = 1
_LEVEL = 0.95
_EXTREMES = 10  # clips listed at either end


def make_result(
    table: TableSpec,
    systems: Sequence[System],
    setup: stages.Setup,
    *,
    with_paper: bool,
    options: Mapping[str, object],
) -> dict:
    """Compare the first system with each of the others, and with the paper.

    Raises:
        UserError: a system is not measured, or not on the same clips as another.
    """
    outcomes = [_outcome(setup, system) for system in systems]
    cells = [_cells(table, system, own) for system, own in zip(systems, outcomes, strict=True)]
    comparisons = []
    for other, theirs in zip(outcomes[1:], cells[1:], strict=True):
        for column in table.columns:
            pair = cells[0][column.key], theirs[column.key]
            comparisons.append(
                against(column, *pair, _scores(outcomes[0], column), _scores(other, column))
            )
    decide(comparisons, table.columns)
    if with_paper:
        comparisons += [against_paper(cells[0][column.key]) for column in table.columns]
    data = setup.data
    return {
        "schema_version": SCHEMA_VERSION,
        "task": options["task"],
        "table": table.id,
        "data": f"{data.name}: {len(data.test_ids)} test clips of {data.num_frames} frames",
        "body": setup.body_id,
        "protocol": {
            name: discover.load("metrics", name).protocol(body=setup.body_id, seed=setup.seed)
            for name in report.metrics_of(table)
        },
        "columns": [dataclasses.asdict(column) for column in table.columns],
        "systems": {
            system.row.label: _system_facts(system, outcome, own)
            for system, outcome, own in zip(systems, outcomes, cells, strict=True)
        },
        "comparisons": comparisons,
        "notes": [
            *(_test_notes(systems[0], comparisons) if len(systems) > 1 else ()),
            *data.notes,
            *(_paper_notes(table, systems[0]) if with_paper else ()),
            *_method_notes(systems),
        ],
        "provenance": provenance.collect()
        | {
            "options": dict(options),
            "data": {"sha256": data.sha256, "split_rule": data.split_rule},
            "body": {"name": setup.body.name, "sha256": setup.body.sha256},
        },
    }


def against(
    column: Column, cell: dict, other: dict, own: Sequence[Score], theirs: Sequence[Score]
) -> dict:
    """One column against another system; tested only where single clips have values.

    Args:
        column: of both.
        cell: of the first system, as in `benchmark.report`.
        other: of the second.
        own: the first's scores of the column.
        theirs: the second's.

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
    changes = pairs.differences
    low, high = paired.difference_interval(pairs, level=_LEVEL) or (None, None)
    line |= {"low": low, "high": high, "n": len(pairs.ids), "p": paired.signed_rank(changes)}
    if column.better is None:
        return line
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


def _outcome(setup: stages.Setup, system: System) -> stages.Outcome:
    outcome = stages.lookup(setup, system.task)
    if outcome.missing:
        raise UserError(
            f"{system.row.weights} was written again while it was measured: run the same command "
            "once more"
        )
    return outcome


def _cells(table: TableSpec, system: System, outcome: stages.Outcome) -> dict[str, dict]:
    quoted = table.quoted()[system.paper.label] if system.paper else {}
    row = report.RowOutcome(system.row, outcome)
    return {
        column.key: report.cell(row, column, quoted.get(column.key)) for column in table.columns
    }


def _scores(outcome: stages.Outcome, column: Column) -> list[Score]:
    return [
        score
        for scores in outcome.scores.values()
        for score in scores
        if score.column == column.key
    ]


def _system_facts(system: System, outcome: stages.Outcome, cells: dict[str, dict]) -> dict:
    weights = system.row.weights
    return {
        "path": shown(weights),
        "method": system.row.method,
        "weights_sha256": stages.weights_sha256(weights),
        "file_sha256": store.hash_file(weights),
        "facts": outcome.facts,
        "cells": cells,
        "runs": {
            stage: {"run_id": outcome.runs[stage].id, **record}
            for stage, record in outcome.records.items()
        },
    }


def _test_notes(own: System, comparisons: Sequence[dict]) -> list[str]:
    notes = [
        "Means are over the frames of all clips, their intervals a bootstrap over clips. A "
        f"difference is {own.row.label}'s mean minus the other's; its interval is a paired "
        "bootstrap over clips, not corrected for being one of several. p is Wilcoxon's "
        "signed-rank test on the clips' own differences, corrected after Holm over all columns "
        "and opponents. A verdict needs an interval without zero and p (Holm) below 0.05, else "
        "it is undecided.",
        "Clips count as independent: where several come from one recording, intervals are too "
        "narrow and p too small.",
        "What the checkpoints were trained on is not known here: one that saw these clips, or "
        "others of the same recordings, has an advantage.",
    ]
    sizes = [line["n"] for line in comparisons if line["p"] is not None]
    # All n clips of one sign, the strongest evidence there is, has p = 2 / 2^n.
    if sizes and len(sizes) * 2.0 ** (1 - max(sizes)) >= 1 - _LEVEL:
        notes.append(
            f"{max(sizes)} clips are too few for a verdict: corrected for {len(sizes)} tests, p "
            "stays above 0.05 even where every clip improves."
        )
    return notes


def _paper_notes(table: TableSpec, own: System) -> list[str]:
    notes = [
        f"The paper's numbers are {table.id}'s, row {own.paper.label}, measured on other data and "
        "another body: a difference to them tests nothing."
    ]
    if settings := _other_settings(own):
        notes.append(f"That row is of another configuration: {settings}.")
    return notes


def _method_notes(systems: Sequence[System]) -> list[str]:
    notes = []
    for method in dict.fromkeys(system.row.method for system in systems):
        labels = [system.row.label for system in systems if system.row.method == method]
        if note := discover.load("methods", method).note:
            notes.append(f"{', '.join(labels)}: {note}")
    return notes


def _other_settings(system: System) -> str:
    """Where the paper's row has other parameters than the checkpoint."""
    config = (store.read_json(system.row.weights.with_suffix(".json")) or {}).get("config") or {}
    return ", ".join(
        f"{name} {printed} (here {config[name]})"
        for name, printed in system.paper.params.items()
        if name in config and config[name] != printed
    )
