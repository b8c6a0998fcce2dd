"""World orientations of SMPL-X's joints from the joint positions and rotations of a recording.

A BVH file is free in how it writes one motion: with any zero pose, the rotation channels G of a
joint differ by a rotation Q from the right, which is not in the file. Positions do not depend on
it. So orientations W of SMPL-X's joints come from positions as far as these determine them:

* pelvis and chest (spine3): from the line of the hips (of the collars) and the bone upwards;
* joints of one bone: the bone points where the recording has it, W = A G Q, where Q turns SMPL-X's
  bone at rest to the recording's in the joint's axes, and A(t) takes out what Q leaves.

What is left is the twist of Q about the bone, and joints without a bone (head, toes, hands). Where
the zero pose is a T- or A-pose (`standing_axes`), Q is the smallest rotation between the two poses
at rest. Elsewhere elbows and knees bend about the axis that SMPL-X's bend about, where they bend
enough to tell, and other joints have no twist against their parent on average over the recording.
No joint position depends on it.

A pelvis or chest whose own bones have no length (CMU's) is known from a T- or A-pose only.
"""

import numpy as np

from datasets import rotation
from datasets.adapters.formats.bvh.recorded import (
    BONES,
    FRAMES,
    INDEX,
    NO_LENGTH,
    Recorded,
    standing_axes,
)
from datasets.adapters.formats.bvh.turns import mean_twist, part_way, smallest_rotation, unit
from datasets.bodies.smplx import BODY_JOINTS, load_body
from datasets.motion import JOINTS

# The axis (in SMPL-X's axes at rest) about which the next joint bends, and that one.
_HINGES = {
    "left_hip": ((1, 0, 0), "left_knee"),
    "right_hip": ((1, 0, 0), "right_knee"),
    "left_shoulder": ((0, -1, 0), "left_elbow"),
    "right_shoulder": ((0, 1, 0), "right_elbow"),
}
_MOST_TWIST = 60.0  # degrees that a zero pose may differ by from how the recording bends
_BEND, _STEADY = 0.25, 0.8  # mean sine of a bend that tells its axis; how steady the axis is


