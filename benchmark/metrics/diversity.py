"""FID and DIV of motions, on the kinetic and geometric features of AIST++ and Duolando.

The formulas are those of Duolando (``utils/metrics.py``, ``utils/features``), whose features are
AIST++'s (``aist_plusplus/features``). In order: `joints24_from_smplx`; one vector per clip, of
`kinetic_features` or of `geometric_features`; `normalise` both sets by the true one; FID is the
`frechet_distance` between them, DIV the `mean_pairwise_distance` of the predicted one. Papers write
FID_k, DIV_k for the kinetic features and FID_g (or FID_m), DIV_g for the geometric ones.

Both values depend on the number of clips, on their length and on their frame rate: compare sets
that agree in all three. FID of the kinetic features needs more than 72 clips, better several
hundred; with fewer, covariances are singular and FID mostly measures the number of clips.

Positions are in metres in a frame whose y axis points up. Camera space (y down) is not one; its
joints (x, y, z) become (x, -y, -z), upright where the camera is level.
"""

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

JOINT_NAMES = (
    *("root", "lhip", "rhip", "belly", "lknee", "rknee", "spine", "lankle", "rankle", "chest"),
    *("ltoes", "rtoes", "neck", "linshoulder", "rinshoulder", "head", "lshoulder", "rshoulder"),
    *("lelbow", "relbow", "lwrist", "rwrist", "lhand", "rhand"),
)
"""The 24 joints in SMPL's order, by the names of the geometric features."""

MODES = ("upstream", "corrected")

_SMPLX_JOINTS = 55
_HANDS = ((25, 28, 31, 34, 37), (40, 43, 46, 49, 52))  # SMPL-X: first joints of the five fingers
_WINDOW = 2  # frames on either side over which velocities and accelerations are averaged
_CONSTANT = 1e-6  # a feature whose standard deviation is below this is constant
_UPRIGHT = 0.5  # a body stands along an axis where this share of its height lies along it
_PIECE = 32  # clips of 65 frames whose joints, 1.2 MB, stay in a CPU's cache

# Geometric features: the unit of velocity thresholds is fixed, whatever the clips' frame rate.
_GEOMETRIC_FRAME_TIME = 1.0 / 120.0  # seconds
# Distances between joints of SMPL's rest pose, metres; fixed too, whatever the subject.
_LEFT_SHOULDER = (1.99113488e-01, 2.36807942e-01, -1.80702247e-02)
_RIGHT_SHOULDER = (-1.91692337e-01, 2.36928746e-01, -1.23055102e-02)
_LEFT_ELBOW = (4.54445392e-01, 2.21158922e-01, -4.10167128e-02)
_LEFT_HIP = (5.64076714e-02, -3.23069185e-01, 1.09197125e-02)
_RIGHT_HIP = (-6.24834076e-02, -3.31302464e-01, 1.50412619e-02)
_HUMERUS = math.dist(_LEFT_SHOULDER, _LEFT_ELBOW)
_SHOULDER_WIDTH = math.dist(_LEFT_SHOULDER, _RIGHT_SHOULDER)
_HIP_WIDTH = math.dist(_LEFT_HIP, _RIGHT_HIP)


def joints24_from_smplx(joints55: Any) -> np.ndarray:
    """The 24 joints of the features from SMPL-X's 55 (Duolando ``calc_and_save_feats``).

    Joints 0 to 21 are the same; the hands 22 and 23, which SMPL-X lacks, are the means of the five
    fingers' first joints. SMPL-X's own joints 22 to 24 are the jaw and the eyes.

    Args:
        joints55: (..., 55, 3) metres, in any frame of reference; numpy or torch.

    Returns:
        (..., 24, 3) float64.

    Raises:
        ValueError: another shape, or numbers that are not finite.
    """
    joints = _finite("joints55", joints55)
    _require(
        joints.ndim >= 2 and joints.shape[-2:] == (_SMPLX_JOINTS, 3),
        f"joints55 has shape {joints.shape}, expected (..., {_SMPLX_JOINTS}, 3)",
    )
    hands = [joints[..., list(fingers), :].mean(axis=-2, keepdims=True) for fingers in _HANDS]
    return np.concatenate([joints[..., :22, :], *hands], axis=-2)


