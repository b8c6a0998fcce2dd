"""A miniature Human4DiT-Video: the list, cuts, and SMPL files as PHALP wrote them."""

from pathlib import Path

import joblib
import numpy as np
from scipy.spatial.transform import Rotation

from datasets.bodies.smplx import load_body
from datasets.video.files import write_video

FRAMES = 70
REST_SHIFT = np.array([0.02, 0.05, -0.03])  # SMPL's pelvis is not where the packaged body's is
SIZE = (64, 48)  # width, height of the videos
HEADER = ["video_url", "part", "clip", "start", "end", "smpl"]
# Cut -> file name without suffix; the colons are written in all three ways.
ONE_PART = "BV1aa411c7mD_1_00:00:10.500_00:00:02.800"
WITH_PART = "BV1bb411c7mE_p2_2_00:01:05.000_00:00:02.800"
EMPTY_LABELS = "BV1cc411c7mF_1_00:00:01.000_00:00:02.800"
NO_LABELS = "BV1aa411c7mD_1_00:00:20.000_00:00:02.800"  # of the same source video as ONE_PART
ON_DISK = {
    ONE_PART: ONE_PART,
    WITH_PART: WITH_PART.replace(":", "%3A"),
    EMPTY_LABELS: EMPTY_LABELS.replace(":", "_"),
    NO_LABELS: NO_LABELS,
}
URL = "https://www.bilibili.com/video/"
ROWS = [
    [URL + "BV1aa411c7mD", "1", "1", "00:00:10.500", "00:00:13.300", "a.pkl"],
    [URL + "BV1bb411c7mE", "2", "2", "00:01:05.000", "00:01:07.800", "b.pkl"],
    [URL + "BV1cc411c7mF", "1", "1", "00:00:01.000", "00:00:03.800", "c.pkl"],
    [URL + "BV1aa411c7mD", "1", "1", "00:00:20.000", "00:00:22.800", "d.pkl"],
    [URL + "BV1dd411c7mG", "1", "9", "00:00:20.000", "00:00:22.800", "not downloaded.pkl"],
    [URL + "BV1ee411c7mH", "1", "1", "../../../etc/passwd", "00:00:22.800", "/etc/passwd"],
]
MAIN, OTHER = 7, 9  # ids of the tracks


def person(track: int, frame: int, betas: np.ndarray, rest: np.ndarray, camera: np.ndarray) -> dict:
    """Return one person's items of the lists of an image."""
    turns = Rotation.from_rotvec(0.2 * np.sin(frame / 9 + track + np.arange(72).reshape(24, 3)))
    matrices = turns.as_matrix().astype(np.float32)
    joints = np.zeros((45, 3), np.float32)
    joints[8] = rest
    return {
        "tid": track,
        "bbox": np.array([10.0, 5.0, 12.0, 30.0] if track == MAIN else [40.0, 5.0, 6.0, 10.0]),
        "tracked_time": 0,
        "smpl": {"global_orient": matrices[:1], "body_pose": matrices[1:], "betas": betas},
        "camera": camera,
        "camera_bbox": np.array([0.9, 0.01, 0.02], np.float32),
        "3d_joints": joints,
        "2d_joints": np.zeros(90, np.float32),
        "size": [SIZE[1], SIZE[0]],
        "conf": 0.9,
    }


def phalp_result(
    *, seed: int = 0, frames: int = FRAMES, shared: int = 5
) -> tuple[dict, np.ndarray]:
    """Return a result of PHALP and the pelvis pixels (frames, 2) of the main track.

    Row 1 has no key; the other person, listed first, is seen in `shared` rows from 30 on, and its
    ghost, of which only the tracker knows, in the five after them.
    """
    rng = np.random.default_rng(seed)
    base = rng.normal(size=10)
    result, pixels = {}, []
    focal = 5000 / 256 * max(SIZE)
    shapes = base + 0.05 * np.sin(np.arange(frames)[:, None] + np.arange(10))
    shapes = shapes.astype(np.float32)  # another one in every image, as estimated
    rests = load_body().rest_joints(shapes)[:, 0] + REST_SHIFT
    for row in range(frames):
        camera = np.array([0.3 * np.sin(row / 20), 0.1, 40 + row / 30], np.float32)
        people = [person(MAIN, row, shapes[row], rests[row], camera)]
        if 30 <= row < 35 + shared:
            betas, aside = shapes[row] + 1, camera + np.float32(0.5)
            other = person(OTHER, row, betas, rests[row], aside)
            other["tracked_time"] = max(0, row - 29 - shared)
            people.insert(0, other)
        seen = [p for p in people if p["tracked_time"] == 0]
        x, y, z = rests[row] + camera
        pixels.append([focal * x / z + SIZE[0] / 2, focal * y / z + SIZE[1] / 2])
        if row == 1:
            continue
        key = f"/home/annotator/demo/img/{row + 1:06d}.jpg"
        result[key] = {name: [p[name] for p in people] for name in people[0]} | {
            "time": row,
            "shot": 0,
            "frame_path": key,
            "tracked_ids": [p["tid"] for p in seen],
            "tracked_bbox": [p["bbox"] for p in seen],
            "mask": [{"size": [SIZE[1], SIZE[0]], "counts": b"\x00\xff01"} for _ in people],
            "extra_data": {},
        }
    return result, np.array(pixels)


def write_cut(path: Path, *, frames: int = FRAMES, fps: float = 25) -> None:
    """Write a video whose pictures get brighter."""
    path.parent.mkdir(parents=True, exist_ok=True)
    grey = (20 + 3 * np.arange(frames)).astype(np.uint8)
    shape = (frames, SIZE[1], SIZE[0], 3)
    write_video(path, np.broadcast_to(grey[:, None, None, None], shape).copy(), fps=fps)


def write_list(root: Path, rows: list[list[str]]) -> None:
    """Write the CSV, with its header."""
    lines = [",".join(row) for row in [HEADER, *rows]]
    (root / "human4dit_video.csv").write_text("\n".join(lines) + "\n")


def build(root: Path) -> dict[tuple[str, str, str], np.ndarray]:
    """Write the copy; return the pelvis's pixels (frames, 2) of every cut, NaN without labels."""
    (root / "smpl").mkdir(parents=True)
    write_list(root, ROWS)
    truth = {}
    for seed, (name, on_disk) in enumerate(ON_DISK.items()):
        write_cut(root / "cut" / f"{on_disk}.mp4")
        labels = root / "smpl" / f"demo_{on_disk}.pkl"
        truth[name, "0", "0"] = np.full((FRAMES, 2), np.nan)
        if name == EMPTY_LABELS:
            labels.touch()
        elif name != NO_LABELS:
            result, truth[name, "0", "0"] = phalp_result(seed=seed)
            joblib.dump(result, labels, compress=3)
    write_cut(root / "cut" / "a stranger, uninvited.mp4", frames=3)
    return truth
