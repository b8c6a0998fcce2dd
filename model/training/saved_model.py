"""The base of networks that are written to checkpoints and read from them."""

from pathlib import Path
from typing import ClassVar, Self

from torch import nn

from model.training.checkpoint import load_model, save_model
from model.training.config_checks import Config


class SavedModel(nn.Module):
    """A network that its configuration lays out: ``cls(config)``.

    Attributes:
        config_class: class of the configuration.
        config: a training is only resumed with an equal one.
    """

    config_class: ClassVar[type[Config]]
    config: Config

    def save(self, path: str | Path, *, extra: dict | None = None, half: bool = False) -> Path:
        """Write ``*.safetensors`` and its JSON sidecar, see `model.training.checkpoint`.

        Args:
            path: of the weights.
            extra: JSON-ready, kept in the sidecar.
            half: write the weights in half precision.
        """
        return save_model(path, self, config=self.config.to_dict(), extra=extra, half=half)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Return the network of a checkpoint, in evaluation mode, on the CPU.

        Raises:
            CheckpointError: an unreadable or foreign file, or a configuration or tensors that do
                not fit.
        """
        return load_model(path, cls, cls.config_class)
