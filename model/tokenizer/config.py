"""Settings of the motion tokenizer and of its training. Standard library only."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal

BLOCKS = 4  # "the encoder is composed of four blocks", as is each decoder (appendix A)


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """Shape and objective of one motion tokenizer (paper section 3.1, equation 5).

    Attributes:
        tokens_per_frame: k = 1/s tokens stand for one frame.
        codebook_size: B, the number of codes.
        width: channels of every convolution between input and code, and back.
        code_dim: length of a code.
        depth: residual units in the ResNet part of a block; dilations 1, 3, 9, ...
        strides: temporal expansion of each encoder block; the decoders mirror them.
        kernel: ``unfold``: kernel = stride, so that a strided block is one linear map a frame
            (3 at stride 1, 4 at stride 2); ``overlap``: twice the stride, as in Jukebox.
        rotation: how rotations enter and leave the network.
        quantizer: ``ema`` moves the codes by exponential averages, as in Duolando;
            ``gradient`` by the codebook term of equation 5.
        commitment: lambda of equation 5.
        velocity_weight: weight of the L1 loss on first differences.
        acceleration_weight: weight of the L1 loss on second differences.
        ema_decay: decay of the averages, per step.
        restart_threshold: an EMA code whose average load falls below this share of the mean load
            is moved to a random feature. Duolando's 1.0 hits a step is 1/15 of its mean load; as
            a share the rule means the same for every k and batch size.
        restart_until: share of the training after which no code is restarted, so that the
            decoders finish on a settled codebook.

    Raises:
        ValueError: a value outside its range, or strides whose product is not tokens_per_frame.
    """

    tokens_per_frame: int = 36
    codebook_size: int = 512
    width: int = 512
    code_dim: int = 512
    depth: int = 3
    strides: tuple[int, ...] = (1, 1, 1, 36)
    kernel: Literal["unfold", "overlap"] = "unfold"
    rotation: Literal["sixd", "matrix", "axis_angle"] = "sixd"
    quantizer: Literal["ema", "gradient"] = "ema"
    commitment: float = 0.02
    velocity_weight: float = 1.0
    acceleration_weight: float = 1.0
    ema_decay: float = 0.99
    restart_threshold: float = 1 / 15
    restart_until: float = 0.85

    def __post_init__(self):
        object.__setattr__(self, "strides", tuple(self.strides))
        for name in ("tokens_per_frame", "width", "code_dim", "depth"):
            _require_count(name, getattr(self, name), minimum=1)
        _require_count("codebook_size", self.codebook_size, minimum=2)
        _require(bool(self.strides), "strides must name at least one block")
        for stride in self.strides:
            _require_count("strides", stride, minimum=1)
        product = math.prod(self.strides)
        _require(
            product == self.tokens_per_frame,
            f"strides {self.strides} multiply to {product}, not to tokens_per_frame "
            f"{self.tokens_per_frame}",
        )
        _require_choice("kernel", self.kernel, ("unfold", "overlap"))
        _require_choice("rotation", self.rotation, ("sixd", "matrix", "axis_angle"))
        _require_choice("quantizer", self.quantizer, ("ema", "gradient"))
        for name in ("commitment", "velocity_weight", "acceleration_weight", "restart_threshold"):
            _require_number(name, getattr(self, name), 0.0, math.inf)
        for name in ("ema_decay", "restart_until"):
            _require_number(name, getattr(self, name), 0.0, 1.0)

    @classmethod
    def paper(cls, tokens_per_frame: int = 36, codebook_size: int = 512, **changes):
        """The paper's sizes, with one block that expands: strides (1, 1, 1, k)."""
        settings = {"strides": (1, 1, 1, tokens_per_frame), **changes}
        return cls(tokens_per_frame=tokens_per_frame, codebook_size=codebook_size, **settings)

    @classmethod
    def paper_primes(cls, tokens_per_frame: int = 36, codebook_size: int = 512, **changes):
        """The paper's sizes, "each block expands": the prime factors of k over four blocks."""
        settings = {
            "strides": _prime_strides(tokens_per_frame),
            "kernel": "overlap",
            "depth": 4,
            **changes,
        }
        return cls(tokens_per_frame=tokens_per_frame, codebook_size=codebook_size, **settings)

    @classmethod
    def small(cls, tokens_per_frame: int = 36, codebook_size: int = 512, **changes):
        """A size that a CPU trains in minutes: one narrow block, codes of two numbers.

        Chosen for k = 36 on sequences held out of the training split, one seed each. On motion
        capture, after 600 steps: 74 mm MPJPE with the paper's four blocks, 59 mm with two, 51 mm
        with one. On the built-in data, after 1000 steps at width 64: 72 mm with codes of 8
        numbers, 64 mm with 4, 54 mm with 2. At k = 1 short codes cost: 119 mm with 8, 131 mm
        with 2.
        """
        settings = {
            "strides": (tokens_per_frame,),
            "width": 96,
            "code_dim": 2,
            "depth": 1,
            **changes,
        }
        return cls(tokens_per_frame=tokens_per_frame, codebook_size=codebook_size, **settings)

    def to_dict(self) -> dict:
        """A JSON-ready dictionary."""
        return {**dataclasses.asdict(self), "strides": list(self.strides)}

    @classmethod
    def from_dict(cls, values: dict) -> "TokenizerConfig":
        """Inverse of `to_dict`.

        Raises:
            ValueError: unknown settings, or values out of range.
        """
        return _from_dict(cls, values)


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How a tokenizer is trained. The defaults are the paper's settings wherever it names one.

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

    Raises:
        ValueError: a value outside its range.
    """

    steps: int
    batch_size: int = 128
    learning_rate: float = 4e-5
    schedule: Literal["constant", "cosine"] = "constant"
    warmup_steps: int = 0
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.0
    grad_clip: float = 1.0
    window: int = 32
    seed: int = 0

    def __post_init__(self):
        object.__setattr__(self, "betas", tuple(self.betas))
        _require_count("steps", self.steps, minimum=1)
        _require_count("batch_size", self.batch_size, minimum=1)
        _require_count("warmup_steps", self.warmup_steps, minimum=0)
        # Second differences, and first differences of tau without frame 0, need three frames.
        _require_count("window", self.window, minimum=3)
        _require_count("seed", self.seed, minimum=0)
        _require_choice("schedule", self.schedule, ("constant", "cosine"))
        _require(len(self.betas) == 2, f"betas must be two numbers, got {self.betas}")
        for beta in self.betas:
            _require_number("betas", beta, 0.0, math.nextafter(1.0, 0.0))
        for name in ("learning_rate", "weight_decay", "grad_clip"):
            _require_number(name, getattr(self, name), 0.0, math.inf)

    @classmethod
    def paper(cls, steps: int = 100_000, **changes):
        """The paper's settings; it does not say how many steps."""
        return cls(steps=steps, **changes)

    @classmethod
    def small(cls, steps: int = 2000, **changes):
        """Many small steps at a high, decaying rate: the most accuracy for minutes of CPU."""
        settings = {
            "batch_size": 4,
            "learning_rate": 8e-4,
            "schedule": "cosine",
            "warmup_steps": min(100, steps // 10),
        }
        return cls(steps=steps, **{**settings, **changes})

    def learning_rate_at(self, step: int) -> float:
        """Learning rate of step 0 .. steps - 1."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        if self.schedule == "constant":
            return self.learning_rate
        progress = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))

    def to_dict(self) -> dict:
        """A JSON-ready dictionary."""
        return {**dataclasses.asdict(self), "betas": list(self.betas)}

    @classmethod
    def from_dict(cls, values: dict) -> "TrainingConfig":
        """Inverse of `to_dict`.

        Raises:
            ValueError: unknown settings, or values out of range.
        """
        return _from_dict(cls, values)


def _prime_strides(number: int) -> tuple[int, ...]:
    """`BLOCKS` ascending strides: prime factors, padded with ones, the smallest merged if many."""
    factors, divisor, rest = [], 2, number
    while rest > 1:
        while rest % divisor == 0:
            factors.append(divisor)
            rest //= divisor
        divisor += 1
    while len(factors) > BLOCKS:
        first, second, *others = factors
        factors = sorted([first * second, *others])
    return tuple([1] * (BLOCKS - len(factors)) + factors)


def _from_dict(cls, values: dict):
    known = {field.name for field in dataclasses.fields(cls)}
    unknown = sorted(set(values) - known)
    _require(not unknown, f"unknown {cls.__name__} settings: {', '.join(unknown)}")
    try:
        return cls(**values)
    except TypeError as error:
        raise ValueError(f"not a {cls.__name__}: {error}") from error


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _require_choice(name: str, value, choices: tuple[str, ...]) -> None:
    _require(value in choices, f"{name} must be one of {', '.join(choices)}; got {value!r}")


def _require_count(name: str, value, *, minimum: int) -> None:
    _require(
        isinstance(value, int) and not isinstance(value, bool) and value >= minimum,
        f"{name} must be a whole number of at least {minimum}, got {value!r}",
    )


def _require_number(name: str, value, low: float, high: float) -> None:
    _require(
        isinstance(value, (int, float)) and low <= value <= high and math.isfinite(value),
        f"{name} must be a number from {low:g} to {high:g}, got {value!r}",
    )
