"""BVH files: text -> skeleton and channel values, and forward kinematics.

Everything is in the file's own axes and units. Nothing is guessed: a file whose counts do not
agree is refused. Decimal commas are read; frames with a number that is not finite are marked.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TextIO

import numpy as np

from datasets.adapters.formats.bvh.joint_names import JointMap
from datasets.adapters.formats.bvh.skeleton import Skeleton
from datasets.sequence import finite_rows, hold

# Frame times, in seconds, that a recording of motion can have. Others are of another unit, or
# damage, and to resample by one could take all memory.
SHORTEST, LONGEST = 0.001, 1.0
# What a file may hold. Numbers are those of the joints that are used: half an hour of 120 frames
# per second and 25 joints are 16 million, and take 65 MB.
MOST_NUMBERS, MOST_JOINTS = 20_000_000, 2_000
_MOST_HEADER = 1 << 22
_CHUNK = 1 << 20
_LONGEST_WORD = 100


@dataclass(frozen=True, eq=False)
class BvhFile:
    """A skeleton and its motion."""

    skeleton: Skeleton  # all joints, with the channels of those that are used
    joints: JointMap  # which joint is which of SMPL-X's
    frames: np.ndarray  # (T, C) float32 values of these channels, finite; degrees for rotations
    valid: np.ndarray  # (T,) bool; a frame that is not has the values of a neighbour
    fps: float  # frames per second, by the header


def read_bvh(path: Path, match: Callable[[Skeleton], JointMap]) -> BvhFile:
    """Return the content of a file, as far as the joints that `match` names depend on it.

    Raises:
        ValueError: it is not BVH, is cut short, its counts do not agree, or no frame is finite; or
            `match` raises it.
        OSError: it cannot be read.
    """
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        head = _read_head(file)
        parts = re.split(r"^[ \t]*MOTION[ \t\r]*$", head, maxsplit=1, flags=re.MULTILINE)
        if len(parts) != 2:
            raise ValueError("not a BVH file, or cut short: it has no MOTION section")
        header = re.match(r"\s*Frames:\s*(\d{1,12})\s+Frame Time:\s*(\S+)\s", parts[1] + "\n")
        if not header:
            raise ValueError("the MOTION section does not start with Frames and Frame Time")
        comma = _has_decimal_commas(parts[0] + header[0] + parts[1][header.end() :][:_CHUNK])
        skeleton = _parse_hierarchy(parts[0].replace(",", ".") if comma else parts[0])
        count, frame_time = int(header[1]), header[2].replace(",", ".")
        fps = _fps(frame_time)
        if not skeleton.num_channels:
            raise ValueError("no joint has a channel")
        joints = match(skeleton)
        used, columns = skeleton.with_channels(skeleton.carriers(joints.joints.values()))
        rest = _chunks(parts[1][header.end() :], file, comma)
        frames = _frames(rest, count, skeleton.num_channels, columns)
    valid = finite_rows(frames)
    frames = frames if valid.all() else hold(frames, valid)
    return BvhFile(_without_empty_positions(used, frames), joints, frames, valid, fps)


def _without_empty_positions(skeleton: Skeleton, frames: np.ndarray) -> Skeleton:
    """Position channels that hold nothing but zeros where there is an OFFSET do not replace it."""
    used = [
        ()
        if joint
        and skeleton.offsets[joint].any()
        and not frames[:, [column for _, column in channels]].any()
        else channels
        for joint, channels in enumerate(skeleton.translations)
    ]
    return replace(skeleton, translations=tuple(used))


def _read_head(file: TextIO) -> str:
    """The text up to and with the start of the frames, at most `_MOST_HEADER` and a chunk."""
    head = ""
    while chunk := file.read(_CHUNK):
        head += chunk
        if "Frame Time:" in head[:-200] or len(head) > _MOST_HEADER:
            break
    return head


def _has_decimal_commas(text: str) -> bool:
    """``0,033`` is a number, and no ``0.033`` is there."""
    return bool(re.search(r"\d,\d", text)) and not re.search(r"\d\.\d", text)


def _fps(frame_time: str) -> float:
    """Frames per second; a whole number where rounding explains the rest (0.0333 is 30)."""
    seconds = _number(frame_time)
    if not SHORTEST <= seconds <= LONGEST:
        raise ValueError(
            f"the frame time is {frame_time:.40} s, expected {SHORTEST:g} to {LONGEST:g}: is it in "
            "milliseconds?"
        )
    whole = round(1 / seconds)
    digits = len(frame_time.partition(".")[2])
    is_rounded = frame_time.replace(".", "").isdigit() and round(1 / whole, digits) == seconds
    return float(whole) if is_rounded else 1 / seconds


def _chunks(first: str, file: TextIO, comma: bool) -> Iterator[list[str]]:
    """Yield the words of the rest of a file, a chunk at a time."""
    text, more = first, True
    while more:
        chunk = file.read(_CHUNK)
        more = bool(chunk)
        words = (text + chunk).split()
        whole = not more or (text + chunk)[-1:].isspace()
        text = "" if whole or not words or len(words[-1]) > _LONGEST_WORD else words.pop()
        yield [word.replace(",", ".") for word in words] if comma else words


def _frames(
    chunks: Iterator[list[str]], count: int, num_channels: int, columns: list[int]
) -> np.ndarray:
    """(count, C) float32, some columns of the numbers; the others are read and left."""
    promised = count * num_channels
    if count * max(len(columns), 1) > MOST_NUMBERS:
        raise ValueError(
            f"{count} frames of {len(columns)} channels that are used are promised, more than "
            f"{MOST_NUMBERS} numbers: cut the recording into several files"
        )
    frames, size = np.empty((count, len(columns)), np.float32), 0
    begun = np.empty(0)  # the numbers of a frame that goes on in the next chunk
    for words in chunks:
        first, size = size // num_channels, size + len(words)
        if max(map(len, words), default=0) > _LONGEST_WORD:
            raise ValueError(f"a channel value has more than {_LONGEST_WORD} characters")
        if size <= promised:
            try:
                numbers = np.concatenate([begun, np.array(words, dtype=np.float64)])
            except ValueError:
                bad = next(word for word in words if not _is_number(word))
                raise ValueError(f"a channel value is no number: {bad[:40]!r}") from None
            whole = len(numbers) // num_channels
            rows, begun = np.split(numbers, [whole * num_channels])
            with np.errstate(over="ignore"):  # to infinity, which marks the frame
                frames[first : first + whole] = rows.reshape(whole, num_channels)[:, columns]
    if size != promised:
        raise ValueError(
            f"{count} frames of {num_channels} channels are promised, which is {promised} numbers, "
            f"but {size} are there"
        )
    if not promised:
        raise ValueError("there is no frame")
    return frames


def _number(word: str) -> float:
    if not _is_number(word):
        raise ValueError(f"{word[:40]!r} is no number")
    return float(word)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


@dataclass
class _Joint:
    name: str
    parent: int
    offset: list[float] = field(default_factory=list)
    ends: int = 0  # number of its end sites


def _parse_hierarchy(text: str) -> Skeleton:
    tokens = iter(re.findall(r"[{}]|[^\s{}]+", text))
    if next(tokens, None) != "HIERARCHY":
        raise ValueError("not a BVH file: it does not start with HIERARCHY")
    joints: list[_Joint] = []
    channels: list[tuple[int, str, str]] = []  # joint, axis, 'rotation' or 'position'
    open_joints: list[int] = []
    try:
        for token in tokens:
            if token in ("ROOT", "JOINT", "End"):
                joints.append(_begin_joint(token, tokens, joints, open_joints))
                open_joints.append(len(joints) - 1)
            elif token == "}" and open_joints:
                open_joints.pop()
            elif token == "OFFSET" and open_joints:
                joints[open_joints[-1]].offset = [_number(next(tokens)) for _ in range(3)]
            elif token == "CHANNELS" and open_joints:
                for _ in range(int(_number(next(tokens)))):
                    channels.append((open_joints[-1], *_parse_channel(next(tokens))))
            else:
                raise ValueError(f"unexpected {token[:20]!r} in the hierarchy")
    except StopIteration:
        raise ValueError("the hierarchy is cut short") from None
    except OverflowError:
        raise ValueError("a number of CHANNELS is not finite") from None
    if open_joints:
        raise ValueError("the hierarchy is cut short")
    return _skeleton(joints, channels)


def _begin_joint(
    token: str, tokens: Iterator[str], joints: list[_Joint], open_joints: list[int]
) -> _Joint:
    """Return the joint that ``ROOT name {``, ``JOINT name {`` or ``End Site {`` opens."""
    if (token == "ROOT") == bool(joints) or (token != "ROOT" and not open_joints):
        raise ValueError("the hierarchy does not have exactly one ROOT")
    if len(joints) == MOST_JOINTS:
        raise ValueError(f"more than {MOST_JOINTS} joints: no human skeleton")
    words = []
    while (word := next(tokens)) != "{":
        words.append(word)
    parent = open_joints[-1] if open_joints else -1
    if token == "End":
        words = [f"{joints[parent].name}.end" + "'" * joints[parent].ends]
        joints[parent].ends += 1
    return _Joint(" ".join(words), parent)


def _parse_channel(word: str) -> tuple[str, str]:
    """``Xrotation`` -> ('X', 'rotation')."""
    axis, kind = word[:1].upper(), word[1:].lower()
    if axis not in "XYZ" or kind not in ("rotation", "position"):
        raise ValueError(f"unknown channel {word[:20]!r}")
    return axis, kind


def _skeleton(joints: list[_Joint], channels: list[tuple[int, str, str]]) -> Skeleton:
    names = [joint.name for joint in joints]
    if not names:
        raise ValueError("the hierarchy is cut short")
    if len(set(names)) < len(names):
        raise ValueError("two joints have the same name")
    if not all(len(joint.offset) == 3 and np.isfinite(joint.offset).all() for joint in joints):
        raise ValueError("a joint has no OFFSET of three finite numbers")
    columns: dict[str, list[list[tuple[str, int]]]] = {
        kind: [[] for _ in names] for kind in ("rotation", "position")
    }
    for column, (joint, axis, kind) in enumerate(channels):
        columns[kind][joint].append((axis, column))
    return Skeleton(
        names=tuple(names),
        parents=tuple(joint.parent for joint in joints),
        offsets=np.array([joint.offset for joint in joints]),
        rotations=tuple(map(tuple, columns["rotation"])),
        translations=tuple(map(tuple, columns["position"])),
        num_channels=len(channels),
    )
