"""Memory that a training of the transformer needs; nothing is made before it is there."""

import os
from pathlib import Path

from model.training.memory import require_disk, require_memory
from model.transformer.config import UniMoConfig
from model.transformer.cost import num_parameters, training_bytes
from model.transformer.train.config import ARTrainingConfig
from model.transformer.train.steps import schedules


def device_bytes(
    config: UniMoConfig, training: ARTrainingConfig, device: str, processes: int = 1
) -> float:
    """Return the bytes that a training takes on the device of each process, about."""
    sequences = schedules(config)
    return training_bytes(
        config,
        max(len(sequences[task]) for task in training.tasks),
        clips=min(training.clips_at_once, training.batch_size // processes),
        recompute=training.activation_checkpointing,
        average=training.ema_decay > 0,
        processes=processes,
        number=4 if device == "cpu" else 2,
    )


def host_bytes(config: UniMoConfig, processes: int = 1) -> float:
    """Return the bytes of a machine's own memory that the processes on it take beside a GPU.

    Each makes the whole model there, in float32, before it is moved or split.
    """
    return 4.0 * processes * num_parameters(config)


def require_room(
    config: UniMoConfig, training: ARTrainingConfig, out: Path, device: str, processes: int = 1
) -> None:
    """Refuse a training that does not fit in memory, or its files on the disk of `out`.

    Raises:
        TrainingError: the message says what is needed and what is free.
    """
    what = f"{num_parameters(config) / 1e6:.0f} million weights in training"
    # A resume state has 12 bytes a weight; the next one is written beside it. What is there, of a
    # run that goes on, needs no more room.
    held = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    require_disk(out, (4 + 2 * 12) * num_parameters(config) - held, what)
    require_memory(device, device_bytes(config, training, device, processes), what)
    if device != "cpu":
        here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        require_memory("cpu", host_bytes(config, here), f"{what}, as the processes here make them,")
