"""BVH files: text -> skeleton and channel values, and forward kinematics.

Everything is in the file's own axes and units. Nothing is guessed: a file whose counts do not
agree, or that holds a number that is not finite, is refused.
"""

import itertools
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

# Frame times, in seconds, that a recording of motion can have. Others are of another unit, or
# damage, and to resample by one could take all memory.
SHORTEST, LONGEST = 0.001, 1.0


@dataclass(frozen=True, eq=False)
class Skeleton:
    """J joints, end sites included, parents before children.

    Attributes:
        names: unique; the end site of ``X`` is ``X.end``.
        parents: index of each parent, -1 for the root.
        offsets: (J, 3) from the parent, in the zero pose.
        rotations: per joint its rotation channels in file order, as (axis, column) pairs.
        translation: the root's translation channels, as (axis, column) pairs. Those of other
            joints are left out: bones are rigid here.
        num_channels: columns of a frame.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: np.ndarray
    rotations: tuple[tuple[tuple[str, int], ...], ...]
    translation: tuple[tuple[str, int], ...]
    num_channels: int

    def rest_positions(self) -> np.ndarray:
        """(J, 3) joints of the zero pose, root at the origin."""
        identity = np.tile(np.eye(3), (1, len(self.names), 1, 1))
        return self.forward(identity, np.zeros((1, 3)))[1][0]

    def local_pose(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Local rotations (T, J, 3, 3) and root positions (T, 3) of channel rows (T, C)."""
        local = np.tile(np.eye(3), (len(frames), len(self.names), 1, 1))
        for joint, channels in enumerate(self.rotations):
            if channels:  # upper-case axes are intrinsic: R = R_first @ R_second @ R_third
                axes, columns = zip(*channels, strict=True)
                angles = frames[:, columns]
                rotation = Rotation.from_euler("".join(axes), angles, degrees=True)
                local[:, joint] = rotation.as_matrix()
        root = np.zeros((len(frames), 3))
        for axis, column in self.translation:
            root[:, "XYZ".index(axis)] = frames[:, column]
        return local, root

    def forward(self, local: np.ndarray, root: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """World rotations (T, J, 3, 3) and positions (T, J, 3) of a local pose."""
        rotations = local.copy()
        positions = np.empty((*local.shape[:2], 3))
        positions[:, 0] = root
        for joint, parent in enumerate(self.parents[1:], start=1):
            rotations[:, joint] = rotations[:, parent] @ local[:, joint]
            positions[:, joint] = positions[:, parent] + rotations[:, parent] @ self.offsets[joint]
        return rotations, positions


@dataclass(frozen=True, eq=False)
class BvhFile:
    """A skeleton and its motion.

    Attributes:
        skeleton: the joints.
        frames: (T, C) channel values; degrees for rotations.
        fps: frames per second, as the header has it.
    """

    skeleton: Skeleton
    frames: np.ndarray
    fps: float


def read_bvh(path: Path) -> BvhFile:
    """Parse a file.

    Raises:
        ValueError: it is not BVH, is cut short, or its counts do not agree.
        OSError: it cannot be read.
    """
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    parts = re.split(r"^[ \t]*MOTION[ \t\r]*$", text, maxsplit=1, flags=re.MULTILINE)
    if len(parts) != 2:
        raise ValueError("not a BVH file, or cut short: it has no MOTION section")
    skeleton = _parse_hierarchy(parts[0])
    return BvhFile(skeleton, *_parse_motion(parts[1], skeleton.num_channels))


def _parse_hierarchy(text: str) -> Skeleton:
    names: list[str] = []
    parents: list[int] = []
    offsets: dict[int, list[float]] = {}
    channels: list[tuple[int, str, str]] = []  # joint, axis, 'rotation' or 'position'
    open_joints: list[int] = []
    tokens = iter(re.findall(r"[{}]|[^\s{}]+", text))
    if next(tokens, None) != "HIERARCHY":
        raise ValueError("not a BVH file: it does not start with HIERARCHY")
    try:
        for token in tokens:
            if token in ("ROOT", "JOINT", "End"):
                if (token == "ROOT") == bool(open_joints or names):
                    raise ValueError("the hierarchy does not have exactly one ROOT")
                words = list(itertools.takewhile(lambda word: word != "{", tokens))
                parents.append(open_joints[-1] if open_joints else -1)
                open_joints.append(len(names))
                names.append(f"{names[parents[-1]]}.end" if token == "End" else " ".join(words))
            elif not open_joints:
                raise ValueError(f"unexpected {token[:20]!r} in the hierarchy")
            elif token == "}":
                open_joints.pop()
            elif token == "OFFSET":
                offsets[open_joints[-1]] = [float(next(tokens)) for _ in range(3)]
            elif token == "CHANNELS":
                for _ in range(int(next(tokens))):
                    channels.append((open_joints[-1], *_parse_channel(next(tokens))))
            else:
                raise ValueError(f"unexpected {token[:20]!r} in the hierarchy")
    except StopIteration:
        raise ValueError("the hierarchy is cut short") from None
    if open_joints or not names:
        raise ValueError("the hierarchy is cut short")
    if len(set(names)) < len(names):
        raise ValueError("two joints have the same name")
    if len(offsets) < len(names) or not np.isfinite(list(offsets.values())).all():
        raise ValueError("a joint has no OFFSET of three finite numbers")
    rotations: list[list[tuple[str, int]]] = [[] for _ in names]
    for column, (joint, axis, kind) in enumerate(channels):
        if kind == "rotation":
            rotations[joint].append((axis, column))
    return Skeleton(
        names=tuple(names),
        parents=tuple(parents),
        offsets=np.array([offsets[joint] for joint in range(len(names))]),
        rotations=tuple(map(tuple, rotations)),
        translation=tuple(
            (axis, column)
            for column, (joint, axis, kind) in enumerate(channels)
            if joint == 0 and kind == "position"
        ),
        num_channels=len(channels),
    )


def _parse_channel(word: str) -> tuple[str, str]:
    """``Xrotation`` -> ('X', 'rotation')."""
    axis, kind = word[:1].upper(), word[1:].lower()
    if axis not in "XYZ" or kind not in ("rotation", "position"):
        raise ValueError(f"unknown channel {word[:20]!r}")
    return axis, kind


def _parse_motion(text: str, num_channels: int) -> tuple[np.ndarray, float]:
    """Frames (T, C) and frames per second."""
    header = re.match(r"\s*Frames:\s*(\d+)\s+Frame Time:\s*(\S+)", text)
    if not header:
        raise ValueError("the MOTION section does not start with Frames and Frame Time")
    count, frame_time = int(header[1]), float(header[2])
    if not SHORTEST <= frame_time <= LONGEST:
        raise ValueError(
            f"the frame time is {header[2]:.40} s, expected {SHORTEST:g} to {LONGEST:g}: is it in "
            "milliseconds?"
        )
    if not num_channels:
        raise ValueError("no joint has a channel")
    values = np.array(text[header.end() :].split(), dtype=np.float64)
    if values.size != count * num_channels:
        raise ValueError(
            f"{count} frames of {num_channels} channels are promised, which is "
            f"{count * num_channels} numbers, but {values.size} are there"
        )
    if not np.isfinite(values).all():
        raise ValueError("a channel value is not finite")
    return values.reshape(count, num_channels), 1 / frame_time
