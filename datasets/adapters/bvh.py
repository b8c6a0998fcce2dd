"""A folder of BVH motion capture, converted to SMPL-X at 30 frames per second.

Which joint is which is known by names (`formats.bvh.joint_names`); a file with another skeleton is
skipped and the names that were missed are listed. Bones point exactly where the recording's joint
positions have them, whatever the zero pose is (`formats.bvh.orientation`), and what was converted
is compared with the recording once more. Lengths are scaled to the legs of SMPL-X's mean shape.

The header's frame rate is taken at its word, which is not always right: conversions of CMU
subjects 60 and 61 say 120 and were recorded at 60.
"""

import dataclasses
import functools
from pathlib import Path

import numpy as np

from datasets import rotation
from datasets.adapters.formats.bvh.bvh_file import read_bvh
from datasets.adapters.formats.bvh.joint_names import SIDES, match, read_map
from datasets.adapters.formats.bvh.orientation import Orientation
from datasets.adapters.formats.bvh.recorded import INDEX
from datasets.adapters.formats.bvh.take import HIPS, Take, leg_length, take_of
from datasets.adapters.formats.bvh.turns import unit
from datasets.adapters.formats.motion_files import (
    MotionFolder,
    ReadOptions,
    Recording,
    take_group,
)
from datasets.bodies.smplx import BODY_JOINTS, load_body
from datasets.motion import Motion

FOOT_HEIGHT = 0.03  # of the foot joint of a standing person, in metres
_SAMPLE = 1000  # frames that the orientation of joints is learned from
_MOST_OFF = 2.0  # degrees between a bone of the recording and of the motion
_STRETCH = 0.01  # of the leg: position channels that differ less from the OFFSET are not told

_FEET = [INDEX["left_foot"], INDEX["right_foot"]]


def read(path: Path, options: ReadOptions = ReadOptions()) -> Recording:  # noqa: B008 (frozen)
    """Return the y-up world motion of one file, in metres, on the ground, with the mean shape.

    At or near 30 frames per second, unless `options` ask for a rate.

    Raises:
        ValueError: it is not a BVH file, its skeleton is unknown, or the motion would not be that
            of the recording; the message says why.
        OSError: it cannot be read.
    """
    named = match
    if options.skeleton is not None:
        named = functools.partial(read_map, Path(options.skeleton))
    file = read_bvh(path, named)
    take = take_of(file, options)
    sample = take.recorded(take.rows(_SAMPLE))
    orientation = Orientation(sample, file.joints.joints)
    scale = leg_length(_own_rest()[None]) / sample.leg
    motion = _convert(take, orientation, scale)
    shift = _ground_shift(motion, take)
    motion = dataclasses.replace(motion, transl=motion.transl + np.array([0, shift, 0]))
    _require_same(motion, take, orientation)
    return Recording(
        motion=motion,
        valid=take.valid,
        up=take.up,
        is_up_stated=options.up is not None,
        assumed=tuple(_assumed(take, orientation, scale, shift)),
    )


def _convert(take: Take, orientation: Orientation, scale: float) -> Motion:
    """Return the motion, with `scale` metres to the file's unit."""
    body = load_body()
    own_rest = _own_rest()
    parents = body.parents[1:BODY_JOINTS]
    hip_shift = own_rest[HIPS].mean(axis=0) - own_rest[0]
    poses, places = [], []
    for rows in take.blocks():
        recorded = take.recorded(rows)
        world = orientation.world(recorded)
        local = world.copy()
        local[:, 1:] = np.swapaxes(world[:, parents], -1, -2) @ world[:, 1:]
        poses.append(rotation.matrix_to_axis_angle(local))
        hips = recorded.positions[:, HIPS].mean(axis=1)
        places.append(scale * hips - world[:, 0] @ hip_shift - own_rest[0])
    pose = np.concatenate(poses)
    return Motion(
        body_pose=pose[:, 1:].reshape(len(pose), -1),
        global_orient=pose[:, 0],
        betas=np.zeros(10),
        transl=np.concatenate(places),
        fps=take.fps,
    )


def _own_rest() -> np.ndarray:
    """(22, 3) joints of the mean shape at rest, metres."""
    return load_body().rest_joints(np.zeros(10))[:BODY_JOINTS].astype(np.float64)


def _ground_shift(motion: Motion, take: Take) -> float:
    """Metres up to the place where the lower foot joint is at `FOOT_HEIGHT` at rest.

    At rest: the 5th percentile over time, so that neither a jump nor one bad frame counts.
    """
    joints = (load_body().joints(motion[rows].to_channels()) for rows in take.blocks())
    heights = np.concatenate([some[:, _FEET, 1].min(axis=1) for some in joints])
    return FOOT_HEIGHT - float(np.percentile(heights[take.valid], 5))


def _require_same(motion: Motion, take: Take, orientation: Orientation) -> None:
    """Compare the motion's bones with the recording's joint positions, in every frame.

    Raises:
        ValueError: they point elsewhere; names the bones.
    """
    lines = [*orientation.bones, ("right_hip", "left_hip")]
    worst = np.zeros(len(lines))
    ahead = 0.0
    for rows in take.blocks():
        rows = rows[take.valid[rows]]
        if not len(rows):
            continue
        recorded = take.recorded(rows)
        joints = load_body().joints(motion[rows].to_channels()).astype(np.float64)
        for line, (start, end) in enumerate(lines):
            ours = unit(joints[:, INDEX[end]] - joints[:, INDEX[start]])
            apart = np.linalg.norm(ours - unit(recorded.vectors(start, end)), axis=1)
            worst[line] = max(worst[line], np.degrees(2 * np.arcsin(apart.max() / 2)))
        toes = [unit(recorded.vectors(f"{side}_ankle", f"{side}_foot")) for side in SIDES]
        facing = orientation.world(recorded)[:, 0, :, 2]
        ahead += float(np.sum(facing * sum(toes)))
    off = [f"{a} to {b}" for (a, b), angle in zip(lines, worst, strict=True) if angle > _MOST_OFF]
    if off:
        raise ValueError(
            f"the motion would not be the recording's, by up to {worst.max():.0f} degrees: bones "
            f"{', '.join(off)}".replace("_", " ")
        )
    if ahead < 0:
        raise ValueError("the toes point backwards: are left and right swapped, or x mirrored?")


def _assumed(take: Take, orientation: Orientation, scale: float, shift: float) -> list[str]:
    """Return the assumptions where the file is silent, each in a few words."""
    assumed = [
        f"skeleton of {take.file.joints.family}",
        f"{take.up} is up",
        f"a unit of {100 * scale:.4g} cm, by the length of the legs, and the mean shape",
        f"the ground, by the feet ({shift:+.2f} m)",
    ]
    if orientation.standing is None:
        assumed.append("the twist of bones, by the recording: the zero pose is no T- or A-pose")
    for joint in orientation.by_zero_pose:
        assumed.append(f"the orientation of the {joint}, by the zero pose")
    if take.file.joints.missing:
        assumed.append(
            f"no joint of its own for {', '.join(take.file.joints.missing)}".replace("_", " ")
        )
    if take.starts_with_t_pose:
        assumed.append("the first frame, a T-pose, as none of the motion")
    if stretched := take.stretched(_STRETCH):
        assumed.append(f"bones of changing length, by position channels: {', '.join(stretched)}")
    return assumed


DATASET = MotionFolder(
    name="bvh",
    version=2,
    suffix=".bvh",
    read=read,
    group=take_group,
    takes=("up", "source_fps", "skeleton"),
)
