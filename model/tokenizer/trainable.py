"""The interface between the training loop and a model. Standard library and NumPy only."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Step:
    """The place of a step in its training.

    Attributes:
        progress: share of the training that is done, in [0, 1).
        generator: CPU generator for whatever is random in this step.
    """

    progress: float
    generator: "torch.Generator"


class Trainable(Protocol):
    """The interface that `train` needs of a model, besides `torch.nn.Module`."""

    config: object
    """Has `to_dict()`; a run is only resumed with an equal one."""

    def prepare(self, channels: np.ndarray) -> "torch.Tensor":
        """Motion channels (N, T, 79) to (N, T, C): all the work that is the same in every step."""

    def fit_statistics(self, prepared: "torch.Tensor", window: int) -> None:
        """Set normalisation buffers from prepared clips (N, T, C), for windows of that length."""

    def loss(
        self, windows: "torch.Tensor", step: Step
    ) -> "tuple[torch.Tensor, dict[str, torch.Tensor]]":
        """Return the scalar to minimise for windows (B, window, C), and named scalars to log.

        A scalar called ``codes_used`` is shown in the progress bar.
        """

    def save(self, path: Path, *, extra: dict) -> Path:
        """Write the checkpoint through `model.training.checkpoint`, with `extra` in its sidecar."""
