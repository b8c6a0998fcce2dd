"""The shape of the built-in estimator's network; imports the standard library only."""

from dataclasses import dataclass
from pathlib import Path

from model.training.config_checks import Config, require, require_count, require_number

# Where training leaves the weights, and where they are looked for.
WEIGHTS = Path("data", "regressor", "model.safetensors").absolute()


@dataclass(frozen=True, kw_only=True)
class RegressorConfig(Config):
    """Shape of the network.

    Attributes:
        size: pixels of the square pictures it sees; every convolution halves it exactly.
        widths: channels of the stride-2 convolutions.
        width: of the features of a frame.
        dilations: of the temporal convolutions, frames.
        smoothing: standard deviation of the Gaussian over the output, frames: what is seen in
            single small pictures jitters.

    Raises:
        ValueError: a value outside its range, or a size that cannot be halved so often.
    """

    size: int = 64
    widths: tuple[int, ...] = (24, 48, 96, 144)
    width: int = 192
    dilations: tuple[int, ...] = (1, 2, 4)
    smoothing: float = 2.5

    def __post_init__(self):
        super().__post_init__()
        require_count("size", self.size, minimum=16)
        for name in ("widths", "dilations"):
            for value in getattr(self, name):
                require_count(name, value, minimum=1)
        require(bool(self.widths), "widths must name at least one convolution")
        require(
            self.size % 2 ** len(self.widths) == 0,
            f"size {self.size} must be a multiple of 2^{len(self.widths)}, since each of the "
            f"{len(self.widths)} convolutions halves it",
        )
        require_count("width", self.width, minimum=1)
        require_number("smoothing", self.smoothing, 0.0, 30.0)