class Orientation:
    """Turns recordings of one file into world orientations; what it knows comes from a sample.

    Attributes:
        bones: (start, end) pairs that point exactly where the recording has them.
        standing: (3, 3) axes of the zero pose where it is a T- or A-pose, else None.
        by_zero_pose: the joints of `FRAMES` known from the zero pose only.

    Raises:
        ValueError: a joint's orientation cannot be known; names it.
    """

    def __init__(self, sample: Recorded, spine: dict[str, int]):
        body = load_body()
        self._rest = body.rest_joints(np.zeros(10))[:BODY_JOINTS].astype(np.float64)
        self._parents = body.parents[:BODY_JOINTS]
        self.standing = standing_axes(sample.zero_pose, sample.has)
        self._shared = [  # spine joints that go by the joint of the next one
            start
            for start, end in (("spine1", "spine2"), ("spine2", "spine3"))
            if spine[start] == spine[end]
        ]
        self._side_lines = {
            joint: _side_line(sample, joint, *names) for joint, names in FRAMES.items()
        }
        self.by_zero_pose = [joint for joint, line in self._side_lines.items() if line is None]
        self._require_known("")
        self.bones = [bone for bone in BONES.items() if self._points(sample, *bone)]
        missing = [bone for bone in BONES.items() if self._lacks(sample, *bone)]
        if missing:
            each = ", ".join(f"{start} to {end}" for start, end in missing)
            raise ValueError(f"bones without length: {each}".replace("_", " "))
        self._turns: dict[str, np.ndarray] = {}
        self._twisted: list[str] = []
        self._orient(sample, fit=True)
        if self._twisted:
            self.standing = None
            self._require_known(f" (twisted: {', '.join(self._twisted)})")
            self._orient(sample, fit=True)

    def world(self, recorded: Recorded) -> np.ndarray:
        """(T, 22, 3, 3) world orientations of SMPL-X's joints."""
        return self._orient(recorded, fit=False)

    def _require_known(self, why: str) -> None:
        if self.by_zero_pose and self.standing is None:
            raise ValueError(
                f"the zero pose is no T- or A-pose{why}, and bones without length leave the "
                f"orientation of {' and '.join(self.by_zero_pose)} open".replace("_", " ")
            )

    def _points(self, sample: Recorded, start: str, end: str) -> bool:
        if start in self._shared or self._is_open((start, end)):
            return False
        return sample.has_bone(start, end)

    def _lacks(self, sample: Recorded, start: str, end: str) -> bool:
        """Return True for a needed bone without length; of the trunk, a T-pose needs none."""
        if start in self._shared or self._is_open((start, end)) or (start, end) in self.bones:
            return False
        if start.startswith(("spine", "neck")) and self.standing is not None:
            return False
        return bool(sample.has[[INDEX[start], INDEX[end]]].all())

    def _is_open(self, bone: tuple[str, str]) -> bool:
        """Collars of a chest without bones are no collar bones: they keep their orientation."""
        return bone[0].endswith("collar") and "spine3" in self.by_zero_pose

    def _orient(self, recorded: Recorded, *, fit: bool) -> np.ndarray:
        """World orientations, joint by joint, parents first; with `fit`, find each Q on the way."""
        world = np.empty_like(recorded.rotations)
        aimed = dict(self.bones)
        for index, joint in enumerate(JOINTS):
            parent = world[:, self._before(index)]
            if (sides := self._side_lines.get(joint)) is not None:
                world[:, index] = self._from_frame(recorded, joint, sides)
            elif joint in self._shared:
                continue
            elif not recorded.has[index]:
                world[:, index] = parent
            else:
                if fit:
                    self._turns[joint] = self._turn(recorded, joint, aimed.get(joint), parent)
                world[:, index] = recorded.rotations[:, index] @ self._turns[joint]
                if joint in aimed:
                    world[:, index] = self._aim(recorded, joint, aimed[joint], world[:, index])
            self._share(joint, world)
        return world

    def _from_frame(self, recorded: Recorded, joint: str, sides: tuple[str, str]) -> np.ndarray:
        own = self._rest[None]
        return _frames(recorded.positions, joint, *sides) @ np.swapaxes(
            _frames(own, joint, *sides), -1, -2
        )

    def _own_bone(self, start: str, end: str) -> np.ndarray:
        return unit(self._rest[INDEX[end]] - self._rest[INDEX[start]])

    def _aim(self, recorded: Recorded, start: str, end: str, world: np.ndarray) -> np.ndarray:
        bone = world @ self._own_bone(start, end)
        return smallest_rotation(bone, unit(recorded.vectors(start, end))) @ world

    def _turn(
        self, recorded: Recorded, joint: str, end: str | None, parent: np.ndarray
    ) -> np.ndarray:
        """Q (3, 3) of a joint."""
        rotations = recorded.rotations[:, INDEX[joint]]
        if self.standing is not None:
            turn = self._zero_pose_turn(recorded, joint, end, self.standing)
            if end is not None and self._is_twisted(recorded, joint, end, rotations @ turn, parent):
                self._twisted.append(joint)
            return turn
        if end is None:
            mean = (np.swapaxes(rotations, 1, 2) @ parent).mean(axis=0)
            return rotation.project_to_rotation(mean)
        own = self._own_bone(joint, end)
        local = np.swapaxes(rotations, 1, 2) @ unit(recorded.vectors(joint, end))[..., None]
        start = smallest_rotation(own, unit(local[..., 0].mean(axis=0)))
        world = self._aim(recorded, joint, end, rotations @ start)
        angle = self._hinge_twist(recorded, joint, end, world)
        if angle is None:
            angle = mean_twist(world, parent, own)
        return start @ rotation.axis_angle_to_matrix(angle * own)

    def _zero_pose_turn(
        self, recorded: Recorded, joint: str, end: str | None, standing: np.ndarray
    ) -> np.ndarray:
        """Q by a T- or A-pose: that of the joint before, where an arm or a leg goes on, bent."""
        part = joint.split("_")[-1]
        goes_on = part in ("knee", "ankle", "foot", "elbow", "wrist")
        before = self._turns[JOINTS[self._parents[INDEX[joint]]]] if goes_on else standing
        if end is None:
            return before
        bone = recorded.zero_pose[INDEX[end]] - recorded.zero_pose[INDEX[joint]]
        return smallest_rotation(before @ self._own_bone(joint, end), unit(bone)) @ before

    def _is_twisted(
        self, recorded: Recorded, joint: str, end: str, world: np.ndarray, parent: np.ndarray
    ) -> bool:
        """Return True if the zero pose hides a twist: knees or spine would bend as none does."""
        world = self._aim(recorded, joint, end, world)
        angle = self._hinge_twist(recorded, joint, end, world)
        if angle is None and joint.endswith(("hip", "knee", "spine1", "spine2", "neck")):
            angle = mean_twist(world, parent, self._own_bone(joint, end))
        return angle is not None and abs(np.degrees(angle)) > _MOST_TWIST

    def _hinge_twist(
        self, recorded: Recorded, joint: str, end: str, world: np.ndarray
    ) -> float | None:
        """Angle from SMPL-X's axis of elbow or knee to the recording's; None where unseen."""
        if joint not in _HINGES or end not in dict(self.bones):
            return None
        axis, hinge = _HINGES[joint]
        following, own = unit(recorded.vectors(hinge, BONES[hinge])), self._own_bone(joint, end)
        across = np.eye(3) - np.outer(own, own)
        local = (np.swapaxes(world, 1, 2) @ following[..., None])[..., 0] @ across
        mean, bend = local.mean(axis=0), np.linalg.norm(local, axis=1).mean()
        if bend < _BEND or np.linalg.norm(mean) < _STEADY * bend:
            return None
        expected = np.cross(axis, own)
        return float(np.arctan2(np.cross(expected, mean) @ own, expected @ mean))

    def _before(self, index: int) -> int:
        """Return the joint before that has its own in the file."""
        parent = self._parents[index]
        return self._before(parent) if JOINTS[parent] in self._shared else parent

    def _share(self, joint: str, world: np.ndarray) -> None:
        """Spread the way from the joint before to `joint` over those that go by its joint."""
        if not joint.startswith("spine"):
            return
        first, last = self._before(INDEX[joint]), INDEX[joint]
        own = self._own_bone(joint, BONES.get(joint) or FRAMES[joint][-1])
        between = [name for name in self._shared if first < INDEX[name] < last]
        for count, name in enumerate(between, start=1):
            part = count / (len(between) + 1)
            world[:, INDEX[name]] = part_way(world[:, first], world[:, last], own, part)


