"""Settings of a training of the transformer."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Self

from model.sequence import TASKS, VIDEO_ALONE
from model.training.config import TrainingConfig
from model.training.config_checks import require, require_choice, require_count, require_number


@dataclass(frozen=True, kw_only=True)
class ARTrainingConfig(TrainingConfig):
    """Settings of a training of the transformer; a step has `batch_size` clips over all processes.

    Attributes:
        tasks: ``v2m``, ``i2vm`` or both, then in equal parts; ``i2v`` trains the baseline.
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
        require(len(set(self.tasks)) == len(self.tasks) > 0, f"tasks are {self.tasks}")
        for task in self.tasks:
            require_choice("tasks", task, (*TASKS, VIDEO_ALONE))
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
    def paper(cls, steps: int = 100_000, **changes: Any) -> Self:
        """Eight clips a step at 1e-4; the paper says neither how many steps nor the schedule."""
        base = cls(
            steps=steps,
            batch_size=8,
            learning_rate=1e-4,
            warmup_steps=min(1000, steps // 20),
            betas=(0.9, 0.95),
            activation_checkpointing=True,
        )
        return dataclasses.replace(base, **changes)

    @classmethod
    def rehearsal(cls, steps: int = 2, **changes: Any) -> Self:
        """Return the paper's training, of two steps of two clips."""
        return cls.paper(steps, **{"batch_size": 2, **changes})

    @classmethod
    def embedded(cls, steps: int = 2800, **changes: Any) -> Self:
        """Return a training that learns something visible in minutes of CPU."""
        base = cls(
            steps=steps,
            batch_size=16,
            learning_rate=4e-3,
            schedule="cosine",
            warmup_steps=min(60, steps // 5),
            betas=(0.9, 0.95),
            weight_decay=0.01,
            optimizer="muon",
            head_from_codes=True,
            mirror=True,
            visual_weight=0.5,
            token_noise=0.15,
            clip_noise=0.95,
            clip_noise_end=0.3,
            clip_noise_until=0.9,
            clips_at_once=64,
        )
        return dataclasses.replace(base, **changes)

    def to_dict(self) -> dict:
        """Return a JSON-ready dictionary."""
        return {**super().to_dict(), "optimizer": self.optimizer}
