"""Videos longer or shorter than the model's clips: windows that overlap, and motions joined."""

from collections.abc import Iterable

import numpy as np

from datasets import rotation
from datasets.motion import Motion, split_channels
from datasets.video.pad_resize import PadResize
from model.generate.pipeline import Pipeline

OVERLAP = 8  # frames that windows of a long video share at least


def motion_of_video(
    pipeline: Pipeline,
    frames: Iterable[np.ndarray],
    *,
    fps: float,
    seed: int,
    progress: bool = False,
) -> Motion:
    """Return the motion of the person in a video of any size and length, in `Pipeline.space`.

    Long videos are cut into windows that overlap, short ones are held at their last frame.

    Args:
        pipeline: the model and its tokenizers.
        frames: T pictures (H, W, 3) uint8 RGB, at least one; each is let go of once it is small.
        fps: frames per second; kept for the motion.
        seed: of the sampling; window i has the i-th of `window_seeds`.
        progress: show progress on stderr.
    """
    config = pipeline.model.config
    small = np.stack([PadResize(f.shape[1], f.shape[0], config.width).image(f) for f in frames])
    count = len(small)
    missing = max(0, config.num_frames - count)
    small = np.concatenate([small, np.repeat(small[-1:], missing, axis=0)])
    starts = window_starts(len(small), config.num_frames, min(OVERLAP, config.num_frames - 1))
    windows = np.stack([small[start : start + config.num_frames] for start in starts])
    seeds = window_seeds(seed, len(starts))
    parts = pipeline.v2m(windows, seeds, progress=progress)
    channels = join_motions(parts, starts)[:count]
    return Motion.from_channels(channels, fps=fps, space=pipeline.space)


def window_seeds(seed: int, count: int) -> list[int]:
    """Seeds of a video's windows: `seed` itself, then numbers that no other seed's windows share.

    With ``seed + i``, sample 1 would draw for window i what sample 0 drew for window i + 1.
    """
    hashed = [np.random.SeedSequence((seed, number)) for number in range(1, count)]
    return [seed, *(int(entropy.generate_state(1, np.uint64)[0] >> 1) for entropy in hashed)]


def window_starts(num_frames: int, length: int, overlap: int) -> list[int]:
    """First frames of windows that cover a video; the last one ends with it.

    Args:
        num_frames: of the video, at least `length`.
        length: of a window.
        overlap: frames that a window shares with the one before it, at least; below `length`.
    """
    last = num_frames - length
    return [*range(0, last, length - overlap), last]


def join_motions(parts: np.ndarray, starts: list[int]) -> np.ndarray:
    """One motion of the motions of overlapping windows.

    Where two overlap, the first fades into the second: rotations along the shortest arc, places
    along a line. Shape parameters, which are one person's, become their mean over all windows.

    Args:
        parts: (N, L, 79) motion channels of the windows, all in one frame of reference.
        starts: N first frames, increasing, each window beginning before the last one ends.

    Returns:
        (T, 79) float32, T the end of the last window.
    """
    joined = parts[0].astype(np.float64)
    length = parts.shape[1]
    for part, start in zip(parts[1:].astype(np.float64), starts[1:], strict=True):
        shared = len(joined) - start
        weight = np.arange(1, shared + 1) / (shared + 1)
        faded = _fade(joined[start:], part[:shared], weight)
        joined = np.concatenate([joined[:start], faded, part[shared:length]])
    split_channels(joined)["betas"][:] = parts[..., 66:76].mean(axis=(0, 1))
    return joined.astype(np.float32)


def _fade(first: np.ndarray, second: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Channels (n, 79) from `first` to `second` as the weights (n,) say."""
    out = first + weight[:, None] * (second - first)
    turns = [
        rotation.axis_angle_to_matrix(part[:, :66].reshape(len(part), 22, 3))
        for part in (first, second)
    ]
    between = rotation.slerp(*turns, np.repeat(weight[:, None], 22, axis=1))
    out[:, :66] = rotation.matrix_to_axis_angle(between).reshape(len(out), 66)
    return out
