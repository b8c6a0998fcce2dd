"""The verb ``run``: which rows of the tables are measured, a user's checkpoint among them."""

import fnmatch
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmark import discover, report, stages
from benchmark.options import methods_of, rows_of_user
from benchmark.spec import FigureSpec, Profile, Row, TableSpec, Unavailable, UserError
from benchmark.stages import Task
from benchmark.stores import Stores


class Choice(Protocol):
    """The options that say what is measured."""

    data: Path | None
    rows: str | None
    limit: int | None
    seeds: Sequence[int]
    checkpoint: Path | None
    quiet: bool


@dataclass(frozen=True)
class Planned:
    """A row of a table.

    Attributes:
        row: what it is.
        tasks: its work, one a seed; empty where it cannot be done here.
        absent: why not.
        selected: whether it was asked for.
        beside: it is not one of the paper's rows.
    """

    row: Row
    tasks: list[Task]
    absent: str
    selected: bool
    beside: bool


def checkpoint_methods(
    checkpoint: Path | None, exhibits: Sequence[TableSpec | FigureSpec]
) -> dict[str, str]:
    """Task -> method of ``--checkpoint``; empty without one. What does not show it is told.

    Raises:
        UserError: it cannot be used, or by none of the exhibits.
    """
    if checkpoint is None:
        return {}
    methods = methods_of(checkpoint)
    without = [spec.id for spec in exhibits if not _shows(spec, methods)]
    does = f"--checkpoint {checkpoint} does {' and '.join(methods)}"
    if len(without) == len(exhibits):
        tables, figures = discover.exhibits(["all"])
        others = [spec.id for spec in (*tables, *figures) if _shows(spec, methods)]
        raise UserError(
            f"{does}, which {', '.join(without)} cannot show: name one of {', '.join(others)}"
        )
    if without:
        print(f"{does}: it has no row in {', '.join(without)}", file=sys.stderr)
    return methods


def _shows(spec: TableSpec | FigureSpec, methods: Mapping[str, str]) -> bool:
    """Whether a checkpoint with these methods may stand beside the rows."""
    if isinstance(spec, TableSpec):
        return spec.compute is None and spec.task in methods
    return spec.takes_checkpoint and not methods.keys().isdisjoint(spec.rows)


def plan_tables(
    tables: Sequence[TableSpec],
    profile: Profile,
    options: Choice,
    checkpoint: Mapping[str, str],
    *,
    alone: bool,
) -> dict[str, list[Planned]]:
    """Table id -> rows. Tables that the store of ``--data`` cannot serve are left out, and said so.

    Args:
        tables: that are measured on data.
        profile: the size of everything.
        options: of the user.
        checkpoint: see `checkpoint_methods`.
        alone: whether no figure was asked for, so that one table at least must be left.

    Raises:
        UserError: no table is left, or an option that cannot be followed.
    """
    stores = Stores(profile, options)
    plans, refused = {}, {}
    for table in tables:
        try:
            plans[table.id] = _plan(table, profile, options, stores, checkpoint.get(table.task))
        except UserError as error:
            refused[table.id] = error
    if refused and alone and not plans:
        raise next(iter(refused.values()))
    for name, error in refused.items():
        print(f"{name} is left out: {error}", file=sys.stderr)
    return plans


def _plan(
    table: TableSpec, profile: Profile, options: Choice, stores: Stores, own: str | None
) -> list[Planned]:
    """The table's rows, the user's checkpoint among them, and those beside the paper's."""
    rows = [(row, False) for row in table.rows]
    if own is not None:
        rows += [(row, False) for row in rows_of_user(options.checkpoint, own, table.rows)]
    rows += [(row, True) for row in table.more_rows]
    metrics = report.metrics_of(table)
    planned = []
    for row, beside in rows:
        tasks, absent = [], ""
        try:
            data = stores.find(table.task, row.dataset)
            tasks = [
                stages.make_task(row, table.task, profile, data, seed=seed, metrics=metrics)
                for seed in options.seeds
            ]
        except Unavailable as error:
            absent = str(error)
        # Floors and stand-ins come with any of the paper's rows.
        asked = [one.label for one in (table.rows if beside else [row])]
        chosen = options.rows is None or row.weights is not None
        chosen = chosen or bool(fnmatch.filter(asked, options.rows))
        planned.append(Planned(row, tasks, absent, chosen, beside))
    return planned
