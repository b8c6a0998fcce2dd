"""BVH files of a motion that is known: any skeleton, zero pose, unit, axes and root."""

import dataclasses
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from datasets.bodies.smplx import load_body
from datasets.motion import JOINTS, Motion

PARENTS = load_body().parents[:22].tolist()
# Names of SMPL-X's joints in the skeleton of MotionBuilder as cgspeed has it.
BUILDER = "Hips LeftUpLeg RightUpLeg LowerBack LeftLeg RightLeg Spine LeftFoot RightFoot Spine1"
BUILDER += " LeftToeBase RightToeBase Neck LeftShoulder RightShoulder Head LeftArm RightArm"
BUILDER = tuple((BUILDER + " LeftForeArm RightForeArm LeftHand RightHand").split())

# A skeleton with a T-pose along the axes, in centimetres: offset of each joint from its parent.
STRAIGHT = {
    "pelvis": (0, 0, 0),
    "hip": (9, -5, 0),
    "knee": (0, -41, 0),
    "ankle": (0, -40, 0),
    "foot": (0, -6, 12),
    "spine1": (0, 8, 0),
    "spine2": (0, 12, 0),
    "spine3": (0, 12, 0),
    "neck": (0, 16, 0),
    "head": (0, 10, 0),
    "collar": (4, 11, 0),
    "shoulder": (13, 0, 0),
    "elbow": (27, 0, 0),
    "wrist": (25, 0, 0),
}


def straight_offsets() -> np.ndarray:
    """(22, 3) metres, the offsets of `STRAIGHT` in the order of `JOINTS`."""
    mirror = {"left": (1, 1, 1), "right": (-1, 1, 1)}
    rows = []
    for name in JOINTS:
        side, _, part = name.partition("_")
        sign = mirror.get(side, (1, 1, 1))
        rows.append(np.multiply(STRAIGHT[part or name], sign))
    return np.array(rows) / 100


def smplx_offsets() -> np.ndarray:
    """(22, 3) metres, those of SMPL-X's mean shape."""
    rest = load_body().rest_joints(np.zeros(10))[:22].astype(float)
    offsets = rest - rest[PARENTS]
    offsets[0] = 0
    return offsets


