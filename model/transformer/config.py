"""Settings of the autoregressive transformer. Standard library and numpy only."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from model.sequence import Layout
from model.training.config_checks import Config, Count, Range, Share, require
from model.video_tokens.codec import SPATIAL, VOCABULARY, num_frames


@dataclass(frozen=True, kw_only=True)
class UniMoConfig(Config):
    """Shape of one UniMo transformer (paper section 3.2 and table 4).

    The defaults are Cosmos-1.0-Autoregressive-4B's, which table 4 repeats.

    Attributes:
        n_layers: transformer blocks.
        dim: width of the residual stream.
        n_heads: query heads; each is ``dim / n_heads`` wide.
        n_kv_heads: key and value heads, each shared by ``n_heads / n_kv_heads`` query heads.
        ffn_hidden_size: width of the gated feed-forward network.
        visual_vocab: visual tokens.
        motion_vocab: motion tokens, the size of the motion codebook.
        latent_shape: (t, h, w) of a clip's visual tokens: 1 + 8 (t - 1) frames of 16 h x 16 w
            pixels.
        tokens_per_frame: motion tokens a frame.
        layout: how I2VM interleaves video and motion, see `model.sequence.i2vm`.
        rope_theta: base of the rotary frequencies.
        norm_eps: of every RMS normalisation.
        ape: absolute positions on top of the rotary ones, times a learned gate a layer: ``qk``
            adds them to queries and keys (equations 3-4), ``hidden`` to the residual stream before
            each block (as Cosmos's Video2World does), ``off`` not at all (as Cosmos 4B).
        ape_gate: initial value of the gates; 0 starts from Cosmos 4B exactly.
        motion_rope: coordinates of the motion's rotary positions: ``1d``, the token's number, or
            ``factorised``, (t, h, w) of `model.sequence.Schedule`.
        unified: one softmax over both vocabularies and one rotary embedding over the running
            position, as Cosmos numbers a flat sequence: the paper's ablation Uni-Embed. (One table
            of embeddings holds the same rows as two.)
        visual_embedding: ``table``, a row for each visual token (Cosmos); ``factorised``, the sum
            of a row for each FSQ digit and a head that predicts digit after digit: an exact
            distribution over all tokens for a hundredth of the parameters.

    Raises:
        ValueError: a value outside its range, or sizes that do not fit each other.
    """

    # A number from a damaged sidecar must not build layers without end.
    n_layers: Annotated[int, Range(1, 1000)] = 16
    dim: Count = 4096
    n_heads: Count = 32
    n_kv_heads: Count = 8
    ffn_hidden_size: Count = 14336
    visual_vocab: Annotated[int, Range(2)] = 64000
    motion_vocab: Annotated[int, Range(2)] = 512
    latent_shape: tuple[Count, Count, Count] = (9, 32, 32)
    tokens_per_frame: Count = 36
    layout: Layout = "video-first"
    rope_theta: Annotated[float, Range(1.0, math.inf)] = 500_000.0
    norm_eps: Share = 1e-5
    ape: Literal["off", "hidden", "qk"] = "qk"
    ape_gate: Annotated[float, Range(-1.0, 1.0)] = 0.0
    motion_rope: Literal["1d", "factorised"] = "1d"
    unified: bool = False
    visual_embedding: Literal["table", "factorised"] = "table"

    def __post_init__(self):
        super().__post_init__()
        require(len(self.latent_shape) == 3, f"latent_shape is (t, h, w), got {self.latent_shape}")
        require(
            self.dim % self.n_heads == 0 and self.head_dim % 2 == 0 and self.head_dim >= 6,
            f"dim {self.dim} must be n_heads {self.n_heads} times an even number of at least 6",
        )
        require(
            self.n_heads % self.n_kv_heads == 0,
            f"n_heads {self.n_heads} must be a multiple of n_kv_heads {self.n_kv_heads}",
        )
        require(
            self.visual_embedding == "table" or self.visual_vocab == VOCABULARY,
            f"a factorised embedding is of the {VOCABULARY} FSQ tokens",
        )

    @classmethod
    def paper(cls, **changes: Any) -> Self:
        """Cosmos 4B with the paper's additions: 65 frames of 512x512 pixels, 11558 tokens."""
        return cls(**changes)

    @classmethod
    def embedded(cls, **changes: Any) -> Self:
        """Return a size that a CPU trains in minutes, on 17 frames of 64x64 pixels: 118 tokens.

        What differs from the paper beside sizes: factorised visual embedding (of 64000 rows most
        would hardly be trained), motion positions factorised, absolute positions from the start.
        """
        base = cls(
            n_layers=4,
            dim=128,
            n_heads=4,
            n_kv_heads=4,
            ffn_hidden_size=352,
            latent_shape=(3, 4, 4),
            tokens_per_frame=4,
            ape="hidden",
            ape_gate=0.05,
            motion_rope="factorised",
            visual_embedding="factorised",
        )
        return dataclasses.replace(base, **changes)

    @classmethod
    def rehearsal(cls, **changes: Any) -> Self:
        """Return the paper's sequences of smaller pictures, 128x128 pixels, in one narrow block."""
        base = cls.paper(
            n_layers=1,
            dim=64,
            n_heads=4,
            n_kv_heads=2,
            ffn_hidden_size=128,
            latent_shape=(9, 8, 8),
        )
        return dataclasses.replace(base, **changes)

    @classmethod
    def tiny(cls, **changes: Any) -> Self:
        """For tests: two layers and 9 frames of 64x64 pixels, otherwise as the paper's."""
        base = cls(
            n_layers=2,
            dim=128,
            n_heads=4,
            n_kv_heads=2,
            ffn_hidden_size=256,
            visual_vocab=97,
            motion_vocab=32,
            latent_shape=(2, 4, 4),
            tokens_per_frame=4,
        )
        return dataclasses.replace(base, **changes)

    def of_cosmos(self) -> Self:
        """Return the part that Cosmos has: what UniMo adds is left out, or as small as can be."""
        return dataclasses.replace(
            self, ape="off", unified=False, motion_vocab=2, tokens_per_frame=1
        )

    @property
    def head_dim(self) -> int:
        """Width of a head."""
        return self.dim // self.n_heads

    @property
    def num_frames(self) -> int:
        """Frames of a clip."""
        return num_frames(self.latent_shape[0])

    @property
    def height(self) -> int:
        """Height of the pictures in pixels."""
        return SPATIAL * self.latent_shape[1]

    @property
    def width(self) -> int:
        """Width of the pictures in pixels."""
        return SPATIAL * self.latent_shape[2]

    @property
    def num_tokens(self) -> int:
        """Positions of a sequence: the clip's tokens, the task's name, and ``STG``."""
        return math.prod(self.latent_shape) + self.num_frames * self.tokens_per_frame + 2
