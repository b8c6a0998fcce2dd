"""Pixel blocks of a video: the pixels that one token stands for.

Latent frame 0 is frame 0, latent frame i >= 1 is frames 8 i - 7 to 8 i.

Shapes: N videos, h x w blocks of F frames (1 or 8) by 16 x 16 pixels.
"""

import numpy as np

from model.video_tokens.codec import SPATIAL, TEMPORAL


def frames_of(latent: int) -> slice:
    """Return the frames of a latent frame."""
    return slice(0, 1) if latent == 0 else slice(TEMPORAL * (latent - 1) + 1, TEMPORAL * latent + 1)


def to_blocks(frames: np.ndarray) -> np.ndarray:
    """Blocks (N, h, w, F, 16, 16, 3) of the frames (N, F, H, W, 3) of one latent frame."""
    clips, count, height, width, channels = frames.shape
    sides = (height // SPATIAL, SPATIAL, width // SPATIAL, SPATIAL)
    return frames.reshape(clips, count, *sides, channels).transpose(0, 2, 4, 1, 3, 5, 6)


def from_blocks(blocks: np.ndarray) -> np.ndarray:
    """Inverse of `to_blocks`."""
    clips, rows, columns, count, side, _, channels = blocks.shape
    frames = blocks.transpose(0, 3, 1, 4, 2, 5, 6)
    return frames.reshape(clips, count, rows * side, columns * side, channels)


def to_pixels(values: np.ndarray) -> np.ndarray:
    """uint8 pixels of values from 0 to 1, clipped."""
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