@dataclass(frozen=True, kw_only=True, eq=False)
class Take:
    """A motion of a skeleton, whose zero pose stands upright unless `with_zero_pose` says else.

    Attributes:
        local: (T, J, 3, 3).
        root: (T, 3).
        offsets: (J, 3) from the parent, in its axes.
        names: of the joints.
        parents: parents before children.
        ends: joint name -> offset of an end site.
    """

    local: np.ndarray
    root: np.ndarray
    offsets: np.ndarray
    names: tuple[str, ...] = BUILDER
    parents: tuple[int, ...] = tuple(PARENTS)
    ends: dict[str, tuple[float, float, float]] = dataclasses.field(default_factory=dict)

    def with_zero_pose(self, turns: np.ndarray) -> "Take":
        """The same motion, each joint's axes turned by (J, 3, 3) from the right.

        Bones of the zero pose are those of this one, turned by the transposes.
        """
        back = np.swapaxes(turns, 1, 2)
        local, offsets = self.local @ turns, self.offsets.copy()
        for joint, parent in enumerate(self.parents[1:], start=1):
            local[:, joint] = back[parent] @ local[:, joint]
            offsets[joint] = back[parent] @ offsets[joint]
        return dataclasses.replace(self, local=local, offsets=offsets)

    def with_armature(self, turns: np.ndarray, places: np.ndarray) -> "Take":
        """The same motion below a root of its own, with rotations (T, 3, 3) and places (T, 3)."""
        back = np.swapaxes(turns, 1, 2)
        local = np.concatenate([turns[:, None], self.local], axis=1)
        local[:, 1] = back @ local[:, 1]
        return dataclasses.replace(
            self,
            local=local,
            root=np.stack([places, (back @ (self.root - places)[..., None])[..., 0]]),
            offsets=np.concatenate([np.zeros((1, 3)), self.offsets]),
            names=("Armature", *self.names),
            parents=(-1, 0, *(parent + 1 for parent in self.parents[1:])),
        )

    def scaled(self, factor: float) -> "Take":
        """The same in another unit."""
        return dataclasses.replace(self, root=self.root * factor, offsets=self.offsets * factor)

    def turned(self, turn: np.ndarray) -> "Take":
        """Everything, zero pose too, turned by (3, 3)."""
        return dataclasses.replace(
            self,
            local=turn @ self.local @ turn.T,
            root=self.root @ turn.T,
            offsets=self.offsets @ turn.T,
            ends={name: tuple(turn @ end) for name, end in self.ends.items()},
        )

    def world(self) -> tuple[np.ndarray, np.ndarray]:
        """World rotations and positions, frame by frame, joint by joint."""
        rotations, positions = np.zeros_like(self.local), np.zeros(self.local.shape[:3])
        for joint, parent in enumerate(self.parents):
            if parent < 0:
                rotations[:, joint], positions[:, joint] = self.local[:, joint], self.root
            else:
                rotations[:, joint] = rotations[:, parent] @ self.local[:, joint]
                step = rotations[:, parent] @ self.offsets[joint]
                positions[:, joint] = positions[:, parent] + step
        return rotations, positions

    def text(self, *, fps: float = 30.0, orders: tuple[str, ...] = ("ZXY",)) -> str:
        """The file; joint n has the channel order number n of `orders`, from the start again."""
        roots = self.root if self.root.ndim == 3 else self.root[None]
        columns: list[np.ndarray] = []
        lines = ["HIERARCHY"]

        def add(joint: int, depth: int) -> None:
            pad = "\t" * depth
            offset = " ".join(f"{v:.9f}" for v in self.offsets[joint])
            order = orders[joint % len(orders)]
            turns = " ".join(f"{axis}rotation" for axis in order)
            moves = "Xposition Yposition Zposition " if joint < len(roots) else ""
            lines.append(f"{pad}{'JOINT' if depth else 'ROOT'} {self.names[joint]}")
            lines.append(f"{pad}{{\n{pad}\tOFFSET {offset}")
            lines.append(f"{pad}\tCHANNELS {6 if moves else 3} {moves}{turns}")
            if moves:
                columns.append(roots[joint])
            rotations = Rotation.from_matrix(self.local[:, joint])
            columns.append(rotations.as_euler(order, degrees=True))
            children = [child for child, parent in enumerate(self.parents) if parent == joint]
            for child in children:
                add(child, depth + 1)
            end = self.ends.get(self.names[joint], None if children else (0.0, 0.1, 0.0))
            if end is not None:
                words = " ".join(f"{v:.9f}" for v in end)
                lines.append(f"{pad}\tEnd Site\n{pad}\t{{\n{pad}\t\tOFFSET {words}\n{pad}\t}}")
            lines.append(pad + "}")

        add(0, 0)
        rows = np.concatenate(columns, axis=1)
        lines += ["MOTION", f"Frames: {len(rows)}", f"Frame Time: {1 / fps:.9f}"]
        lines += [" ".join(f"{value:.9f}" for value in row) for row in rows]
        return "\n".join(lines) + "\n"


def walk(frames: int = 24, seed: int = 0) -> Motion:
    """Somebody who goes ahead, bends knees and elbows and moves everything else a little."""
    rng = np.random.default_rng(seed)
    phase = np.linspace(0, 4 * np.pi, frames)[:, None]
    pose = np.sin(phase * rng.uniform(0.5, 1.5, 63) + rng.uniform(0, 6, 63)) * rng.normal(
        0, 0.15, 63
    )
    at = {name: 3 * (index - 1) for index, name in enumerate(JOINTS)}
    for side, sign, late in (("left", 1, 0), ("right", -1, np.pi)):
        swing = np.sin(phase[:, 0] + late)
        pose[:, at[f"{side}_hip"]] -= 0.4 * swing
        pose[:, at[f"{side}_knee"]] += 0.5 + 0.4 * swing
        pose[:, at[f"{side}_shoulder"] + 2] -= sign * 1.1
        pose[:, at[f"{side}_elbow"] + 1] -= sign * (0.6 + 0.3 * swing)
    turn = 0.3 * np.sin(phase / 3) * [0.2, 1, 0.1]
    ahead = np.linspace(0, 1.5, frames)[:, None] * [0.2, 0, 1]
    return Motion(
        body_pose=pose, global_orient=turn, betas=np.zeros(10), transl=ahead + [0, 1.2, 0], fps=30
    )


