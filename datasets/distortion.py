"""Lens distortion: the five-coefficient OpenCV model (k1, k2, p1, p2, k3), and its removal.

Pictures are undistorted onto the same intrinsics, so K stays true of the result. Pixels are counted
from the centre of the first one, as OpenCV's calibration does.
"""

import numpy as np

_STRIP = 16  # rows


def distort(points: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Where the lens moves points of an ideal pinhole camera.

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


def source_pixels(K: np.ndarray, coefficients: np.ndarray, width: int, height: int) -> np.ndarray:
    """(height, width, 2) column and row of the taken picture for each pixel of the undistorted one.

    Args:
        K: (3, 3) intrinsics in pixels, of either picture.
        coefficients: as in `distort`.
        width: of either picture.
        height: of either picture.
    """
    focal, centre = K[[0, 1], [0, 1]], K[:2, 2]
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1)
    return distort((grid - centre) / focal, coefficients) * focal + centre


class Undistortion:
    """Takes the distortion out of pictures of one camera, with linear interpolation.

    Args:
        source: of `source_pixels`.
    """

    def __init__(self, source: np.ndarray):
        height, width = source.shape[:2]
        # In a picture with a black edge of one pixel, which is all that is seen of the outside.
        places = np.clip(source, -1, [width, height]) + 1
        first = np.minimum(places.astype(np.int64), [width, height])
        self._first = first[..., 1] * (width + 2) + first[..., 0]
        self._weights = (places - first).astype(np.float32)

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """The picture (height, width, 3) uint8 undistorted; black where the lens saw nothing."""
        height, width = picture.shape[:2]
        # Four bytes a pixel: a neighbour is fetched as one number. Strips stay in the cache.
        pixels = np.zeros((height + 2, width + 2, 4), np.uint8)
        pixels[1:-1, 1:-1, :3] = picture
        pixels = pixels.view(np.uint32).reshape(-1)
        out = np.empty_like(picture)
        for strip in (slice(row, row + _STRIP) for row in range(0, height, _STRIP)):
            first = self._first[strip]
            across, down = np.moveaxis(self._weights[strip, :, None], -1, 0)
            top, top_right, bottom, bottom_right = (
                pixels[first + step].view(np.uint8).reshape(*first.shape, 4).astype(np.float32)
                for step in (0, 1, width + 2, width + 3)
            )
            top += across * (top_right - top)
            bottom += across * (bottom_right - bottom)
            out[strip] = np.rint(top + down * (bottom - top))[..., :3]
        return out
