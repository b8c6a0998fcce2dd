"""Rasterisation: the pixels that triangles cover, and 2x2 down-sampling."""

import numpy as np

SUPERSAMPLING = 2  # both ways: pictures are drawn twice as large and halved


def cover(
    corners: np.ndarray, width: int, height: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the pixels whose centres lie in triangles, scanline by scanline.

    A centre on an edge belongs to both triangles that share it, so a closed mesh shows no holes.

    Args:
        corners: (N, 3, 2) pixels from the corner of the first pixel, any orientation.
        width: of the picture; what lies outside is left out.
        height: of the picture.

    Returns:
        Triangle, column and row (P,) of every covered pixel, in the order of the triangles.
    """
    x, y = np.ascontiguousarray(corners.T)
    first = np.ceil(np.clip(np.minimum.reduce(y) - 0.5, 0, height)).astype(np.intp)
    last = np.floor(np.clip(np.maximum.reduce(y) - 0.5, -1, height - 1)).astype(np.intp)
    triangle, row = _ranges(first, last)
    centre = row + corners.dtype.type(0.5)
    left = np.full(len(row), np.inf, corners.dtype)
    right = -left
    for a, b in ((0, 1), (1, 2), (2, 0)):
        # From its upper end to its lower, so that both triangles of an edge cut it alike.
        falls = y[a] <= y[b]
        top, bottom = np.where(falls, y[a], y[b]), np.where(falls, y[b], y[a])
        start, end = np.where(falls, x[a], x[b]), np.where(falls, x[b], x[a])
        slope = (end - start) / np.where(bottom > top, bottom - top, 1)
        below = centre - top[triangle]
        cut = start[triangle] + below * slope[triangle]
        crosses = (below >= 0) & (centre <= bottom[triangle])
        left = np.where(crosses, np.minimum(left, cut), left)
        right = np.where(crosses, np.maximum(right, cut), right)
    first = np.ceil(np.clip(left - 0.5, 0, width)).astype(np.intp)
    last = np.floor(np.clip(right - 0.5, -1, width - 1)).astype(np.intp)
    span, column = _ranges(first, last)
    return triangle[span], column, row[span]


def halve(picture: np.ndarray) -> np.ndarray:
    """(..., H, W, C) from (..., 2 H, 2 W, C) uint8 or float: means of 2 x 2 pixels."""
    wide = picture if picture.dtype.kind == "f" else picture.astype(np.uint16)
    rows = wide[..., 0::2, :, :] + wide[..., 1::2, :, :]
    total = rows[..., 0::2, :] + rows[..., 1::2, :]
    if picture.dtype.kind == "f":
        return total / 4
    return ((total + 2) // 4).astype(np.uint8)


def _ranges(first: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Owner and value of all whole numbers in ranges first..last (N,), empty if last < first."""
    count = np.maximum(last - first + 1, 0)
    owner = np.repeat(np.arange(len(count)), count)
    before = np.cumsum(count) - count
    return owner, np.arange(len(owner)) + (first - before)[owner]
