"""The shape of the built-in estimator's network; imports the standard library only."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from model.training.config_checks import Config, Count, Range, require

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

    size: Annotated[int, Range(16)] = 64
    widths: tuple[Count, ...] = (24, 48, 96, 144)
    width: Count = 192
    dilations: tuple[Count, ...] = (1, 2, 4)
    smoothing: Annotated[float, Range(0.0, 30.0)] = 2.5

    def __post_init__(self):
        super().__post_init__()
        require(bool(self.widths), "widths must name at least one convolution")
        require(
            self.size % 2 ** len(self.widths) == 0,
            f"size {self.size} must be a multiple of 2^{len(self.widths)}, since each of the "
            f"{len(self.widths)} convolutions halves it",
        )
