"""The verb ``run``: request -> plan -> outcomes -> reports -> exit code."""

import dataclasses
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from benchmark.api.figure import FigureSpec
from benchmark.api.profile import Profile
from benchmark.api.table import TableSpec
from benchmark.commands import dry_run
from benchmark.commands.options import body_chosen
from benchmark.commands.output import with_paths
from benchmark.commands.request import Options, Request, make_request
from benchmark.results import figure
from benchmark.results import table as report
from benchmark.results.cells import RowOutcome
from benchmark.results.page.document import write_page
from benchmark.results.render import markdown
from benchmark.results.schema import Result
from benchmark.runs.outcomes import Outcomes, look_up, measure
from benchmark.runs.plan import LEFT_OUT, Plan, PlannedRow, plan
from benchmark.runs.stores import Stores
from benchmark.runs.work_item import WorkItem
from datasets.tools.typed_json import printable

_MISSING = ("unavailable", "failed")  # states of cells that may yet be measured


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
        request = make_request(tables, figures, profile, options)
        # Whatever is checked cheaply comes before the first picture of built-in data.
        stores = _stores(request, make=False)
        planned = _plan(request, stores)
        if stores.unmade and not options.dry_run:
            _require_room(request, planned)
            planned = _plan(request, _stores(request, make=True))
        _say_refused(planned)
        if options.dry_run:
            print(printable("\n".join(_dry_run(request, planned, stores.unmade))))
            return 0
        outcomes = measure(
            request.context,
            planned.items,
            _items(planned.selected),
            always=options.always,
            retry=options.retry,
            workers=request.workers,
            quiet=options.quiet,
        )
        reports = list(_write(request, planned, outcomes))
        # Whatever reads this may close early, as `head` does: by now all is written.
        if options.json:
            print("\n".join(json.dumps(one.value) for one in reports if one.value))
        else:
            print("\n".join(one.text for one in reports))
        return _exit_code(request, planned, outcomes, reports)


@dataclass(frozen=True, kw_only=True)
class _Report:
    """A table or a figure as written.

    Attributes:
        text: to be printed.
        value: what is printed with ``--json``; empty for what is no result.
        complete: False if a cell or a system that was asked for is missing.
        failed: True if a figure could not be drawn.
    """

    text: str
    value: Mapping[str, object] = field(default_factory=dict)
    complete: bool = True
    failed: bool = False


def _stores(request: Request, *, make: bool) -> Stores:
    options = request.options
    return Stores(
        request.profile,
        data=options.data,
        test=options.test,
        limit=options.limit,
        quiet=options.quiet,
        make=make,
    )


def _require_room(request: Request, planned: Plan) -> None:
    """Check that the trainings to be done fit.

    Raises:
        UserError: one does not.
    """
    context = request.context
    for item in _items(planned.selected):
        if item.weights is None:
            item.implementation.require_room(
                dict(item.training_spec), context.cache, device=context.device
            )


def _plan(request: Request, stores: Stores) -> Plan:
    """Plan what is measured.

    Raises:
        UserError: there is nothing that can be done.
    """
    measured = [table for table in request.tables if table.compute is None]
    planned = plan(
        [*measured, *request.figures],
        request.profile,
        stores,
        checkpoints=request.checkpoints,
        rows=request.options.rows,
        seeds=request.options.seeds,
    )
    if planned.refused and not planned.rows and len(measured) == len(request.tables):
        raise next(iter(planned.refused.values()))
    return planned


def _say_refused(planned: Plan) -> None:
    """Print which tables and figures ``--data`` cannot serve, and why."""
    names: dict[str, list[str]] = {}
    for name, error in planned.refused.items():
        names.setdefault(str(error), []).append(name)
    for reason, own in names.items():
        are = "is" if len(own) == 1 else "are"
        print(printable(f"{', '.join(own)} {are} left out: {reason}"), file=sys.stderr)


def _dry_run(request: Request, planned: Plan, unmade: Sequence[str]) -> Iterator[str]:
    return dry_run.lines(
        [table.id for table in request.tables if table.compute is not None],
        planned.selected,
        look_up(request.context, _items(planned.selected)),
        unmade=unmade,
        always=request.options.always,
        retry=request.options.retry,
    )


