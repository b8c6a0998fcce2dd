"""The verb ``run``: which rows of the tables are measured, a user's checkpoints among them."""

import fnmatch
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from benchmark import discover
from benchmark.api.errors import Unavailable, UserError
from benchmark.api.figure import FigureSpec
from benchmark.api.profile import Profile
from benchmark.api.table import Row, TableSpec
from benchmark.discover import metrics_of
from benchmark.runs.checkpoints import UserCheckpoint, what_it_does
from benchmark.runs.data import Stores
from benchmark.runs.work_item import WorkItem, make_item


class Choice(Protocol):
    """The options that say what is measured."""

    rows: str | None
    seeds: Sequence[int]


@dataclass(frozen=True)
class Planned:
    """A row of a table.

    Attributes:
        row: what it is.
        items: its work, one a seed; empty where it cannot be done here.
        absent: why not.
        selected: whether it was asked for.
        is_extra: it is not one of the paper's rows.
    """

    row: Row
    items: list[WorkItem]
    absent: str
    selected: bool
    is_extra: bool


def require_shown(
    checkpoints: Iterable[UserCheckpoint], exhibits: Sequence[TableSpec | FigureSpec]
) -> None:
    """See that each checkpoint has a row somewhere, and tell where it has none.

    Raises:
        UserError: one has a row in none of the exhibits.
    """
    for one in checkpoints:
        without = [spec.id for spec in exhibits if not _shows(spec, one)]
        does = f"--checkpoint {one.path} {what_it_does(one.methods)}"
        if len(without) == len(exhibits):
            tables, figures = discover.exhibits(["all"])
            others = [spec.id for spec in (*tables, *figures) if _shows(spec, one)]
            show = "does not show" if len(without) == 1 else "do not show"
            raise UserError(
                f"{does}, which {', '.join(without)} {show}: name one of {', '.join(others)}"
            )
        if without:
            print(f"{does}: it has no row in {', '.join(without)}", file=sys.stderr)


def _shows(spec: TableSpec | FigureSpec, checkpoint: UserCheckpoint) -> bool:
    """Whether a checkpoint may stand beside the rows."""
    if isinstance(spec, TableSpec):
        return spec.compute is None and spec.task in checkpoint.methods
    return spec.takes_checkpoint and not checkpoint.methods.keys().isdisjoint(spec.rows)


def plan_tables(
    tables: Sequence[TableSpec],
    profile: Profile,
    options: Choice,
    checkpoints: Sequence[UserCheckpoint],
    stores: Stores,
) -> tuple[dict[str, list[Planned]], dict[str, UserError]]:
    """The rows of the tables, and why some are left out.

    Args:
        tables: that are measured on data.
        profile: the size of everything.
        options: of the user.
        checkpoints: of the user, as further rows.
        stores: of the clips.

    Returns:
        Table id -> rows; and table id -> error, of those that the store of ``--data`` cannot serve.
    """
    plans, refused = {}, {}
    for table in tables:
        try:
            plans[table.id] = _plan(table, profile, options, checkpoints, stores)
        except UserError as error:
            refused[table.id] = error
    return plans, refused


def _plan(
    table: TableSpec,
    profile: Profile,
    options: Choice,
    checkpoints: Sequence[UserCheckpoint],
    stores: Stores,
) -> list[Planned]:
    """The table's rows, the user's checkpoints among them, and those beside the paper's."""
    rows = [(row, False) for row in table.rows]
    rows += [(row, False) for one in checkpoints for row in one.rows(table.task, table.rows)]
    rows += [(row, True) for row in table.more_rows]
    metrics = metrics_of(table)
    planned = []
    for row, is_extra in rows:
        items, absent = [], ""
        try:
            data = stores.find(table.task, row.dataset)
            items = [
                make_item(row, table.task, profile, data, seed=seed, metrics=metrics)
                for seed in options.seeds
            ]
        except Unavailable as error:
            absent = str(error)
        # Floors and stand-ins come with any of the paper's rows.
        asked = [one.label for one in (table.rows if is_extra else [row])]
        chosen = options.rows is None or row.weights is not None
        chosen = chosen or bool(fnmatch.filter(asked, options.rows))
        planned.append(Planned(row, items, absent, chosen, is_extra))
    return planned
