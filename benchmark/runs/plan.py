"""Plans tables and figures: their rows, a user's checkpoints among them, and the work of each."""

import dataclasses
import fnmatch
import glob
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark import discover
from benchmark.api.errors import NotApplicable, Unavailable, UserError
from benchmark.api.figure import FigureSpec
from benchmark.api.profile import Profile
from benchmark.api.table import Row, TableSpec
from benchmark.runs.checkpoints import UserCheckpoint, what_it_does
from benchmark.runs.stores import Stores
from benchmark.runs.work_item import WorkItem, make_item, require_trainable

LEFT_OUT = "left out by --rows"
_ALONE = "no row of the paper's can be measured here"

Exhibit = TableSpec | FigureSpec


@dataclass(frozen=True, kw_only=True)
class PlannedRow:
    """A row of a table, or a system of a figure.

    Attributes:
        exhibit: id of the table or figure.
        row: its label, method and parameters.
        task: what it does, one of `benchmark.api.table.TASKS`.
        items: its work: one item a seed in a table, the first seed's in a figure. Empty if it
            cannot be done here, or is left out of a figure.
        absent: why there are no items.
        applies: False if it makes no sense at this size, whatever is installed.
        selected: True if ``--rows`` selects it, or if there is no ``--rows``.
        is_extra: True for a row that the paper's table does not have.
    """

    exhibit: str
    row: Row
    task: str
    items: Sequence[WorkItem]
    absent: str
    selected: bool
    is_extra: bool
    applies: bool = True


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The rows of all tables and figures that can be made.

    Attributes:
        rows: id of the table or figure -> its rows.
        refused: id -> why the store of ``--data`` cannot serve it.
    """

    rows: Mapping[str, Sequence[PlannedRow]]
    refused: Mapping[str, UserError]

    @property
    def items(self) -> list[WorkItem]:
        """All work items, also of rows that are not selected."""
        return [item for rows in self.rows.values() for row in rows for item in row.items]

    @property
    def selected(self) -> list[PlannedRow]:
        """The rows that are to be measured."""
        return [row for rows in self.rows.values() for row in rows if row.selected]


def plan(
    exhibits: Sequence[Exhibit],
    profile: Profile,
    stores: Stores,
    *,
    checkpoints: Sequence[UserCheckpoint] = (),
    rows: Sequence[str] = (),
    seeds: Sequence[int] = (0,),
) -> Plan:
    """Return the rows of tables and figures, with their work.

    Args:
        exhibits: figures, and tables that are measured on data.
        profile: the size of everything.
        stores: where clips are found.
        checkpoints: of the user; each fills the row that it was trained to be, or is a further
            row.
        rows: patterns of the labels to select; none selects all. Checkpoints are selected unless a
            pattern is of some of their labels.
        seeds: of training and sampling.
    """
    planned, refused = {}, {}
    labels = checkpoint_labels(exhibits, checkpoints, profile)
    if rows and not any(_matches(label, rows) for label in labels):
        rows = [*rows, *map(glob.escape, labels)]
    for exhibit in exhibits:
        try:
            found: list[PlannedRow] = []
            for row, task, is_extra in _rows(exhibit, checkpoints, profile):
                # Floors beside rows that cannot be done say nothing; a system of the user's does.
                alone = is_extra and row.weights is None and not any(one.items for one in found)
                found.append(
                    _planned(
                        exhibit,
                        row,
                        task,
                        is_extra,
                        profile,
                        stores,
                        alone=alone,
                        rows=rows,
                        seeds=seeds,
                    )
                )
            planned[exhibit.id] = found
        except UserError as error:
            refused[exhibit.id] = error
    return Plan(rows=planned, refused=refused)


def _rows(
    exhibit: Exhibit, checkpoints: Sequence[UserCheckpoint], profile: Profile
) -> Iterator[tuple[Row, str, bool]]:
    """Row, task, and whether it is an extra row, in the order in which they are displayed."""
    blocks: Mapping[str, Sequence[Row]]
    extra: Sequence[Row] = ()
    if isinstance(exhibit, TableSpec):
        blocks, extra = {exhibit.task: exhibit.rows}, exhibit.more_rows
    else:
        blocks = exhibit.rows
        checkpoints = checkpoints if exhibit.takes_checkpoint else ()
    for task, rows in blocks.items():
        further = {one.path: one for one in checkpoints}
        filled = [_filled(row, task, further, profile) for row in (*rows, *extra)]
        shown = filled[: len(rows)]
        for one in further.values():
            shown += one.rows(task, rows)
        yield from ((row, task, False) for row in shown)
        yield from ((row, task, True) for row in filled[len(rows) :])
        if task == "i2vm" and profile.seedvr and isinstance(exhibit, TableSpec):
            for row in shown:
                after = dataclasses.replace(row, label=f"{row.label}, after SeedVR", enhanced=True)
                yield after, task, True


def _filled(row: Row, task: str, checkpoints: dict[Path, UserCheckpoint], profile: Profile) -> Row:
    """The row with the first checkpoint that fills it, then taken out, or that it starts from."""
    uses = {path: one.use_of(row, task, profile) for path, one in checkpoints.items()}
    for use in ("weights", "start"):
        if path := next((path for path, found in uses.items() if found == use), None):
            if use == "weights":
                del checkpoints[path]
                return dataclasses.replace(row, weights=path)
            return dataclasses.replace(row, start=path)
    return row


def _planned(
    exhibit: Exhibit,
    row: Row,
    task: str,
    is_extra: bool,
    profile: Profile,
    stores: Stores,
    *,
    alone: bool,
    rows: Sequence[str],
    seeds: Sequence[int],
) -> PlannedRow:
    labels = [row.label]
    metrics: tuple[str, ...] = ()
    if isinstance(exhibit, TableSpec):
        metrics = discover.metrics_of(exhibit)
        if is_extra:  # floors and stand-ins come with any of the paper's rows
            labels = [row.label, *(one.label for one in exhibit.rows)]
    else:
        seeds = seeds[:1]
    selected = not rows or any(_matches(label, rows) for label in labels)
    applies = True
    items, absent = [], "" if selected else LEFT_OUT
    # A table also displays what is cached of rows that are not selected; a figure does not.
    if selected or isinstance(exhibit, TableSpec):
        try:
            require_trainable(row, task, profile)  # before clips are rendered for it
            if alone:
                raise Unavailable(_ALONE)
            data = stores.find(task, row.dataset)
            items = [
                make_item(row, task, profile, data, seed=seed, metrics=metrics) for seed in seeds
            ]
        except NotApplicable as error:
            absent, applies = str(error), False
        except Unavailable as error:
            absent = absent or str(error)
    return PlannedRow(
        exhibit=exhibit.id,
        row=row,
        task=task,
        items=items,
        absent=absent,
        selected=selected,
        is_extra=is_extra,
        applies=applies,
    )


def checkpoint_labels(
    exhibits: Iterable[Exhibit], checkpoints: Sequence[UserCheckpoint], profile: Profile
) -> list[str]:
    """Return the labels of the rows of a user's checkpoints."""
    found = (row for exhibit in exhibits for row, *_ in _rows(exhibit, checkpoints, profile))
    return list(dict.fromkeys(row.label for row in found if row.weights is not None))


