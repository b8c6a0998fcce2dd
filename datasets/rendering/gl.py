"""The z-buffer's picture drawn by OpenGL: moderngl on EGL, where they are; needs no screen."""

import functools
import os
from collections.abc import Callable

import numpy as np

from datasets.rendering.projection import NEAR

_FAR = 1000.0  # m
_VERTEX_SHADER = """
#version 330
in vec4 position;
in vec3 colour;
out vec3 blended;
void main() { gl_Position = position; blended = colour; }
"""
_FRAGMENT_SHADER = """
#version 330
in vec3 blended;
out vec4 pixel;
void main() { pixel = vec4(blended, 1.0); }
"""


def rasteriser() -> Callable | None:
    """A function with the arguments of `zbuffer.rasterise`; None where OpenGL is not to be had."""
    return _of_process(os.getpid())  # a context does not survive a fork


@functools.lru_cache(maxsize=1)
def _of_process(pid: int) -> Callable | None:
    try:
        import moderngl

        context = moderngl.create_context(standalone=True, backend="egl", require=330)
    except Exception:  # no package, no library, no driver: each fails in its own way
        return None
    return _Rasteriser(context)


class _Rasteriser:
    """Keeps the context, and buffers of the last size."""

    def __init__(self, context):
        self._context = context
        self._program = context.program(_VERTEX_SHADER, _FRAGMENT_SHADER)
        context.enable(context.DEPTH_TEST)
        self._target = None

    def __call__(
        self, seen: np.ndarray, faces: np.ndarray, colours: np.ndarray, width: int, height: int
    ) -> np.ndarray:
        context = self._context
        target = self._sized(width, height)
        target.use()
        target.clear()
        # x, y and depth of the clip cube, times w, which is the depth in metres. Row 0 of the
        # picture is OpenGL's lowest, which is also the first that it hands back.
        x, y, z = seen.T
        cube = (2 * x / width - 1) * z, (2 * y / height - 1) * z, _clip_depth(z), z
        vertices = np.column_stack([*cube, colours / 255]).astype(np.float32)
        points = context.buffer(vertices.tobytes())
        order = context.buffer(faces.astype(np.int32).tobytes())
        array = context.vertex_array(
            self._program, [(points, "4f 3f", "position", "colour")], order
        )
        array.render()
        data = np.frombuffer(target.read(components=4), np.uint8).reshape(height, width, 4)
        for part in (array, order, points):
            part.release()
        out = data.astype(np.float32)
        out[..., 3] /= 255
        return out

    def _sized(self, width: int, height: int):
        if self._target is None or self._target.size != (width, height):
            if self._target is not None:
                for part in (*self._target.color_attachments, self._target.depth_attachment):
                    part.release()
                self._target.release()
            self._target = self._context.framebuffer(
                [self._context.renderbuffer((width, height), 4)],
                self._context.depth_renderbuffer((width, height)),
            )
        return self._target


def _clip_depth(depth: np.ndarray) -> np.ndarray:
    """OpenGL's clip z of a depth in metres: -w at `NEAR`, w at `_FAR`."""
    return ((_FAR + NEAR) * depth - 2 * _FAR * NEAR) / (_FAR - NEAR)
