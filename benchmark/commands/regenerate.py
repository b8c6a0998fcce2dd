"""The verb ``run``: from tables and options to reports."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.api.errors import UserError
from benchmark.api.figure import FigureSpec
from benchmark.api.paths import display_path, file_name
from benchmark.api.profile import Profile
from benchmark.api.table import TableSpec
from benchmark.commands import dry_run
from benchmark.commands.options import body_chosen, body_file, device_named, require_writable
from benchmark.results import figure
from benchmark.results import table as report
from benchmark.results.cells import RowOutcome
from benchmark.results.figure import to_markdown
from benchmark.results.page.document import write_page
from benchmark.results.render import markdown
from benchmark.runs import chain
from benchmark.runs.checkpoints import UserCheckpoint, user_checkpoints
from benchmark.runs.data import Stores
from benchmark.runs.plan import Planned, plan_tables, require_shown
from benchmark.runs.work_item import RunContext, WorkItem, distinct
from benchmark.runs.workers import default_workers, execute
from datasets.tools.files import hash_lines

_MAX_NAME = 100  # of the reports' folder


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
    checkpoint: Sequence[Path]
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
    checkpoints = user_checkpoints(options.checkpoint)
    require_shown(checkpoints, [*tables, *figures])
    if not options.dry_run:
        require_writable(options.out)
    if options.steps is not None:
        profile = profile.with_steps(options.steps)
    context = RunContext(
        cache=options.out / "runs",
        body=body_file(options.body),
        device=device_named(options.device),
    )
    measured = [table for table in tables if table.compute is None]
    computed = [table for table in tables if table.compute is not None]
    stores = Stores(profile, options, make=not options.dry_run)
    plans, refused = plan_tables(measured, profile, options, checkpoints, stores)
    drawings, undrawn = figure.plan(figures, profile, options, checkpoints, stores)
    _tell_left_out(refused | undrawn, alone=not (plans or drawings or computed))
    if options.dry_run:
        said = dry_run.lines(
            context, computed, plans, drawings, unmade=stores.unmade, always=options.always
        )
        print("\n".join(said))
        return 0
    rows = [row for plan in plans.values() for row in plan if row.selected]
    selected = distinct(item for one in (*rows, *drawings) for item in one.items)
    failures = _measure(context, selected, options)
    folder = options.out / folder_name(profile, options, checkpoints)
    complete, texts = len(drawings) == len(figures), []
    for table in tables:
        if table.compute is None and table.id not in plans:
            complete = False
            continue
        if table.compute is not None:
            result = report.computed_result(table)
        else:
            result = _result(table, plans[table.id], failures, context, profile, options)
        texts.append(_told(markdown.to_markdown(result), report.write(result, folder)))
        asked = {planned.row.label for planned in plans.get(table.id, ()) if planned.selected}
        complete &= not any(
            cell["status"] == "unavailable"
            for cell in result["cells"]
            if table.compute is not None or cell["row"] in asked
        )
    for drawing in drawings:
        result, paths = figure.illustrate(
            drawing,
            failures,
            folder,
            context=context,
            profile=profile,
            options=_resolved(context, profile, options),
            always=options.always,
        )
        texts.append(_told(to_markdown(result, picture=result["status"] == "drawn"), paths))
        complete &= figure.complete(result)
        if result["status"] == "failed":
            print(f"{result['figure']}: FAILED: {result['reason']}", file=sys.stderr)
            failures[result["figure"]] = result["reason"]
    texts.append(_told("", write_page(folder, context.cache)))
    # Whatever reads this may close early, as `head` does: by now all is written.
    print("\n".join(texts))
    failed_clips = any(chain.lookup(context, item).failed for item in selected)
    if failures or failed_clips:
        return 1
    return 3 if options.strict and not complete else 0


def _told(text: str, paths: Sequence[Path]) -> str:
    """What is printed of a table or a figure."""
    return "\n".join([text, *(f"wrote {display_path(path)}" for path in paths), ""])


def _tell_left_out(refused: Mapping[str, UserError], *, alone: bool) -> None:
    """Say which tables and figures the store of ``--data`` cannot serve, each reason once.

    Raises:
        UserError: nothing else was asked for.
    """
    if refused and alone:
        raise next(iter(refused.values()))
    names: dict[str, list[str]] = {}
    for name, error in refused.items():
        names.setdefault(str(error), []).append(name)
    for reason, own in names.items():
        are = "is" if len(own) == 1 else "are"
        print(f"{', '.join(own)} {are} left out: {reason}", file=sys.stderr)


def _measure(context: RunContext, items: list[WorkItem], options: Options) -> dict[str, str]:
    """Do what the cache lacks; returns ``WorkItem.identity`` -> reason of the failures."""
    if options.always:
        # All are looked up first: without a training that they share, none finds what follows it.
        for run in [run for item in items for run in chain.lookup(context, item).stages.values()]:
            run.discard()
    todo = [item for item in items if chain.lookup(context, item).missing]
    workers = options.workers or default_workers(context.device)
    return execute(todo, context, workers=workers, quiet=options.quiet)


def _result(
    table: TableSpec,
    plan: list[Planned],
    failures: dict[str, str],
    context: RunContext,
    profile: Profile,
    options: Options,
) -> dict:
    rows = []
    for planned in plan:
        outcomes = [chain.lookup(context, item) for item in planned.items]
        failed = (failures.get(item.identity, "") for item in planned.items)
        absent = planned.absent or next(filter(None, failed), "")
        if not planned.selected:
            absent = figure.LEFT_OUT
        rows.append(RowOutcome(planned.row, planned.items, outcomes, absent, planned.is_extra))
    resolved = _resolved(context, profile, options)
    return report.measured_result(table, rows, context=context, profile=profile, options=resolved)


def _resolved(context: RunContext, profile: Profile, options: Options) -> dict:
    """The options as reports quote them, with what they were resolved to."""
    resolved = vars(options) | {
        "profile": profile.name,
        "checkpoint": [display_path(path) for path in options.checkpoint],
        "device": context.device,
        "workers": options.workers or default_workers(context.device),
    }
    return resolved | {
        name: display_path(path) for name, path in resolved.items() if isinstance(path, Path)
    }


def folder_name(profile: Profile, options: Options, checkpoints: Sequence[UserCheckpoint]) -> str:
    """The profile's name and, where given, whatever makes the numbers others than its own.

    As ``embedded-cmu-steps20000-limit4-seeds0,1,2-rows-s-1-36-with-mine-model``: a quick try never
    takes the place of the whole table.
    """
    parts = [profile.name]
    if options.data is not None:
        parts.append(file_name(options.data.resolve().name) or "store")
    if options.steps is not None:
        parts.append(f"steps{options.steps}")
    if options.limit is not None:
        parts.append(f"limit{options.limit}")
    if list(options.seeds) != [0]:
        several = "s" if len(options.seeds) > 1 else ""
        parts.append(f"seed{several}{','.join(map(str, options.seeds))}")
    if options.rows is not None:
        parts += ["rows", file_name(options.rows)]
    if checkpoints:
        parts += ["with", *(file_name(one.label) for one in checkpoints)]
    name = "-".join(filter(None, parts))
    if len(name) > _MAX_NAME:
        name = f"{name[:_MAX_NAME]}-{hash_lines([name])[:8]}"
    return name
