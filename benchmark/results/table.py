"""Results: what was measured of a table, as one record that every rendered file is made from."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from benchmark import discover
from benchmark.api.clips import Data
from benchmark.api.errors import Unavailable
from benchmark.api.paths import redact_paths
from benchmark.api.profile import Profile
from benchmark.api.table import Row, TableSpec
from benchmark.discover import metrics_of
from benchmark.results.cells import RowOutcome, empty_cell, make_cell, with_value, without_value
from benchmark.results.findings import findings, uneven_clips
from benchmark.results.origin import Provenance
from benchmark.results.render import PICTURES, renderers
from benchmark.results.schema import Cell, Result, ResultRow
from benchmark.results.ties import with_ties
from benchmark.runs import chain, provenance
from benchmark.runs.checkpoints import Checkpoint
from benchmark.runs.work_item import RunContext, WorkItem
from datasets.tools.command_line import counted
from datasets.tools.files import locked, sha256_of
from datasets.tools.typed_json import load


def measured_result(
    table: TableSpec,
    rows: Sequence[RowOutcome],
    *,
    context: RunContext,
    profile: Profile,
    options: Mapping[str, object],
) -> Result:
    """Return the result of a table whose rows are methods.

    Args:
        table: what is measured.
        rows: with what the cache knows of them.
        context: of the run.
        profile: the size of everything.
        options: of the command, as JSON values, for the record.
    """
    quoted, published = table.quoted(), table.published()
    cells = [
        make_cell(
            row,
            column,
            quoted.get(row.row.label, {}).get(column.key),
            published.get(row.row.label, {}).get(column.key),
        )
        for row in rows
        for column in (*table.columns, *table.more_columns)
    ]
    result = with_ties(_frame(table, [(row.row, row.is_extra) for row in rows], cells), rows)
    items = [item for row in rows for item in row.items]
    used = list({item.data.path: item.data for item in items}.values())
    notes = [
        *profile.notes[table.task],
        *_pixels(table.task, profile),
        *(note for data in used for note in data.notes),
        *table.notes,
        *row_notes(rows),
        *_findings(result, rows),
    ]
    runs = {
        f"{row.row.label}{f', seed {item.seed}' if len(row.items) > 1 else ''}": run_facts(outcome)
        for row in rows
        for item, outcome in zip(row.items, row.outcomes, strict=True)
    }
    return dataclasses.replace(
        result,
        title=profile.titled(table.title),
        profile=profile.name,
        data="; ".join(map(data_text, used)) or "none",
        body=f"{context.body.name} {context.body.sha256[:12]}",
        training=_training(table.task, profile),
        protocol=protocols(table, items, context),
        notes=tuple(dict.fromkeys(notes)),
        source=table.source,
        provenance=made_with(
            context, used, options, seeds={item.seed for item in items}, runs=runs
        ),
    )


def _pixels(task: str, profile: Profile) -> list[str]:
    """A note on what makes the pixels of Cosmos's tokens, which VBench and the estimator see."""
    if task != "i2vm" or profile.codec != "cosmos":
        return []
    from model.video_tokens.cosmos.diffusion_decoder import DiffusionDecoder

    paper = profile.decoder == "diffusion"
    decoder = DiffusionDecoder().decoder if paper else "Cosmos DV8x16x16's own decoder"
    other = "" if paper else ", where the paper has the diffusion decoder"
    after = " Rows named so show them after SeedVR." if profile.seedvr else " No SeedVR."
    return [f"Pixels of generated videos: {decoder}{other}.{after}"]


def made_with(
    context: RunContext,
    stores: Sequence[Data],
    options: Mapping[str, object],
    *,
    seeds: Iterable[int] = (),
    runs: Mapping[str, Mapping[str, dict]] | None = None,
) -> Provenance:
    """Return when, where and with what a result is made.

    Args:
        context: of the run.
        stores: the clips.
        options: of the command.
        seeds: of the trainings.
        runs: label of a row -> stage -> facts, see `run_facts`.
    """
    return Provenance.from_json(
        provenance.collect()
        | {
            "options": dict(options),
            "arithmetic": provenance.arithmetic(context.device),
            "seeds": sorted(seeds),
            "data": {
                name: {"sha256": sha256, "split_rule": data.split_rule}
                for data in stores
                for name, sha256 in [
                    (data.name, data.sha256),
                    *zip(data.train_names, data.train_sha256, strict=True),
                ]
            },
            "body": {"name": context.body.name, "sha256": context.body.sha256},
            "runs": runs or {},
        }
    )


def _findings(result: Result, rows: Sequence[RowOutcome]) -> list[str]:
    """Return notes on the numbers beside the paper's; of several datasets, on each by itself."""
    notes = []
    for dataset in dict.fromkeys(row.dataset for row in result.rows):
        own = [
            cell for row in result.rows if row.dataset == dataset for cell in result.cells_of(row)
        ]
        found = uneven_clips(result.columns, [row for row in rows if row.row.dataset == dataset])
        found += findings(result.columns, own)
        notes += [f"On {dataset}: {note}" for note in found] if dataset else found
    return notes


def protocols(table: TableSpec, items: Sequence[WorkItem], context: RunContext) -> dict[str, str]:
    """Return metric -> how its values are made, by dataset where they are made in several ways."""
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


