"""Distances of sets of features, normalised by the true set (Duolando ``utils/metrics.py``)."""

import warnings
from typing import Any

import numpy as np

from benchmark.metrics.arrays import finite
from datasets.motion import require

_CONSTANT = 1e-6  # a feature whose standard deviation is below this is constant


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
    require(constant in ("drop", "raise"), f"unknown constant {constant!r}: choose drop or raise")
    x, reference = _features("x", x), _features("reference", reference)
    _same_width(x, reference)
    spread = reference.std(axis=0)
    still = spread < _CONSTANT
    require(not still.all(), f"all {len(still)} features are constant in the reference")
    if still.any():
        message = (
            f"{np.count_nonzero(still)} of {len(still)} features are constant in the reference, "
            f"columns {', '.join(map(str, np.flatnonzero(still)))}"
        )
        require(constant == "drop", message)
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
    total = sum(np.linalg.norm(x[row + 1 :] - x[row], axis=1).sum() for row in range(len(x) - 1))
    return float(total / (len(x) * (len(x) - 1) / 2))


def _covariance_root(x: np.ndarray) -> np.ndarray:
    """R (min(n, d), d) with R' R the covariance of the rows of x."""
    return np.linalg.qr((x - x.mean(axis=0)) / np.sqrt(len(x) - 1), mode="r")


def _features(name: str, value: Any, *, rows: int = 1) -> np.ndarray:
    """Checked (n, d) float64 features."""
    array = finite(name, value)
    require(
        array.ndim == 2 and array.shape[1] > 0,
        f"{name} has shape {array.shape}, expected (clips, features)",
    )
    require(len(array) >= rows, f"{name} has {len(array)} clips, at least {rows} are needed")
    return array


def _same_width(x: np.ndarray, y: np.ndarray) -> None:
    require(
        x.shape[1] == y.shape[1],
        f"the two sets have {x.shape[1]} and {y.shape[1]} features, expected the same",
    )