def kinetic_features(
    joints24: Any,
    mode: str = "upstream",
    frame_time: float = 1.0 / 60.0,
    *,
    check_up: bool = True,
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
    _require(mode in MODES, f"unknown mode {mode!r}: choose {', '.join(MODES)}")
    _require(0 < frame_time < math.inf, f"frame_time must be positive, got {frame_time}")
    return _each_piece(
        joints24,
        lambda clips: _kinetic(clips, frame_time, defect=mode == "upstream"),
        frames=3,
        check_up=check_up,
    )


def geometric_features(joints24: Any, *, check_up: bool = True) -> np.ndarray:
    """How often each of 32 geometric tests holds (Duolando ``features/manual_new.py``).

    The tests (`_TESTS`) ask for bent elbows and knees, spread limbs, raised hands and feet, fast
    hands, feet and root, ...; each column is the share of the frames 1 .. T-1 in which one holds.
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
    return _each_piece(joints24, _geometric, frames=2, check_up=check_up)


def normalise(x: Any, reference: Any, *, constant: str = "drop") -> np.ndarray:
    """Features in units of the reference's spread: (x - mean) / (standard deviation + 1e-10).

    Duolando ``normalize``, standard deviation over n rather than n - 1. There, a feature that is
    constant in the reference divides by 1e-10, and one clip that differs makes FID about 1e15; here
    such a feature is left out, from any `x` with that reference, and a warning names its column.

    Args:
        x: (n, d) features, one row per clip.
        reference: (m, d) features of the true clips.
        constant: what becomes of columns constant in the reference: ``drop`` or ``raise``.

    Returns:
        (n, d - number of constant columns) float64.

    Raises:
        ValueError: shapes that do not fit, numbers that are not finite, every column constant, or
            one constant under ``raise``.
    """
    _require(constant in ("drop", "raise"), f"unknown constant {constant!r}: choose drop or raise")
    x, reference = _features("x", x), _features("reference", reference)
    _same_width(x, reference)
    spread = reference.std(axis=0)
    still = spread < _CONSTANT
    _require(not still.all(), f"all {len(still)} features are constant in the reference")
    if still.any():
        message = (
            f"{np.count_nonzero(still)} of {len(still)} features are constant in the reference, "
            f"columns {', '.join(map(str, np.flatnonzero(still)))}"
        )
        _require(constant == "drop", message)
        warnings.warn(f"{message}: left out", stacklevel=2)
    return (x - reference.mean(axis=0))[:, ~still] / (spread[~still] + 1e-10)


def frechet_distance(x: Any, y: Any) -> float:
    """Squared Fréchet distance of the normal distributions fitted to two sets (FID).

    |mu_x - mu_y|^2 + tr(S_x) + tr(S_y) - 2 tr((S_x S_y)^(1/2)), covariances over n - 1. The last
    trace is the sum of the square roots of the eigenvalues of S_x^(1/2) S_y S_x^(1/2), which is
    symmetric, so nothing complex can come out; with S = R' R for both, it is the sum of the
    singular values of R_x R_y', which needs no square root of a rounding error where a covariance
    is singular.

    Args:
        x: (n, d) normalised features, one row per clip, n >= 2.
        y: (m, d) those of the other set, m >= 2.

    Raises:
        ValueError: shapes that do not fit, fewer than two rows, numbers that are not finite.
    """
    x, y = _features("x", x, rows=2), _features("y", y, rows=2)
    _same_width(x, y)
    shift = x.mean(axis=0) - y.mean(axis=0)
    root_x, root_y = _covariance_root(x), _covariance_root(y)
    overlap = np.linalg.svd(root_x @ root_y.T, compute_uv=False).sum()
    distance = shift @ shift + np.sum(root_x**2) + np.sum(root_y**2) - 2.0 * overlap
    return max(float(distance), 0.0)  # equal sets end a rounding error beside zero


def mean_pairwise_distance(x: Any) -> float:
    """Mean distance |x_i - x_j| over all pairs i < j of the rows of (n, d) features (DIV).

    Duolando ``calculate_avg_distance``: every pair counts once, none is sampled. Of features
    normalised by themselves it is at most sqrt(2 d n / (n - 1)).

    Args:
        x: (n, d) normalised features, one row per clip, n >= 2.

    Raises:
        ValueError: another shape, fewer than two rows, numbers that are not finite.
    """
    x = _features("x", x, rows=2)
    # Row by row: all differences at once take n^2 d numbers, 52 MB for 300 clips.
    total = sum(_norm((x[row + 1 :] - x[row]).T).sum() for row in range(len(x) - 1))
    return float(total / (len(x) * (len(x) - 1) / 2))


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
    acceleration = _norm(np.moveaxis(acceleration / size, -1, 0))

    columns = (squares[..., 0] + squares[..., 2], squares[..., 1], acceleration)
    return np.stack([column.mean(axis=1) for column in columns], axis=-1).reshape(len(x), -1)


# The tests of the geometric features take the points a, b, c, d, each (3, N, F), in F frames
# (`now`) and in the frames before each of them (`before`), and a threshold; they return (N, F).


def _move(now: list, before: list, threshold: float) -> np.ndarray:
    """Does c move along b - a, relative to a? The fourth point is unused."""
    (a, b, c, _), (a_before, _, c_before, _) = now, before
    return _faster((c - a) - (c_before - a_before), b - a, threshold)


def _nmove(now: list, before: list, threshold: float) -> np.ndarray:
    """Does d move, relative to a, along the normal of the plane of a, b and c?"""
    (a, b, c, d), (a_before, _, _, d_before) = now, before
    return _faster((d - a) - (d_before - a_before), np.cross(c - a, b - a, axis=0), threshold)


def _plane(now: list, before: list, threshold: float) -> np.ndarray:
    """Is d further than that above the plane of a, b and c?"""
    a, b, c, d = now
    normal = np.cross(c - a, b - a, axis=0)
    return _dot(d - a, normal) / _norm(normal) > threshold


def _nplane(now: list, before: list, threshold: float) -> np.ndarray:
    """Is d further than that above the plane through c with the normal b - a?"""
    a, b, c, d = now
    return _dot(d - c, b - a) / _norm(b - a) > threshold


def _angle(now: list, before: list, threshold: tuple[float, float]) -> np.ndarray:
    """Is the angle between b - a and d - c within that range of degrees?"""
    a, b, c, d = now
    angle = np.degrees(np.arccos(_dot(b - a, d - c) / (_norm(b - a) * _norm(d - c))))
    low, high = threshold
    return (low < angle) & (angle < high)


def _fast(now: list, before: list, threshold: float) -> np.ndarray:
    """Is the only point faster than that?"""
    return _norm(now[0] - before[0]) / _GEOMETRIC_FRAME_TIME > threshold


def _faster(displacement: np.ndarray, direction: np.ndarray, threshold: float) -> np.ndarray:
    along = _dot(displacement, direction) / _norm(direction)
    return along / _GEOMETRIC_FRAME_TIME > threshold


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


def _geometric(clips: np.ndarray) -> np.ndarray:
    """(N, 32) geometric features of (N, T, 24, 3) clips."""
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


def _on_y(value: float) -> np.ndarray:
    """The vector (0, value, 0) as (3, 1, 1)."""
    return np.array([0.0, value, 0.0])[:, None, None]


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Scalar products over the first axis."""
    return (a * b).sum(axis=0)


def _norm(a: np.ndarray) -> np.ndarray:
    """Lengths over the first axis."""
    return np.sqrt(_dot(a, a))


def _covariance_root(x: np.ndarray) -> np.ndarray:
    """R (min(n, d), d) with R' R the covariance of the rows of x."""
    return np.linalg.qr((x - x.mean(axis=0)) / np.sqrt(len(x) - 1), mode="r")


def _each_piece(
    joints24: Any, extract: Callable[[np.ndarray], np.ndarray], *, frames: int, check_up: bool
) -> np.ndarray:
    """`extract` (N, T, 24, 3) -> (N, d) over checked clips, a few at a time; (d,) for one clip."""
    joints = _finite("joints24", joints24)
    _require(
        joints.ndim in (3, 4) and joints.shape[-2:] == (len(JOINT_NAMES), 3),
        f"joints24 has shape {joints.shape}, expected (T, 24, 3) or (N, T, 24, 3)",
    )
    _require(
        joints.shape[-3] >= frames,
        f"clips have {joints.shape[-3]} frames; these features need at least {frames}",
    )
    clips = joints if joints.ndim == 4 else joints[None]
    _require(len(clips) > 0, "joints24 holds no clips")
    if check_up:
        _require_y_up(clips)
    pieces = [extract(clips[start : start + _PIECE]) for start in range(0, len(clips), _PIECE)]
    features = np.concatenate(pieces)
    return features if joints.ndim == 4 else features[0]


def _require_y_up(clips: np.ndarray) -> None:
    """Refuse clips whose bodies stand along -y (camera space) or +z (z up), all taken together.

    A body lies or stands on its hands now and then, most bodies do not; and where heads point
    nowhere in particular nothing is known.

    Raises:
        ValueError: they do.
    """
    head, ankles = JOINT_NAMES.index("head"), [JOINT_NAMES.index(f"{s}ankle") for s in "lr"]
    bodies = (clips[:, :, head] - clips[:, :, ankles].mean(axis=2)).reshape(-1, 3)
    up = bodies.mean(axis=0) / max(float(_norm(bodies.T).mean()), np.finfo(float).tiny)
    for seen, stands in (("-y", up[1] < -_UPRIGHT), ("+z", up[2] > _UPRIGHT)):
        _require(
            not stands,
            f"the bodies stand along {seen}, these features need y up: turn the joints "
            "(camera space: (x, -y, -z)), or pass check_up=False",
        )


def _features(name: str, value: Any, *, rows: int = 1) -> np.ndarray:
    """Checked (n, d) float64 features."""
    array = _finite(name, value)
    _require(
        array.ndim == 2 and array.shape[1] > 0,
        f"{name} has shape {array.shape}, expected (clips, features)",
    )
    _require(len(array) >= rows, f"{name} has {len(array)} clips, at least {rows} are needed")
    return array


def _same_width(x: np.ndarray, y: np.ndarray) -> None:
    _require(
        x.shape[1] == y.shape[1],
        f"the two sets have {x.shape[1]} and {y.shape[1]} features, expected the same",
    )


def _finite(name: str, value: Any) -> np.ndarray:
    """A float64 array of a numpy array, a list or a torch tensor (recognised by its methods)."""
    array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    _require(array.dtype.kind in "fiu", f"{name} is not numeric (dtype {array.dtype})")
    _require(bool(np.isfinite(array).all()), f"{name} holds NaN or infinite values")
    return array.astype(np.float64, copy=False)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)