def computed_result(table: TableSpec) -> Result:
    """Return the result of a table that is computed, such as a configuration."""
    assert table.compute is not None
    try:
        values, reason = table.compute(), "not computed"
    except Unavailable as error:
        values, reason = {}, str(error)
    quoted, cells = table.quoted(), []
    for row in table.rows:
        for column in table.columns:
            empty = empty_cell(row, column, quoted[row.label][column.key])
            value = values.get(row.label, {}).get(column.key)
            if value is None:
                cells.append(without_value(empty, reason))
            else:
                cells.append(with_value(empty, value=value))
    return _frame(table, [(row, False) for row in table.rows], cells)


def write(result: Result, folder: Path, *, full_latex: bool = False) -> list[Path]:
    """Write ``<table>.json`` and the files that are rendered from it; return their paths.

    Args:
        result: of a table.
        folder: of the files.
        full_latex: see `benchmark.results.render.latex.to_latex`.
    """
    path = folder / f"{result.table}.json"
    paths = []
    with locked(folder.parent / "runs" / "locks" / f"{folder.name}-{path.stem}"):
        unchanged = _shows_the_same(path, result)
        if not unchanged:
            path.unlink(
                missing_ok=True
            )  # until it is written, the other files are of other numbers
        for suffix, render in renderers(full_latex=full_latex).items():
            target = path.with_suffix(suffix)
            # Drawing takes seconds: what shows the same numbers is not drawn again.
            if suffix not in PICTURES or not (unchanged and target.exists()):
                target.unlink(missing_ok=True)  # there may be nothing to draw any more
                render(result, target)
            if target.exists():
                paths.append(target)
        # Last: where it is, everything beside it shows its numbers.
        result.write(path)
    return [path, *paths]


def _shows_the_same(path: Path, result: Result) -> bool:
    """Return True if the file holds the result, made at whatever time and place."""
    try:
        before = Result.from_json(load(path))
    except ValueError:  # there is none, or of an earlier schema
        return False
    return before == dataclasses.replace(result, provenance=before.provenance)


def _frame(table: TableSpec, rows: Sequence[tuple[Row, bool]], cells: Sequence[Cell]) -> Result:
    """Return the result of a table as far as its numbers go."""
    return Result(
        table=table.id,
        title=table.title,
        protocol={},
        figure=table.figure,
        columns=(*table.columns, *table.more_columns),
        rows=tuple(
            ResultRow(label=row.label, params=dict(row.params), dataset=row.dataset, beside=beside)
            for row, beside in rows
        ),
        cells=tuple(cells),
        notes=table.notes,
        provenance=Provenance.from_json(provenance.collect()),
    )


def row_notes(rows: Sequence[RowOutcome]) -> list[str]:
    """Return notes on the rows: of their methods and metrics, and of clips that failed."""
    notes = []
    for row in rows:
        label = row.row.label
        if row.row.weights is not None:
            digest = sha256_of(row.row.weights)[:12]
            origin = Checkpoint.read(row.row.weights).origin
            how = f"; trained elsewhere: {origin}" if origin else ", not trained here"
            notes.append(f"{label}: weights given by the user (sha256 {digest}){how}.")
        elif row.items and (note := row.items[0].implementation.note):
            notes.append(f"{label}: {note}")
        for item, outcome in zip(row.items, row.outcomes, strict=True):
            trained = outcome.records.get("train")
            if trained and (skipped := trained.skipped_clips):
                notes.append(
                    f"{label}: {skipped} of {len(item.data.train_ids)} training clips could not be "
                    "used, such as those with a damaged video."
                )
            clips, unseen = len(item.data.test_ids), outcome.unseen
            failed = {name: why for name, why in outcome.failed.items() if name not in unseen}
            if failed:
                clip, reason = next(iter(failed.items()))
                notes.append(
                    f"{label}: {len(failed)} of {clips} test clips failed and are in none of its "
                    f"numbers, as {clip}: {reason}."
                )
            if unseen:
                clip, reason = next(iter(unseen.items()))
                notes.append(
                    f"{label}: the estimator sees no motion in the videos of {len(unseen)} of "
                    f"{clips} test clips, which are left out of what it is needed for, as {clip}: "
                    f"{reason}."
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
    """Return the clips of the stores in words."""
    trained = counted(len(data.train_ids), "training clip")
    if data.train_names:
        return f"{', '.join(data.train_names)}: {trained}; {data.name}: {test_text(data)}"
    return f"{data.name}: {trained} and {test_text(data)}"


def test_text(data: Data) -> str:
    """Return the test clips of a store in words."""
    groups = len({data.group_of(name) for name in data.test_ids})
    grouped = f" ({counted(groups, 'group')})" if groups < len(data.test_ids) else ""
    if len(data.test_datasets) > 1:
        every = sorted(data.test_datasets.items())
        grouped += f" ({', '.join(f'{number} of {name}' for name, number in every)})"
    rate = " to ".join(f"{fps:g}" for fps in dict.fromkeys((*data.rates[:1], *data.rates[-1:])))
    return (
        f"{counted(len(data.test_ids), 'test clip')}{grouped} of {data.num_frames} frames"
        f"{rate and f' at {rate} frames per second'}"
    )


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
    """Return stage -> run id and ``run.json``, of the finished stages."""
    return {
        name: {"run_id": stage.id, **outcome.records[name].to_json(stage.name)}
        for name, stage in outcome.stages.items()
        if name in outcome.records
    }
