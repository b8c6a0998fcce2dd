"""A video codec without any training: six hand-made coefficients a block, on the grid of `fsq`.

Everything follows from this file. It is there for tests and golden values: at 64 pixels its
pictures are coloured blocks. Of a block, with x, y, t running from -1 to 1 over it,

    luma Y = a + b x + c y + d t (in the first frame d x y),  chroma Cb, Cr = one value each

by least squares; a, b, c have eight levels, Cb, Cr and d five.
"""

import numpy as np

from model.video_tokens import fsq
from model.video_tokens.codec import (
    SPATIAL,
    TEMPORAL,
    checked_frames,
    checked_ids,
    like_input,
)
from model.video_tokens.fitted.blocks import frames_of, from_blocks, to_blocks, to_pixels

# Rows: Y, Cb, Cr of full-range BT.601, from R, G, B.
_TO_YCC = np.array(
    [
        [0.299, 0.587, 0.114],
        [-0.168736, -0.331264, 0.5],
        [0.5, -0.418688, -0.081312],
    ]
)
_FROM_YCC = np.linalg.inv(_TO_YCC)
_LEVELS = np.array(fsq.LEVELS)
# The value of digit k is _FIRST + k * _STEP. Luma has black and white; all others have 0, so that
# what is flat and grey stays so. The other steps are the best of a few tried on rendered videos.
_STEP = np.array([1 / 7, 0.07, 0.07, 0.05, 0.05, 0.1])
_FIRST = -_STEP * np.array([0, 4, 4, 2, 2, 2])


class LinearCodec:
    """Six coefficients a block; a `model.video_tokens.codec.VideoCodec`."""

    name = "linear"
    decoder = "six hand-made coefficients a block (no training): coloured blocks, not pictures"

    def identity(self) -> dict[str, str]:
        """Name and version: there are no weights."""
        return {"name": self.name, "version": "1"}

    def encode(self, frames: np.ndarray) -> np.ndarray:
        """Ids (t, h, w) of a video, (N, t, h, w) of several; see `VideoCodec.encode`."""
        videos = checked_frames(frames)
        latents = 1 + (videos.shape[1] - 1) // TEMPORAL
        ids = [_encode(videos[:, frames_of(latent)]) for latent in range(latents)]
        return like_input(np.stack(ids, axis=1), frames, single=4)

    def decode(self, ids: np.ndarray) -> np.ndarray:
        """Videos of ids; see `VideoCodec.decode`."""
        latents = checked_ids(ids)
        frames = [
            _decode(latents[:, i], 1 if i == 0 else TEMPORAL) for i in range(latents.shape[1])
        ]
        return like_input(np.concatenate(frames, axis=1), ids, single=3)


def _encode(frames: np.ndarray) -> np.ndarray:
    """Ids (N, h, w) of the frames (N, F, H, W, 3) of one latent frame."""
    colours = to_blocks(frames) / 255.0 @ _TO_YCC.T
    patterns = _patterns(frames.shape[1])
    luma = np.tensordot(
        colours[..., 0],
        patterns / (patterns**2).sum((1, 2, 3), keepdims=True),
        axes=((3, 4, 5), (1, 2, 3)),
    )
    chroma = colours[..., 1:].mean((3, 4, 5))
    values = np.concatenate([luma[..., :3], chroma, luma[..., 3:]], axis=-1)
    digits = np.clip(np.rint((values - _FIRST) / _STEP), 0, _LEVELS - 1)
    return fsq.from_digits(digits).numpy()


def _decode(ids: np.ndarray, count: int) -> np.ndarray:
    """Return the `count` frames (N, F, H, W, 3) of one latent frame's ids (N, h, w)."""
    values = fsq.digits(ids).numpy() * _STEP + _FIRST
    luma = np.tensordot(values[..., [0, 1, 2, 5]], _patterns(count), axes=1)
    chroma = np.broadcast_to(values[..., None, None, None, 3:5], (*luma.shape, 2))
    colours = np.concatenate([luma[..., None], chroma], axis=-1)
    return from_blocks(to_pixels(colours @ _FROM_YCC.T))


def _patterns(count: int) -> np.ndarray:
    """The four orthogonal patterns (4, F, 16, 16) of luma in a block of F = `count` frames."""
    across = np.linspace(-1, 1, SPATIAL)
    t, y, x = np.meshgrid(np.linspace(-1, 1, count), across, across, indexing="ij")
    return np.stack([np.ones_like(x), x, y, x * y if count == 1 else t])
