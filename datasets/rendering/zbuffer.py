"""A z-buffer in numpy: the same picture, bit by bit, on every run and without any graphics."""

import numpy as np

from datasets.rendering.raster import cover


def rasterise(
    seen: np.ndarray, faces: np.ndarray, colours: np.ndarray, width: int, height: int
) -> np.ndarray:
    """Return the nearest triangle at every pixel, with its corners' colours blended (Gouraud).

    Args:
        seen: (V, 3) columns, rows (pixels from the corner of the first) and depths (m).
        faces: (F, 3) triangles to draw, all of them before the camera and facing it.
        colours: (V, 3) in 0..255.
        width: of the picture in pixels.
        height: of the picture in pixels.

    Returns:
        (height, width, 4) float32: colours in 0..255, and 1 on the person; 0 elsewhere.
    """
    corners = seen[faces].astype(np.float64)
    triangle, column, row = cover(corners[:, :, :2], width, height)
    # 1 / depth, and whatever is linear on the surface over depth, are linear in the picture.
    shares = _barycentric(corners) / corners[:, None, :, 2]
    nearness = _at(shares.sum(axis=2), triangle, column, row)
    pixel = row * width + column
    nearest = np.zeros(width * height)
    np.maximum.at(nearest, pixel, nearness)
    wins = np.flatnonzero(nearness == nearest[pixel])
    # One triangle a pixel, also where two are equally near: the last.
    owner = np.full(width * height, -1)
    owner[pixel[wins]] = wins
    visible = owner[owner >= 0]
    blends = _at(
        shares @ colours[faces], triangle[visible], column[visible, None], row[visible, None]
    )
    out = np.zeros((width * height, 4), np.float32)
    out[pixel[visible], :3] = blends / nearness[visible, None]
    out[pixel[visible], 3] = 1
    return out.reshape(height, width, 4)


def _barycentric(corners: np.ndarray) -> np.ndarray:
    """(N, 3, 3): column i holds a, b, c of corner i's barycentric coordinate a x + b y + c."""
    x, y = corners[..., 0], corners[..., 1]
    x1, x2, y1, y2 = (np.roll(a, -i, axis=1) for a in (x, y) for i in (1, 2))
    out = np.stack([y1 - y2, x2 - x1, x1 * y2 - x2 * y1], axis=1)
    double_area = out[:, 2].sum(axis=1)
    return out / np.where(double_area == 0, 1, double_area)[:, None, None]


def _at(
    planes: np.ndarray, triangle: np.ndarray, column: np.ndarray, row: np.ndarray
) -> np.ndarray:
    """Values (P, ...) at pixel centres of the linear functions (N, 3, ...) of their triangles."""
    a, b, c = (np.ascontiguousarray(planes[:, i])[triangle] for i in range(3))
    return a * (column + 0.5) + b * (row + 0.5) + c
