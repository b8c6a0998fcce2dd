"""The 32 tests that the geometric features of motions ask of every frame.

Of AIST++ (``aist_plusplus/features/manual.py``) by way of Duolando (``features/manual_new.py``).
`benchmark.metrics.features.motion` checks what comes in.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

JOINT_NAMES = (
    *("root", "lhip", "rhip", "belly", "lknee", "rknee", "spine", "lankle", "rankle", "chest"),
    *("ltoes", "rtoes", "neck", "linshoulder", "rinshoulder", "head", "lshoulder", "rshoulder"),
    *("lelbow", "relbow", "lwrist", "rwrist", "lhand", "rhand"),
)
"""The 24 joints in SMPL's order, by the names of the geometric features."""

# The unit of velocity thresholds is fixed, whatever the clips' frame rate.
_FRAME_TIME = 1.0 / 120.0  # seconds
# Distances between joints of SMPL's rest pose, metres; fixed too, whatever the subject.
_LEFT_SHOULDER = (1.99113488e-01, 2.36807942e-01, -1.80702247e-02)
_RIGHT_SHOULDER = (-1.91692337e-01, 2.36928746e-01, -1.23055102e-02)
_LEFT_ELBOW = (4.54445392e-01, 2.21158922e-01, -4.10167128e-02)
_LEFT_HIP = (5.64076714e-02, -3.23069185e-01, 1.09197125e-02)
_RIGHT_HIP = (-6.24834076e-02, -3.31302464e-01, 1.50412619e-02)
_HUMERUS = math.dist(_LEFT_SHOULDER, _LEFT_ELBOW)
_SHOULDER_WIDTH = math.dist(_LEFT_SHOULDER, _RIGHT_SHOULDER)
_HIP_WIDTH = math.dist(_LEFT_HIP, _RIGHT_HIP)


def geometric_shares(clips: np.ndarray) -> np.ndarray:
    """Return each test's share of frames, (N, 32) in [0, 1], in (N, T, 24, 3) clips.

    Metres, y up, T >= 2.
    """
    # Coordinates first: then every operation below runs over contiguous numbers.
    joints = np.ascontiguousarray(np.moveaxis(clips, (2, 3), (0, 1)))  # (24, 3, N, T)
    points = dict(zip(JOINT_NAMES, joints, strict=True))
    points["zero"] = np.zeros_like(joints[0])
    points["y_unit"] = points["zero"] + _on_y(1.0)
    points["minus_y_unit"] = points["zero"] + _on_y(-1.0)
    points["y_min"] = _on_y(1.0) * joints[:, 1].min(axis=0)
    features = np.empty((len(clips), len(_TESTS)))
    # Undefined directions divide zero by zero and fail every comparison.
    with np.errstate(divide="ignore", invalid="ignore"):
        for column, (test, names, threshold) in enumerate(_TESTS):
            chosen = [points[name] for name in names.split()]
            now, before = [p[..., 1:] for p in chosen], [p[..., :-1] for p in chosen]
            features[:, column] = test(now, before, threshold).mean(axis=-1)
    return features


# The tests take the points a, b, c, d, each (3, N, F), in F frames
# (`now`) and in the frames before each of them (`before`), and a threshold; they return (N, F).


def _move(now: list, before: list, threshold: float) -> np.ndarray:
    """Return where c moves along b - a, relative to a. The fourth point is unused."""
    (a, b, c, _), (a_before, _, c_before, _) = now, before
    return _faster((c - a) - (c_before - a_before), b - a, threshold)


def _nmove(now: list, before: list, threshold: float) -> np.ndarray:
    """Return where d moves, relative to a, along the normal of the plane of a, b and c."""
    (a, b, c, d), (a_before, _, _, d_before) = now, before
    return _faster((d - a) - (d_before - a_before), np.cross(c - a, b - a, axis=0), threshold)


def _plane(now: list, before: list, threshold: float) -> np.ndarray:
    """Return where d is further than that above the plane of a, b and c."""
    a, b, c, d = now
    normal = np.cross(c - a, b - a, axis=0)
    return _dot(d - a, normal) / norm(normal) > threshold


