"""A clip's own video: the dataset's pictures, each on a square."""

import contextlib
import functools
import hashlib
import os
import shutil
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from datasets.sequence import FrameSource
from datasets.store.schema import VIDEOS, StoreError
from datasets.store.video_list import VideoList
from datasets.tools.workers.spread import Executor, Outcome, WorkerDied, spread
from datasets.tools.workers.worker import Calls
from datasets.video.pad_resize import PadResize

Item = TypeVar("Item")
_LONGEST_NAME = 200  # bytes of a file name; file systems end at 255


def video_name(clip_id: str) -> str:
    """Path of a clip's video below its store: ``videos/<clip id>.mp4``, each part a `file_name`."""
    return "/".join([VIDEOS, *(file_name(part) for part in clip_id.split("/"))]) + ".mp4"


def file_name(part: str) -> str:
    """A part of a clip id; it ends in a hash where it is too long, empty, ``.`` or ``..``."""
    if len(part) <= _LONGEST_NAME and part not in ("", ".", ".."):
        return part
    digest = hashlib.sha256(part.encode()).hexdigest()[:16]
    return f"{part[: _LONGEST_NAME - 17].strip('.')}~{digest}"


@dataclass(frozen=True)
class Encoding:
    """The making of one video."""

    source: FrameSource  # the pictures of the clip's sequence
    rows: range  # those of the clip
    resize: PadResize  # from a picture to the square
    fps: float  # frames per second
    path: Path  # of the video; it appears when it is complete
    made_from: str  # an identity of all the others


def encode(encoding: Encoding, videos: VideoList) -> str | None:
    """Make a video and enter it in the list; returns None, or why the pictures cannot be had.

    Raises:
        StoreError: the video cannot be written.
    """
    from datasets.video.files import VideoError, write_video

    try:
        encoding.path.parent.mkdir(parents=True, exist_ok=True)
        write_video(encoding.path, _squares(encoding), fps=encoding.fps)
        videos.finish(encoding.path, encoding.made_from)
    except (_UnreadableError, VideoError) as error:
        return str(error)
    except OSError as error:
        raise StoreError(f"cannot write {encoding.path}: {error}") from error
    return None


def encode_all(
    planned: Iterable[tuple[Item, Encoding | None]], videos: VideoList, workers: int
) -> Generator[tuple[Item, str | None], None, None]:
    """Make the videos of `planned` in worker processes; with 1 worker in this one.

    A clip that needs no video has None. Yields every clip, in order, with the reason why its video
    could not be made, or None.

    Raises:
        StoreError: a video cannot be written.
    """
    make = functools.partial(encode, videos=videos)
    if workers == 1:
        for item, encoding in planned:
            yield item, None if encoding is None else make(encoding)
        return
    # As many threads as here, where labels and the videos of one worker are computed.
    outcomes = spread(
        planned, Calls(make), Executor(workers=workers), ordered=True, one_thread=False
    )
    with contextlib.closing(outcomes):
        for outcome in outcomes:
            if isinstance(outcome, Outcome):
                died = isinstance(outcome.error, WorkerDied)
                yield outcome.item, "its worker process died twice" if died else outcome.result()


def bring(video: Path, target: Path) -> Path:
    """`video` at `target`, whole or not at all: the same file where the disk allows, else a copy.

    Raises:
        StoreError: it cannot be read or written.
    """
    # Not `replacing`: the permissions of a link are those of the other video, and stay.
    temporary = target.with_name(f"{target.name}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for old in (temporary, target):  # renaming a link onto one of the same file does nothing
            old.unlink(missing_ok=True)
        try:
            os.link(video.resolve(), temporary)
        except OSError:  # another disk, or a file system without links
            shutil.copyfile(video, temporary)
        os.replace(temporary, target)
    except OSError as error:
        raise StoreError(f"cannot bring {video} to {target}: {error}") from error
    return target


class _UnreadableError(Exception):
    """Sets what reading raises apart from what writing raises."""


def _squares(encoding: Encoding) -> Iterator[np.ndarray]:
    try:
        for picture in encoding.source.frames(encoding.rows):
            yield encoding.resize.image(picture)
    except (OSError, ValueError) as error:
        raise _UnreadableError(" ".join(str(error).split())) from error
