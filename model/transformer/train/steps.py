"""The training of the transformer: settings, the clips of a step, and its loss (section 3.3).

Everything in a step follows from (seed, step), and what happens to a clip not from the clips beside
it: a run can be killed anywhere, and split over processes, and stays the same run.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model.sequence import MOTION, VIDEO_ALONE, Schedule, i2v, i2vm, v2m
from model.training.config import TrainingError
from model.transformer.train.config import ARTrainingConfig

if TYPE_CHECKING:
    from model.token_store import TokenClips
    from model.training.loop import Loss
    from model.transformer import UniMo, UniMoConfig


def schedules(config: "UniMoConfig") -> dict[str, Schedule]:
    """Return the sequences of the tasks for a model's clips."""
    video = (config.num_frames, config.height, config.width)
    return {
        "v2m": v2m(*video, config.tokens_per_frame),
        "i2vm": i2vm(*video, config.tokens_per_frame, layout=config.layout),
        VIDEO_ALONE: i2v(*video),
    }


@dataclass(frozen=True)
class Batch:
    """The part of a step that one process does.

    Attributes:
        task: of all its clips.
        clips: (n,) their rows among the training clips.
        numbers: (n,) their numbers in the order in which the training sees clips.
        of: clips of this task in the whole step.
    """

    task: str
    clips: np.ndarray
    numbers: np.ndarray
    of: int


def draw(
    training: ARTrainingConfig, step: int, num_clips: int, *, rank: int = 0, processes: int = 1
) -> list[Batch]:
    """Return the batches of a process in a step: every clip once an epoch, tasks in equal parts."""
    numbers = step * training.batch_size + np.arange(training.batch_size)
    epochs, places = np.divmod(numbers, num_clips)
    clips = np.array(
        [
            _order(training.seed, int(epoch), num_clips)[place]
            for epoch, place in zip(epochs, places, strict=True)
        ]
    )
    tasks = numbers % len(training.tasks)
    mine = np.argsort(tasks, kind="stable")[rank::processes]
    batches = []
    for number, task in enumerate(training.tasks):
        of_task = mine[tasks[mine] == number]
        total = int((tasks == number).sum())
        for start in range(0, len(of_task), training.clips_at_once):
            piece = of_task[start : start + training.clips_at_once]
            batches.append(Batch(task, clips[piece], numbers[piece], total))
    return batches


def require_divisible(training: ARTrainingConfig, processes: int) -> None:
    """Processes exchange gradients in every pass, so all must make equally many.

    Raises:
        TrainingError: the clips of a step do not divide evenly.
    """
    share, rest = divmod(training.batch_size, processes)
    if rest or (share > 1 and share % len(training.tasks)):
        raise TrainingError(
            f"{training.batch_size} clips a step of {len(training.tasks)} tasks do not divide "
            f"evenly over {processes} processes: choose a --batch-size that is a multiple of "
            f"{processes * len(training.tasks)}, or {processes}"
        )


def step_losses(
    model: "UniMo",
    training: ARTrainingConfig,
    clips: "TokenClips",
    step: int,
    *,
    rank: int = 0,
    processes: int = 1,
) -> "Iterator[Loss]":
    """Losses of a step, one pass after the other.

    Their sum, averaged over processes, is the mean over the step's clips of each clip's mean
    cross-entropy; the logged scalars ``v2m_motion``, ``i2vm_visual`` and ``i2vm_motion`` are means
    over the step's clips of that task, in nats a token.
    """
    import torch

    device = next(model.parameters()).device
    sequences = schedules(model.config)
    for batch in draw(training, step, len(clips.ids), rank=rank, processes=processes):
        schedule = sequences[batch.task]
        motion = clips.motion[batch.clips, : schedule.num_motion]
        tokens = schedule.assemble(clips.visual[batch.clips], motion)
        inputs = _corrupted(
            tokens, schedule, training, step, batch.numbers, model.config.motion_vocab
        )
        tokens, inputs = (torch.from_numpy(ids).to(device) for ids in (tokens, inputs))
        losses = model.losses(tokens, schedule, inputs=inputs)
        weights = {"motion": 1.0, "visual": training.visual_weight}
        total = sum(weights[name] * found.sum() for name, found in losses.items())
        targets = sum(weights[name] * found.shape[1] for name, found in losses.items())
        stats = {
            f"{batch.task}_{name}": processes * found.detach().mean(dim=1).sum() / batch.of
            for name, found in losses.items()
            if found.shape[1]
        }
        yield processes * total / (targets * training.batch_size), stats


def _corrupted(
    tokens: np.ndarray,
    schedule: Schedule,
    training: ARTrainingConfig,
    step: int,
    numbers: np.ndarray,
    motion_vocab: int,
) -> np.ndarray:
    """The model's input for tokens (B, S): some motion tokens replaced, see `ARTrainingConfig`."""
    late = step >= training.clip_noise_until * training.steps
    clip_noise = training.clip_noise_end if late else training.clip_noise
    if not clip_noise and not training.token_noise:
        return tokens
    inputs = tokens.copy()
    positions = schedule.positions[MOTION]
    for row, number in zip(inputs, numbers, strict=True):
        rng = np.random.default_rng((training.seed, 1, int(number)))
        share = 1.0 if rng.random() < clip_noise else training.token_noise
        hit = positions[rng.random(len(positions)) < share]
        row[hit] = rng.integers(motion_vocab, size=len(hit))
    return inputs


@functools.lru_cache(maxsize=2)  # a step may touch two epochs
def _order(seed: int, epoch: int, num_clips: int) -> np.ndarray:
    """Return the order of the clips in an epoch."""
    return np.random.default_rng((seed, 0, epoch)).permutation(num_clips)
