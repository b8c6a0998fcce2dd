"""Results: what was measured, as one JSON object, from which every rendered file is made.

A result has ``schema_version``, ``table``, ``title``, ``profile``, ``data``, ``body``,
``training``, ``protocol`` (metric -> how it is computed), ``figure``, ``columns``, ``rows``,
``cells``, ``notes`` and ``provenance``. A cell has ``row``, ``column``, ``value``, ``n`` (clips),
``low`` and ``high`` (95 % bootstrap interval over groups of clips), ``std`` (over trainings with
several seeds), ``status`` (``measured``, ``unavailable`` or ``not_applicable``), ``reason``,
``paper``, ``paper_printed``, ``literature``, ``literature_printed`` and ``run_id``.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmark import discover
from benchmark.api.clips import Data
from benchmark.api.errors import Unavailable
from benchmark.api.paths import redact_paths
from benchmark.api.profile import Profile
from benchmark.api.table import Row, TableSpec
from benchmark.discover import metrics_of
from benchmark.results.cells import RowOutcome, cell, make_cell
from benchmark.results.findings import findings
from benchmark.results.render import PICTURES, RENDERERS
from benchmark.runs import chain, provenance
from benchmark.runs.work_item import RunContext, WorkItem
from datasets.tools.files import locked, read_json, sha256_of, write_json

SCHEMA_VERSION = 3
_PARTS = {"table", "title", "profile", "data", "body", "training", "protocol", "source", "figure"}
_PARTS |= {"columns", "rows", "cells", "notes", "provenance"}


def measured_result(
    table: TableSpec,
    rows: Sequence[RowOutcome],
    *,
    context: RunContext,
    profile: Profile,
    options: Mapping[str, object],
) -> dict:
    """The result of a table whose rows are methods."""
    quoted, published = table.quoted(), table.published()
    cells = []
    for row in rows:
        for column in (*table.columns, *table.more_columns):
            label, key = row.row.label, column.key
            numbers = [block.get(label, {}).get(key) for block in (quoted, published)]
            cells.append(cell(row, column, *numbers))
    result = _frame(table, [(row.row, row.is_extra) for row in rows], cells)
    items = [item for row in rows for item in row.items]
    used = list({item.data.path: item.data for item in items}.values())
    bodies = f"{context.body.name} {context.body.sha256[:12]}"
    notes = [
        *profile.notes[table.task],
        *(note for data in used for note in data.notes),
        *table.notes,
        *row_notes(rows),
        *_findings(result),
    ]
    return result | {
        "profile": profile.name,
        "data": "; ".join(map(data_text, used)) or "none",
        "body": bodies,
        "training": _training(table.task, profile),
        "protocol": protocols(table, items, context),
        "notes": list(dict.fromkeys(notes)),
        "source": table.source,
        "provenance": provenance.collect()
        | {
            "options": dict(options),
            "seeds": sorted({item.seed for item in items}),
            "data": {
                data.name: {"sha256": data.sha256, "split_rule": data.split_rule} for data in used
            },
            "body": {"name": context.body.name, "sha256": context.body.sha256},
            "runs": {
                f"{row.row.label}{f', seed {item.seed}' if len(row.items) > 1 else ''}": run_facts(
                    outcome
                )
                for row in rows
                for item, outcome in zip(row.items, row.outcomes, strict=True)
            },
        },
    }


def _findings(result: dict) -> list[str]:
    """What the numbers say beside the paper's; of several datasets, of each by itself."""
    datasets: dict[str, set[str]] = {}
    for row in result["rows"]:
        datasets.setdefault(row["dataset"], set()).add(row["label"])
    notes = []
    for dataset, labels in datasets.items():
        own = [cell for cell in result["cells"] if cell["row"] in labels]
        told = findings(result["columns"], own)
        notes += [f"On {dataset}: {note}" for note in told] if dataset else told
    return notes


def protocols(table: TableSpec, items: Sequence[WorkItem], context: RunContext) -> dict[str, str]:
    """Metric -> how its numbers are made; by dataset, where they are made in several ways."""
    found: dict[str, dict[str, str]] = {}
    for name in metrics_of(table):
        metric = discover.load("metrics", name)
        for item in items:
            line = metric.protocol(item.metric_context(context))
            found.setdefault(name, {}).setdefault(line, item.data.dataset or item.data.name)
    return {
        name if len(lines) == 1 else f"{name}, {where}": line
        for name, lines in found.items()
        for line, where in lines.items()
    }


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
                make_cell(row, column, quoted[row.label][column.key], status=status, **facts)
            )
    result = _frame(table, [(row, False) for row in table.rows], cells)
    return result | {"notes": list(table.notes), "provenance": provenance.collect()}


