"""Pictures of bodies: `draw` for people to look at, `painter.render_small` for training."""

from collections.abc import Iterable, Iterator
from itertools import repeat

import numpy as np

from datasets.bodies.smplx import BodyModel, load_body
from datasets.motion import Camera
from datasets.rendering import zbuffer
from datasets.rendering.figure import Figure, fine
from datasets.rendering.look import Look
from datasets.rendering.projection import faces_camera, on_screen
from datasets.rendering.raster import SUPERSAMPLING, halve

_CHUNK = 32  # frames whose vertices are held at a time


def draw(
    channels: np.ndarray,
    view: Camera,
    *,
    look: Look,
    background: Iterable[np.ndarray] | None = None,
    opacity: float = 1.0,
    body: BodyModel | None = None,
) -> Iterator[np.ndarray]:
    """Yield the pictures (H, W, 3) uint8 RGB of a motion, H x W being the camera's.

    Args:
        channels: (T, 79) motion channels in the camera frame (`datasets.motion`).
        view: the camera, T frames.
        look: colours and light.
        background: T pictures (H, W, 3) uint8 to draw on; the look's own by default. Pixels beside
            the body stay as they are.
        opacity: of the body, 0..1.
        body: `load_body()` by default.
    """
    figure = fine(body or load_body())
    colours = 255 * look.colours(figure)
    if background is None:
        background = repeat(look.background(view.width, view.height))
    pictures = iter(background)
    for start in range(0, len(channels), _CHUNK):
        frames = slice(start, start + _CHUNK)
        vertices = figure.body.vertices(channels[frames])
        seen = on_screen(vertices, view[frames], (view.width, view.height))
        for posed, projected in zip(vertices, seen, strict=True):
            lit = look.lit(colours, figure.normals(posed))
            yield _over(next(pictures), figure, projected, lit, opacity)


def _over(
    picture: np.ndarray, figure: Figure, seen: np.ndarray, colours: np.ndarray, opacity: float
) -> np.ndarray:
    """Return a picture with the figure drawn over it; only the rectangle around it is worked on."""
    out = np.array(picture)
    faces = figure.body.faces[faces_camera(seen[figure.body.faces])]
    if not len(faces):
        return out
    corner = seen[faces, :2].reshape(-1, 2)
    limits = picture.shape[1::-1]
    left, top = np.clip(np.floor(corner.min(axis=0)), 0, limits).astype(int).tolist()
    right, bottom = np.clip(np.ceil(corner.max(axis=0)), 0, limits).astype(int).tolist()
    if right <= left or bottom <= top:
        return out
    large = (seen - [left, top, 0]) * [SUPERSAMPLING, SUPERSAMPLING, 1]
    width, height = SUPERSAMPLING * (right - left), SUPERSAMPLING * (bottom - top)
    layer = halve(zbuffer.rasterise(large, faces, colours, width, height))
    under = out[top:bottom, left:right]
    under[:] = under * (1 - opacity * layer[..., 3:]) + opacity * layer[..., :3] + 0.5
    return out
