"""The clips that a dataset gives, decided from its labels alone: no picture is read."""

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from datasets.prepare.clip_video import Encoding, video_name
from datasets.prepare.cut import clip_of, windows
from datasets.prepare.groups import Groups
from datasets.prepare.options import SplitOptions
from datasets.prepare.retime import retimed
from datasets.prepare.sources import Sources
from datasets.sequence import Clip, PersonSequence, SkipLog, Skipped
from datasets.store.schema import ClipError
from datasets.store.writer import check
from datasets.video.pad_resize import PadResize

VIDEO_ALONE = "it has no labels, and its video was not asked for"


@dataclass(frozen=True, kw_only=True)
class ClipRules:
    """The length, size and rate that all clips of a store have."""

    root: Path  # the store's folder
    num_frames: int  # of a clip
    video_size: int | None  # of the clips' square pictures in pixels; None for labels alone
    fps: float | None = None  # frames per second; None for those of the dataset


@dataclass(frozen=True, kw_only=True)
class PlannedClip:
    """A clip, or why there is none, and what goes with it."""

    item: Clip | Skipped  # the clip, or what is left out
    encoding: Encoding | None = None  # how to make the clip's video; None without one
    sequence: PersonSequence | None = None  # that the clip is from; None for what is left out


def measure(
    sequences: Iterable[PersonSequence], rules: ClipRules, options: SplitOptions, sources: Sources
) -> Groups | None:
    """Return the groups of a dataset; None as soon as it has splits of its own.

    Sequences without a clip do not count, as they would starve a split; nor do groups of only
    such sequences, which have no split.
    """
    groups = Groups(options)
    for sequence in sequences:
        if sequence.split is not None:
            return None
        try:
            changed = _at_rate(sequence, rules)
            _clips(changed, "", rules, sources)
            groups.add(changed, sources.content(sequence))
        except (OSError, ValueError):  # said when it is left out
            continue
    return groups


def plan(
    sequences: Iterable[PersonSequence],
    log: SkipLog,
    *,
    groups: Groups | None,
    splits: dict[str, str] | None,
    only: str | None,
    rules: ClipRules,
    sources: Sources,
) -> Iterator[PlannedClip]:
    """Yield every clip of a dataset, and between them what is left out, also by its own `log`.

    Groups and splits (group -> split) are None where the dataset has splits of its own. Where it is
    given, splits other than `only` are passed over.
    """
    taken: set[str] = set()
    reported = 0
    for sequence in sequences:
        yield from (PlannedClip(item=entry) for entry in log.entries[reported:])
        reported = len(log.entries)
        try:
            if groups is not None:
                sequence = dataclasses.replace(sequence, group=groups.of(sequence))
            # A group without a usable sequence has no split.
            split = sequence.split if splits is None else splits.get(sequence.group, "")
            if split is None:
                raise ValueError("it is in no split, though others of this dataset are")
            if only not in (None, split) and split:
                continue
            changed = _at_rate(sequence, rules)
            clips = _clips(changed, split, rules, sources)
            for clip, _ in clips:
                if clip.clip_id in taken:
                    raise ClipError(clip.clip_id, "a clip with its id was already written")
        except (OSError, ValueError) as error:
            reason = error.reason if isinstance(error, ClipError) else str(error)
            yield PlannedClip(item=Skipped(_name(sequence), " ".join(reason.split())))
            continue
        taken.update(clip.clip_id for clip, _ in clips)
        for clip, encoding in clips:
            yield PlannedClip(item=clip, encoding=encoding, sequence=sequence)
    yield from (PlannedClip(item=entry) for entry in log.entries[reported:])


def _at_rate(sequence: PersonSequence, rules: ClipRules) -> PersonSequence:
    return sequence if rules.fps is None else retimed(sequence, rules.fps)


def _clips(
    sequence: PersonSequence, split: str, rules: ClipRules, sources: Sources
) -> list[tuple[Clip, Encoding | None]]:
    """The clips of a sequence, at least one, each with the making of its video if it has one.

    Raises:
        ValueError: there is none, or a store cannot keep one of them.
    """
    if rules.video_size is None and sequence.source is not None and sequence.motion is None:
        raise ClipError(sequence.sequence, VIDEO_ALONE)
    source, resize = sequence.source, None
    if source is not None and rules.video_size is not None:
        resize = PadResize(source.width, source.height, rules.video_size)
    found = []
    for rows in windows(sequence, rules.num_frames):
        clip, encoding = clip_of(sequence, split, rows), None
        if source is not None and resize is not None:
            path = rules.root / video_name(clip.clip_id)
            clip = _with_video(clip, resize, path)
            frames = range(rows.start, rows.stop)
            identity = f"{sources.pictures(source, frames)} {frames} {resize} {clip.fps}"
            encoding = Encoding(source, frames, resize, clip.fps, path, identity)
        check(clip)
        found.append((clip, encoding))
    if not found:
        valid, total = int(sequence.valid.sum()), len(sequence)
        some = f" ({valid} of {total} are valid)" if valid < total else ""
        reason = f"fewer than {rules.num_frames} usable frames in a row{some}"
        raise ClipError(sequence.sequence, reason)
    return found


def _with_video(clip: Clip, resize: PadResize, path: Path) -> Clip:
    view = None if clip.view is None else resize.camera(clip.view)
    return dataclasses.replace(clip, view=view, resize=resize, video=path)


def _name(sequence: PersonSequence) -> str:
    if sequence.camera == "none":
        return sequence.sequence
    return f"{sequence.sequence}/{sequence.camera}/{sequence.person}"
