"""The checkpoints of a comparison: found, told apart, measured through the stages of ``run``."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark import discover, report, stages, store
from benchmark.compare.tasks import PAPER, ComparedTask
from benchmark.execute import execute
from benchmark.options import method_of
from benchmark.spec import Row, TableSpec, UserError


@dataclass(frozen=True)
class System:
    """A checkpoint.

    Attributes:
        row: its label, method and weights.
        task: the work that measures it.
        paper: the table's row of its method, or None.
    """

    row: Row
    task: stages.Task
    paper: Row | None


def find_systems(
    task: ComparedTask, table: TableSpec, checkpoint: Path, opponents: Sequence[Path]
) -> list[System]:
    """The checkpoint and its opponents.

    Raises:
        UserError: one that cannot be read, is not of the task, or is named twice.
    """
    named = [("--checkpoint", checkpoint), *(("--against", path) for path in opponents)]
    metrics = report.metrics_of(table)
    systems, known = [], {}
    for (option, path), label in zip(named, _labels([checkpoint, *opponents]), strict=True):
        method = method_of(path, task.methods, option=option)
        work = stages.Task(method, {}, path, metrics, label)
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
        systems.append(System(Row(label, method, weights=path), work, paper))
    return systems


def measure(
    setup: stages.Setup, systems: Sequence[System], *, workers: int, quiet: bool
) -> dict[str, str]:
    """Do what the cache lacks; returns label -> reason of those that failed.

    Raises:
        UserError: a checkpoint that cannot be loaded.
    """
    todo = []
    for system in systems:
        missing = stages.lookup(setup, system.task).missing
        if "predict" in missing:
            _require_loads(system)
        if missing:
            todo.append(system.task)
    failures = execute(todo, setup, workers=workers, quiet=quiet)
    return {task.label: failures[task.identity] for task in todo if task.identity in failures}


def _require_loads(system: System) -> None:
    """A damaged or foreign file is the user's to mend, unlike what may fail later in a worker."""
    try:
        discover.load("methods", system.row.method).facts(system.row.weights)
    except (OSError, ValueError) as error:
        raise UserError(f"{system.row.weights}: {store.one_line(error)}") from error


def _labels(paths: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths, without suffix, that tell them apart."""
    parts = [path.absolute().with_suffix("").parts for path in paths]
    for length in range(1, max(map(len, parts)) + 1):
        labels = ["/".join(part[-length:]) for part in parts]
        # A path given twice is never told apart; it is refused as the same checkpoint.
        if len(set(labels)) == len(labels) and PAPER not in labels:
            break
    return labels