def _items(rows: Iterable[PlannedRow]) -> list[WorkItem]:
    return [item for row in rows for item in row.items]


def _write(request: Request, planned: Plan, outcomes: Outcomes) -> Iterator[_Report]:
    """Write the files of the tables and figures, and the page that links them."""
    for table in request.tables:
        if table.compute is not None or table.id in planned.rows:
            yield _write_table(request, table, planned.rows.get(table.id, ()), outcomes)
    for spec in request.figures:
        if spec.id in planned.rows:
            yield _write_figure(request, spec, planned.rows[spec.id], outcomes)
    paths = write_page(request.folder, request.context.cache)
    yield _Report(text=with_paths("", paths) + "\n")


def _write_table(
    request: Request, table: TableSpec, rows: Sequence[PlannedRow], outcomes: Outcomes
) -> _Report:
    if table.compute is not None:
        result = report.computed_result(table)
        asked = {row.label for row in table.rows}
    else:
        known = [(row, _row_outcome(row, outcomes)) for row in rows]
        shown = [outcome for row, outcome in known if row.selected or outcome.has_values]
        if all(outcome.is_extra for outcome in shown):
            return _Report(text=f"{table.id}: {LEFT_OUT}\n")
        result = report.measured_result(
            table,
            shown,
            context=request.context,
            profile=request.profile,
            options=request.resolved,
        )
        if left := [row.row.label for row, outcome in known if outcome not in shown]:
            note = f"{LEFT_OUT}: {', '.join(left)}"
            result = dataclasses.replace(result, notes=(*result.notes, note))
        asked = {row.row.label for row in rows if row.selected}
    missing = [cell for cell in result.cells if cell.row in asked and cell.status in _MISSING]
    paths = report.write(result, request.folder, full_latex=request.options.full)
    text = markdown.to_markdown(result) + _from_cache(result, outcomes)
    return _Report(
        text=with_paths(text, paths) + "\n", value=result.to_json(), complete=not missing
    )


def _from_cache(result: Result, outcomes: Outcomes) -> str:
    """A line with the number and dates of values from the cache; empty if none is."""
    runs = [cell.run_id for cell in result.cells if cell.status == "measured" and cell.run_id]
    kept = [ids for ids in runs if outcomes.cached.issuperset(ids.split(", "))]
    before = [max(outcomes.made(ids)) for ids in kept]
    if not before:
        return ""
    days = dict.fromkeys((min(before)[:10], max(before)[:10]))
    return f"\n{len(before)} of {len(runs)} values are from the cache, made {' to '.join(days)}\n"


def _write_figure(
    request: Request, spec: FigureSpec, rows: Sequence[PlannedRow], outcomes: Outcomes
) -> _Report:
    result, paths = figure.illustrate(
        spec,
        [_row_outcome(row, outcomes) for row in rows],
        request.folder,
        context=request.context,
        profile=request.profile,
        options=request.resolved,
        always=request.options.always is not None,
    )
    failed = result.status == "failed"
    if failed:
        print(printable(f"{spec.id}: FAILED: {result.reason}"), file=sys.stderr)
    text = figure.to_markdown(result, picture=result.status == "drawn")
    return _Report(
        text=with_paths(text, paths) + "\n",
        value=result.to_json(),
        complete=figure.complete(result),
        failed=failed,
    )


def _row_outcome(row: PlannedRow, outcomes: Outcomes) -> RowOutcome:
    failures = [outcomes.failures.get(item.identity, "") for item in row.items]
    return RowOutcome(
        row=row.row,
        items=row.items,
        outcomes=[outcomes.of(item) for item in row.items],
        absent=row.absent,
        applies=row.applies,
        failed="" if row.absent else next(filter(None, failures), ""),
        is_extra=row.is_extra,
        task=row.task,
    )


def _exit_code(
    request: Request, planned: Plan, outcomes: Outcomes, reports: Sequence[_Report]
) -> int:
    """1: an item, a clip or a figure failed; 3: with ``--strict``, something is missing."""
    failed_clips = any(outcomes.of(item).failed for item in _items(planned.selected))
    if outcomes.failures or failed_clips or any(one.failed for one in reports):
        return 1
    complete = not planned.refused and all(one.complete for one in reports)
    return 3 if request.options.strict and not complete else 0
