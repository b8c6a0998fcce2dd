"""Pictures of any size onto a black square, and what that does to intrinsics and points."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from datasets.motion import Camera


@dataclass(frozen=True)
class PadResize:
    """The map of an upright picture of `width` x `height` onto a `size` x `size` square.

    The longer side fills the square, the shorter one is centred between black bars. All lengths
    are whole pixels, so the scales are those of the rounded picture, not ``size / longer side``.
    """

    width: int
    height: int
    size: int

    def __post_init__(self):
        if min(self.width, self.height, self.size) < 1:
            raise ValueError(f"no picture of {self.width}x{self.height} onto {self.size} pixels")

    @property
    def inner(self) -> tuple[int, int]:
        """Width and height of the picture inside the square."""
        longer = max(self.width, self.height)
        width, height = (max(1, round(n * self.size / longer)) for n in (self.width, self.height))
        return width, height

    @property
    def pads(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom bars in pixels; the odd pixel goes right or to the bottom."""
        across, down = (self.size - n for n in self.inner)
        return across // 2, down // 2, across - across // 2, down - down // 2

    @property
    def scale(self) -> np.ndarray:
        """(2,) float64: pixels of the square per pixel of the picture, across and down."""
        return np.array(self.inner) / np.array([self.width, self.height])

    def points(self, points: np.ndarray, pixel_origin: str = "corner") -> np.ndarray:
        """Points (..., 2) on the square, in pixels, of points (..., 2) of the picture."""
        half = _half(pixel_origin)
        return (np.asarray(points, np.float64) + half) * self.scale - half + self.pads[:2]

    def camera(self, camera: Camera) -> Camera:
        """The camera that took the square: focal lengths scaled, principal point moved as a point.

        Raises:
            ValueError: the camera is of pictures of another size.
        """
        if (camera.width, camera.height) != (self.width, self.height):
            raise ValueError(
                f"the camera is of {camera.width}x{camera.height} pictures, "
                f"the picture has {self.width}x{self.height}"
            )
        K = camera.K.astype(np.float64)
        K[:, :2, :2] *= self.scale[:, None]
        K[:, :2, 2] = self.points(K[:, :2, 2], camera.pixel_origin)
        return dataclasses.replace(camera, K=K, width=self.size, height=self.size)

    def image(self, frame: np.ndarray) -> np.ndarray:
        """Return the square (size, size, 3) uint8 of a picture (height, width, 3) uint8 RGB.

        Linear filter, as wide as a pixel of the square when shrinking: nothing is passed over, and
        things stay where `points` has them (Pillow's box filter moves them by up to 0.4 pixels).

        Raises:
            ValueError: the picture has another size.
        """
        from PIL import Image

        if frame.shape != (self.height, self.width, 3):
            raise ValueError(
                f"a picture of {frame.shape[1]}x{frame.shape[0]} among those of "
                f"{self.width}x{self.height}"
            )
        inner = self.inner
        out = np.zeros((self.size, self.size, 3), np.uint8)
        left, top = self.pads[:2]
        if inner != (self.width, self.height):
            linear = Image.Resampling.BILINEAR
            frame = np.asarray(Image.fromarray(frame).resize(inner, linear))
        out[top : top + inner[1], left : left + inner[0]] = frame
        return out


def _half(pixel_origin: str) -> float:
    """From a point's coordinates to those from the corner of the first pixel."""
    return {"corner": 0.0, "centre": 0.5}[pixel_origin]
