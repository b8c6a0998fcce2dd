"""Small pictures, fast: the coarse mesh by the painter's algorithm, many frames at once."""

import numpy as np

from datasets.bodies.smplx import load_body
from datasets.motion import Camera, require
from datasets.rendering.figure import coarse, face_normals, unit
from datasets.rendering.look import Look
from datasets.rendering.projection import faces_camera, on_screen
from datasets.rendering.raster import SUPERSAMPLING, cover, halve

_CHUNK = 16  # frames at a time: what they need stays in the processor's cache


def render_small(channels: np.ndarray, view: Camera, look: Look, *, size: int = 64) -> np.ndarray:
    """Return the pictures (T, size, size, 3) uint8 RGB of a motion.

    Triangles, about as large as a pixel, are painted from far to near in one flat colour each, at
    twice the size. Meant for pictures of up to 128 pixels.

    Args:
        channels: (T, 79) motion channels in the camera frame (`datasets.motion`).
        view: the camera, T frames; its square pictures are scaled to `size`.
        look: colours, light and background.
        size: of the pictures in pixels.

    Raises:
        ValueError: the camera's pictures are not square.
    """
    require(view.width == view.height, f"{view.width}x{view.height} pictures are not square")
    figure = coarse(load_body())
    faces = figure.body.faces
    colours = 255 * look.colours(figure)[faces].mean(axis=1)
    fine = SUPERSAMPLING * size
    backdrop = look.background(fine, fine)
    vertices = figure.body.vertices(channels)
    out = np.empty((len(channels), size, size, 3), np.uint8)
    for start in range(0, len(channels), _CHUNK):
        frames = slice(start, start + _CHUNK)
        seen = on_screen(vertices[frames], view[frames], (fine, fine))
        corners = seen[:, faces]
        frame, face = np.nonzero(faces_camera(corners))
        corners = corners[frame, face]
        order = np.argsort(-corners[:, :, 2].max(axis=1), kind="stable")
        frame, face, corners = frame[order], face[order], corners[order]
        normals = unit(face_normals(vertices[frames][frame[:, None], faces[face]]))
        triangle, column, row = cover(corners[:, :, :2], fine, fine)
        paint = (look.lit(colours[face], normals) + 0.5).astype(np.uint8)
        canvas = np.broadcast_to(backdrop, (len(seen), fine, fine, 3)).copy()
        # Of what is written to one pixel the last, the nearest, stays.
        canvas.reshape(-1, 3)[(frame[triangle] * fine + row) * fine + column] = paint[triangle]
        out[frames] = halve(canvas)
    return out
