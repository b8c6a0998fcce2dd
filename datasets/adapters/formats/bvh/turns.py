"""Rotations between directions, and about them."""

import numpy as np

from datasets import rotation


def smallest_rotation(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """(..., 3, 3) turns unit vectors `start` (..., 3) to `end` (..., 3) the shortest way."""
    start, end = np.broadcast_arrays(start, end)
    axis = np.cross(start, end)
    cosine = np.sum(start * end, axis=-1)[..., None, None]
    # Opposite vectors: half a turn about any axis across.
    spare = np.eye(3)[np.abs(start).argmin(axis=-1)]
    spare = unit(np.cross(start, spare))[..., None]
    half_turn = 2 * spare * np.swapaxes(spare, -1, -2) - np.eye(3)
    cross = np.cross(np.eye(3), axis[..., None, :])
    with np.errstate(divide="ignore", invalid="ignore"):
        turn = np.eye(3) + cross + cross @ cross / (1 + cosine)
    return np.where(cosine < -1 + 1e-9, half_turn, turn)


def mean_twist(world: np.ndarray, parent: np.ndarray, own: np.ndarray) -> float:
    """Angle about the bone that takes `world`, on average, to the parent without twist."""
    bone, before = world @ own, parent @ own
    relative = np.swapaxes(world, 1, 2) @ smallest_rotation(before, bone) @ parent
    # Where the bone points back along the parent's, its twist has no meaning.
    weight = 1 + np.sum(bone * before, axis=1)
    mean = np.average(relative, axis=0, weights=weight + 1e-9)
    sine = own @ [mean[2, 1] - mean[1, 2], mean[0, 2] - mean[2, 0], mean[1, 0] - mean[0, 1]]
    return float(np.arctan2(sine, np.trace(mean) - own @ mean @ own))


def part_way(start: np.ndarray, end: np.ndarray, own: np.ndarray, part: float) -> np.ndarray:
    """Orientations a part of the way: a part of the bend, and of the twist about the bone `own`."""
    bend = smallest_rotation(start @ own, end @ own)
    twist = np.swapaxes(bend @ start, 1, 2) @ end
    return _power(bend, part) @ start @ _power(twist, part)


def _power(rotations: np.ndarray, part: float) -> np.ndarray:
    return rotation.axis_angle_to_matrix(part * rotation.matrix_to_axis_angle(rotations))


def unit(vectors: np.ndarray) -> np.ndarray:
    """Return unit vectors (..., 3); zeros stay zeros."""
    norm = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(norm > 0, norm, 1)
