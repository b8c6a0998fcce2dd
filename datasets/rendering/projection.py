"""From the camera frame to the picture, and which triangles the camera sees."""

import numpy as np

from datasets.motion import Camera

NEAR = 0.05  # m: triangles nearer to the camera are not drawn


def on_screen(vertices: np.ndarray, view: Camera, size: tuple[float, float]) -> np.ndarray:
    """Return the places of posed vertices in pictures of another size than the camera's.

    Args:
        vertices: (T, V, 3) metres, camera frame.
        view: the camera, T frames.
        size: width and height of the pictures to draw.

    Returns:
        (T, V, 3) float32: column and row in pixels from the corner of the first, and depth in
        metres; columns and rows mean nothing where the depth is less than `NEAR`.
    """
    scale = np.array([size[0] / view.width, size[1] / view.height])
    K = view.K[:, :2].astype(np.float64)
    K[:, :, 2] += 0.5 if view.pixel_origin == "centre" else 0.0
    K = (K * scale[:, None]).astype(np.float32)
    depth = vertices[..., 2]
    flat = vertices / np.maximum(depth, NEAR)[..., None]
    out = np.empty_like(vertices)
    for axis in range(2):
        fx, fy, shift = (K[:, axis, i, None] for i in range(3))
        out[..., axis] = flat[..., 0] * fx + flat[..., 1] * fy + shift
    out[..., 2] = depth
    return out


def faces_camera(corners: np.ndarray) -> np.ndarray:
    """(...) bool of triangles (..., 3, 3) of `on_screen`: outside seen, all before `NEAR`."""
    a, b, c = (corners[..., i, :2] for i in range(3))
    (ux, uy), (vx, vy) = (np.moveaxis(edge, -1, 0) for edge in (b - a, c - a))
    return (ux * vy < uy * vx) & (corners[..., 2].min(axis=-1) > NEAR)