def _side_line(
    sample: Recorded, joint: str, left: str, right: str, up: str
) -> tuple[str, str] | None:
    """The two joints that tell where a joint's left is; None where its own bones do not tell."""
    if not sample.has[INDEX[left]] or not sample.has[INDEX[right]]:  # no collars
        left, right = (name.replace("collar", "shoulder") for name in (left, right))
    if not sample.has_bone(joint, up) or not sample.has_bone(right, left):
        return None
    bone = _up_bone(sample.positions, joint, left, right)
    line = unit(sample.vectors(right, left))
    across = np.linalg.norm(np.cross(bone, line), axis=1)
    return (left, right) if across.min() > NO_LENGTH * sample.leg else None


def _up_bone(positions: np.ndarray, joint: str, left: str, right: str) -> np.ndarray:
    up = positions[:, INDEX[FRAMES[joint][-1]]]
    if joint == "pelvis":  # skeletons differ in where the pelvis is between the hips
        return up - (positions[:, INDEX[left]] + positions[:, INDEX[right]]) / 2
    return up - positions[:, INDEX[joint]]


def _frames(positions: np.ndarray, joint: str, left: str, right: str) -> np.ndarray:
    """(T, 3, 3) with the left, the bone upwards and ahead as columns.

    The line of the hips is kept exactly, of the chest the bone.
    """
    side = unit(positions[:, INDEX[left]] - positions[:, INDEX[right]])
    up = unit(_up_bone(positions, joint, left, right))
    ahead = unit(np.cross(side, up))
    if joint == "pelvis":
        up = np.cross(ahead, side)
    else:
        side = np.cross(up, ahead)
    return np.stack([side, up, ahead], axis=-1)
