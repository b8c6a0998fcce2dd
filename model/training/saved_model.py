"""The base of networks that are written to checkpoints and read from them."""

from pathlib import Path
from typing import ClassVar, Self

import torch
from torch import nn

from model.training.checkpoint import load_weights, save_model
from model.training.config_checks import Config
from model.training.sidecar import CheckpointError, read_sidecar, sidecar_path


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

        The network is laid out without memory first: a configuration that does not fit the file is
        refused before anything of its size is allocated.

        Raises:
            CheckpointError: an unreadable or foreign file, a configuration out of range, or tensors
                that do not fit.
        """
        sidecar = read_sidecar(path, expected_class=cls.__name__)
        try:
            with torch.device("meta"):
                model = cls(cls.config_class.from_dict(sidecar["config"]))
        except (ValueError, RuntimeError) as error:  # RuntimeError: larger than torch can count
            raise CheckpointError(f"{sidecar_path(path)}: {error}") from error
        load_weights(path, model)
        return model.eval()
