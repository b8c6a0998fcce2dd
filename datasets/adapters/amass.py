"""AMASS: ``<set>/<subject>/<take>.npz`` in its SMPL-X and SMPL-H releases.

Poses start with root 3 and body 63 in both releases; z up is turned to y up. Frame rates differ
(60 to 250): an integer stride brings each near 30, and the true rate is kept. A subject is a group,
unless a file names another one in a scalar text array ``group``.

The betas belong to the file's own body. SMPL-X's are those of our bodies for gender ``neutral``;
SMPL-H has another shape space, so that bodies of that release only approximate the subject.
"""

import dataclasses
import os
from pathlib import Path

import numpy as np

from datasets.adapters.formats.motion_files import (
    Z_UP_TO_Y_UP,
    MotionFolder,
    npz_group,
    npz_keys,
    read_npz,
    scalar,
    subject_group,
    ten_betas,
    to_y_up,
    word,
)
from datasets.bodies.smplx import load_body
from datasets.motion import Motion

TARGET_FPS = 30.0
# OpenCV's camera (x right, y down, z forward) as a world with z up: (x, z, -y).
CAMERA_TO_Z_UP = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])

_NEEDED = {
    "poses": ("poses",),
    "trans": ("trans",),
    "betas": ("betas",),
    "fps": ("mocap_framerate", "mocap_frame_rate"),
    "gender": ("gender",),
}


def read(path: Path) -> Motion:
    """The y-up world motion of one file, near 30 frames per second.

    Raises:
        ValueError: unreadable, a missing key, a wrong shape, a number that is not finite, or a
            plain SMPL-X file.
    """
    keys = npz_keys(path)
    if "poses" not in keys and keys & {"root_orient", "pose_body"}:
        raise ValueError("no array poses but root_orient or pose_body: use the dataset smplx_npz")
    arrays = read_npz(path, _NEEDED, {})
    poses = arrays["poses"]
    if poses.ndim != 2 or poses.shape[1] < 66:
        raise ValueError(f"poses have shape {poses.shape}, expected (T, 66 or more)")
    fps = scalar(arrays["fps"], "frame rate")
    motion = Motion(
        body_pose=poses[:, 3:66],
        global_orient=poses[:, :3],
        betas=ten_betas(arrays["betas"]),
        transl=arrays["trans"],
        fps=fps,
        gender=word(arrays["gender"]),
    )
    stride = max(1, round(fps / TARGET_FPS))
    return to_y_up(dataclasses.replace(motion[::stride], fps=fps / stride))


def write(path: Path, motion: Motion) -> None:
    """Write a neutral SMPL-X motion in the layout of AMASS's SMPL-X release, whole or not at all.

    What reads that release reads this: z is up. A camera-space motion is turned as if its camera
    were level (z up is the picture's upward direction, y the one the camera looks in). Hands and
    face are at rest.

    Raises:
        ValueError: not an SMPL-X motion.
        OSError: the file cannot be written.
    """
    if motion.body != "smplx":
        raise ValueError(f"AMASS's SMPL-X layout is of smplx motions, not {motion.body}")
    turn = CAMERA_TO_Z_UP if motion.space == "camera" else np.linalg.inv(Z_UP_TO_Y_UP)
    rest = load_body(gender=motion.gender).rest_joints(motion.betas)[..., 0, :]
    upright = motion.transformed(turn, rest, space="world")
    frames = len(motion)
    betas = motion.betas if motion.betas.ndim == 1 else motion.betas.mean(axis=0)
    rest_of_body = {"pose_jaw": 3, "pose_eye": 6, "pose_hand": 90}
    parts = {
        "root_orient": upright.global_orient,
        "pose_body": upright.body_pose,
        **{name: np.zeros((frames, size), np.float32) for name, size in rest_of_body.items()},
    }
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        np.savez(
            file,
            poses=np.concatenate(list(parts.values()), axis=1),
            trans=upright.transl,
            betas=np.pad(betas, (0, 6)),  # AMASS has 16
            num_betas=16,
            gender=motion.gender,
            mocap_frame_rate=motion.fps,
            surface_model_type="smplx",
            **parts,
        )
    os.replace(temporary, path)


def is_motion(file_name: str) -> bool:
    """Whether the file is a motion, not the shape of a subject, which lies beside them."""
    return file_name != "shape.npz" and not file_name.endswith("_stagei.npz")


DATASET = MotionFolder(
    name="amass",
    version=1,
    suffix=".npz",
    read=read,
    group=subject_group,
    is_motion=is_motion,
    own_group=npz_group,
)
