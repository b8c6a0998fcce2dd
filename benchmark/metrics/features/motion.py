"""Kinetic and geometric features of motions, as AIST++ and Duolando compute them.

Of AIST++ (``aist_plusplus/features``) by way of Duolando (``utils/features``). FID and DIV on them
are `benchmark.metrics.diversity`'s.

Positions are in metres in a frame whose y axis points up. Camera space (y down) is not one; its
joints (x, y, z) become (x, -y, -z), upright where the camera is level.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmark.metrics.arrays import finite
from benchmark.metrics.features.geometric_tests import JOINT_NAMES, geometric_shares, norm
from datasets.motion import require

MODES = ("upstream", "corrected")

_SMPLX_JOINTS = 55
_HANDS = ((25, 28, 31, 34, 37), (40, 43, 46, 49, 52))  # SMPL-X: first joints of the five fingers
_WINDOW = 2  # frames on either side over which velocities and accelerations are averaged
_UPRIGHT = 0.5  # a body stands along an axis where this share of its height lies along it
_PIECE = 32  # clips of 65 frames whose joints, 1.2 MB, stay in a CPU's cache


def joints24_from_smplx(joints55: Any) -> np.ndarray:
    """Return the 24 joints of the features from SMPL-X's 55 (Duolando ``calc_and_save_feats``).

    Joints 0 to 21 are the same; the hands 22 and 23, which SMPL-X lacks, are the means of the five
    fingers' first joints. SMPL-X's own joints 22 to 24 are the jaw and the eyes.

    Args:
        joints55: (..., 55, 3) metres, in any frame of reference; numpy or torch.

    Returns:
        (..., 24, 3) float64.

    Raises:
        ValueError: another shape, or numbers that are not finite.
    """
    joints = finite("joints55", joints55)
    require(
        joints.ndim >= 2 and joints.shape[-2:] == (_SMPLX_JOINTS, 3),
        f"joints55 has shape {joints.shape}, expected (..., {_SMPLX_JOINTS}, 3)",
    )
    hands = [joints[..., list(fingers), :].mean(axis=-2, keepdims=True) for fingers in _HANDS]
    return np.concatenate([joints[..., :22, :], *hands], axis=-2)


def kinetic_features(
    joints24: Any, mode: str = "upstream", frame_time: float = 1.0 / 60.0, *, check_up: bool = True
) -> np.ndarray:
    """Mean squared velocities and accelerations of each joint (Duolando ``features/kinetic.py``).

    For every joint j the columns 3j, 3j+1 and 3j+2 are means over the frames i = 1 .. T-1 of
    v_x^2 + v_z^2 and v_y^2 (m^2/s^2) and of |a| (m/s^2), where

    * v is the mean over frames k of (x_k - x_{k-1}) / dt,
    * a is the mean over frames k of (x_{k+1} - 2 x_k + x_{k-1}) / dt^2,

    k within two frames of i, as far as the frames they need exist, and x the position relative to
    the root of the first frame.

    The upstream code forgets a division by dt, which adds x_k (1/dt^2 - 1/dt) to every
    acceleration, 3540 x_k at 1/60 s: its third column mostly measures how far the joint is from
    where the root began. Published numbers contain it, so mode ``upstream`` does.

    Args:
        joints24: (T, 24, 3) one clip, or (N, T, 24, 3) clips; metres, y up, T >= 3.
        mode: ``upstream``, or ``corrected`` for true accelerations.
        frame_time: dt, seconds. Upstream takes 1/60 for data of any rate; normalised features
            hardly depend on it.
        check_up: refuse bodies that seem to stand along another axis than y; to be switched off
            for motions that may lie on the floor or be upside down.

    Returns:
        (72,) float64 for one clip, (N, 72) for clips.

    Raises:
        ValueError: another shape, fewer than three frames, numbers that are not finite, bodies
            that do not stand along y, an unknown mode, a frame time that is not positive.
    """
    require(mode in MODES, f"unknown mode {mode!r}: choose {', '.join(MODES)}")
    require(0 < frame_time < math.inf, f"frame_time must be positive, got {frame_time}")
    return _each_piece(
        joints24,
        lambda clips: _kinetic(clips, frame_time, defect=mode == "upstream"),
        frames=3,
        check_up=check_up,
    )


def geometric_features(joints24: Any, *, check_up: bool = True) -> np.ndarray:
    """Return 32 geometric tests' shares of frames (Duolando ``features/manual_new.py``).

    The tests (`benchmark.metrics.features.geometric_tests`) ask for bent elbows and knees, spread
    limbs, raised hands and feet, fast hands, feet and root, ...; each column is the share of the
    frames 1 .. T-1 in which one holds.
    Velocities are displacements from the frame before, divided by 1/120 s whatever the frame rate:
    at f frames per second thresholds are in effect f/120 of what the table says. Where a direction
    is undefined, as between joints in the same place, a test does not hold.

    Two pairs of upstream's tests are no mirror images: column 0 asks for a right hand that moves
    backwards, 1 for a left one that moves forwards; 14 for a right ankle in front of the left leg,
    15 for a left one behind the right leg.

    Args:
        joints24: (T, 24, 3) one clip, or (N, T, 24, 3) clips; metres, y up, T >= 2.
        check_up: as in `kinetic_features`.

    Returns:
        (32,) float64 in [0, 1] for one clip, (N, 32) for clips.

    Raises:
        ValueError: another shape, fewer than two frames, numbers that are not finite, bodies that
            do not stand along y.
    """
    return _each_piece(joints24, geometric_shares, frames=2, check_up=check_up)


def _kinetic(clips: np.ndarray, frame_time: float, *, defect: bool) -> np.ndarray:
    """(N, 72) kinetic features of (N, T, 24, 3) clips.

    Sums of differences over a window are differences of its ends.
    """
    x = clips - clips[:, :1, :1]
    frames = x.shape[1]
    at = np.arange(1, frames)
    first = np.maximum(at - _WINDOW, 1)

    last = np.minimum(at + _WINDOW, frames - 1)
    size = (last - first + 1)[:, None, None]
    squares = ((x[:, last] - x[:, first - 1]) / (size * frame_time)) ** 2

    last = np.minimum(at + _WINDOW, frames - 2)
    size = (last - first + 1)[:, None, None]
    acceleration = ((x[:, last + 1] - x[:, last]) - (x[:, first] - x[:, first - 1])) / frame_time**2
    if defect:
        sums = np.cumsum(x, axis=1)
        positions = sums[:, last] - sums[:, first - 1]
        acceleration += positions * (1.0 / frame_time**2 - 1.0 / frame_time)
    acceleration = norm(np.moveaxis(acceleration / size, -1, 0))

    columns = (squares[..., 0] + squares[..., 2], squares[..., 1], acceleration)
    return np.stack([column.mean(axis=1) for column in columns], axis=-1).reshape(len(x), -1)


def _each_piece(
    joints24: Any, extract: Callable[[np.ndarray], np.ndarray], *, frames: int, check_up: bool
) -> np.ndarray:
    """`extract` (N, T, 24, 3) -> (N, d) over checked clips, a few at a time; (d,) for one clip."""
    joints = finite("joints24", joints24)
    require(
        joints.ndim in (3, 4) and joints.shape[-2:] == (len(JOINT_NAMES), 3),
        f"joints24 has shape {joints.shape}, expected (T, 24, 3) or (N, T, 24, 3)",
    )
    require(
        joints.shape[-3] >= frames,
        f"clips have {joints.shape[-3]} frames; these features need at least {frames}",
    )
    clips = joints if joints.ndim == 4 else joints[None]
    require(len(clips) > 0, "joints24 holds no clips")
    if check_up:
        require_y_up(clips)
    pieces = [extract(clips[start : start + _PIECE]) for start in range(0, len(clips), _PIECE)]
    features = np.concatenate(pieces)
    return features if joints.ndim == 4 else features[0]


def require_y_up(joints24: np.ndarray) -> None:
    """Refuse bodies that stand along -y (camera space) or +z (z up), all taken together.

    A body lies or stands on its hands now and then, most bodies do not; and where heads point
    nowhere in particular nothing is known.

    Args:
        joints24: (..., 24, 3) metres.

    Raises:
        ValueError: they do.
    """
    head, ankles = JOINT_NAMES.index("head"), [JOINT_NAMES.index(f"{s}ankle") for s in "lr"]
    bodies = joints24[..., head, :] - joints24[..., ankles, :].mean(axis=-2)
    bodies = bodies.reshape(-1, 3)
    up = bodies.mean(axis=0) / max(float(norm(bodies.T).mean()), np.finfo(float).tiny)
    for seen, stands in (("-y", up[1] < -_UPRIGHT), ("+z", up[2] > _UPRIGHT)):
        require(
            not stands,
            f"the bodies stand along {seen}, these features need y up: turn the joints "
            "(camera space: (x, -y, -z)), or pass check_up=False",
        )
