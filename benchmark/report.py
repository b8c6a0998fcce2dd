"""Results: what was measured, as one JSON object, from which every rendered file is made.

A result has ``schema_version``, ``table``, ``title``, ``profile``, ``data``, ``body``,
``training``, ``protocol`` (metric -> how it is computed), ``figure``, ``columns``, ``rows``,
``cells``, ``notes`` and ``provenance``. A cell has ``row``, ``column``, ``value``, ``n`` (clips),
``low`` and ``high`` (95 % bootstrap interval over clips), ``status`` (``measured``,
``unavailable`` or ``not_applicable``), ``reason``, ``paper``, ``paper_printed`` and ``run_id``.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmark import discover, provenance, stages, stats, store
from benchmark.findings import findings
from benchmark.render import RENDERERS
from benchmark.spec import Column, Profile, Quoted, Row, TableSpec, Unavailable

SCHEMA_VERSION = 1


def metrics_of(table: TableSpec) -> tuple[str, ...]:
    """Names of the metrics that fill columns of a table."""
    keys = {column.key for column in table.columns}
    return tuple(
        name
        for name in discover.summaries("metrics")
        if keys & set(discover.load("metrics", name).columns)
    )


@dataclasses.dataclass(frozen=True)
class RowOutcome:
    """A row and what is known of it; `absent` says why in case there is nothing."""

    row: Row
    outcome: stages.Outcome
    absent: str = ""


def measured_result(
    table: TableSpec,
    rows: Sequence[RowOutcome],
    floor: stages.Outcome | None,
    *,
    setup: stages.Setup,
    profile: Profile,
    options: Mapping[str, object],
) -> dict:
    """The result of a table whose rows are methods."""
    quoted = table.quoted()
    cells = [
        cell(row, column, quoted.get(row.row.label, {}).get(column.key))
        for row in rows
        for column in table.columns
    ]
    result = _frame(table, [row.row for row in rows], cells)
    data = setup.data
    outcomes = {row.row.label: row.outcome for row in rows}
    outcomes |= {table.floor.label: floor} if floor else {}
    notes = [
        *profile.notes,
        *data.notes,
        *table.notes,
        *_method_notes(rows),
        *findings(result["columns"], cells),
    ]
    result |= {
        "profile": profile.name,
        "data": f"{data.name}: {len(data.train_ids)} training and {len(data.test_ids)} test clips "
        f"of {data.num_frames} frames",
        "body": setup.body_id,
        "training": _training(profile),
        "protocol": {
            name: discover.load("metrics", name).protocol(body=setup.body_id, seed=setup.seed)
            for name in metrics_of(table)
        },
        "notes": notes + _floor_notes(table, floor),
        "provenance": provenance.collect()
        | {
            "options": dict(options),
            "seed": setup.seed,
            "data": {"sha256": data.sha256, "split_rule": data.split_rule},
            "body": {"name": setup.body.name, "sha256": setup.body.sha256},
            "runs": {label: _run_facts(outcome) for label, outcome in outcomes.items()},
        },
    }
    return result


def computed_result(table: TableSpec) -> dict:
    """The result of a table that is computed, such as a configuration."""
    quoted = table.quoted()
    try:
        values, reason = table.compute(), ""
    except Unavailable as error:
        values, reason = {}, str(error)
    cells = []
    for row in table.rows:
        for column in table.columns:
            value = values.get(row.label, {}).get(column.key)
            facts = {"value": value} if value is not None else {"reason": reason}
            status = "measured" if value is not None else "unavailable"
            cells.append(
                _make_cell(row, column, quoted[row.label][column.key], status=status, **facts)
            )
    result = _frame(table, table.rows, cells)
    return result | {"notes": list(table.notes), "provenance": provenance.collect()}


def write(result: dict, folder: Path) -> list[Path]:
    """Write ``<table>.json`` and render the other files beside it; returns their paths."""
    path = folder / f"{result['table']}.json"
    before = store.read_json(path)
    unchanged = before is not None and _shown(before) == _shown(result)
    paths = []
    with store.locked(folder.parent / "runs" / "locks" / f"{folder.name}-{path.stem}"):
        for suffix, render in RENDERERS.items():
            target = path.with_suffix(suffix)
            # Drawing takes seconds: what shows the same numbers is not drawn again.
            if suffix != ".png" or not (unchanged and target.exists()):
                target.unlink(missing_ok=True)  # there may be nothing to draw any more
                render(result, target)
            if target.exists():
                paths.append(target)
        # Last: where it is, everything beside it shows its numbers.
        store.write_json(path, result)
    return [path, *paths]


def is_result(value: object) -> bool:
    """Whether a JSON value is a result that this version renders."""
    return (
        isinstance(value, dict)
        and value.get("schema_version") == SCHEMA_VERSION
        and {"table", "profile", "data", "columns", "rows", "cells", "notes"} <= value.keys()
    )


def _shown(result: dict) -> dict:
    return {name: value for name, value in result.items() if name != "provenance"}


def _frame(table: TableSpec, rows: Sequence[Row], cells: list[dict]) -> dict:
    return {
        "schema_version": SCHEMA_VERSION,
        "table": table.id,
        "title": table.title,
        "profile": None,
        "data": None,
        "body": None,
        "training": None,
        "protocol": {},
        "figure": table.figure and dataclasses.asdict(table.figure),
        "columns": [dataclasses.asdict(column) for column in table.columns],
        "rows": [{"label": row.label, "params": dict(row.params)} for row in rows],
        "cells": cells,
    }


def cell(row: RowOutcome, column: Column, quoted: Quoted | None) -> dict:
    """The cell of a row and a column, as in a result; `quoted` is the paper's number."""
    outcome = row.outcome
    if column.key in outcome.facts:
        value, run = outcome.facts[column.key], outcome.runs["predict"]
        return _make_cell(row.row, column, quoted, status="measured", value=value, run_id=run.id)
    for metric, scores in outcome.scores.items():
        own = [score for score in scores if score.column == column.key]
        if not any(score.count for score in own):  # clips too short for it, or not its business
            continue
        sums, counts = [score.sum for score in own], [score.count for score in own]
        interval = stats.bootstrap_interval(sums, counts) or (None, None)
        return _make_cell(
            row.row,
            column,
            quoted,
            status="measured",
            value=stats.pooled_mean(sums, counts),
            n=sum(score.clips for score in own),
            low=interval[0],
            high=interval[1],
            run_id=outcome.runs[f"score {metric}"].id,
        )
    if outcome.missing:
        reason = row.absent or outcome.failure or "not measured yet"
        return _make_cell(row.row, column, quoted, status="unavailable", reason=reason)
    reason = f"{row.row.method} has no {column.label}"
    return _make_cell(row.row, column, quoted, status="not_applicable", reason=reason)