def _matches(label: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(label, pattern) for pattern in patterns)


def require_rows(checkpoints: Iterable[UserCheckpoint], exhibits: Sequence[Exhibit]) -> None:
    """Check that each checkpoint has a row in an exhibit; print in which it has none.

    Raises:
        UserError: a checkpoint has a row in none of the exhibits.
    """
    for one in checkpoints:
        without = [spec.id for spec in exhibits if not _has_row(spec, one)]
        does = f"--checkpoint {one.path} {what_it_does(one.methods)}"
        if len(without) == len(exhibits):
            tables, figures = discover.exhibits(["all"])
            known: list[Exhibit] = [*tables, *figures]
            others = [spec.id for spec in known if _has_row(spec, one)]
            show = "does not show" if len(without) == 1 else "do not show"
            raise UserError(
                f"{does}, which {', '.join(without)} {show}: name one of {', '.join(others)}"
            )
        if without:
            print(f"{does}: it has no row in {', '.join(without)}", file=sys.stderr)


def require_patterns(
    patterns: Iterable[str],
    checkpoints: Sequence[UserCheckpoint],
    exhibits: Sequence[Exhibit],
    profile: Profile,
) -> None:
    """Check that each pattern of ``--rows`` matches a row.

    Raises:
        UserError: one matches none.
    """
    rows = (row for one in exhibits for row, *_ in _rows(one, checkpoints, profile))
    labels = list(dict.fromkeys(row.label for row in rows))
    for pattern in patterns:
        if not any(_matches(label, [pattern]) for label in labels):
            raise UserError(f"--rows {pattern!r} matches no row. Rows: {', '.join(labels)}.")


def _has_row(exhibit: Exhibit, checkpoint: UserCheckpoint) -> bool:
    if isinstance(exhibit, TableSpec):
        return exhibit.compute is None and exhibit.task in checkpoint.methods
    return exhibit.takes_checkpoint and not checkpoint.methods.keys().isdisjoint(exhibit.rows)
