"""The verb ``run``: from tables and options to reports."""

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark import illustrate, report, stages
from benchmark.data import built_in_path
from benchmark.execute import default_workers, execute
from benchmark.figures.files import to_markdown
from benchmark.options import (
    body_chosen,
    body_file,
    device_named,
    file_name,
    require_writable,
    shown,
)
from benchmark.page.document import write_page
from benchmark.plan import Planned, checkpoint_methods, plan_tables
from benchmark.render import markdown
from benchmark.spec import FigureSpec, Profile, TableSpec
from benchmark.stages import Setup, Task


@dataclass(frozen=True)
class Options:
    """The options of ``run``, as given; see ``python -m benchmark.run run --help``."""

    data: Path | None
    rows: str | None
    limit: int | None
    steps: int | None
    seeds: Sequence[int]
    device: str
    workers: int | None
    body: Path | None
    checkpoint: Path | None
    out: Path
    dry_run: bool
    always: bool
    strict: bool
    quiet: bool


def regenerate(
    tables: Sequence[TableSpec],
    profile: Profile,
    options: Options,
    figures: Sequence[FigureSpec] = (),
) -> int:
    """Measure the tables, draw the figures and write their reports; returns the exit code.

    Raises:
        UserError: an option that cannot be followed.
    """
    with body_chosen(options.body):
        return _regenerate(tables, figures, profile, options)


def _regenerate(
    tables: Sequence[TableSpec],
    figures: Sequence[FigureSpec],
    profile: Profile,
    options: Options,
) -> int:
    checkpoint = checkpoint_methods(options.checkpoint, [*tables, *figures])
    if not options.dry_run:
        require_writable(options.out)
    if options.steps is not None:
        profile = _with_steps(profile, options.steps)
    setup = Setup(
        cache=options.out / "runs",
        body=body_file(options.body),
        device=device_named(options.device),
    )
    measured = [table for table in tables if table.compute is None]
    if options.dry_run and (unmade := _unmade(measured, figures, profile, options)):
        print(f"everything is to do: the built-in data for {unmade} are not made yet")
        return 0
    plans = plan_tables(measured, profile, options, checkpoint, alone=not figures)
    served = len(plans) + len(tables) - len(measured)
    drawings = illustrate.plan(figures, profile, options, alone=not served)
    rows = [row for plan in plans.values() for row in plan if row.selected]
    selected = stages.distinct(task for one in (*rows, *drawings) for task in one.tasks)
    if options.dry_run:
        for task in selected:
            missing = stages.lookup(setup, task).missing
            print(f"{task.label}: {f'to do, from {missing[0]} on' if missing else 'cached'}")
        return 0
    failures = _measure(setup, selected, options)
    folder = options.out / _folder_name(profile, options)
    complete, texts = len(drawings) == len(figures), []
    for table in tables:
        if table.compute is None and table.id not in plans:
            complete = False
            continue
        if table.compute is not None:
            result = report.computed_result(table)
        else:
            result = _result(table, plans[table.id], failures, setup, profile, options)
        texts.append(_told(markdown.to_markdown(result), report.write(result, folder)))
        asked = {planned.row.label for planned in plans.get(table.id, ()) if planned.selected}
        complete &= not any(
            cell["status"] == "unavailable"
            for cell in result["cells"]
            if table.compute is not None or cell["row"] in asked
        )
    for drawing in drawings:
        result, paths = illustrate.illustrate(
            drawing,
            failures,
            folder,
            setup=setup,
            profile=profile,
            options=_resolved(setup, profile, options),
            always=options.always,
        )
        texts.append(_told(to_markdown(result, picture=result["status"] == "drawn"), paths))
        complete &= illustrate.complete(result)
        if result["status"] == "failed":
            print(f"{result['figure']}: FAILED: {result['reason']}", file=sys.stderr)
            failures[result["figure"]] = result["reason"]
    texts.append(_told("", write_page(folder, setup.cache)))
    # Whatever reads this may close early, as `head` does: by now all is written.
    print("\n".join(texts))
    failed_clips = any(stages.lookup(setup, task).failed for task in selected)
    if failures or failed_clips:
        return 1
    return 3 if options.strict and not complete else 0


def _told(text: str, paths: Sequence[Path]) -> str:
    """What is printed of a table or a figure."""
    return "\n".join([text, *(f"wrote {shown(path)}" for path in paths), ""])


def _with_steps(profile: Profile, steps: int) -> Profile:
    """The profile with all its trainings stretched or cut."""

    def unimo_training(**changes):
        return profile.unimo_training(**changes).with_steps(steps)

    return dataclasses.replace(
        profile,
        training=profile.training.with_steps(steps),
        unimo_training=unimo_training,
        regressor_training=profile.regressor_training.with_steps(steps),
    )


def _unmade(
    tables: Sequence[TableSpec],
    figures: Sequence[FigureSpec],
    profile: Profile,
    options: Options,
) -> str:
    """The tasks whose built-in data are to be made; rows about a dataset do not need them."""
    if options.data is not None:
        return ""
    shown = [(table.task, (*table.rows, *table.more_rows)) for table in tables]
    shown += [item for figure in figures for item in figure.rows.items()]
    kinds = dict.fromkeys(kind for kind, rows in shown if not all(row.dataset for row in rows))
    return ", ".join(
        kind for kind in kinds if not (built_in_path(profile, kind) / "manifest.json").exists()
    )


def _measure(setup: Setup, tasks: list[Task], options: Options) -> dict[str, str]:
    """Do what the cache lacks; returns ``Task.identity`` -> reason of the failures."""
    if options.always:
        # All are looked up first: without a training that they share, none finds what follows it.
        for run in [run for task in tasks for run in stages.lookup(setup, task).runs.values()]:
            run.discard()
    todo = [task for task in tasks if stages.lookup(setup, task).missing]
    workers = options.workers or default_workers(setup.device)
    return execute(todo, setup, workers=workers, quiet=options.quiet)


def _result(
    table: TableSpec,
    plan: list[Planned],
    failures: dict[str, str],
    setup: Setup,
    profile: Profile,
    options: Options,
) -> dict:
    rows = []
    for planned in plan:
        outcomes = [stages.lookup(setup, task) for task in planned.tasks]
        failed = (failures.get(task.identity, "") for task in planned.tasks)
        absent = planned.absent or next(filter(None, failed), "")
        if not planned.selected:
            absent = illustrate.LEFT_OUT
        rows.append(report.RowOutcome(planned.row, planned.tasks, outcomes, absent, planned.beside))
    resolved = _resolved(setup, profile, options)
    return report.measured_result(table, rows, setup=setup, profile=profile, options=resolved)


def _resolved(setup: Setup, profile: Profile, options: Options) -> dict:
    """The options as reports quote them, with what they were resolved to."""
    resolved = vars(options) | {
        "profile": profile.name,
        "device": setup.device,
        "workers": options.workers or default_workers(setup.device),
    }
    return resolved | {
        name: shown(path) for name, path in resolved.items() if isinstance(path, Path)
    }


def _folder_name(profile: Profile, options: Options) -> str:
    """``embedded``, or ``embedded-cmu`` for a store of the user's called cmu."""
    if options.data is None:
        return profile.name
    store = file_name(options.data.resolve().name)
    return f"{profile.name}-{store or 'store'}"
