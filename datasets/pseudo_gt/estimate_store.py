"""Pseudo ground truth for a whole clip store."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from datasets.estimators import Estimator

if TYPE_CHECKING:
    from datasets.pseudo_gt.shards import Shard
    from datasets.pseudo_gt.worker import ShardTask, StartWorker


TIMEOUT = 7200.0  # seconds for one clip; estimators may have shorter limits of their own


def estimate_store(
    store: str | Path,
    estimator: Estimator,
    out: str | Path,
    *,
    executor: str = "local",
    workers: int = 1,
    device: str = "auto",
    split: str | None = None,
    limit: int | None = None,
    timeout: float = TIMEOUT,
    address: str | None = None,
    retry: bool = False,
    progress: bool = True,
) -> dict:
    """Estimate the motion of a store's clips from their videos and write it as a new store.

    A clip that fails is left out of the store, and so is one in whose video several people are
    annotated; ``pseudo_gt.parquet`` beside it has the status of every clip. An interrupted job goes
    on where it was when it is called again.

    Args:
        store: folder of the store with the videos.
        estimator: what estimates; imported by name in other processes.
        out: the new store's folder, whose name becomes the store's.
        executor: ``local`` or ``ray``.
        workers: processes, each with an estimator of its own.
        device: ``cpu``, ``cuda``, or ``auto`` for a GPU where the machine that calls has one; the
            same for all clips, as their numbers depend on it.
        split: estimate only the clips of this split.
        limit: estimate only the first so many clips.
        timeout: seconds after which a clip is given up.
        address: of the Ray cluster to join; None for one on this machine.
        retry: where the job came to its end, estimate the clips that failed again.
        progress: show a progress bar on stderr.

    Returns:
        The new store's manifest, also where there was nothing left to do.

    Raises:
        EstimatorUnavailable: the estimator cannot run here.
        ExecutorError: the workers cannot be started or do not stay alive.
        StoreError: a store cannot be read or written, `out` is in use or of another job, there is
            no clip with a video of one person, or no clip could be estimated.
    """
    from datasets.pseudo_gt.input import select, tasks
    from datasets.pseudo_gt.progress import ClipsDone
    from datasets.pseudo_gt.shards import plan, reopen
    from datasets.pseudo_gt.store import STATUS_FILE, write_store
    from datasets.pseudo_gt.summary import count, num_failed
    from datasets.pseudo_gt.worker import StartWorker, kind_of_device, resume
    from datasets.store.reader import ClipStore
    from datasets.store.schema import WORK, StoreError
    from datasets.store.work_folder import claimed, is_finished

    source = ClipStore.open(store)
    out = Path(out)
    job = {  # all that the store's content depends on
        "source": {"name": source.manifest.get("name", ""), "content_sha256": source.sha256},
        "estimator": {
            "name": estimator.name,
            "note": estimator.note,
            "identity": estimator.identity(),
        },
        "device": kind_of_device(device),
        "only_split": split,
        "only_first": limit,
    }
    if is_finished(out, job):
        manifest = ClipStore.open(out).manifest
        if not (retry and num_failed(manifest["pseudo_gt"]["statuses"])):
            return manifest
    clip_ids, left_out = select(source, split, limit)
    shards = plan([name for name in clip_ids if name not in left_out], job)
    with claimed(out, job, files=(STATUS_FILE,), keep="shards"):
        work = out / WORK
        if retry:
            reopen(shards, work)
        start = StartWorker(estimator, job["device"], timeout, resume(work))
        bar = ClipsDone(work, shards, shown=progress)
        todo = tasks(source, list(bar.unfinished.values()), work)
        results = _run(executor, todo, start, workers=workers, address=address)
        with contextlib.closing(bar), contextlib.closing(results):
            for done in results:
                if done is not None:
                    bar.finish(done)
                    shutil.rmtree(done.shard.scratch(work))
                bar.show()
        rows = _rows(clip_ids, left_out, shards, work, num_frames=source.num_frames)
        counts = write_store(out, source, clip_ids, rows, job)
        if not counts.get("ok"):
            raise StoreError(
                f"no clip could be estimated ({count(counts)}): {out / STATUS_FILE} has the "
                f"reason of each; --retry tries them again"
            )
    return ClipStore.open(out).manifest


def _run(
    executor: str,
    tasks: "Iterator[ShardTask]",
    start: "StartWorker",
    *,
    workers: int,
    address: str | None,
) -> Iterator:
    from datasets.pseudo_gt.worker import RETRIES

    if executor == "ray":
        from datasets.pseudo_gt.executors import ray

        return ray.run(
            tasks,
            start,
            workers=workers,
            retries=RETRIES,
            address=address,
            gpus=start.device != "cpu",
        )
    from datasets.pseudo_gt.executors import local

    return local.run(tasks, start, workers=workers, retries=RETRIES)


def _rows(
    clip_ids: list[str],
    left_out: dict[str, tuple[str, str]],
    shards: "list[Shard]",
    work: Path,
    *,
    num_frames: int,
) -> Iterator[dict]:
    """The result of every clip, in store order; `left_out` are those in no shard."""
    from datasets.pseudo_gt.shards import failed_row, read_rows
    from datasets.store.schema import rows_of

    estimated = (row for shard in shards for row in rows_of(read_rows(shard.file(work), shard.key)))
    for name in clip_ids:
        if name in left_out:
            yield failed_row(name, *left_out[name], n_frames=num_frames)
        else:
            yield next(estimated)
