"""Clips for the estimator mediapipe."""

import numpy as np

from datasets.estimators import ClipVideo
from datasets.video.files import write_video


def square_K(num_frames, size=512, focal=None):
    focal = focal or size * 2**0.5
    one = np.array([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]])
    return np.tile(one, (num_frames, 1, 1)).astype(np.float32)


def written(path, pictures, fps=30.0, K=None):
    write_video(path, pictures, fps=fps)
    K = square_K(len(pictures), max(pictures[0].shape)) if K is None else K
    return ClipVideo(path.stem, path, K, "dataset", fps, True)
