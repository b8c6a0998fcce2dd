"""The 22 joints in a BVH file, and its zero pose: T or A."""

from dataclasses import dataclass

import numpy as np

from datasets.adapters.formats.bvh.joint_names import SIDES
from datasets.adapters.formats.bvh.turns import unit
from datasets.motion import JOINTS

INDEX = {name: index for index, name in enumerate(JOINTS)}
_LIMBS = (
    *(("hip", "knee"), ("knee", "ankle"), ("ankle", "foot")),
    *(("collar", "shoulder"), ("shoulder", "elbow"), ("elbow", "wrist")),
)
# Joint -> the joint its bone leads to.
BONES = {"spine1": "spine2", "spine2": "spine3", "neck": "head"}
BONES |= {f"{side}_{start}": f"{side}_{end}" for side in SIDES for start, end in _LIMBS}
# Joint -> the joints that are on its left and right, and the one its bone leads up to.
FRAMES = {
    "pelvis": ("left_hip", "right_hip", "spine1"),
    "spine3": ("left_collar", "right_collar", "neck"),
}
NO_LENGTH = 0.01  # of the leg; shorter bones have no direction


@dataclass(frozen=True, eq=False)
class Recorded:
    """A file's record of its 22 joints; where SMPL-X's has none, of the joint's parent."""

    rotations: np.ndarray  # (T, 22, 3, 3), world
    positions: np.ndarray  # (T, 22, 3), in the file's unit
    has: np.ndarray  # (22,) bool, whether the joint is in the file
    leg: float  # length of thigh and shank, in the file's unit
    zero_pose: np.ndarray  # (22, 3), in the joints' own axes

    def vectors(self, start: str, end: str) -> np.ndarray:
        """(T, 3) from one joint to another."""
        return self.positions[:, INDEX[end]] - self.positions[:, INDEX[start]]

    def has_bone(self, start: str, end: str) -> bool:
        """Both joints are there, and apart in every frame."""
        if not (self.has[INDEX[start]] and self.has[INDEX[end]]):
            return False
        lengths = np.linalg.norm(self.vectors(start, end), axis=1)
        return bool(lengths.min() > NO_LENGTH * self.leg)


def standing_axes(zero_pose: np.ndarray, has: np.ndarray) -> np.ndarray | None:
    """(3, 3) axes left, up and ahead, as columns, of a zero pose (22, 3) that is a T- or A-pose.

    Trunk and legs along one axis, arms sideways or down, both sides alike, toes ahead; None for any
    other pose.
    """

    def bone(start: str, end: str) -> np.ndarray:
        return unit(zero_pose[INDEX[end]] - zero_pose[INDEX[start]])

    hips = (zero_pose[INDEX["left_hip"]] + zero_pose[INDEX["right_hip"]]) / 2
    up = _nearest_axis(zero_pose[INDEX["head"]] - hips)
    left = _nearest_axis(bone("right_hip", "left_hip"))
    if abs(up @ left) > 0.5:
        return None
    axes = np.stack([left, up, np.cross(left, up)], axis=1)
    fits = [bone("right_hip", "left_hip") @ left > 0.95]
    fits.append(bone("right_shoulder", "left_shoulder") @ left > 0.95)
    fits.append(unit(zero_pose[INDEX["neck"]] - hips) @ up > 0.94)
    mirror = axes @ np.diag([-1, 1, 1]) @ axes.T
    for start, end in BONES.items():
        if not has[[INDEX[start], INDEX[end]]].all() or not bone(start, end).any():
            continue
        direction = bone(start, end)
        if start.startswith(("spine", "neck")):
            fits.append(direction @ up > 0.85)
            continue
        other = start.replace("left", "right"), end.replace("left", "right")
        if start.startswith("left"):
            fits.append(direction @ mirror @ bone(*other) > 0.98)
        part = start.split("_")[1]
        outwards = left if start.startswith("left") else -left
        if part in ("hip", "knee"):
            fits.append(direction @ up < -0.8)
        elif part == "ankle":
            fits.append(direction @ axes[:, 2] > 0.1 or direction @ up < -0.95)
        elif part == "collar":
            fits.append(direction @ outwards > 0.5)
        else:
            fits.append(direction @ outwards > -0.2 and direction @ up < 0.5)
    return axes if all(fits) else None


def _nearest_axis(direction: np.ndarray) -> np.ndarray:
    axis = np.argmax(np.abs(direction))
    return np.eye(3)[axis] * np.sign(direction[axis])
