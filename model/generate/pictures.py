"""Pictures of the user's own: how they are read, and how a motion is drawn over them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from datasets.adapters.embedded_shots import LENS
from datasets.motion import Camera, Motion
from datasets.render import COLOURS, OPACITY
from datasets.rendering import draw
from datasets.rendering.look import Look

SHOWN = 512  # pixels: overlays are drawn at this size at most, small videos enlarged to half of it


class PictureError(ValueError):
    """A picture cannot be used. The message says why, in one line."""


def read_image(path: Path) -> np.ndarray:
    """Return an upright picture (H, W, 3) uint8 RGB; transparent parts on black.

    Raises:
        PictureError: not a picture, or one of 32-bit numbers.
    """
    try:
        with Image.open(path) as image:
            picture = ImageOps.exif_transpose(image)
            if picture.mode in ("I", "F"):
                raise ValueError("it has no known white: save it with 8 or 16 bits a channel")
            if picture.mode.startswith("I;16"):  # Pillow would cut it off at 255
                picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
            if "A" in picture.getbands() or "transparency" in picture.info:
                picture = picture.convert("RGBA")
                black = Image.new("RGBA", picture.size, (0, 0, 0, 255))
                picture = Image.alpha_composite(black, picture)
            return np.asarray(picture.convert("RGB"))
    except FileNotFoundError:
        raise PictureError(f"{path}: no such file") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split())
        raise PictureError(f"{path} is not a picture that can be read ({reason})") from error


def camera(width: int, height: int, frames: int) -> Camera:
    """Return the view of pictures whose lens nobody knows.

    The model sees a picture on a square, and places people as through the lens of its training
    clips: that of the built-in shots, which GVHMR, too, assumes of a square picture (focal length =
    its diagonal).
    """
    focal = LENS * max(width, height)
    K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    return Camera(np.tile(K, (frames, 1, 1)), None, width, height)


def overlay(frames: np.ndarray, motion: Motion) -> Iterator[np.ndarray]:
    """Yield pictures (h, w, 3) uint8 of a motion over a video (T, H, W, 3), beside the video."""
    height, width = frames.shape[1:3]
    scale = min(SHOWN / max(height, width), max(1.0, SHOWN / 2 / max(height, width)))
    size = tuple(2 * max(1, round(side * scale / 2)) for side in (width, height))
    resized = np.stack([np.asarray(Image.fromarray(frame).resize(size)) for frame in frames])
    pictures = draw(
        motion.to_channels(),
        camera(*size, len(frames)),
        look=Look.plain(COLOURS[0]),
        background=resized,
        opacity=OPACITY,
    )
    for before, after in zip(resized, pictures, strict=True):
        yield np.concatenate([before, after], axis=1)
