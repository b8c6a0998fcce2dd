"""The frames of a BVH file that become a motion: which ones, at which rate, which axis up."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from datasets.adapters.formats.bvh.bvh_file import BvhFile
from datasets.adapters.formats.bvh.joint_names import SIDES
from datasets.adapters.formats.bvh.recorded import INDEX, Recorded, standing_axes
from datasets.adapters.formats.bvh.turns import unit
from datasets.adapters.formats.motion_files import UP_TO_Y, ReadOptions
from datasets.motion import JOINTS

TARGET_FPS = 30.0
_MOST_FRAMES = 54_000  # half an hour at 30 frames per second
_BLOCK = 4096  # frames that are converted at once
_JUMP = 4.0  # times the largest step that follows: a first frame that is not of the motion
HIPS = [INDEX["left_hip"], INDEX["right_hip"]]


@dataclass(frozen=True, eq=False)
class Take:
    """The frames of a file that are converted."""

    file: BvhFile  # where they come from
    up: str  # the axis that is up, a key of `UP_TO_Y`
    before: np.ndarray  # (T,) frame of the file, at or before each frame
    weight: np.ndarray  # (T,) of the frame after
    valid: np.ndarray  # (T,) bool
    fps: float  # frames per second
    starts_with_t_pose: bool  # the file's first frame was left out

    def rows(self, count: int) -> np.ndarray:
        """At most `count` valid rows, evenly spread."""
        rows = np.flatnonzero(self.valid)
        return rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)]

    def blocks(self) -> list[np.ndarray]:
        """All rows, a few thousand at a time."""
        count = len(self.before)
        return [np.arange(at, min(at + _BLOCK, count)) for at in range(0, count, _BLOCK)]

    def stretched(self, share: float) -> list[str]:
        """Joints below the hips' whose position channels leave the OFFSET by a share of a thigh."""
        skeleton, joints = self.file.skeleton, self.file.joints.joints
        carriers = set(skeleton.carriers(joints.values())) - set(skeleton.chain(joints["pelvis"]))
        rest = skeleton.rest_positions[[joints["left_hip"], joints["left_knee"]]]
        limit = share * np.linalg.norm(rest[1] - rest[0])
        return [
            skeleton.names[joint]
            for joint in sorted(carriers)
            if skeleton.stretch(self.file.frames, joint) > limit
        ]

    def recorded(self, rows: np.ndarray) -> Recorded:
        """Rotations and positions of some rows, y up."""
        before = self.before[rows]
        after = np.minimum(before + 1, len(self.file.frames) - 1)
        found = _recorded(self.file, before, after, self.weight[rows])
        turn = UP_TO_Y[self.up]
        return dataclasses.replace(
            found, rotations=turn @ found.rotations, positions=found.positions @ turn.T
        )


def _recorded(file: BvhFile, before: np.ndarray, after: np.ndarray, weight: np.ndarray) -> Recorded:
    """In the file's own axes."""
    joints = file.joints.joints
    index = [joints.get(name, joints["pelvis"]) for name in JOINTS]
    rotations, positions = file.skeleton.forward(
        file.frames[before].astype(float), file.frames[after].astype(float), weight, index
    )
    return Recorded(
        rotations=rotations,
        positions=positions,
        has=np.array([name in joints for name in JOINTS]),
        leg=leg_length(positions),
        zero_pose=file.skeleton.rest_positions[index],
    )


def take_of(file: BvhFile, options: ReadOptions) -> Take:
    """Return the frames at or near 30 per second, and the axis that is up.

    Every n-th frame where the rate is a multiple of 30 (within 1 %), between frames elsewhere.
    """
    some = np.arange(min(64, len(file.frames)))
    start = _recorded(file, some, some, np.zeros(len(some)))
    first = int(file.valid[: len(some)].all() and _starts_with_t_pose(start))
    fps = options.source_fps or file.fps
    ratio = fps / TARGET_FPS if options.fps is None else 1.0
    count = len(file.frames) - first
    stride = round(ratio)
    if stride and abs(ratio / stride - 1) < 0.01:
        before = np.arange(0, count, stride)
        weight, fps = np.zeros(len(before)), fps / stride
    else:
        # The small excess keeps a last frame that falls on the end exactly.
        at = np.arange(int((count - 1) / ratio + 1e-6) + 1) * ratio
        before = np.minimum(at.astype(int), count - 1)
        weight, fps = at - before, TARGET_FPS
    if len(before) > _MOST_FRAMES:
        raise ValueError(f"more than {_MOST_FRAMES} frames: cut the recording into several files")
    before = before + first
    after = np.minimum(before + 1, len(file.frames) - 1)
    valid = file.valid[before] & (file.valid[after] | (weight == 0))
    if not valid.any():
        raise ValueError("no frame has finite numbers")
    return Take(
        file=file,
        up=_up(start, options),
        before=before,
        weight=weight,
        valid=valid,
        fps=fps,
        starts_with_t_pose=bool(first),
    )


def _starts_with_t_pose(start: Recorded) -> bool:
    """Return True if the first frame is a T-pose far from the next, so not part of the motion.

    Conversions of the CMU database put it there.
    """
    if len(start.positions) < 3:
        return False
    about_hips = start.positions - start.positions[:, HIPS].mean(axis=1, keepdims=True)
    steps = np.linalg.norm(np.diff(about_hips, axis=0), axis=-1)[:, start.has].max(axis=1)
    if steps[0] < max(0.1 * start.leg, _JUMP * steps[1:].max()):
        return False
    across = unit(start.vectors("right_shoulder", "left_shoulder")[0])
    for sign, side in zip((1, -1), SIDES, strict=True):
        upper = unit(start.vectors(f"{side}_shoulder", f"{side}_elbow")[0])
        lower = unit(start.vectors(f"{side}_hip", f"{side}_knee")[0])
        shank = unit(start.vectors(f"{side}_knee", f"{side}_ankle")[0])
        if sign * upper @ across < 0.95 or lower @ shank < 0.95:
            return False
    return True


def _up(start: Recorded, options: ReadOptions) -> str:
    if options.up is not None:
        return options.up
    standing = standing_axes(start.zero_pose, start.has)
    return "y" if standing is None else _axis_name(standing[:, 1])


def _axis_name(axis: np.ndarray) -> str:
    for name, turn in UP_TO_Y.items():
        if turn[1] @ axis > 0.5:
            return name
    raise ValueError(f"the zero pose stands along {axis.astype(int).tolist()}: give --up")


def leg_length(positions: np.ndarray) -> float:
    """Thigh and shank, mean of both legs and all frames (T, 22, 3)."""
    legs = [[INDEX[f"{side}_{name}"] for name in ("hip", "knee", "ankle")] for side in SIDES]
    return float(np.linalg.norm(np.diff(positions[:, legs], axis=2), axis=-1).sum(-1).mean())
