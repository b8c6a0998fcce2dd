"""The interface of video codecs: pictures to ids of Cosmos's 64,000 words and back.

The first frame is a latent frame of its own, every later one stands for eight frames; a token is
16 x 16 pixels of its latent frame. Codecs are causal: what a latent frame is depends on no frame
after its own. Standard library and numpy only.

Shapes: N videos of T = 1 + 8 n frames, H x W pixels; t = 1 + n, h = H / 16, w = W / 16.
"""

from typing import Protocol

import numpy as np

from model.token_ids import require_ids

TEMPORAL = 8  # frames of every latent frame but the first
SPATIAL = 16  # pixels of a token's side
VOCABULARY = 64_000


class VideoCodec(Protocol):
    """Pictures to ids and back."""

    name: str
    """Short: ``linear``, ``fitted``, ``cosmos-dv8x16x16``."""

    decoder: str
    """One line: what makes the pixels, for whoever looks at them."""

    def identity(self) -> dict[str, str]:
        """Return the codec's part of cache keys: name, version, weights."""

    def encode(self, frames: np.ndarray) -> np.ndarray:
        """Ids of videos.

        Args:
            frames: (T, H, W, 3) or (N, T, H, W, 3) uint8 RGB.

        Returns:
            (t, h, w) or (N, t, h, w) int64.

        Raises:
            ValueError: not such frames.
        """

    def decode(self, ids: np.ndarray) -> np.ndarray:
        """Videos of ids.

        Args:
            ids: (t, h, w) or (N, t, h, w) integers.

        Returns:
            (T, H, W, 3) or (N, T, H, W, 3) uint8 RGB.

        Raises:
            ValueError: not such ids.
        """


def latent_shape(num_frames: int, height: int, width: int) -> tuple[int, int, int]:
    """(t, h, w) of a video.

    Raises:
        ValueError: a number of frames other than 1 + 8 n, or a side that is no multiple of 16.
    """
    if num_frames < 1 or (num_frames - 1) % TEMPORAL:
        raise ValueError(
            f"a video codec takes 1 + {TEMPORAL} n frames (1, 9, 17, ... 65), got {num_frames}"
        )
    if min(height, width) < 1 or height % SPATIAL or width % SPATIAL:
        raise ValueError(
            f"a video codec takes pictures with sides that are multiples of {SPATIAL} pixels, "
            f"got {width} x {height}"
        )
    return 1 + (num_frames - 1) // TEMPORAL, height // SPATIAL, width // SPATIAL


def num_frames(num_latents: int) -> int:
    """Frames of a video of so many latent frames, at least 1."""
    return 1 + TEMPORAL * (num_latents - 1)


def checked_frames(frames: np.ndarray) -> np.ndarray:
    """(N, T, H, W, 3) uint8, with an axis of one video where `frames` is a single one.

    Raises:
        ValueError: another dtype, another number of axes or channels, a size without a latent one.
    """
    frames = np.asarray(frames)
    if frames.dtype != np.uint8:
        raise ValueError(f"frames must be uint8 RGB from 0 to 255, got {frames.dtype}")
    if frames.ndim not in (4, 5) or frames.shape[-1] != 3:
        raise ValueError(f"frames must be (T, H, W, 3) or (N, T, H, W, 3), got {frames.shape}")
    latent_shape(*frames.shape[-4:-1])
    return frames if frames.ndim == 5 else frames[None]


def checked_ids(ids: np.ndarray) -> np.ndarray:
    """(N, t, h, w) int64, with an axis of one video where `ids` is of a single one.

    Raises:
        ValueError: another dtype or number of axes, no latent frame at all, ids out of range.
    """
    ids = np.asarray(ids)
    require_ids("video ids", ids, VOCABULARY)
    if ids.ndim not in (3, 4) or 0 in ids.shape[-3:]:
        raise ValueError(f"video ids must be (t, h, w) or (N, t, h, w), got {ids.shape}")
    ids = ids.astype(np.int64)
    return ids if ids.ndim == 4 else ids[None]


def like_input(result: np.ndarray, given: np.ndarray, *, single: int) -> np.ndarray:
    """`result` (N, ...) without its first axis where `given` was one video of `single` axes."""
    return result[0] if np.ndim(given) == single else result
