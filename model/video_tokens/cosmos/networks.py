"""The networks of Cosmos's released tokenizers.

``encoder.jit`` and ``decoder.jit`` are TorchScript: an archive of a program in torch's own small
language beside its weights. Loading one never unpickles Python, and anything else under these names
is refused before torch looks at it; but what it says is run, and that language can read and write
files: take them from their owners only. A file ``NAME.sha256`` beside one of them pins it.
"""

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from model.training.sidecar import CheckpointError
from model.video_tokens.cosmos.files import Release


class Networks:
    """The two networks of a folder on a device: bf16 on a GPU as released, fp32 on a CPU."""

    def __init__(self, release: Release, folder: str | Path, device: str):
        self.folder = Path(folder)
        if problem := release.missing(self.folder):
            raise CheckpointError(problem)
        self.release = release
        self.device = torch.device(device)
        self.dtype = torch.bfloat16 if self.device.type == "cuda" else torch.float32
        self._encoder = self._load("encoder.jit")
        self._decoder = self._load("decoder.jit")

    def identity(self, name: str) -> dict[str, str]:
        """See `VideoCodec.identity`: other precision rounds to other ids."""
        files = self.release.identity(self.folder)
        return {"name": name, "version": "1", "dtype": str(self.dtype)[len("torch.") :], **files}

    def encode(self, clip: np.ndarray) -> Tensor | tuple:
        """Return the encoder's output for a clip (T, H, W, 3) uint8."""
        # A copy: arrays may run backwards or be read-only, which torch takes badly.
        pixels = torch.from_numpy(clip.copy()).to(self.device).permute(3, 0, 1, 2)[None]
        return self._run(self._encoder, "encoder.jit", (pixels.float() / 127.5 - 1).to(self.dtype))

    def decode(self, numbers: Tensor, shape: tuple[int, int, int]) -> np.ndarray:
        """Return a clip (T, H, W, 3) uint8 of `shape` (T, H, W) from what stands for it."""
        pixels = self._run(self._decoder, "decoder.jit", numbers)
        if not isinstance(pixels, Tensor) or pixels.shape != (1, 3, *shape):
            raise self.wrong("decoder.jit", f"gives {describe(pixels)}, not {(1, 3, *shape)}")
        pixels = pixels[0].float()
        if not pixels.isfinite().all():
            raise self.wrong("decoder.jit", "gives numbers that are not finite")
        pixels = ((pixels.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
        return pixels.permute(1, 2, 3, 0).cpu().numpy()

    def wrong(self, name: str, why: str) -> CheckpointError:
        """Return the error to raise about a file."""
        return CheckpointError(f"{self.folder / name} {why}")

    def _load(self, name: str) -> torch.jit.ScriptModule:
        path = self.folder / name
        _check_archive(path)
        # With this fuser, the same call gives other numbers the second time
        # (pytorch/pytorch#74534); Cosmos's own loader turns it off, too.
        torch._C._jit_set_texpr_fuser_enabled(False)
        try:
            return torch.jit.load(path, map_location=self.device).eval().to(self.dtype)
        except (RuntimeError, ValueError) as error:
            raise CheckpointError(f"{path} cannot be loaded: {said(error)}") from error

    def _run(self, network: Callable, name: str, numbers: Tensor) -> Tensor | tuple:
        try:
            with torch.no_grad():
                return network(numbers)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise self.wrong(name, f"fails for {describe(numbers)}: {said(error)}") from error


def _check_archive(path: Path) -> None:
    """Refuse what is not a TorchScript archive.

    Raises:
        CheckpointError: not a zip file, cut short, or without a program in it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
        raise CheckpointError(
            f"{path} is not a TorchScript archive, or is cut short: get it again"
        ) from error
    root = names[0].partition("/")[0] if names else ""
    program = any(name.startswith(f"{root}/code/") for name in names)
    if f"{root}/constants.pkl" not in names or not program:
        raise CheckpointError(f"{path} is a zip file but no TorchScript archive: get it again")


def describe(given: object) -> str:
    """Return the shape of a tensor, or what else it is."""
    return str(tuple(given.shape)) if isinstance(given, Tensor) else f"a {type(given).__name__}"


def said(error: Exception) -> str:
    """One line of torch's: errors within a program end in it, others begin with it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    within = bool(lines) and lines[0].startswith("The following operation failed")
    return (lines[-1 if within else 0] if lines else type(error).__name__)[:300]
