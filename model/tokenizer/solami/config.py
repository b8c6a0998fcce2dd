"""Settings of the SOLAMI baseline. Standard library only."""

from dataclasses import dataclass

from model.tokenizer.config import Codes, Depth
from model.training.config_checks import Config, Count, NonNegative, Share


@dataclass(frozen=True, kw_only=True)
class SolamiConfig(Config):
    """Shape and objective of SOLAMI's body tokenizer; the defaults are the published ones.

    Attributes:
        codebook_size: number of codes.
        width: channels of every convolution between input and code, and back.
        code_dim: length of a code.
        depth: residual units in a block; dilations ..., 9, 3, 1.
        commitment: weight of the commitment loss.
        velocity_weight: weight of what SOLAMI calls velocity, see `SolamiTokenizer.loss`.
        ema_decay: as in `TokenizerConfig`.
        restart_threshold: as in `TokenizerConfig`.
        restart_until: as in `TokenizerConfig`.

    Raises:
        ValueError: a value outside its range.
    """

    codebook_size: Codes = 512
    width: Count = 512
    code_dim: Count = 512
    depth: Depth = 3
    commitment: NonNegative = 0.1
    velocity_weight: NonNegative = 2.0
    ema_decay: Share = 0.99
    restart_threshold: NonNegative = 1 / 15
    restart_until: Share = 0.85
