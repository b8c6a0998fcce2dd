"""A folder of BVH motion capture, converted to SMPL-X at 30 frames per second.

Four skeletons are known by their joint names (`SKELETONS`), mostly the conversions of the CMU
database; a file with another skeleton is skipped and the names that were missed are listed.

The world orientation of every joint is kept, not its angles: with G the world rotation of the BVH
joint and C the smallest rotation from the SMPL-X rest direction of the bone to that of the BVH
bone, SMPL-X gets W = G C, and its angles follow from W of joint and parent. So bones of arms and
legs point exactly where the recording has them, whatever the two rest poses are.

The header's frame rate is taken at its word, which is not always right: conversions of CMU
subjects 60 and 61 say 120 and were recorded at 60. Correct ``Frame Time:`` in such files first.
"""

import dataclasses
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from datasets import rotation
from datasets.adapters.formats.bvh_file import BvhFile, Skeleton, read_bvh
from datasets.adapters.formats.motion_files import MotionFolder, Recording, take_group
from datasets.bodies.smplx import BODY_JOINTS, load_body
from datasets.motion import JOINTS, Motion

TARGET_FPS = 30.0
FOOT_HEIGHT = 0.03  # of the foot joint of a standing person, in metres

_INDEX = {name: index for index, name in enumerate(JOINTS)}
_CENTRE = ("pelvis", "spine1", "spine2", "spine3", "neck", "head")
_SIDES = ("left", "right")
_SIDE = ("hip", "knee", "ankle", "foot", "collar", "shoulder", "elbow", "wrist")

# Joint -> the joint its bone leads to. Trunk, neck, head and collars keep the orientation of the
# recording: turning a collar into the bone's direction would raise the shoulders.
_BONES = {"hip": "knee", "knee": "ankle", "ankle": "foot", "shoulder": "elbow", "elbow": "wrist"}
_SAME_BONE = {"foot": "ankle", "wrist": "elbow"}  # joints without a bone of their own


def _names(centre: str, side: str, left: str, right: str) -> dict[str, str]:
    """SMPL-X joint -> BVH joint."""
    names = dict(zip(_CENTRE, centre.split(), strict=True))
    for own, other in (("left", left), ("right", right)):
        for joint, name in zip(_SIDE, side.split(), strict=True):
            names[f"{own}_{joint}"] = other + name
    return names


_BUILDER_SIDE = "UpLeg Leg Foot ToeBase Shoulder Arm ForeArm Hand"
SKELETONS = {
    "cgspeed MotionBuilder": _names(
        "Hips LowerBack Spine Spine1 Neck Head", _BUILDER_SIDE, "Left", "Right"
    ),
    "cgspeed 3ds Max": _names(
        "Hips lowerback Chest Chest2 lowerneck Head",
        "Hip Knee Ankle Toe Collar Shoulder Elbow Wrist",
        "Left",
        "Right",
    ),
    "FAIR": _names("Hips Spine Spine2 Spine3 Neck Head", _BUILDER_SIDE, "Left", "Right"),
    # No toe joint: the end site of the foot stands for it. One abdomen for two joints of ours.
    "Poser": _names(
        "hip abdomen abdomen chest neck head",
        "Thigh Shin Foot Foot.end Collar Shldr ForeArm Hand",
        "l",
        "r",
    ),
}


def read(path: Path) -> Motion:
    """The y-up world motion of one file, in metres, on the ground, with the mean shape.

    Raises:
        ValueError: it is not a BVH file, or not one of a known skeleton; the message says why.
        OSError: it cannot be read.
    """
    file = read_bvh(path)
    joints = match(file.skeleton)
    local, root, fps = _sample(file)
    rotations, positions = file.skeleton.forward(local, root)
    rest = file.skeleton.rest_positions()[joints]
    axes = _body_axes(rest)
    rotations = axes @ rotations[:, joints] @ axes.T
    positions, rest = positions[:, joints] @ axes.T, rest @ axes.T

    body = load_body()
    own_rest = body.rest_joints(np.zeros(10))[:BODY_JOINTS].astype(np.float64)
    parents = body.parents[:BODY_JOINTS]
    world = rotations @ _bone_corrections(own_rest, rest)
    _halve_shared(world, joints, parents)

    local = world.copy()
    local[:, 1:] = np.swapaxes(world[:, parents[1:]], -1, -2) @ world[:, 1:]
    pose = rotation.matrix_to_axis_angle(local)

    hips = [_INDEX["left_hip"], _INDEX["right_hip"]]
    scale = _leg_length(own_rest) / _leg_length(rest)
    hip_shift = own_rest[hips].mean(0) - own_rest[0]
    pelvis = scale * positions[:, hips].mean(1) - world[:, 0] @ hip_shift
    motion = Motion(
        body_pose=pose[:, 1:].reshape(len(pose), -1),
        global_orient=pose[:, 0],
        betas=np.zeros(10),
        transl=pelvis - own_rest[0],
        fps=fps,
    )
    return _on_ground(motion)


