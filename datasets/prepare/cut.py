"""Clips of a fixed length out of a sequence."""

import urllib.parse
from collections.abc import Iterator
from dataclasses import fields

import numpy as np

from datasets.sequence import Clip, PersonFrames, PersonSequence


def clip_id(sequence: PersonSequence, split: str, start: int) -> str:
    """``dataset/split/sequence/camera/person/start``, ASCII, percent-encoded where needed."""
    names = (sequence.dataset, split, sequence.sequence, sequence.camera, sequence.person)
    quoted = [urllib.parse.quote(name, safe="") for name in names]
    return "/".join([*quoted, f"{start:06d}"])


def windows(sequence: PersonSequence, num_frames: int) -> Iterator[slice]:
    """Rows of non-overlapping pieces of `num_frames` valid, consecutive frames.

    A run of valid frames is cut from its first frame on; what is left at its end is dropped. Frames
    are consecutive where `frame_ids` grow by one: `fps` is that of the dataset's own numbering.
    """
    for first, end in _runs(sequence):
        for start in range(first, end - num_frames + 1, num_frames):
            yield slice(start, start + num_frames)


def cut(sequence: PersonSequence, split: str, num_frames: int) -> Iterator[Clip]:
    """Yield the clips of a sequence: its `windows`, without pictures."""
    for rows in windows(sequence, num_frames):
        yield clip_of(sequence, split, rows)


def clip_of(sequence: PersonSequence, split: str, rows: slice) -> Clip:
    """Return some rows of a sequence as a clip, without pictures."""
    shared = {field.name: getattr(sequence, field.name) for field in fields(PersonFrames)}
    for name in ("frame_ids", "valid", "view", "camera_motion", "world_motion"):
        if shared[name] is not None:
            shared[name] = shared[name][rows]
    shared["native"] = sequence.native_rows(rows)
    start = int(sequence.frame_ids[rows.start])
    return Clip(**shared, clip_id=clip_id(sequence, split, start), split=split)


def _runs(sequence: PersonSequence) -> Iterator[tuple[int, int]]:
    """First frame and end of every run of valid, consecutive frames."""
    valid = sequence.valid
    steps = np.diff(sequence.frame_ids.astype(np.int64))
    joined = valid[:-1] & valid[1:] & (steps == 1)
    first = np.flatnonzero(valid & ~np.append(False, joined))
    last = np.flatnonzero(valid & ~np.append(joined, False))
    return zip(first, last + 1, strict=True)
