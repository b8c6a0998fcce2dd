"""Files as PHALP writes them."""

from pathlib import Path

import joblib
import numpy as np

from datasets.estimators import ClipVideo
from datasets.rotation import axis_angle_to_matrix

HEIGHT, WIDTH = 180, 320


FOCAL = 5000 * WIDTH / 256


def entry(rng, centre=(160, 90)):
    """What PHALP lists of one person in one frame."""
    turn = axis_angle_to_matrix(rng.normal(size=(24, 3)) * 0.5).astype(np.float32)
    depth = 40 + rng.random()
    x, y = (np.array(centre) - (WIDTH / 2, HEIGHT / 2)) * depth / FOCAL
    return {
        "smpl": {
            "global_orient": turn[:1],
            "body_pose": turn[1:],
            "betas": rng.normal(size=10).astype(np.float32),
        },
        "camera": np.array([x, y, depth], np.float32),
        "bbox": np.array([centre[0] - 20, centre[1] - 50, 40, 100.0]),
    }


def frame(time, people, *, detected=None):
    """A frame of PHALP's output: (tid, tracked_time, entry) of all confirmed people.

    `tracked_ids` and `tracked_bbox` list the detected ones only, so that their positions are not
    those of the other lists.
    """
    seen = [person for person in people if person[1] == 0] if detected is None else detected
    path = f"out/_DEMO/clip/img/{time + 1:06d}.jpg"
    return path, {
        "time": time,
        "shot": 0,
        "frame_path": path,
        "tracked_ids": [tid for tid, _, _ in seen],
        "tracked_bbox": [e["bbox"] for _, _, e in seen],
        "tid": [tid for tid, _, _ in people],
        "tracked_time": [lost for _, lost, _ in people],
        "bbox": [e["bbox"] for _, _, e in people],
        "smpl": [e["smpl"] for _, _, e in people],
        "camera": [e["camera"] for _, _, e in people],
        "camera_bbox": [np.zeros(3, np.float32) for _ in people],
        "3d_joints": [np.zeros((45, 3), np.float32) for _ in people],
        "2d_joints": [np.zeros(90, np.float32) for _ in people],
        "size": [[HEIGHT, WIDTH] for _ in people],
        "center": [np.zeros(2) for _ in people],
        "scale": [np.float64(100) for _ in people],
        "mask": [[{"size": [HEIGHT, WIDTH], "counts": b"abc"}] for _ in people],
        "conf": [np.float32(0.9) for _ in people],
        "class_name": [0 for _ in people],
        "annotations": [[] for _ in people],
        "extra_data": [[] for _ in people],
        "img_path": [path for _ in people],
        "img_name": [path.split("/")[-1] for _ in people],
    }


def write(file, frames):
    file.parent.mkdir(parents=True, exist_ok=True)
    joblib.dump(dict(frames), file, compress=3)
    return file


def clip(num_frames, *, fps=30.0, video=Path("none.mp4")):
    K = np.tile(np.array([[400, 0, 250], [0, 410, 256], [0, 0, 1.0]]), (num_frames, 1, 1))
    return ClipVideo("a b/c=d", video, K, "dataset", fps, None)
