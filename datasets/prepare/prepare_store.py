"""From a dataset to a clip store."""

import contextlib
import dataclasses
import functools
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from tqdm import tqdm

from datasets.bodies.smplx_file import find_body
from datasets.prepare.clip_video import Encoding, encode_all
from datasets.prepare.groups import Groups
from datasets.prepare.options import (
    NUM_FRAMES,
    VIDEO_SIZE,
    OptionError,
    SplitOptions,
    option_word,
    options_of,
)
from datasets.prepare.plan import ClipRules, PlannedClip, measure, plan
from datasets.prepare.sources import Sources, require_same
from datasets.prepare.summary import no_clip
from datasets.sequence import Clip, Dataset, PersonSequence, SkipLog, Skipped
from datasets.store.reader import ClipStore
from datasets.store.schema import ClipError, FolderError
from datasets.store.video_list import VideoList
from datasets.store.work_folder import claimed, is_finished
from datasets.store.writer import ClipStoreWriter
from datasets.tools.command_line import and_more


def prepare(
    dataset: Dataset,
    root: str | Path | None,
    out: str | Path,
    *,
    split: str | None = None,
    num_frames: int = NUM_FRAMES,
    limit: int | None = None,
    video_size: int | None = VIDEO_SIZE,
    fps: float | None = None,
    splitting: SplitOptions = SplitOptions(),  # noqa: B008 (it is frozen)
    workers: int = 1,
    progress: bool = True,
) -> dict[str, Any]:
    """Cut a dataset into clips and write them, with their pictures, as a clip store.

    Where the dataset has no official splits, a first pass over its labels measures its groups and
    `datasets.store.splits` assigns them. A few sequences at a time are held in memory. What cannot
    be used is left out, with the reason in the manifest. Whoever is stopped keeps the videos made
    so far for the same call to go on; the store's bytes depend neither on that nor on `workers`.

    Args:
        dataset: the adapter, see `datasets.adapters.get` and `datasets.prepare.options`.
        root: its folder; None for a built-in dataset.
        out: the new store's folder, whose name becomes the store's.
        split: keep only this split; all by default.
        num_frames: length of a clip.
        limit: read only the first so many usable sequences, as a trial.
        video_size: width and height of the clips' pictures; None for a store of labels alone.
        fps: frames per second of all clips (`datasets.prepare.retime`); by default the dataset's.
        splitting: how a dataset without official splits is split.
        workers: processes that make videos; 1 stays in this one.
        progress: show progress on stderr.

    Returns:
        The store's manifest; where `out` is the finished store of the same call, that one's.

    Raises:
        FileNotFoundError: the root is missing or not the dataset's.
        FolderError: `out` is in use, holds something else, is inside the root, or is a finished
            store whose sources have changed since.
        OptionError: `splitting` does not fit the dataset.
        NoClipError: there was no clip to write.
        StoreError: `out` cannot be written.
    """
    root, out = None if root is None else Path(root), Path(out)
    _require_outside(out, root)
    if video_size is not None and hasattr(dataset, "image_size"):
        dataset = dataclasses.replace(dataset, image_size=video_size)  # drawn as large as needed
    rules = ClipRules(root=out, num_frames=num_frames, video_size=video_size, fps=fps)
    job = _job(dataset, root, rules, split=split, limit=limit, splitting=splitting)
    if is_finished(out, job):
        manifest = ClipStore.open(out).manifest
        require_same(manifest, root, out)
        return manifest
    sources, log = Sources(root), SkipLog()
    bar = functools.partial(tqdm, leave=False, disable=not progress)
    with claimed(out, job) as videos, ClipStoreWriter(out, num_frames=num_frames) as writer:
        labels = bar(islice(dataset.sequences(root), limit), desc="measuring", unit=" sequences")
        groups = measure(labels, rules, splitting, sources)
        splits = _splits(dataset, groups, splitting)
        # Only official splits are the adapter's to select; ours are selected by the plan.
        sequences = dataset.sequences(root, split if groups is None else None, skipped=log)
        planned = plan(
            islice(sequences, limit),
            log,
            groups=groups,
            splits=splits,
            only=split,
            rules=rules,
            sources=sources,
        )
        with bar(desc="writing", unit=" clips") as clips:
            tally = _write(planned, writer, videos, sources, workers=workers, bar=clips)
        if not tally.sequences:
            raise no_clip(tally.left_out, split, splits, video_size)
        tally.say_again()
        videos.remove_others(tally.videos)
        facts = {
            "name": out.resolve().name,
            **job,
            "split_rule": "official" if groups is None else groups.rule(),
            **tally.facts(splits),
            "sources": sources.manifest(),
            **({} if groups is None else {"unused_sources": sources.unused()}),
        }
        writer.close(facts)
    return ClipStore.open(out).manifest


