"""Trainings of one model that differ in their seed: mean and spread of each column."""

import statistics
from collections.abc import Mapping, Sequence

from benchmark.api.errors import UserError
from benchmark.api.paths import display_path
from benchmark.api.table import Column
from benchmark.commands.compare.schema import SeedSpread, Training
from benchmark.commands.compare.systems import System
from benchmark.results.cells import RowOutcome
from benchmark.results.schema import Cell
from benchmark.runs.checkpoints import Checkpoint
from datasets.tools.files import sha256_of

# What a training records of how it went, not of what it was asked to do.
_CIRCUMSTANCES = ("seconds", "last_losses", "skipped_clips", "dataset")


def require_only_seed_differs(systems: Sequence[System]) -> None:
    """Refuse what is no further training of the first system's model.

    Raises:
        UserError: a configuration or a setting differs beside the seed, or the seed does not.
    """
    first, *others = systems
    wanted, seeds = _settings(first), {}
    for system in systems:
        path = system.row.weights
        seed = Checkpoint.read(path).training.get("seed")
        if type(seed) is not int:
            raise UserError(f"{path}: the .json beside it names no seed, which --seeds needs")
        if seed in seeds:
            raise UserError(
                f"--seeds {path} has the seed {seed}, as {seeds[seed]} has: give trainings of "
                "different seeds"
            )
        seeds[seed] = path
    for system in others:
        found = _settings(system)
        names = sorted(name for name in {**wanted, **found} if wanted.get(name) != found.get(name))
        if names:
            raise UserError(
                f"--seeds {system.row.weights} differs from {first.row.weights} not in the seed "
                f"alone, but in {', '.join(names)}: give trainings of the same model"
            )


def seed_statistics(
    cells: Sequence[Mapping[str, Cell]], columns: Sequence[Column]
) -> dict[str, SeedSpread]:
    """Return key of a column -> mean and spread; of a column without some value, the reason.

    Args:
        cells: of each training, key of a column -> cell.
        columns: those to look at.
    """
    found = {}
    for column in columns:
        own = [training[column.key] for training in cells]
        values = [cell.value for cell in own if cell.value is not None]
        whole = len(values) == len(own)
        found[column.key] = SeedSpread(
            n=len(own),
            mean=statistics.fmean(values) if whole else None,
            std=statistics.stdev(values) if whole else None,
            values=tuple(cell.value for cell in own),
            reason=next((cell.reason for cell in own if cell.value is None), None),
        )
    return found


def training_facts(row: RowOutcome) -> Training:
    """Return what identifies a training: seed, file, and the runs that measured it."""
    checkpoint = Checkpoint.read(row.row.weights)
    return Training(
        seed=checkpoint.training["seed"],
        path=display_path(checkpoint.path),
        weights_sha256=checkpoint.identity,
        file_sha256=sha256_of(checkpoint.path),
        runs={stage: run.id for stage, run in row.outcomes[0].stages.items()},
    )


def _settings(system: System) -> dict:
    """All that must be equal: class, configuration, and the training but for its seed."""
    checkpoint = Checkpoint.read(system.row.weights)
    config = {f"config {name}": value for name, value in (checkpoint.config or {}).items()}
    training = {
        name: value
        for name, value in checkpoint.training.items()
        if name != "seed" and name not in _CIRCUMSTANCES
    }
    # Of several GPUs it does not matter which; arithmetic on a CPU is another.
    training["device"] = str(training.get("device")).partition(":")[0]
    return {"class": checkpoint.class_name, **config, **training}