def _nplane(now: list, before: list, threshold: float) -> np.ndarray:
    """Return where d is further than that above the plane through c with the normal b - a."""
    a, b, c, d = now
    return _dot(d - c, b - a) / norm(b - a) > threshold


def _angle(now: list, before: list, threshold: tuple[float, float]) -> np.ndarray:
    """Return where the angle between b - a and d - c is within that range of degrees."""
    a, b, c, d = now
    angle = np.degrees(np.arccos(_dot(b - a, d - c) / (norm(b - a) * norm(d - c))))
    low, high = threshold
    return (low < angle) & (angle < high)


def _fast(now: list, before: list, threshold: float) -> np.ndarray:
    """Return where the only point is faster than that."""
    return norm(now[0] - before[0]) / _FRAME_TIME > threshold


def _faster(displacement: np.ndarray, direction: np.ndarray, threshold: float) -> np.ndarray:
    along = _dot(displacement, direction) / norm(direction)
    return along / _FRAME_TIME > threshold


def _on_y(value: float) -> np.ndarray:
    """Return the vector (0, value, 0) as (3, 1, 1)."""
    return np.array([0.0, value, 0.0])[:, None, None]


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Scalar products over the first axis."""
    return (a * b).sum(axis=0)


def norm(a: np.ndarray) -> np.ndarray:
    """Lengths over the first axis."""
    return np.sqrt(_dot(a, a))


# Column by column: the test, its points, and its threshold in m/s, metres or degrees. `y_min` is
# at the height of the lowest joint.
_TESTS: tuple[tuple[Callable, str, Any], ...] = (
    (_nmove, "neck rhip lhip rwrist", 1.8 * _HUMERUS),
    (_nmove, "neck lhip rhip lwrist", 1.8 * _HUMERUS),
    (_nplane, "chest neck neck rwrist", 0.2 * _HUMERUS),
    (_nplane, "chest neck neck lwrist", 0.2 * _HUMERUS),
    (_move, "belly chest chest rwrist", 1.8 * _HUMERUS),
    (_move, "belly chest chest lwrist", 1.8 * _HUMERUS),
    (_angle, "relbow rshoulder relbow rwrist", (0, 110)),
    (_angle, "lelbow lshoulder lelbow lwrist", (0, 110)),
    (_nplane, "lshoulder rshoulder lwrist rwrist", 2.5 * _SHOULDER_WIDTH),
    (_move, "lwrist rwrist rwrist lwrist", 1.4 * _HUMERUS),
    (_move, "rwrist root lwrist root", 1.4 * _HUMERUS),
    (_move, "lwrist root rwrist root", 1.4 * _HUMERUS),
    (_fast, "rwrist", 2.5 * _HUMERUS),
    (_fast, "lwrist", 2.5 * _HUMERUS),
    (_plane, "root lhip ltoes rankle", 0.38 * _HUMERUS),
    (_plane, "root rhip rtoes lankle", 0.38 * _HUMERUS),
    (_nplane, "zero y_unit y_min rankle", 1.2 * _HUMERUS),
    (_nplane, "zero y_unit y_min lankle", 1.2 * _HUMERUS),
    (_nplane, "lhip rhip lankle rankle", 2.1 * _HIP_WIDTH),
    (_angle, "rknee rhip rknee rankle", (0, 110)),
    (_angle, "lknee lhip lknee lankle", (0, 110)),
    (_fast, "rankle", 2.5 * _HUMERUS),
    (_fast, "lankle", 2.5 * _HUMERUS),
    (_angle, "neck root rshoulder relbow", (25, 180)),
    (_angle, "neck root lshoulder lelbow", (25, 180)),
    (_angle, "neck root rhip rknee", (50, 180)),
    (_angle, "neck root lhip lknee", (50, 180)),
    (_plane, "rankle neck lankle root", 0.5 * _HUMERUS),
    (_angle, "neck root zero y_unit", (70, 110)),
    (_nplane, "zero minus_y_unit y_min rwrist", -1.2 * _HUMERUS),
    (_nplane, "zero minus_y_unit y_min lwrist", -1.2 * _HUMERUS),
    (_fast, "root", 2.3 * _HUMERUS),
)