def _require_outside(out: Path, root: Path | None) -> None:
    if root is not None and out.resolve().is_relative_to(root.resolve()):
        raise FolderError(f"{out} is inside the dataset's folder {root}: name one outside of it")


def _job(
    dataset: Dataset,
    root: Path | None,
    rules: ClipRules,
    *,
    split: str | None,
    limit: int | None,
    splitting: SplitOptions,
) -> dict[str, Any]:
    """All that the store's content depends on, beside the files in `root`."""
    body = find_body()
    return {
        "dataset": dataset.name,
        "dataset_version": dataset.version,
        "root": None if root is None else str(root.resolve()),
        "options": options_of(dataset),
        "split": split,
        "splitting": splitting.given() or None,
        "limit": limit,
        "num_frames": rules.num_frames,
        "fps": rules.fps,
        "video_size": rules.video_size,
        "body": {"name": body.name, "sha256": body.sha256},
    }


def _splits(
    dataset: Dataset, groups: Groups | None, splitting: SplitOptions
) -> dict[str, str] | None:
    """Group -> split, or None where the dataset has splits of its own.

    Raises:
        OptionError: `splitting` does not fit the dataset.
    """
    if groups is None:
        for name in splitting.given():
            raise OptionError(
                f"{dataset.name} has official splits, which {option_word(name)} cannot change"
            )
        return None
    try:
        return groups.splits()
    except ValueError as error:
        raise OptionError(str(error)) from error


def _write(
    planned: Iterable[PlannedClip],
    writer: ClipStoreWriter,
    videos: VideoList,
    sources: Sources,
    *,
    workers: int,
    bar: tqdm,
) -> "_Tally":
    """Make the videos of the clips that have none yet, and write the clips, in their order."""
    tally = _Tally()
    done = encode_all(_to_encode(planned, videos, tally), VideoList(videos.store), workers)
    with contextlib.closing(done):
        for clip, failure in done:
            if isinstance(clip.item, Skipped):
                tally.left_out.append(clip.item)
                continue
            try:
                if failure is None:
                    writer.add(clip.item)
            except ClipError as error:
                failure = error.reason
            if failure is not None:
                tally.left_out.append(Skipped(clip.item.clip_id, failure))
                continue
            assert clip.sequence is not None, "the clip is from it"
            tally.add(clip.item, clip.sequence)
            sources.use(clip.sequence)
            bar.set_postfix(sequences=len(tally.sequences), refresh=False)
            bar.update()
    return tally


def _to_encode(
    planned: Iterable[PlannedClip], videos: VideoList, tally: "_Tally"
) -> Iterator[tuple[PlannedClip, Encoding | None]]:
    """Yield every clip with the video that it still needs."""
    for clip in planned:
        encoding = clip.encoding
        if encoding is not None:
            state = videos.state(encoding.path, encoding.made_from)
            if state == "made":
                encoding = None
            else:
                if state == "changed" and clip.sequence is not None:
                    tally.made_again.append(clip.sequence.sequence)
                videos.begin(encoding.path)
        yield clip, encoding


@dataclass
class _Tally:
    """Counts of what went into a store and what was left out."""

    sequences: set[tuple[str, str, str]] = field(default_factory=set)
    videos: set[Path] = field(default_factory=set)
    test_groups: set[str] = field(default_factory=set)
    assumed: dict[str, list[str]] = field(default_factory=dict)  # -> sequences
    left_out: list[Skipped] = field(default_factory=list)
    made_again: list[str] = field(default_factory=list)

    def add(self, clip: Clip, sequence: PersonSequence) -> None:
        """Count a clip that was written."""
        self.sequences.add((clip.sequence, clip.camera, clip.person))
        if clip.video is not None:
            self.videos.add(clip.video)
        if clip.split == "test":
            self.test_groups.add(clip.group)
        for text in sequence.assumed:
            names = self.assumed.setdefault(text, [])
            if clip.sequence not in names[-1:]:
                names.append(clip.sequence)

    def say_again(self) -> None:
        """Tell the user which videos a stopped command had made from other files."""
        if names := list(dict.fromkeys(self.made_again)):
            line = f"made again, as the sources have changed since: {and_more(names)}"
            print(line, file=sys.stderr)

    def facts(self, splits: dict[str, str] | None) -> dict[str, Any]:
        """For the manifest; `splits` as `_splits` gives them."""
        notes = []
        if splits is not None and len(splits) == 1:
            notes.append("all sequences belong to one group, so all are in one split")
        tested = {} if splits is None else {"test_groups": sorted(self.test_groups)}
        return {
            **tested,
            "num_sequences": len(self.sequences),
            "assumed": [
                {"what": text, "sequences": len(names), "examples": names[:3]}
                for text, names in sorted(self.assumed.items())
            ],
            "notes": notes,
            "skipped": [{"name": s.name, "reason": s.reason} for s in self.left_out],
        }
