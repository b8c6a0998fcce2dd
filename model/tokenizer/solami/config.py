"""Settings of the SOLAMI baseline. Standard library only."""

from dataclasses import dataclass

from model.tokenizer.config import MAX_DEPTH
from model.training.config_checks import Config, require_count, require_number


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

    codebook_size: int = 512
    width: int = 512
    code_dim: int = 512
    depth: int = 3
    commitment: float = 0.1
    velocity_weight: float = 2.0
    ema_decay: float = 0.99
    restart_threshold: float = 1 / 15
    restart_until: float = 0.85

    def __post_init__(self):
        for name in ("width", "code_dim"):
            require_count(name, getattr(self, name), minimum=1)
        require_count("depth", self.depth, minimum=1, maximum=MAX_DEPTH)
        require_count("codebook_size", self.codebook_size, minimum=2)
        for name in ("commitment", "velocity_weight", "restart_threshold"):
            require_number(name, getattr(self, name), 0.0, float("inf"))
        for name in ("ema_decay", "restart_until"):
            require_number(name, getattr(self, name), 0.0, 1.0)