def take_of(motion: Motion, offsets: np.ndarray | None = None) -> Take:
    """A motion on a skeleton that stands as SMPL-X at rest does, by default its own."""
    frames = len(motion)
    pose = np.concatenate([motion.global_orient, motion.body_pose], axis=1).reshape(-1, 3)
    rest = load_body().rest_joints(np.zeros(10))[0].astype(float)
    return Take(
        local=Rotation.from_rotvec(pose).as_matrix().reshape(frames, 22, 3, 3),
        root=motion.transl + rest,
        offsets=smplx_offsets() if offsets is None else offsets,
    )


def zero_poses(offsets: np.ndarray) -> dict[str, np.ndarray]:
    """Name -> the turns (22, 3, 3) of `Take.with_zero_pose` for a skeleton of 22 joints."""

    def turned(names: str, axis: str, degrees: float) -> np.ndarray:
        """Bones of some joints turned about an axis; those of the right side mirrored."""
        turns = np.tile(np.eye(3), (22, 1, 1))
        for index, name in enumerate(JOINTS):
            if name.removeprefix("left_").removeprefix("right_") in names.split():
                sign = -1 if name.startswith("right") and axis in "yz" else 1
                turns[index] = Rotation.from_euler(axis, -sign * degrees, degrees=True).as_matrix()
        return turns

    def along(axis: np.ndarray, seed: int) -> np.ndarray:
        """Each joint's first bone along an axis, with any twist."""
        rng = np.random.default_rng(seed)
        turns = np.tile(np.eye(3), (22, 1, 1))
        for joint in range(22):
            children = [child for child, parent in enumerate(PARENTS) if parent == joint]
            if children:
                bone = offsets[children[-1 if joint == 0 else 0]]
                twist = Rotation.from_rotvec(rng.uniform(-2, 2) * axis)
                aim = Rotation.align_vectors(bone / np.linalg.norm(bone), axis)[0]
                turns[joint] = (aim * twist).as_matrix()
        return turns

    def random(degrees: float, seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        vectors = rng.normal(0, 1, (22, 3))
        vectors *= np.radians(degrees) / np.linalg.norm(vectors, axis=1, keepdims=True)
        return Rotation.from_rotvec(vectors).as_matrix()

    arms = "shoulder elbow wrist"
    above = f"spine2 spine3 neck head collar {arms}"
    return {
        "bones along x": along(np.array([1.0, 0, 0]), 1),
        "bones along y": along(np.array([0.0, 1, 0]), 2),
        "bones along z": along(np.array([0.0, 0, 1]), 3),
        "bent spine": turned("spine1", "x", 15) @ turned(above, "x", 40),
        "slightly bent spine": turned("spine1", "x", 5) @ turned(above, "x", 10),
        "A-pose": turned(arms, "z", -45),
        "lowered collars": turned("collar", "z", -15),
        "turned hips": turned("pelvis", "y", 40),
        "tilted hips": turned("pelvis", "x", 15),
        "everything turned": np.tile(
            Rotation.from_euler("y", 90, degrees=True).as_matrix(), (22, 1, 1)
        ),
        "legs apart": turned("hip knee ankle", "z", 25),
        "arms and legs twisted": turned("hip knee", "y", 50) @ turned("shoulder elbow", "x", 70),
        "a little random": random(8, 4),
        "random": random(120, 5),
        "more random": random(170, 6),
    }