def _make_cell(row: Row, column: Column, quoted: Quoted | None, *, status: str, **facts) -> dict:
    return {
        "row": row.label,
        "column": column.key,
        "value": None,
        "n": None,
        "low": None,
        "high": None,
        "status": status,
        "reason": None,
        "paper": quoted and quoted.value,
        "paper_printed": quoted and quoted.printed,
        "run_id": None,
    } | facts


def _method_notes(rows: Sequence[RowOutcome]) -> list[str]:
    notes = []
    for row in (row.row for row in rows):
        if row.weights is not None:
            digest = stages.weights_sha256(row.weights)[:12]
            notes.append(f"{row.label}: weights given by the user ({digest}), not trained here.")
        elif note := discover.load("methods", row.method).note:
            notes.append(f"{row.label}: {note}")
    return notes


def _floor_notes(table: TableSpec, floor: stages.Outcome | None) -> list[str]:
    scores = [score for scores in (floor.scores.values() if floor else ()) for score in scores]
    values = []
    for column in table.columns:
        own = [score for score in scores if score.column == column.key]
        if any(score.count for score in own):
            mean = stats.pooled_mean([score.sum for score in own], [score.count for score in own])
            values.append(f"{column.label} {column.format(mean)} {column.unit}")
    if not values:
        return []
    return [f"For scale, {table.floor.label} gives {', '.join(values)} on the same test clips."]


def _training(profile: Profile) -> str:
    training = profile.training
    return (
        f"{training.steps} steps of {training.batch_size} windows of {training.window} frames, "
        f"AdamW, learning rate {training.learning_rate:g} ({training.schedule})"
    )


def _run_facts(outcome: stages.Outcome) -> dict:
    return {
        stage: {"run_id": outcome.runs[stage].id, **record}
        for stage, record in outcome.records.items()
    }
