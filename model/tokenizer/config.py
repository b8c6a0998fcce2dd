"""Settings of the motion tokenizer and of its training. Standard library only."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from model.training.config_checks import Config, Count, NonNegative, Range, Share, require

EXPERTS = ("theta", "beta", "phi", "tau")
NUMBERS_PER_ROTATION = {"sixd": 6, "matrix": 9, "axis_angle": 3}
MAX_DEPTH = 16  # the dilation of the last unit is 14 million frames already
Depth = Annotated[int, Range(1, MAX_DEPTH)]
Codes = Annotated[int, Range(2)]
BLOCKS = 4  # "the encoder is composed of four blocks", as is each decoder (appendix A)


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig(Config):
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
        joint_weight: weight of the L1 loss on the body's 22 joints in metres, by forward
            kinematics; not in the paper. Needs ``sixd`` rotations.

    Raises:
        ValueError: a value outside its range, strides whose product is not tokens_per_frame, or
            a joint_weight with other rotations.
    """

    tokens_per_frame: Count = 36
    codebook_size: Codes = 512
    width: Count = 512
    code_dim: Count = 512
    depth: Depth = 3
    strides: tuple[Count, ...] = (1, 1, 1, 36)
    kernel: Literal["unfold", "overlap"] = "unfold"
    rotation: Literal["sixd", "matrix", "axis_angle"] = "sixd"
    quantizer: Literal["ema", "gradient"] = "ema"
    commitment: NonNegative = 0.02
    velocity_weight: NonNegative = 1.0
    acceleration_weight: NonNegative = 1.0
    ema_decay: Share = 0.99
    restart_threshold: NonNegative = 1 / 15
    restart_until: Share = 0.85
    joint_weight: NonNegative = 0.0

    def __post_init__(self):
        super().__post_init__()
        require(bool(self.strides), "strides must name at least one block")
        product = math.prod(self.strides)
        require(
            product == self.tokens_per_frame,
            f"strides {self.strides} multiply to {product}, not to tokens_per_frame "
            f"{self.tokens_per_frame}",
        )
        require(
            not self.joint_weight or self.rotation == "sixd",
            f"joint_weight needs sixd rotations, got {self.rotation}",
        )

    @classmethod
    def paper(cls, tokens_per_frame: int = 36, codebook_size: int = 512, **changes: Any) -> Self:
        """Return the paper's sizes, with one block that expands: strides (1, 1, 1, k)."""
        base = cls(
            tokens_per_frame=tokens_per_frame,
            codebook_size=codebook_size,
            strides=(1, 1, 1, tokens_per_frame),
        )
        return dataclasses.replace(base, **changes)

    @classmethod
    def paper_primes(
        cls, tokens_per_frame: int = 36, codebook_size: int = 512, **changes: Any
    ) -> Self:
        """The paper's sizes, "each block expands": the prime factors of k over four blocks."""
        base = cls(
            tokens_per_frame=tokens_per_frame,
            codebook_size=codebook_size,
            strides=_prime_strides(tokens_per_frame),
            kernel="overlap",
            depth=4,
        )
        return dataclasses.replace(base, **changes)

    @classmethod
    def rehearsal(
        cls, tokens_per_frame: int = 36, codebook_size: int = 512, **changes: Any
    ) -> Self:
        """Return the paper's blocks and tokens, in narrow layers."""
        base = cls.paper(tokens_per_frame, codebook_size, width=16, code_dim=16, depth=1)
        return dataclasses.replace(base, **changes)

    @classmethod
    def small(cls, tokens_per_frame: int = 36, codebook_size: int = 512, **changes: Any) -> Self:
        """Return a size that a CPU trains in minutes: one narrow block, codes of two numbers.

        Chosen for k of 24 and more, on training sequences held out for that: in minutes, one
        block learns more than four, and short codes more than long ones. At k = 1 and k = 8 codes
        of 4 to 8 numbers would be better.
        """
        base = cls(
            tokens_per_frame=tokens_per_frame,
            codebook_size=codebook_size,
            strides=(tokens_per_frame,),
            width=96,
            code_dim=2,
            depth=1,
        )
        return dataclasses.replace(base, **changes)

    @classmethod
    def short(cls, tokens_per_frame: int = 4, codebook_size: int = 512, **changes: Any) -> Self:
        """For short clips of a small video model, seen from all around.

        Chosen on training clips held out for that. A few tokens that must also say where a person
        faces need a loss that knows what matters: the one on joints halves their error. With
        velocities of the joints and a longer training tokens become more exact still, but then say
        less of their own frame alone, and a transformer reads them worse from a video.
        """
        base = cls(
            tokens_per_frame=tokens_per_frame,
            codebook_size=codebook_size,
            strides=(tokens_per_frame,),
            width=96,
            code_dim=8,
            depth=1,
            joint_weight=100.0,
        )
        return dataclasses.replace(base, **changes)

    @property
    def num_parameters(self) -> int:
        """Trainable parameters of the network, by arithmetic; the codebook if gradients train it.

        `MotionTokenizer.num_parameters` counts them in the modules.
        """
        w = self.width
        residual = self.depth * (_conv(w, w, 3) + _conv(w, w, 1))
        expert_sizes = expert_channels(self.rotation).values()
        inputs = [sum(expert_sizes), *[w] * (len(self.strides) - 1)]
        kernels = [kernel_size(stride, self.kernel) for stride in self.strides]
        encoder = _conv(w, self.code_dim, 3) + sum(
            _conv(channels, w, kernel) + residual
            for channels, kernel in zip(inputs, kernels, strict=True)
        )
        blocks = sum(_conv(w, w, kernel) + residual for kernel in kernels)
        decoders = sum(_conv(self.code_dim, w, 3) + blocks + _conv(w, n, 3) for n in expert_sizes)
        codebook = self.codebook_size * self.code_dim if self.quantizer == "gradient" else 0
        return encoder + decoders + codebook

    def to_dict(self) -> dict:
        """Return a JSON-ready dictionary."""
        values = super().to_dict()
        if not self.joint_weight:  # what was made before there was one keeps its identity
            del values["joint_weight"]
        return values


def expert_channels(rotation: str) -> dict[str, int]:
    """Channels of each expert, in feature order: 21 joints, 10 betas, root, translation."""
    numbers = NUMBERS_PER_ROTATION[rotation]
    return dict(zip(EXPERTS, (21 * numbers, 10, numbers, 3), strict=True))


def kernel_size(stride: int, rule: str) -> int:
    """Kernel of a convolution; kernel - stride is even, so that lengths come out exact."""
    if stride == 1:
        return 3
    if rule == "overlap":
        return 2 * stride + stride % 2
    return stride if stride > 2 else 4


def _conv(channels: int, width: int, kernel: int) -> int:
    """Parameters of a convolution, weights and biases."""
    return channels * width * kernel + width


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
