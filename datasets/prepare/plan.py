"""Which clips a dataset gives, decided from its labels alone: no picture is read."""

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path

from datasets.prepare.clip_video import Encoding, is_made, video_name
from datasets.prepare.cut import clip_of, windows
from datasets.sequence import Clip, PersonSequence, SkipLog, Skipped
from datasets.store.schema import ClipError
from datasets.store.splits import split_groups
from datasets.store.writer import check
from datasets.video.pad_resize import PadResize

VIDEO_ALONE = "it has no labels, and its video was not asked for"


def derive_splits(
    sequences: Iterable[PersonSequence], num_frames: int, video_size: int | None
) -> dict[str, str] | None:
    """The split of every group, by `datasets.store.splits`.

    Sequences without a clip do not count, as they would starve a split; nor do groups of only
    such sequences, which have no split. None as soon as the dataset has splits of its own.
    """
    frames: dict[str, int] = {}
    for sequence in sequences:
        if sequence.split is not None:
            return None
        try:
            _clips(sequence, "", num_frames, video_size, Path())
        except ValueError:
            continue
        frames[sequence.group] = frames.get(sequence.group, 0) + len(sequence)
    return split_groups(frames)


def plan(
    sequences: Iterable[PersonSequence],
    log: SkipLog,
    *,
    splits: dict[str, str] | None,
    only: str | None,
    num_frames: int,
    video_size: int | None,
    root: Path,
) -> Iterator[tuple[Clip | Skipped, Encoding | None]]:
    """Yield every clip with the video it still needs, and between them what is left out.

    Args:
        sequences: of one dataset.
        log: where the dataset records, while it is read, what it leaves out.
        splits: group -> split, or None where the sequences have their own.
        only: pass over the other splits.
        num_frames: of a clip.
        video_size: of the clips' square pictures; None for labels alone.
        root: the store's folder.
    """
    taken: set[str] = set()
    reported = 0
    for sequence in sequences:
        yield from ((entry, None) for entry in log.entries[reported:])
        reported = len(log.entries)
        # A group without a usable sequence has no split.
        split = sequence.split if splits is None else splits.get(sequence.group, "")
        try:
            if split is None:
                raise ValueError("it is in no split, though others of this dataset are")
            if only not in (None, split) and split:
                continue
            clips = _clips(sequence, split, num_frames, video_size, root)
            for clip, _ in clips:
                if clip.clip_id in taken:
                    raise ClipError(clip.clip_id, "a clip with its id was already written")
        except ValueError as error:
            reason = error.reason if isinstance(error, ClipError) else str(error)
            yield Skipped(_name(sequence), " ".join(reason.split())), None
            continue
        taken.update(clip.clip_id for clip, _ in clips)
        for clip, encoding in clips:
            made = encoding is None or is_made(encoding)
            yield clip, None if made else encoding
    yield from ((entry, None) for entry in log.entries[reported:])


def _clips(
    sequence: PersonSequence, split: str, num_frames: int, video_size: int | None, root: Path
) -> list[tuple[Clip, Encoding | None]]:
    """The clips of a sequence, at least one, each with the making of its video if it has one.

    Raises:
        ValueError: there is none, or a store cannot keep one of them.
    """
    if video_size is None and sequence.source is not None and sequence.motion is None:
        raise ClipError(sequence.sequence, VIDEO_ALONE)
    source, resize = sequence.source, None
    if source is not None and video_size is not None:
        resize = PadResize(source.width, source.height, video_size)
    found = []
    for rows in windows(sequence, num_frames):
        clip, encoding = clip_of(sequence, split, rows), None
        if resize is not None:
            clip = _with_video(clip, resize, root)
            frames = range(rows.start, rows.stop)
            encoding = Encoding(source, frames, resize, clip.fps, clip.video)
        check(clip)
        found.append((clip, encoding))
    if not found:
        valid, total = int(sequence.valid.sum()), len(sequence)
        some = f" ({valid} of {total} are valid)" if valid < total else ""
        reason = f"fewer than {num_frames} usable frames in a row{some}"
        raise ClipError(sequence.sequence, reason)
    return found


def _with_video(clip: Clip, resize: PadResize, root: Path) -> Clip:
    view = None if clip.view is None else resize.camera(clip.view)
    return dataclasses.replace(
        clip, view=view, resize=resize, video=root / video_name(clip.clip_id)
    )


def _name(sequence: PersonSequence) -> str:
    if sequence.camera == "none":
        return sequence.sequence
    return f"{sequence.sequence}/{sequence.camera}/{sequence.person}"
