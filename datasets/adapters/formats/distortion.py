"""Lens distortion: the five-coefficient OpenCV model (k1, k2, p1, p2, k3), and its removal.

Pictures are undistorted onto the same intrinsics, so K stays true of the result. Pixels are counted
from the centre of the first one, as OpenCV's calibration does.
"""

from collections.abc import Iterator

import numpy as np

_STRIP = 16  # rows


def distort(points: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Points of an ideal pinhole camera as the lens moves them.

    Args:
        points: (..., 2) normalised image coordinates x / z and y / z.
        coefficients: (5,) k1, k2 (radial), p1, p2 (tangential), k3 (radial).

    Returns:
        (..., 2) float64 normalised coordinates (OpenCV documentation, camera calibration).
    """
    x, y = np.moveaxis(np.asarray(points, np.float64), -1, 0)
    k1, k2, p1, p2, k3 = coefficients
    r2 = x * x + y * y
    radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    return np.stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
        ],
        axis=-1,
    )


def source_pixels(
    K: np.ndarray, coefficients: np.ndarray, width: int, rows: np.ndarray
) -> np.ndarray:
    """Column and row of the taken picture for pixels of the undistorted one.

    Args:
        K: (3, 3) intrinsics in pixels, of either picture.
        coefficients: as in `distort`.
        width: of either picture.
        rows: (n,) of the undistorted picture.

    Returns:
        (n, width, 2) float64.
    """
    focal, centre = K[[0, 1], [0, 1]], K[:2, 2]
    grid = np.stack(np.meshgrid(np.arange(width), rows), axis=-1)
    return distort((grid - centre) / focal, coefficients) * focal + centre


class Undistortion:
    """Takes the distortion out of pictures of one camera, with linear interpolation.

    It holds twelve bytes a pixel.

    Args:
        K: (3, 3) intrinsics in pixels.
        coefficients: as in `distort`.
        width: of the pictures.
        height: of the pictures.
    """

    def __init__(self, K: np.ndarray, coefficients: np.ndarray, width: int, height: int):
        self._first = np.empty((height, width), np.int32)
        self._across = np.empty((height, width), np.float32)
        self._down = np.empty((height, width), np.float32)
        for strip in _strips(height):
            source = source_pixels(K, coefficients, width, np.arange(strip.start, strip.stop))
            # In a picture with a black edge of one pixel, which is all that is seen of the outside.
            places = np.clip(source, -1, [width, height]) + 1
            first = np.minimum(places.astype(np.int64), [width, height])
            self._first[strip] = first[..., 1] * (width + 2) + first[..., 0]
            self._across[strip], self._down[strip] = np.moveaxis(places - first, -1, 0)

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """The picture (height, width, 3) uint8 undistorted; black where the lens saw nothing."""
        height, width = picture.shape[:2]
        # Four bytes a pixel: a neighbour is fetched as one number. Strips stay in the cache.
        pixels = np.zeros((height + 2, width + 2, 4), np.uint8)
        pixels[1:-1, 1:-1, :3] = picture
        pixels = pixels.view(np.uint32).reshape(-1)
        out = np.empty_like(picture)
        for strip in _strips(height):
            first = self._first[strip].astype(np.intp)
            across, down = self._across[strip], self._down[strip]
            neighbours = [
                pixels.take(first + step).view(np.uint8).reshape(*first.shape, 4)
                for step in (0, 1, width + 2, width + 3)
            ]
            for colour in range(3):
                top, top_right, bottom, bottom_right = (
                    neighbour[..., colour].astype(np.float32) for neighbour in neighbours
                )
                top += across * (top_right - top)
                bottom += across * (bottom_right - bottom)
                out[strip, :, colour] = np.rint(top + down * (bottom - top))
        return out


def _strips(height: int) -> Iterator[slice]:
    """All rows of a picture, a few at a time."""
    return (slice(row, min(row + _STRIP, height)) for row in range(0, height, _STRIP))
