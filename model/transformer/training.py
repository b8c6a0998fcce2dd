"""How the transformer is trained: settings, the clips of a step, and its loss (section 3.3).

Everything in a step follows from (seed, step), and what happens to a clip not from the clips beside
it: a run can be killed anywhere, and split over processes, and stays the same run.
"""

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from model.sequence import MOTION, TASKS, VIDEO_ALONE, Schedule, i2v, i2vm, v2m
from model.settings import require, require_choice, require_count, require_number
from model.training import TrainingConfig, TrainingError

if TYPE_CHECKING:
    from model.run import Loss
    from model.token_store import TokenClips
    from model.transformer import UniMo, UniMoConfig


@dataclass(frozen=True, kw_only=True)
class ARTrainingConfig(TrainingConfig):
    """Settings of a training of the transformer; a step has `batch_size` clips over all processes.

    Attributes:
        tasks: ``v2m``, ``i2vm`` or both, then in equal parts; ``i2v`` trains the baseline.
        optimizer: ``adamw``, the paper's, or ``muon`` for the blocks' matrices, which a small
            training needs half as many steps with.
        head_from_codes: start the motion head from the tokenizer's codebook, see
            `UniMo.start_from_codes`.
        mirror: train on the clips' mirror images, too.
        visual_weight: of a visual target's cross-entropy against a motion target's; 1 is equation
            6.
        token_noise: share of motion tokens that the model sees replaced by random ones.
        clip_noise: share of clips of which it sees no motion token at all, only random ones: what
            comes next must then be read from the video. A regulariser of small trainings; the
            paper has none.
        clip_noise_end: the same share at the end of the training.
        clip_noise_until: share of the training after which `clip_noise_end` holds.
        ema_decay: of the average of the weights that is kept in the end; 0 keeps the last weights.
        clips_at_once: clips of one pass; a step adds up the gradients of several.
        activation_checkpointing: compute the blocks again for the gradient, to save memory.
    """

    tasks: tuple[str, ...] = TASKS
    optimizer: Literal["adamw", "muon"] = "adamw"
    head_from_codes: bool = False
    mirror: bool = False
    visual_weight: float = 1.0
    token_noise: float = 0.0
    clip_noise: float = 0.0
    clip_noise_end: float = 0.0
    clip_noise_until: float = 1.0
    ema_decay: float = 0.0
    clips_at_once: int = 1
    activation_checkpointing: bool = False

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "tasks", tuple(self.tasks))
        require(len(set(self.tasks)) == len(self.tasks) > 0, f"tasks are {self.tasks}")
        for task in self.tasks:
            require_choice("tasks", task, (*TASKS, VIDEO_ALONE))
        require_choice("optimizer", self.optimizer, ("adamw", "muon"))
        require_number("visual_weight", self.visual_weight, 0.0, math.inf)
        require(
            self.visual_weight > 0 or VIDEO_ALONE not in self.tasks,
            f"visual_weight is 0, and {VIDEO_ALONE} has visual targets alone",
        )
        for name in ("token_noise", "clip_noise", "clip_noise_end", "clip_noise_until"):
            require_number(name, getattr(self, name), 0.0, 1.0)
        require_number("ema_decay", self.ema_decay, 0.0, math.nextafter(1.0, 0.0))
        require_count("clips_at_once", self.clips_at_once, minimum=1)

    @classmethod
    def paper(cls, steps: int = 100_000, **changes) -> "ARTrainingConfig":
        """Eight clips a step at 1e-4; the paper says neither how many steps nor the schedule."""
        settings = {
            "batch_size": 8,
            "learning_rate": 1e-4,
            "warmup_steps": min(1000, steps // 20),
            "betas": (0.9, 0.95),
            "activation_checkpointing": True,
        }
        return cls(steps=steps, **{**settings, **changes})

    @classmethod
    def embedded(cls, steps: int = 2800, **changes) -> "ARTrainingConfig":
        """What learns something visible in minutes of CPU."""
        settings = {
            "batch_size": 16,
            "learning_rate": 4e-3,
            "schedule": "cosine",
            "warmup_steps": min(60, steps // 5),
            "betas": (0.9, 0.95),
            "weight_decay": 0.01,
            "optimizer": "muon",
            "head_from_codes": True,
            "mirror": True,
            "visual_weight": 0.5,
            "token_noise": 0.15,
            "clip_noise": 0.95,
            "clip_noise_end": 0.3,
            "clip_noise_until": 0.9,
            "clips_at_once": 64,
        }
        return cls(steps=steps, **{**settings, **changes})

    def to_dict(self) -> dict:
        """A JSON-ready dictionary."""
        return {**super().to_dict(), "tasks": list(self.tasks)}


def schedules(config: "UniMoConfig") -> dict[str, Schedule]:
    """The sequences of the tasks for a model's clips."""
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
    """What a process does in a step: every clip once an epoch, tasks in equal parts."""
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
    """What the model sees of tokens (B, S): some motion tokens replaced, see `ARTrainingConfig`."""
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
    """The order of the clips in an epoch."""
    return np.random.default_rng((seed, 0, epoch)).permutation(num_clips)
