"""Settings of a training, and its error. Standard library only."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from model.training.config_checks import Config, Count, Decay, Natural, NonNegative, Range, require


class TrainingError(ValueError):
    """A run cannot start, continue or go on. The message says why and how to fix it."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig(Config):
    """Settings of a training. The defaults are the paper's tokenizer's, wherever it names one.

    Attributes:
        steps: optimiser steps.
        batch_size: windows per step.
        learning_rate: of AdamW, at its peak.
        schedule: after the warm-up, ``constant``, or ``cosine`` down to zero.
        warmup_steps: steps of linear warm-up.
        betas: of AdamW.
        weight_decay: of AdamW.
        grad_clip: largest gradient norm.
        window: frames per training window.
        seed: of the windows drawn and of code restarts; step by step a function of (seed, step).
        optimizer: ``adamw``, the paper's, or ``muon`` for the matrices of a transformer's blocks,
            which a small training needs half as many steps with.

    Raises:
        ValueError: a value outside its range.
    """

    steps: Count
    batch_size: Count = 128
    learning_rate: NonNegative = 4e-5
    schedule: Literal["constant", "cosine"] = "constant"
    warmup_steps: Natural = 0
    betas: tuple[Decay, Decay] = (0.9, 0.99)
    weight_decay: NonNegative = 0.0
    grad_clip: NonNegative = 1.0
    # Second differences, and first differences of tau without frame 0, need three frames.
    window: Annotated[int, Range(3)] = 32
    seed: Natural = 0
    optimizer: Literal["adamw", "muon"] = "adamw"

    def __post_init__(self):
        super().__post_init__()
        require(len(self.betas) == 2, f"betas must be two numbers, got {self.betas}")

    @classmethod
    def paper(cls, steps: int = 100_000, **changes: Any) -> Self:
        """Return the paper's settings; it does not say how many steps."""
        return cls(steps=steps, **changes)

    @classmethod
    def rehearsal(cls, steps: int = 2, **changes: Any) -> Self:
        """Return the paper's training, of two steps of two windows."""
        return cls.paper(steps, **{"batch_size": 2, **changes})

    @classmethod
    def small(cls, steps: int = 2000, **changes: Any) -> Self:
        """Many small steps at a high, decaying rate: the most accuracy for minutes of CPU."""
        base = cls(
            steps=steps,
            batch_size=4,
            learning_rate=8e-4,
            schedule="cosine",
            warmup_steps=steps // 20,
        )
        return dataclasses.replace(base, **changes)

    def with_steps(self, steps: int) -> Self:
        """Return the same training stretched or cut to `steps`, its warm-up in proportion."""
        warmup = self.warmup_steps * steps // self.steps
        return dataclasses.replace(self, steps=steps, warmup_steps=warmup)

    def learning_rate_at(self, step: int) -> float:
        """Learning rate of step 0 .. steps - 1."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        if self.schedule == "constant":
            return self.learning_rate
        progress = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))

    def to_dict(self) -> dict:
        """Return a JSON-ready dictionary."""
        values = super().to_dict()
        if self.optimizer == "adamw":  # what was trained before there was a choice stays itself
            del values["optimizer"]
        return values