def match(skeleton: Skeleton) -> list[int]:
    """The BVH joint of each of the 22 SMPL-X joints (`datasets.motion.JOINTS`).

    Raises:
        ValueError: no known skeleton has all its names here; says which the nearest one lacks.
    """
    index = {name: joint for joint, name in enumerate(skeleton.names)}
    lacking = {
        known: sorted(set(names.values()) - index.keys()) for known, names in SKELETONS.items()
    }
    best = min(lacking, key=lambda known: len(lacking[known]))
    if lacking[best]:
        raise ValueError(
            f"unknown skeleton; the nearest, {best}, also has the joints {', '.join(lacking[best])}"
        )
    return [index[SKELETONS[best][name]] for name in JOINTS]


def _sample(file: BvhFile) -> tuple[np.ndarray, np.ndarray, float]:
    """Local rotations, root positions and frame rate, at or near 30 frames per second.

    Every n-th frame where the rate is a multiple of 30 (within 1 %), interpolation elsewhere. The
    first frame is left out: conversions of the CMU database put a T-pose there.
    """
    frames = file.frames[1:]
    if not len(frames):
        raise ValueError("no frame besides the first, which holds the rest pose")
    ratio = file.fps / TARGET_FPS
    stride = round(ratio)
    if stride and abs(ratio / stride - 1) < 0.01:
        return *file.skeleton.local_pose(frames[::stride]), file.fps / stride
    local, root = file.skeleton.local_pose(frames)
    # The small excess keeps a last frame that falls on the end exactly.
    at = np.arange(int((len(frames) - 1) / ratio + 1e-6) + 1) * ratio
    before = np.minimum(at.astype(int), len(frames) - 1)
    after = np.minimum(before + 1, len(frames) - 1)
    weight = at - before
    step = rotation.matrix_to_axis_angle(np.swapaxes(local[before], -1, -2) @ local[after])
    turn = rotation.axis_angle_to_matrix(weight[:, None, None] * step)
    root = root[before] + weight[:, None] * (root[after] - root[before])
    return local[before] @ turn, root, TARGET_FPS


def _body_axes(rest: np.ndarray) -> np.ndarray:
    """Rotation (3, 3) from the file's axes to ours: x to the left, y up, z ahead of the rest pose.

    Files differ in it (y up facing z, z up facing -y); each direction is read off the rest pose and
    snapped to the nearest axis.
    """
    hip, other_hip = rest[_INDEX["left_hip"]], rest[_INDEX["right_hip"]]
    up = _nearest_axis(rest[_INDEX["head"]] - (hip + other_hip) / 2)
    left = _nearest_axis(hip - other_hip)
    axes = np.stack([left, up, np.cross(left, up)])
    if not axes.any(axis=1).all():
        raise ValueError("the rest pose does not stand upright")
    return axes


def _nearest_axis(direction: np.ndarray) -> np.ndarray:
    axis = np.argmax(np.abs(direction))
    return np.eye(3)[axis] * np.sign(direction[axis])


def _bone_corrections(own_rest: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """C of every joint (22, 3, 3), from the two rest poses (22, 3)."""
    corrections = np.tile(np.eye(3), (BODY_JOINTS, 1, 1))
    for side in _SIDES:
        for start, end in _BONES.items():
            first, last = _INDEX[f"{side}_{start}"], _INDEX[f"{side}_{end}"]
            bone, own_bone = rest[last] - rest[first], own_rest[last] - own_rest[first]
            if not np.linalg.norm(bone):
                raise ValueError(f"the bone from {side} {start} to {end} has no length")
            corrections[first] = Rotation.align_vectors(bone, own_bone)[0].as_matrix()
        for joint, source in _SAME_BONE.items():
            corrections[_INDEX[f"{side}_{joint}"]] = corrections[_INDEX[f"{side}_{source}"]]
    return corrections


def _halve_shared(world: np.ndarray, joints: list[int], parents: np.ndarray) -> None:
    """Where a joint and its child have one BVH joint, give the first half of the rotation."""
    for child, joint in enumerate(parents):
        if joint > 0 and joints[child] == joints[joint]:
            parent = world[:, parents[joint]]
            relative = np.swapaxes(parent, -1, -2) @ world[:, joint]
            half = rotation.matrix_to_axis_angle(relative) / 2
            world[:, joint] = parent @ rotation.axis_angle_to_matrix(half)


def _leg_length(rest: np.ndarray) -> float:
    """Thigh and shank, mean of both legs."""
    legs = [[_INDEX[f"{side}_{name}"] for name in ("hip", "knee", "ankle")] for side in _SIDES]
    return float(np.linalg.norm(np.diff(rest[legs], axis=1), axis=-1).sum(1).mean())


def _on_ground(motion: Motion) -> Motion:
    """The motion moved up or down until its lower foot joint is at `FOOT_HEIGHT` at rest.

    At rest: the 5th percentile over time, so that neither a jump nor one bad frame counts.
    """
    feet = [_INDEX["left_foot"], _INDEX["right_foot"]]
    heights = load_body().joints(motion.to_channels())[:, feet, 1].min(axis=1)
    shift = np.array([0, FOOT_HEIGHT - np.percentile(heights, 5), 0])
    return dataclasses.replace(motion, transl=motion.transl + shift)


DATASET = MotionFolder(
    name="bvh",
    version=1,
    suffix=".bvh",
    read=lambda path, options: Recording(motion=read(path)),
    group=take_group,
)
