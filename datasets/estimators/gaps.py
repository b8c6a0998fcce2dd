"""Motion of some frames of a clip, made a motion of all of them."""

import dataclasses

import numpy as np

from datasets.motion import Motion
from datasets.rotation import axis_angle_to_matrix, matrix_to_axis_angle, slerp


def fill(motion: Motion, known: np.ndarray, num_frames: int) -> Motion:
    """Return a motion of `num_frames` frames, of which `motion` is those listed in `known`.

    Frames in between are interpolated, rotations along the shortest way; frames before the first
    and after the last known one are held still. Known frames stay as they are, bit for bit.

    Args:
        motion: N frames, with one (10,) betas for all.
        known: (N,) frame numbers below `num_frames`, increasing.
        num_frames: T.
    """
    frames = np.arange(num_frames)
    right = np.searchsorted(known, frames).clip(max=len(known) - 1)
    left = np.where(known[right] > frames, right - 1, right).clip(min=0)
    gap = known[right] - known[left]
    weight = (frames - known[left]) / np.maximum(gap, 1) * (gap > 0)
    missing = np.flatnonzero(weight)

    def between(array: np.ndarray, interpolate) -> np.ndarray:
        out = array[left]
        if len(missing):
            ends = array[left[missing]], array[right[missing]]
            out[missing] = interpolate(*ends, weight[missing, None])
        return out

    return dataclasses.replace(
        motion,
        body_pose=between(motion.body_pose, _turn),
        global_orient=between(motion.global_orient, _turn),
        transl=between(motion.transl, lambda a, b, w: (1 - w) * a + w * b),
    )


def _turn(start: np.ndarray, end: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Axis-angle rotations (N, 3 J) on the way from `start` to `end`, by weights (N, 1)."""
    ends = [axis_angle_to_matrix(v.reshape(len(v), -1, 3).astype(np.float64)) for v in (start, end)]
    turned = slerp(*ends, np.broadcast_to(weight, ends[0].shape[:2]))
    return matrix_to_axis_angle(turned).reshape(start.shape)
