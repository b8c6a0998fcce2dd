"""The skeleton of a BVH file, and its forward kinematics, in the file's own axes and units."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.spatial.transform import Rotation

from datasets import rotation

_MOST_CARRIERS = 300  # joints between the root and head, hands and feet

Channels = tuple[tuple[str, int], ...]  # (axis, column) pairs


@dataclass(frozen=True, eq=False)
class Skeleton:
    """J joints, end sites included, parents before children.

    Attributes:
        names: unique; the end site of ``X`` is ``X.end``.
        parents: index of each parent, -1 for the root.
        offsets: (J, 3) from the parent, in the zero pose.
        rotations: per joint its rotation channels in file order, as (axis, column) pairs.
        translations: per joint its position channels, as (axis, column) pairs.
        num_channels: columns of a frame.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: np.ndarray
    rotations: tuple[Channels, ...]
    translations: tuple[Channels, ...]
    num_channels: int

    @cached_property
    def rest_positions(self) -> np.ndarray:
        """(J, 3) joints of the zero pose, root at the origin."""
        positions = np.zeros_like(self.offsets)
        for joint, parent in enumerate(self.parents[1:], start=1):
            positions[joint] = positions[parent] + self.offsets[joint]
        return positions

    def chain(self, joint: int) -> list[int]:
        """Return the joint, its parent and so on, the root last."""
        found = [joint]
        while self.parents[found[-1]] >= 0:
            found.append(self.parents[found[-1]])
        return found

    def end_of(self, joint: int) -> int | None:
        """Return the end site of a joint."""
        name = f"{self.names[joint]}.end"
        return self.names.index(name) if name in self.names else None

    def carriers(self, joints: Iterable[int]) -> list[int]:
        """Return the joints that carry some joints, and these, parents before children.

        Raises:
            ValueError: they are so many that it is no human skeleton.
        """
        found = sorted({carrier for joint in joints for carrier in self.chain(joint)})
        if len(found) > _MOST_CARRIERS:
            raise ValueError(f"{len(found)} joints carry head, hands and feet: no human skeleton")
        return found

    def with_channels(self, joints: Iterable[int]) -> tuple["Skeleton", list[int]]:
        """The same joints with the channels of some alone, and the columns that these were in."""
        columns: list[int] = []

        def moved(every: tuple[Channels, ...]) -> tuple[Channels, ...]:
            found: list[Channels] = [()] * len(self.names)
            for joint in joints:
                before = len(columns)
                columns.extend(column for _, column in every[joint])
                axes = (axis for axis, _ in every[joint])
                found[joint] = tuple((axis, before + i) for i, axis in enumerate(axes))
            return tuple(found)

        joints = list(joints)
        changed = replace(
            self, rotations=moved(self.rotations), translations=moved(self.translations)
        )
        return replace(changed, num_channels=len(columns)), columns

    def forward(
        self, before: np.ndarray, after: np.ndarray, weight: np.ndarray, joints: Sequence[int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """World rotations (T, K, 3, 3) and positions (T, K, 3) of K joints, between frames.

        A position channel takes the place of the joint's OFFSET, as in MotionBuilder, Maya and
        Blender, but for channels of zeros only.

        Args:
            before: (T, C) channel values.
            after: (T, C), those of the next frame.
            weight: (T,) of `after`; rotations go the shortest way, positions straight.
            joints: which joints; what carries none of them is never evaluated.
        """
        rotations, positions = {-1: np.eye(3)[None]}, {-1: np.zeros((1, 3))}
        for joint in self.carriers(joints):
            parent = self.parents[joint]
            start, end = self._step(joint, before), self._step(joint, after)
            step = start + weight[:, None] * (end - start)
            positions[joint] = positions[parent] + (rotations[parent] @ step[..., None])[..., 0]
            rotations[joint] = rotations[parent]
            if self.rotations[joint]:
                turns = self._turn(joint, before)
                if weight.any():
                    turns = rotation.slerp(turns, self._turn(joint, after), weight)
                rotations[joint] = rotations[parent] @ turns
        whole = np.broadcast_to
        return (
            np.stack([whole(rotations[joint], (len(before), 3, 3)) for joint in joints], axis=1),
            np.stack([whole(positions[joint], (len(before), 3)) for joint in joints], axis=1),
        )

    def _turn(self, joint: int, frames: np.ndarray) -> np.ndarray:
        """(T, 3, 3) local rotations; upper-case axes are intrinsic: R = R_1 R_2 R_3."""
        axes, columns = zip(*self.rotations[joint], strict=True)
        angles = frames[:, columns]
        return Rotation.from_euler("".join(axes), angles, degrees=True).as_matrix()

    def stretch(self, frames: np.ndarray, joint: int) -> float:
        """Return the largest distance between the OFFSET of a joint and its position channels."""
        change = self._step(joint, frames) - self.offsets[joint]
        return float(np.linalg.norm(change, axis=1).max())

    def _step(self, joint: int, frames: np.ndarray) -> np.ndarray:
        """(T, 3) from the parent, in its frame."""
        step = np.tile(np.zeros(3) if joint == 0 else self.offsets[joint], (len(frames), 1))
        for axis, column in self.translations[joint]:
            step[:, "XYZ".index(axis)] = frames[:, column]
        return step
