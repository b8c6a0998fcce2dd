"""Clips for GVHMR."""

import numpy as np

from datasets.estimators import ClipVideo
from datasets.video.files import write_video

SIZE = 128


def clip(tmp_path, *, fps=30.0, num_frames=20, static=True, clip_id=None):
    """A textured background that slides past, with intrinsics that change from frame to frame."""
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 256, (32, 32, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    video = tmp_path / f"clip {fps}.mp4"
    if not video.exists():
        rows = [blocks[:SIZE, i // 2 : i // 2 + SIZE] for i in range(num_frames)]
        write_video(video, rows, fps=fps)
    K = np.tile(np.array([[150, 0, 60], [0, 150, 66], [0, 0, 1.0]]), (num_frames, 1, 1))
    K[:, 0, 0] += np.arange(num_frames)
    name = clip_id or f"d/test/it's a=b,[c] {fps}/none/0/000000"
    return ClipVideo(name, video, K.astype(np.float32), "dataset", fps, static)
