"""From a dataset to a clip store."""

import contextlib
import dataclasses
import functools
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets.sequence import Dataset


NUM_FRAMES = 65  # of a clip, as the video tasks have it


VIDEO_SIZE = 512  # pixels, as well


def prepare(
    dataset: "Dataset",
    root: str | Path | None,
    out: str | Path,
    *,
    split: str | None = None,
    num_frames: int = NUM_FRAMES,
    limit: int | None = None,
    video_size: int | None = VIDEO_SIZE,
    workers: int = 1,
    progress: bool = True,
) -> dict:
    """Cut a dataset into clips and write them, with their pictures, as a clip store.

    Where the dataset has no official splits, a first pass over its labels measures its groups and
    `datasets.store.splits` assigns them. A few sequences at a time are held in memory. What cannot
    be used is left out, with the reason in the manifest. Whoever is stopped keeps the videos made
    so far for the same call to go on; the store's bytes depend neither on that nor on `workers`.

    Args:
        dataset: the adapter, see `datasets.adapters.get`.
        root: its folder; None for a built-in dataset.
        out: the new store's folder, whose name becomes the store's.
        split: keep only this split; all by default.
        num_frames: length of a clip.
        limit: read only the first so many usable sequences, as a trial.
        video_size: width and height of the clips' pictures; None for a store of labels alone.
        workers: processes that make videos; 1 stays in this one.
        progress: show progress on stderr.

    Returns:
        The store's manifest; where `out` is the finished store of the same call, that one's.

    Raises:
        FileNotFoundError: the root is missing or not the dataset's.
        FolderError: `out` is in use, holds something else, or is inside the root.
        NoClipError: there was no clip to write.
        StoreError: `out` cannot be written.
    """
    from tqdm import tqdm

    from datasets.bodies.smplx_file import find_body
    from datasets.prepare.clip_video import encode
    from datasets.prepare.plan import derive_splits, plan
    from datasets.prepare.summary import no_clip
    from datasets.sequence import SkipLog, Skipped
    from datasets.store.reader import ClipStore
    from datasets.store.schema import ClipError, FolderError
    from datasets.store.splits import RULE
    from datasets.store.work_folder import claimed, is_finished, remove_other_videos
    from datasets.store.writer import ClipStoreWriter
    from datasets.tools.processes import in_order

    root, out = None if root is None else Path(root), Path(out)
    if root is not None and out.resolve().is_relative_to(root.resolve()):
        raise FolderError(f"{out} is inside the dataset's folder {root}: name one outside of it")
    if video_size is not None and hasattr(dataset, "image_size"):
        dataset = dataclasses.replace(dataset, image_size=video_size)  # drawn as large as needed
    body = find_body()
    job = {  # all that the store's content depends on
        "dataset": dataset.name,
        "dataset_version": dataset.version,
        "root": None if root is None else str(root.resolve()),
        "split": split,
        "limit": limit,
        "num_frames": num_frames,
        "video_size": video_size,
        "body": {"name": body.name, "sha256": body.sha256},
    }
    if is_finished(out, job):
        return ClipStore.open(out).manifest
    bar = functools.partial(tqdm, leave=False, disable=not progress)
    log, left_out, used, videos, test_groups = SkipLog(), [], set(), set(), set()
    with claimed(out, job), ClipStoreWriter(out, num_frames=num_frames) as writer:
        labels = bar(islice(dataset.sequences(root), limit), desc="measuring", unit=" sequences")
        splits = derive_splits(labels, num_frames, video_size)
        # Only official splits are the adapter's to select; ours are selected by the plan.
        sequences = dataset.sequences(root, split if splits is None else None, skipped=log)
        planned = plan(
            islice(sequences, limit),
            log,
            splits=splits,
            only=split,
            num_frames=num_frames,
            video_size=video_size,
            root=out,
        )
        done = in_order(encode, planned, workers=workers, died="its worker process died twice")
        with contextlib.closing(done), bar(desc="writing", unit=" clips") as clips:
            for item, failure in done:
                try:
                    if failure is None and not isinstance(item, Skipped):
                        writer.add(item)
                except ClipError as error:
                    failure = error.reason
                if failure is not None:
                    item = Skipped(item.clip_id, failure)
                if isinstance(item, Skipped):
                    left_out.append(item)
                    continue
                used.add((item.sequence, item.camera, item.person))
                videos.add(item.video)
                if item.split == "test":
                    test_groups.add(item.group)
                clips.set_postfix(sequences=len(used), refresh=False)
                clips.update()
        if not used:
            raise no_clip(left_out, split, splits, video_size)
        notes = []
        if splits is not None and len(splits) == 1:
            notes.append("all sequences belong to one group, so all are in the test split")
        facts = {
            "name": out.resolve().name,
            **job,
            "split_rule": "official" if splits is None else RULE,
            **({} if splits is None else {"test_groups": sorted(test_groups)}),
            "num_sequences": len(used),
            "notes": notes,
            "skipped": [{"name": s.name, "reason": s.reason} for s in left_out],
        }
        remove_other_videos(out, videos)
        writer.close(facts)
    return ClipStore.open(out).manifest
