"""The built-in video codec: a small causal network over block coefficients, with Cosmos's ids.

A block's pixels become the coefficients of a basis fitted to the videos (principal components); a
convolutional network makes of them, with a view of the blocks around and before, six numbers for
`fsq`; another one makes coefficients again. The bases are orthonormal, so the squared error of
coefficients is that of pixels, and training never touches a pixel.

Shapes: N videos of T frames, t latent frames of h x w blocks; C coefficients of a block.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from model.training.checkpoint import weights_sha256
from model.training.config_checks import Config, Count, require
from model.training.saved_model import SavedModel
from model.video_tokens import fsq
from model.video_tokens.codec import (
    SPATIAL,
    TEMPORAL,
    checked_frames,
    checked_ids,
    latent_shape,
    like_input,
    num_frames,
)
from model.video_tokens.fitted.blocks import frames_of, from_blocks, to_blocks, to_pixels
from model.video_tokens.fitted.network import BlockNetwork

FIRST_PIXELS = SPATIAL * SPATIAL * 3  # numbers of a block in the first latent frame
LATER_PIXELS = TEMPORAL * FIRST_PIXELS
FITTED_BLOCKS = 8192  # that a basis is fitted to: 200 MB
SD_FLOOR = 0.01  # of a coefficient, pixels running from 0 to 1: less is noise
FIRST_WEIGHT = 8.0  # the first frame counts as much as eight others
PIECE = 4096  # blocks of a latent frame that are computed at once


@dataclass(frozen=True, kw_only=True)
class FittedCodecConfig(Config):
    """Shape of the codec.

    Attributes:
        coefficients: kept of a block.
        width: channels of the network.
        encoder_blocks: residual blocks before the ids.
        decoder_blocks: residual blocks after them.
    """

    coefficients: Count = 80
    width: Count = 96
    encoder_blocks: Count = 2
    decoder_blocks: Count = 4

    def __post_init__(self):
        super().__post_init__()
        require(
            self.coefficients <= FIRST_PIXELS,
            f"a block has {FIRST_PIXELS} coefficients at most, got {self.coefficients}",
        )


class FittedCodec(SavedModel):
    """Bases and networks on both sides of `fsq`; once trained, a `VideoCodec`."""

    config_class = FittedCodecConfig
    name = "fitted"
    decoder = "a small network fitted to the training videos (built in): soft, coarse pictures"

    def __init__(self, config: FittedCodecConfig):
        super().__init__()
        self.config = config
        self.first = _Basis(FIRST_PIXELS, config.coefficients)
        self.later = _Basis(LATER_PIXELS, config.coefficients)
        half = config.decoder_blocks // 2
        self.analysis = BlockNetwork(
            config.coefficients,
            fsq.NUM_DIGITS,
            width=config.width,
            groups=[config.encoder_blocks],
            kernel=1,
        )
        self.synthesis = BlockNetwork(
            fsq.NUM_DIGITS,
            config.coefficients,
            width=config.width,
            groups=[config.decoder_blocks - half, half],
            kernel=3,
        )
        self._sha256: str | None = None

    def train(self, mode: bool = True) -> "FittedCodec":
        """Set the mode, like `torch.nn.Module.train`, and forget the hash: weights may change."""
        self._sha256 = None
        return super().train(mode)

    def identity(self) -> dict[str, str]:
        """Name, version, settings, and sha256 of the weights."""
        if self._sha256 is None:
            self._sha256 = weights_sha256(self)
        return {
            "name": self.name,
            "version": "1",
            "config": json.dumps(self.config.to_dict(), sort_keys=True),
            "weights_sha256": self._sha256,
        }

    @torch.no_grad()
    def encode(self, frames: np.ndarray) -> np.ndarray:
        """Ids (t, h, w) of a video, (N, t, h, w) of several; see `VideoCodec.encode`."""
        videos = checked_frames(frames)
        shape = latent_shape(*videos.shape[1:4])
        ids = np.empty((len(videos), *shape), np.int64)
        for piece in _pieces(len(videos), shape):
            numbers = self.analysis(self.project(videos[piece]))
            ids[piece] = fsq.encode(numbers.movedim(2, -1)).cpu().numpy()
        return like_input(ids, frames, single=4)

    @torch.no_grad()
    def decode(self, ids: np.ndarray) -> np.ndarray:
        """Videos of ids; see `VideoCodec.decode`."""
        videos = checked_ids(ids)
        clips, *shape = videos.shape
        sides = (shape[1] * SPATIAL, shape[2] * SPATIAL)
        frames = np.empty((clips, num_frames(shape[0]), *sides, 3), np.uint8)
        for piece in _pieces(clips, shape):
            codes = fsq.decode(videos[piece]).to(self.first.mean.device).movedim(-1, 2)
            coefficients = self.synthesis(codes).movedim(2, -1)
            for latent in range(shape[0]):
                pixels = self._basis(latent).rebuild(coefficients[:, latent]).cpu().numpy()
                blocks = pixels.reshape(*pixels.shape[:3], -1, SPATIAL, SPATIAL, 3)
                frames[piece, frames_of(latent)] = from_blocks(to_pixels(blocks))
        return like_input(frames, ids, single=3)

    @torch.no_grad()
    def project(self, frames: np.ndarray) -> Tensor:
        """Coefficients (N, t, C, h, w), in standard deviations, of (N, T, H, W, 3) uint8 frames."""
        latents = []
        for latent in range(latent_shape(*frames.shape[1:4])[0]):
            blocks = np.array(to_blocks(frames[:, frames_of(latent)]), order="C")
            flat = torch.from_numpy(blocks.reshape(*blocks.shape[:3], -1))
            pixels = flat.to(self.first.mean.device).float() / 255
            latents.append(self._basis(latent).project(pixels))
        return torch.stack(latents, dim=1).movedim(-1, 2)

    def loss(self, coefficients: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Squared error of the pixels that the coefficients stand for.

        Args:
            coefficients: (N, t, C, h, w) of `project`.

        Returns:
            The scalar to minimise: the error as a share of the variance of a later block, the
            first latent frame weighted; to log, the mean squared error of a pixel from 0 to 1
            (without what the bases leave out).
        """
        numbers = self.analysis(coefficients).movedim(2, -1)
        found = self.synthesis(fsq.quantize(numbers).movedim(-1, 2))
        squares = (found - coefficients).square().mean((0, 3, 4))  # (t, C)
        first = squares[0] @ self.first.sd.square()
        later = (squares[1:] @ self.later.sd.square()).sum()
        latents = len(squares)
        total = (FIRST_WEIGHT * first + later) / (latents * self.later.sd.square().sum())
        mse = (first + later) / (FIRST_PIXELS + (latents - 1) * LATER_PIXELS)
        return total, {"mse": mse}

    def fit_statistics(self, frames: np.ndarray) -> None:
        """Fit both bases to blocks of the videos and of their mirror images.

        Args:
            frames: (N, T, H, W, 3) uint8, at least 9 frames.

        Raises:
            ValueError: videos of one frame, or of a size without a latent one.
        """
        latents, rows, columns = latent_shape(*frames.shape[1:4])
        require(latents > 1, "a basis is fitted to videos of at least 9 frames")
        self._sha256 = None
        for basis, lowest, highest in ((self.first, 0, 1), (self.later, 1, latents)):
            there = len(frames) * (highest - lowest) * rows * columns
            count = min(FITTED_BLOCKS, 2 * there)
            rng = np.random.default_rng(0)  # the basis follows from the frames alone
            limits = ((0, len(frames)), (lowest, highest), (0, rows), (0, columns))
            draws = [rng.integers(low, high, count) for low, high in limits]
            blocks = np.empty((count, len(basis.mean)), np.uint8)
            for number, (clip, latent, row, column) in enumerate(zip(*draws, strict=True)):
                block = frames[
                    clip,
                    frames_of(latent),
                    row * SPATIAL : (row + 1) * SPATIAL,
                    column * SPATIAL : (column + 1) * SPATIAL,
                ]
                blocks[number] = (block[:, :, ::-1] if number % 2 else block).ravel()
            # float32 on the CPU, wherever the network is: once, and the same for all devices.
            basis.fit(torch.from_numpy(blocks).float().div_(255))

    def save(self, path: str | Path, *, extra: dict | None = None, half: bool = True) -> Path:
        """Write the checkpoint in half precision, see `SavedModel.save`.

        The weights here are rounded to it too: this codec gives what the loaded one will.
        """
        for tensor in self.state_dict().values():
            tensor.copy_(tensor.half())
        self._sha256 = None
        return super().save(path, extra=extra, half=half)

    def _basis(self, latent: int) -> "_Basis":
        return self.first if latent == 0 else self.later


