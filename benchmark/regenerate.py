"""The verb ``run``: from tables and options to reports."""

import dataclasses
import fnmatch
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark import data, report, stages
from benchmark.execute import default_workers, execute
from benchmark.options import (
    body_chosen,
    body_file,
    device_named,
    file_name,
    method_of,
    require_writable,
    shown,
)
from benchmark.render import RENDERERS, markdown
from benchmark.spec import Profile, Row, TableSpec, UserError
from benchmark.store import read_json
from datasets.body_file import BodyFile


@dataclass(frozen=True)
class Options:
    """The options of ``run``, as given; see ``python -m benchmark.run run --help``."""

    data: Path | None
    rows: str | None
    limit: int | None
    steps: int | None
    seed: int
    device: str
    workers: int | None
    body: Path | None
    checkpoint: Path | None
    out: Path
    dry_run: bool
    always: bool
    strict: bool
    quiet: bool


@dataclass(frozen=True)
class Planned:
    """A row of a table, its task, and whether it was asked for."""

    row: Row
    task: stages.Task
    selected: bool


def regenerate(tables: Sequence[TableSpec], profile: Profile, options: Options) -> int:
    """Measure the tables and write their reports; returns the exit code.

    Raises:
        UserError: an option that cannot be followed.
    """
    with body_chosen(options.body):
        return _regenerate(tables, profile, options)


def _regenerate(tables: Sequence[TableSpec], profile: Profile, options: Options) -> int:
    if not options.dry_run:
        require_writable(options.out)
    if options.steps is not None:
        training = profile.training.with_steps(options.steps)
        profile = dataclasses.replace(profile, training=training)
    measured = [table for table in tables if table.compute is None]
    setup = None
    if measured:
        body = body_file(options.body)
        built_in = data.built_in_path(profile) / "manifest.json"
        if options.dry_run and options.data is None and not built_in.exists():
            print("everything is to do: the built-in data are not made yet")
            return 0
        setup = _setup(profile, options, body)
    plans = {table.id: _plan(table, profile, options) for table in measured}
    selected = stages.distinct(
        planned.task for plan in plans.values() for planned in plan if planned.selected
    )
    if options.dry_run:
        for task in selected:
            missing = stages.lookup(setup, task).missing
            print(f"{task.label}: {f'to do, from {missing[0]} on' if missing else 'cached'}")
        return 0
    failures = _measure(setup, selected, options) if measured else {}
    complete = True
    for table in tables:
        if table.compute is not None:
            result = report.computed_result(table)
        else:
            result = _result(table, plans[table.id], failures, setup, profile, options)
        paths = report.write(result, options.out / _folder_name(profile, options))
        print(markdown.to_markdown(result))
        print("\n".join(f"wrote {shown(path)}" for path in paths), end="\n\n")
        asked = {planned.row.label for planned in plans.get(table.id, ()) if planned.selected}
        complete &= not any(
            cell["status"] == "unavailable"
            for cell in result["cells"]
            if table.compute is not None or cell["row"] in asked
        )
    if failures:
        return 1
    return 3 if options.strict and not complete else 0


def render_again(out: Path, tables: Sequence[str]) -> int:
    """Render the results under `out` again, of the tables named or of all.

    Raises:
        UserError: there are none.
    """
    found = sorted(path for path in out.glob("*/*.json") if not tables or path.stem in tables)
    results = {path: result for path in found if report.is_result(result := read_json(path))}
    if not results:
        raise UserError(
            f"{out} holds no result of {', '.join(tables) or 'any table'}: "
            f"run `python -m benchmark.run {' '.join(tables) or 'all'}` first"
        )
    for path, result in results.items():
        for suffix, render in RENDERERS.items():
            render(result, path.with_suffix(suffix))
            if path.with_suffix(suffix).exists():
                print(f"wrote {shown(path.with_suffix(suffix))}")
    return 0


def _setup(profile: Profile, options: Options, body: BodyFile) -> stages.Setup:
    if options.data is not None:
        clips = data.open_data(options.data, limit=options.limit)
    else:
        shown = not options.quiet and sys.stderr.isatty()
        path = data.make_built_in(profile, progress=shown)
        clips = data.open_data(path, name="built-in", limit=options.limit)
    window = profile.training.window
    if clips.num_frames < window:
        raise UserError(
            f"{clips.path} holds clips of {clips.num_frames} frames, fewer than the training "
            f"window of {window}: prepare it again with --frames {window} or more"
        )
    return stages.Setup(
        cache=options.out / "runs",
        data=clips,
        body=body,
        device=device_named(options.device),
        seed=options.seed,
    )


def _plan(table: TableSpec, profile: Profile, options: Options) -> list[Planned]:
    """The table's rows, the user's checkpoint among them, and the floor as the last."""
    rows = list(table.rows)
    if options.checkpoint is not None:
        path = options.checkpoint
        rows.append(Row(f"checkpoint {path.stem}", method_of(path), weights=path))
    metrics = report.metrics_of(table)
    planned = []
    for row in [*rows, *([table.floor] if table.floor else [])]:
        task = stages.make_task(row, profile, seed=options.seed, metrics=metrics)
        chosen = not options.rows or row is table.floor or row.weights is not None
        planned.append(Planned(row, task, chosen or fnmatch.fnmatch(row.label, options.rows)))
    return planned


def _measure(setup: stages.Setup, tasks: list[stages.Task], options: Options) -> dict[str, str]:
    """Do what the cache lacks; returns ``Task.identity`` -> reason of the failures."""
    if options.always:
        for task in tasks:
            stages.discard(setup, task)
    todo = [task for task in tasks if stages.lookup(setup, task).missing]
    workers = options.workers or default_workers(setup.device)
    return execute(todo, setup, workers=workers, quiet=options.quiet)


def _result(
    table: TableSpec,
    plan: list[Planned],
    failures: dict[str, str],
    setup: stages.Setup,
    profile: Profile,
    options: Options,
) -> dict:
    rows, floor = [], None
    for planned in plan:
        outcome = stages.lookup(setup, planned.task)
        if planned.row is table.floor:
            floor = outcome
            continue
        absent = failures.get(planned.task.identity, "")
        if not planned.selected:
            absent = "left out by --rows"
        rows.append(report.RowOutcome(planned.row, outcome, absent))
    resolved = vars(options) | {
        "profile": profile.name,
        "steps": profile.training.steps,
        "device": setup.device,
        "workers": options.workers or default_workers(setup.device),
    }
    resolved |= {name: shown(path) for name, path in resolved.items() if isinstance(path, Path)}
    return report.measured_result(
        table, rows, floor, setup=setup, profile=profile, options=resolved
    )


def _folder_name(profile: Profile, options: Options) -> str:
    """``embedded``, or ``embedded-cmu`` for a store of the user's called cmu."""
    if options.data is None:
        return profile.name
    store = file_name(options.data.resolve().name)
    return f"{profile.name}-{store or 'store'}"