def write(result: dict, folder: Path) -> list[Path]:
    """Write ``<table>.json`` and render the other files beside it; returns their paths."""
    path = folder / f"{result['table']}.json"
    result = json.loads(json.dumps(result))  # as it is read again: tuples are lists
    paths = []
    with locked(folder.parent / "runs" / "locks" / f"{folder.name}-{path.stem}"):
        before = read_json(path)
        unchanged = before is not None and _shown(before) == _shown(result)
        if not unchanged:
            path.unlink(missing_ok=True)  # what is beside it is of other numbers from here on
        for suffix, render in RENDERERS.items():
            target = path.with_suffix(suffix)
            # Drawing takes seconds: what shows the same numbers is not drawn again.
            if suffix not in PICTURES or not (unchanged and target.exists()):
                target.unlink(missing_ok=True)  # there may be nothing to draw any more
                render(result, target)
            if target.exists():
                paths.append(target)
        # Last: where it is, everything beside it shows its numbers.
        write_json(path, result)
    return [path, *paths]


def is_result(value: object) -> bool:
    """Whether a JSON value is a result that this version renders."""
    return (
        isinstance(value, dict)
        and value.get("schema_version") == SCHEMA_VERSION
        and value.keys() >= _PARTS
    )


def _shown(result: dict) -> dict:
    return {name: value for name, value in result.items() if name != "provenance"}


def _frame(table: TableSpec, rows: Sequence[tuple[Row, bool]], cells: list[dict]) -> dict:
    return {
        "schema_version": SCHEMA_VERSION,
        "table": table.id,
        "title": table.title,
        "profile": None,
        "data": None,
        "body": None,
        "training": None,
        "protocol": {},
        "source": "",
        "figure": table.figure and dataclasses.asdict(table.figure),
        "columns": [dataclasses.asdict(column) for column in (*table.columns, *table.more_columns)],
        "rows": [
            {
                "label": row.label,
                "params": dict(row.params),
                "dataset": row.dataset,
                "beside": beside,
            }
            for row, beside in rows
        ],
        "cells": cells,
    }


def row_notes(rows: Sequence[RowOutcome]) -> list[str]:
    """What the reader of the rows must know: of the methods, the metrics, and what failed."""
    notes = []
    for row in rows:
        label = row.row.label
        if row.row.weights is not None:
            digest = sha256_of(row.row.weights)[:12]
            notes.append(f"{label}: weights given by the user (sha256 {digest}), not trained here.")
        elif row.items and (note := row.items[0].implementation.note):
            notes.append(f"{label}: {note}")
        for item, outcome in zip(row.items, row.outcomes, strict=True):
            trained = outcome.records.get("train")
            if trained and (skipped := trained.skipped_clips):
                notes.append(
                    f"{label}: {skipped} of {len(item.data.train_ids)} training clips could not be "
                    "used, such as those with a damaged video."
                )
            if outcome.failed:
                clip, reason = next(iter(outcome.failed.items()))
                notes.append(
                    f"{label}: {len(outcome.failed)} of {len(item.data.test_ids)} test clips "
                    f"failed and are in none of its numbers, as {clip}: {reason}."
                )
    found: dict[str, list[str]] = {}
    for row in rows:
        for outcome in row.outcomes:
            for metric, scores in outcome.scores.items():
                for note in discover.load("metrics", metric).notes(scores):
                    found.setdefault(note, []).append(row.row.label)
    notes += [f"{', '.join(dict.fromkeys(labels))}: {note}" for note, labels in found.items()]
    return list(map(redact_paths, notes))


def data_text(data: Data) -> str:
    """Clips of a store in words."""
    return f"{data.name}: {len(data.train_ids)} training and {test_text(data)}"


def test_text(data: Data) -> str:
    """Test clips of a store in words."""
    groups = len({data.group_of(name) for name in data.test_ids})
    grouped = f" ({groups} groups)" if groups < len(data.test_ids) else ""
    return f"{len(data.test_ids)} test clips{grouped} of {data.num_frames} frames"


def _training(task: str, profile: Profile) -> str:
    if task == "tokenizer":
        training = profile.training
        what = f"windows of {training.window} frames"
    else:
        training = profile.unimo_training
        what = "clips"
    return (
        f"{training.steps} steps of {training.batch_size} {what}, "
        f"{'Muon' if training.optimizer == 'muon' else 'AdamW'}, learning rate "
        f"{training.learning_rate:g} ({training.schedule})"
    )


def run_facts(outcome: chain.Outcome) -> dict:
    """Stage -> run id and ``run.json``, of what is done."""
    return {
        name: {"run_id": stage.id, **outcome.records[name].to_json(stage.name)}
        for name, stage in outcome.stages.items()
        if name in outcome.records
    }