class _Basis(nn.Module):
    """Principal components of blocks: pixels (..., P) to coefficients (..., C) and back."""

    def __init__(self, pixels: int, coefficients: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(pixels))
        self.register_buffer("vectors", torch.zeros(pixels, coefficients))
        self.register_buffer("sd", torch.ones(coefficients))

    def project(self, pixels: Tensor) -> Tensor:
        return (pixels - self.mean) @ self.vectors / self.sd

    def rebuild(self, coefficients: Tensor) -> Tensor:
        return (coefficients * self.sd) @ self.vectors.T + self.mean

    @torch.no_grad()
    def fit(self, blocks: Tensor) -> None:
        """Set it from blocks (N, P), by subspace iteration: a full decomposition takes minutes."""
        mean = blocks.mean(0)
        blocks -= mean
        size, count = self.vectors.shape
        start = torch.randn(size, min(size, count + 16), generator=torch.Generator().manual_seed(0))
        space = torch.linalg.qr(start).Q
        for _ in range(4):
            space = torch.linalg.qr(blocks.T @ (blocks @ space)).Q
        inside = blocks @ space
        # Eigenvalues come in increasing order.
        variances, axes = torch.linalg.eigh((inside.T @ inside).double() / len(blocks))
        self.mean.copy_(mean)
        self.vectors.copy_(space @ axes.flip(1)[:, :count].float())
        self.sd.copy_(variances.flip(0)[:count].clamp(min=SD_FLOOR**2).sqrt())


def _pieces(clips: int, shape: Sequence[int]) -> list[slice]:
    """Videos of latent `shape` (t, h, w) that are computed together."""
    step = max(1, PIECE // (shape[1] * shape[2]))
    return [slice(start, start + step) for start in range(0, clips, step)]
