"""The checkpoints of a comparison: found, labelled, and measured through the stages of ``run``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark import discover
from benchmark.api.clips import Data
from benchmark.api.errors import Unavailable, UserError
from benchmark.api.table import Row, TableSpec
from benchmark.commands.compare.fitting import require_loads
from benchmark.discover import metrics_of
from benchmark.runs import outcomes
from benchmark.runs.checkpoints import labels_of, method_of
from benchmark.runs.data import open_data
from benchmark.runs.work_item import RunContext, WorkItem, distinct, estimator_item

_ESTIMATOR = "regressor"  # the method whose checkpoints --estimator takes
_PROFILE = "embedded"  # its size where it is trained here


@dataclass(frozen=True)
class System:
    """A checkpoint.

    Attributes:
        row: its label, method and weights.
        item: the work that measures it.
        paper: the table's row of its method, or None.
    """

    row: Row
    item: WorkItem
    paper: Row | None


@dataclass(frozen=True)
class Estimator:
    """The estimator of the motion in generated videos.

    Attributes:
        item: a trained estimator, or the training of one; None where there is none.
        absent: why there is none, where there should be.
    """

    item: WorkItem | None = None
    absent: str = ""


def find_estimator(task: str, data: Data, given: Path | None) -> Estimator:
    """Return the estimator of a task: the one given, or one to be trained on the store's clips.

    Raises:
        UserError: one is given that is no estimator, or to a task that needs none.
    """
    if task != "i2vm":
        if given is not None:
            raise UserError(f"--estimator is for --task i2vm: leave it out for {task}")
        return Estimator()
    if given is not None:
        method = method_of(given, "v2m", option="--estimator")
        if method != _ESTIMATOR:
            raise UserError(f"--estimator {given} is of the method {method}: give a {_ESTIMATOR}")
        label = f"estimator {labels_of([given])[given]}"
        return Estimator(WorkItem(task="v2m", method=method, data=data, weights=given, label=label))
    try:
        open_data(data.path, task=task, splits=("train",))
        profile = discover.load("profiles", _PROFILE)
        return Estimator(estimator_item(profile, data, seed=0))
    except (UserError, Unavailable) as error:
        cure = f"name a {_ESTIMATOR}'s checkpoint with --estimator"
        return Estimator(absent=f"no estimator can be trained: {error}; or {cure}")


def find_systems(
    table: TableSpec,
    data: Data,
    estimator: Estimator,
    named: Sequence[tuple[str, Path]],
    labels: Mapping[Path, str],
) -> list[System]:
    """Return the checkpoints named by options.

    Args:
        table: whose task they do.
        data: the clips.
        estimator: for a task that needs one.
        named: option and path of each.
        labels: of `benchmark.runs.checkpoints.labels_of`.

    Raises:
        UserError: one that cannot be read, is not of the task, or is named twice.
    """
    metrics = metrics_of(table)
    systems, known = [], {}
    for option, path in named:
        method = method_of(path, table.task, option=option)
        work = WorkItem(
            task=table.task,
            method=method,
            data=data,
            weights=path,
            metrics=metrics,
            estimator=estimator.item,
            no_estimator=estimator.absent,
            label=labels[path],
        )
        try:
            identity = work.identity
        except OSError as error:
            raise UserError(f"{option} {path} cannot be read: {error.strerror}") from error
        if identity in known:
            raise UserError(
                f"{option} {path} is the same checkpoint as {known[identity]}: name each once"
            )
        known[identity] = path
        paper = next((row for row in table.rows if row.method == method), None)
        systems.append(System(Row(labels[path], method, weights=path), work, paper))
    return systems


def measure(
    context: RunContext, systems: Sequence[System], *, workers: int, quiet: bool
) -> outcomes.Outcomes:
    """Do what the cache lacks and return the outcomes of all.

    Raises:
        UserError: a checkpoint that cannot be loaded.
    """
    items = distinct(system.item for system in systems)
    known = outcomes.look_up(context, items)
    for item in items:
        if "predict" in known.of(item).missing:
            require_loads(item)
    estimator = items[0].estimator
    lacking = any(known.of(item).missing for item in items)
    if lacking and estimator is not None and estimator.weights is not None:
        require_loads(estimator)
    return outcomes.measure(
        context, items, items, always=None, retry=False, workers=workers, quiet=quiet
    )
