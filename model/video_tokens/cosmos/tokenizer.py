"""Cosmos's released tokenizers: DV8x16x16, pictures to ids, and CV8x8x8, pictures to latents.

NVIDIA's weights are the user's own (NVIDIA Open Model License); nothing is ever downloaded. Each is
a folder with ``encoder.jit`` and ``decoder.jit``, see `model.video_tokens.cosmos.networks`.

Facts about the calls: nvidia-cosmos/cosmos-predict1, ``autoregressive/tokenizer/discrete_video.py``
and ``diffusion/module/pretrained_vae.py``. A clip is one causal window, however long it is; cut
into pieces it would get other ids.

Shapes: a clip of T = 1 + 8 n frames, H x W pixels, has t = 1 + n latent frames; h, w are sides in
tokens (H / 16) or latents (H / 8).
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from model.training.sidecar import CheckpointError
from model.video_tokens.codec import (
    SPATIAL,
    VOCABULARY,
    checked_frames,
    checked_ids,
    latent_shape,
    like_input,
    num_frames,
)
from model.video_tokens.cosmos.files import CV, DV
from model.video_tokens.cosmos.networks import Networks, describe, said

CHANNELS = 16  # of a latent of CV8x8x8
_SIGMA_DATA = 0.5  # standard deviation of the latents that diffusion works on


class CosmosDV:
    """DV8x16x16, discrete tokens; a `model.video_tokens.codec.VideoCodec`.

    Clips go through one at a time: 65 frames of 512 x 512 fill a GPU.
    """

    name = "cosmos-dv8x16x16"
    decoder = "Cosmos DV8x16x16's own decoder, without diffusion"

    def __init__(self, networks: Networks):
        self._networks = networks

    @classmethod
    def load(cls, folder: str | Path, device: str = "cpu") -> "CosmosDV":
        """Load ``encoder.jit`` and ``decoder.jit``.

        Args:
            folder: of both.
            device: ``cpu``, ``cuda`` or ``cuda:N``.

        Raises:
            CheckpointError: a file is missing, or is no TorchScript archive.
        """
        return cls(Networks(DV, folder, device))

    def identity(self) -> dict[str, str]:
        """Name, precision and sha256 of the files; see `VideoCodec.identity`."""
        return self._networks.identity(self.name)

    def encode(self, frames: np.ndarray) -> np.ndarray:
        """Ids (t, h, w) of a video, (N, t, h, w) of several; see `VideoCodec.encode`.

        Raises:
            ValueError: not such frames.
            CheckpointError: ``encoder.jit`` gives something else than ids of this shape.
        """
        clips = checked_frames(frames)
        ids = np.empty((len(clips), *latent_shape(*clips.shape[1:4])), np.int64)
        for row, clip in zip(ids, clips, strict=True):
            row[...] = self._ids(self._networks.encode(clip), row.shape)
        return like_input(ids, frames, single=4)

    def decode(self, ids: np.ndarray) -> np.ndarray:
        """Videos of ids; see `VideoCodec.decode`.

        Raises:
            ValueError: not such ids.
            CheckpointError: ``decoder.jit`` gives something else than pictures of this size.
        """
        latents = checked_ids(ids)
        _, t, h, w = latents.shape
        shape = (num_frames(t), SPATIAL * h, SPATIAL * w)
        frames = np.empty((len(latents), *shape, 3), np.uint8)
        for row, latent in zip(frames, latents, strict=True):
            tokens = torch.from_numpy(latent).to(self._networks.device, torch.int32)[None]
            row[...] = self._networks.decode(tokens, shape)
        return like_input(frames, ids, single=3)

    def _ids(self, given: object, shape: tuple[int, ...]) -> np.ndarray:
        """Return the ids (t, h, w) among (ids, codes) or (ids, codes, loss)."""
        if not isinstance(given, tuple) or len(given) not in (2, 3):
            raise self._networks.wrong("encoder.jit", "gives no (ids, codes, loss): not DV8x16x16")
        ids = given[0]
        if not isinstance(ids, Tensor) or ids.is_floating_point() or ids.shape != (1, *shape):
            why = f"gives {describe(ids)} instead of {(1, *shape)} ids"
            raise self._networks.wrong("encoder.jit", why)
        ids = ids[0].cpu().numpy()
        if ids.min() < 0 or ids.max() >= VOCABULARY:
            why = f"gives ids from {ids.min()} to {ids.max()} instead of 0 to {VOCABULARY - 1}"
            raise self._networks.wrong("encoder.jit", why)
        return ids


class CosmosCV:
    """CV8x8x8, continuous latents as the diffusion decoder has them.

    A latent z is 0.5 (y - mean) / std of the encoder's y, with the mean and the std of its channel
    and of its *place in time*: the first latent frame has other statistics than the second.
    """

    name = "cosmos-cv8x8x8"

    def __init__(self, networks: Networks, mean: Tensor, std: Tensor):
        self._networks, self._mean, self._std = networks, mean, std

    @classmethod
    def load(cls, folder: str | Path, device: str = "cpu") -> "CosmosCV":
        """Load ``encoder.jit``, ``decoder.jit`` and ``mean_std.pt``.

        Args:
            folder: of the three.
            device: ``cpu``, ``cuda`` or ``cuda:N``.

        Raises:
            CheckpointError: a file is missing, or is not what it should be.
        """
        networks = Networks(CV, folder, device)
        return cls(networks, *_statistics(networks))

    def identity(self) -> dict[str, str]:
        """Name, precision and sha256 of the files."""
        return self._networks.identity(self.name)

    def encode(self, frames: np.ndarray) -> np.ndarray:
        """Latents (16, t, h, w) float32 of a video, (N, 16, t, h, w) of several.

        Args:
            frames: (T, H, W, 3) or (N, T, H, W, 3) uint8 RGB, sides multiples of 16 as for tokens.

        Raises:
            ValueError: not such frames, or longer than the statistics.
            CheckpointError: ``encoder.jit`` gives something else than such latents.
        """
        clips = checked_frames(frames)
        t, h, w = latent_shape(*clips.shape[1:4])
        shape = (CHANNELS, t, 2 * h, 2 * w)
        mean, std = self._at(t)
        latents = np.empty((len(clips), *shape), np.float32)
        for row, clip in zip(latents, clips, strict=True):
            answer = self._networks.encode(clip)
            answer = answer[0] if isinstance(answer, tuple) else answer
            if not isinstance(answer, Tensor) or answer.shape != (1, *shape):
                why = f"gives {describe(answer)} instead of latents {(1, *shape)}"
                raise self._networks.wrong("encoder.jit", why)
            row[...] = (_SIGMA_DATA * (answer[0].float() - mean) / std).cpu().numpy()
        return like_input(latents, frames, single=4)

    def decode(self, latents: np.ndarray) -> np.ndarray:
        """Videos (T, H, W, 3) or (N, T, H, W, 3) uint8 RGB.

        Args:
            latents: (16, t, h, w) or (N, 16, t, h, w) floats.

        Raises:
            ValueError: not such latents, or longer than the statistics.
            CheckpointError: ``decoder.jit`` gives something else than pictures of this size.
        """
        values = np.asarray(latents, np.float32)
        if (
            values.ndim not in (4, 5)
            or values.shape[-4] != CHANNELS
            or not np.isfinite(values).all()
        ):
            raise ValueError(f"latents must be finite (N, {CHANNELS}, t, h, w), got {values.shape}")
        _, _, t, h, w = (values if values.ndim == 5 else values[None]).shape
        shape = (num_frames(t), 8 * h, 8 * w)
        mean, std = self._at(t)
        clips = values.reshape(-1, CHANNELS, t, h, w)
        frames = np.empty((len(clips), *shape, 3), np.uint8)
        for row, clip in zip(frames, clips, strict=True):
            numbers = (
                torch.from_numpy(clip.copy()).to(self._networks.device) / _SIGMA_DATA * std + mean
            )
            row[...] = self._networks.decode(numbers.to(self._networks.dtype)[None], shape)
        return like_input(frames, latents, single=4)

    def _at(self, num_latents: int) -> tuple[Tensor, Tensor]:
        """Mean and std (16, t, 1, 1) of the first t latent frames."""
        known = self._mean.shape[1]
        if num_latents > known:
            raise ValueError(
                f"{self._networks.folder / 'mean_std.pt'} has statistics of {known} latent frames, "
                f"not of {num_latents}: decode in shorter windows"
            )
        return self._mean[:, :num_latents], self._std[:, :num_latents]


def _statistics(networks: Networks) -> tuple[Tensor, Tensor]:
    """Mean and std (16, places in time, 1, 1) of ``mean_std.pt``: a pair of tensors, flattened."""
    path = networks.folder / "mean_std.pt"
    try:
        pair = torch.load(path, map_location=networks.device, weights_only=True)
    except Exception as error:  # damaged pickles fail in all ways: IndexError, KeyError, ...
        raise CheckpointError(f"{path} is not a file of tensors: {said(error)}") from error
    whole = isinstance(pair, tuple | list) and len(pair) == 2
    if not whole or not all(isinstance(part, Tensor) and part.numel() for part in pair):
        raise CheckpointError(f"{path} does not hold a mean and a std")
    mean, std = (part.to(networks.dtype).float() for part in pair)  # rounded as in the release
    if mean.shape != std.shape or mean.numel() % CHANNELS:
        raise CheckpointError(f"{path}: mean {describe(mean)} and std {describe(std)} do not fit")
    if not mean.isfinite().all() or not std.isfinite().all() or not (std > 0).all():
        raise CheckpointError(f"{path}: a mean or std is not finite, or a std is not positive")
    return mean.reshape(CHANNELS, -1, 1, 1), std.reshape(CHANNELS, -1, 1, 1)
