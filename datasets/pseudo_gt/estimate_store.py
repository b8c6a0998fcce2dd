"""Pseudo ground truth for a whole clip store."""

import contextlib
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets.estimators import TIMEOUT, Estimator, EstimatorUnavailable
from datasets.pseudo_gt.input import select, tasks
from datasets.pseudo_gt.progress import ProgressBar
from datasets.pseudo_gt.shards import Shard, failed_row, plan, read_rows, reopen
from datasets.pseudo_gt.store import STATUS_FILE, is_whole, write_store
from datasets.pseudo_gt.summary import num_failed, status_text
from datasets.pseudo_gt.worker import RETRIES, StartWorker, resume
from datasets.store.reader import ClipStore
from datasets.store.schema import WORK, StoreError, rows_of
from datasets.store.work_folder import claimed, is_finished
from datasets.tools.workers.spread import Executor, Outcome, spread


@dataclass(frozen=True, kw_only=True)
class Extraction:
    """The choices that the content of a new store depends on.

    Attributes:
        store: folder of the store with the videos.
        estimator: what estimates; imported by name in other processes.
        device: ``cpu``, ``cuda``, or ``auto`` for a GPU where the machine that calls has one; the
            same for all clips, as their numbers depend on it.
        split: estimate only the clips of this split.
        limit: estimate only the first so many clips.
    """

    store: str | Path
    estimator: Estimator
    device: str = "auto"
    split: str | None = None
    limit: int | None = None


def estimate_store(
    extraction: Extraction,
    out: str | Path,
    *,
    executor: Executor,
    timeout: float = TIMEOUT,
    retry: bool = False,
    progress: bool = True,
) -> dict:
    """Estimate the motion of a store's clips from their videos and write it as a new store.

    A clip that fails is left out of the store, and so is one in whose video several people are
    annotated; ``pseudo_gt.parquet`` beside it has the status of every clip. An interrupted job goes
    on where it was when it is called again.

    Args:
        extraction: the clips and the estimator.
        out: the new store's folder, whose name becomes the store's.
        executor: the worker processes, each with an estimator of its own.
        timeout: seconds after which a clip is given up.
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
    source, out = ClipStore.open(extraction.store), Path(out)
    job = _job(extraction, source)
    if is_finished(out, job):
        manifest = ClipStore.open(out).manifest
        if not is_whole(out, manifest):
            print(f"{out / STATUS_FILE} is damaged: it is made again", file=sys.stderr)
        elif not (retry and num_failed(manifest["pseudo_gt"]["statuses"])):
            return manifest
    clip_ids, left_out = select(source, extraction.split, extraction.limit)
    shards = plan([name for name in clip_ids if name not in left_out], job)
    with claimed(out, job, files=(STATUS_FILE,), keep="shards"):
        work = out / WORK
        if retry:
            reopen(shards, work)
        start = StartWorker(extraction.estimator, timeout, resume(work))
        with contextlib.closing(ProgressBar(work, shards, visible=progress)) as bar:
            _estimate(source, work, start, executor, job["device"], bar)
        rows = _rows(clip_ids, left_out, shards, work, num_frames=source.num_frames)
        counts = write_store(out, source, clip_ids, rows, job)
        if not counts.get("ok"):
            raise StoreError(
                f"no clip could be estimated ({status_text(counts)}): {out / STATUS_FILE} has the "
                f"reason of each; --retry tries them again"
            )
    return ClipStore.open(out).manifest


def _job(extraction: Extraction, source: ClipStore) -> dict[str, Any]:
    """All that the content of the new store depends on."""
    estimator = extraction.estimator
    return {
        "source": {"name": source.manifest.get("name", ""), "content_sha256": source.sha256},
        "estimator": {
            "name": estimator.name,
            "note": estimator.note,
            "identity": estimator.identity(),
        },
        "device": _kind_of_device(extraction.device),
        "only_split": extraction.split,
        "only_first": extraction.limit,
    }


def _estimate(
    source: ClipStore,
    work: Path,
    start: StartWorker,
    executor: Executor,
    device: str,
    bar: ProgressBar,
) -> None:
    """Do the shards that the bar counts as unfinished."""
    outcomes = spread(
        ((task.shard, task) for task in tasks(source, list(bar.unfinished.values()), work)),
        start,
        executor,
        # Ray knows the GPUs of its machines.
        devices=[device] if executor.name == "ray" else _devices_to_deal(device),
        retries=RETRIES,
    )
    with contextlib.closing(outcomes):
        for outcome in outcomes:
            if isinstance(outcome, Outcome):
                bar.finish(outcome.item, outcome.result())
                shutil.rmtree(outcome.item.scratch(work))
            bar.show()


def _rows(
    clip_ids: list[str],
    left_out: dict[str, tuple[str, str]],
    shards: list[Shard],
    work: Path,
    *,
    num_frames: int,
) -> Iterator[dict]:
    """Yield the result of every clip, in store order; `left_out` are those in no shard.

    Raises:
        StoreError: a shard is damaged.
    """

    def estimated() -> Iterator[dict]:
        for shard in shards:
            table = read_rows(shard.file(work), shard.key)
            if table is None:
                raise StoreError(
                    f"{shard.file(work)} was damaged just now: the same command makes it again"
                )
            yield from rows_of(table)

    rows = estimated()
    for name in clip_ids:
        if name in left_out:
            yield failed_row(name, *left_out[name], n_frames=num_frames)
        else:
            yield next(rows)


def _kind_of_device(device: str) -> str:
    """``cpu`` or ``cuda``: what ``auto`` means on this machine."""
    return device if device != "auto" else "cuda" if _num_gpus() else "cpu"


def _devices_to_deal(kind: str) -> list[str]:
    """Return the devices of this machine that workers are dealt.

    Raises:
        EstimatorUnavailable: a GPU is asked for where there is none.
    """
    devices = ["cpu"] if kind == "cpu" else [f"cuda:{index}" for index in range(_num_gpus())]
    if not devices:
        raise EstimatorUnavailable("--device cuda: this machine has no GPU that torch can use")
    return devices


def _num_gpus() -> int:
    import torch

    return torch.cuda.device_count()
