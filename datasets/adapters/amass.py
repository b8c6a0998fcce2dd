"""AMASS: ``<set>/<subject>/<take>.npz`` in its SMPL-X and SMPL-H releases.

Poses start with root 3 and body 63 in both releases; z is up, unless an array ``up`` or the user
names another axis. Frame rates differ (60 to 250): an integer stride brings each near 30, and the
true rate is kept. A subject is a group, unless a file names another one in a scalar text array
``group``; a file in no subject's folder is a group of its own.

The betas belong to the file's own body. SMPL-X's are those of our bodies for gender ``neutral``;
SMPL-H has another shape space, so that bodies of that release only approximate the subject.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from datasets.adapters.formats.motion_files import (
    UP_TO_Y,
    MotionFolder,
    ReadOptions,
    Recording,
    npz_group,
    subject_group,
)
from datasets.adapters.formats.npz_file import read_npz
from datasets.adapters.formats.npz_motion import FACTS, frame_rows, recording
from datasets.bodies.smplx import load_body
from datasets.motion import Motion, require
from datasets.tools.files import replacing
from datasets.tools.npz import npz_names

TARGET_FPS = 30.0
_SMPLH_POSES = 156  # numbers a frame
# OpenCV's camera (x right, y down, z forward) as a world with z up: (x, z, -y).
CAMERA_TO_Z_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])


def read(path: Path, options: ReadOptions = ReadOptions()) -> Recording:  # noqa: B008 (frozen)
    """The y-up world motion of one file, near 30 frames per second unless `options` ask for a rate.

    Raises:
        ValueError: unreadable, a missing key, a wrong shape, no finite frame, or a plain SMPL-X
            file.
    """
    keys = npz_names(path)
    if "poses" not in keys and keys & {"root_orient", "pose_body"}:
        raise ValueError("no array poses but root_orient or pose_body: use the dataset smplx_npz")
    arrays = read_npz(path, {"poses": ("poses",), "transl": ("trans", "transl")}, FACTS)
    poses = frame_rows(arrays["poses"], "poses")
    require(
        poses.shape[1] >= 66,
        f"poses have shape {arrays['poses'].shape}, expected 66 numbers a frame or more",
    )
    found = recording(
        arrays,
        body_pose=poses[:, 3:66],
        global_orient=poses[:, :3],
        transl=frame_rows(arrays["transl"], "trans"),
        up="z",
        options=options,
    )
    if poses.shape[1] == _SMPLH_POSES and "betas" in arrays:
        assumed = "SMPL-H's betas as those of SMPL-X, which only approximate the subject"
        found = dataclasses.replace(found, assumed=(*found.assumed, assumed))
    fps = found.motion.fps
    stride = 1 if options.fps else max(1, round(fps / TARGET_FPS))
    thinned = dataclasses.replace(found.motion[::stride], fps=fps / stride)
    valid = None if found.valid is None else found.valid[::stride]
    return dataclasses.replace(found, motion=thinned, valid=valid)


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
    turn = np.eye(4)
    turn[:3, :3] = CAMERA_TO_Z_UP if motion.space == "camera" else UP_TO_Y["z"].T
    rest = load_body(gender=motion.gender).rest_joints(motion.betas)[..., 0, :]
    upright = motion.transformed(turn, rest, space="world")
    frames = len(motion)
    betas = motion.betas if motion.betas.ndim == 1 else motion.betas.mean(axis=0)
    rest_of_body = {"pose_jaw": 3, "pose_eye": 6, "pose_hand": 90}
    parts: dict[str, Any] = {
        "root_orient": upright.global_orient,
        "pose_body": upright.body_pose,
        **{name: np.zeros((frames, size), np.float32) for name, size in rest_of_body.items()},
    }
    with replacing(path) as temporary, temporary.open("wb") as file:
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


def is_motion(file_name: str) -> bool:
    """Return True for a motion, False for the shape of a subject, which lies beside the motions."""
    return file_name != "shape.npz" and not file_name.endswith("_stagei.npz")


DATASET = MotionFolder(
    name="amass",
    version=2,
    suffix=".npz",
    read=read,
    group=subject_group,
    is_motion=is_motion,
    own_group=npz_group,
    takes=("up", "source_fps", "gender"),
)
