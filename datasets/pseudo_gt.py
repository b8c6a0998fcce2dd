"""``python -m datasets.pseudo_gt --store STORE --estimator NAME --out STORE2``: pseudo labels.

The clips of a store that have a video, with the motion that an estimator sees in it. The work is
cut into shards that any number of workers do in any order (`datasets.pseudo`); the store that comes
out depends on neither, nor on how often the work was interrupted.

Nothing heavy is imported before there is work to do, so that ``--help`` answers at once.
"""

import argparse
import contextlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from datasets import estimators
from datasets.command_line import positive
from datasets.estimators import Estimator, EstimatorUnavailable
from datasets.pseudo import executors

if TYPE_CHECKING:
    from datasets.pseudo.shards import Shard
    from datasets.pseudo.worker import ShardTask, StartWorker

_EPILOG = """\
A job that was stopped goes on where it was when the same command is given again.
exit codes: 0 the store is there, whatever failed, 1 failure, 2 a mistake in the command or its
folders, or something is not installed, 130 stopped with Ctrl-C
"""
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
    from datasets.clip_schema import WORK, StoreError
    from datasets.clip_store import ClipStore
    from datasets.pseudo.input import select, tasks
    from datasets.pseudo.progress import ClipsDone
    from datasets.pseudo.shards import plan, reopen
    from datasets.pseudo.store import STATUS_FILE, write_store
    from datasets.pseudo.summary import count, num_failed
    from datasets.pseudo.worker import StartWorker, kind_of_device, resume
    from datasets.work_folder import claimed, is_finished

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


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit code: 0 done, 1 failure, 2 usage, 130 Ctrl-C."""
    parser = _parser()
    args = parser.parse_args(argv)
    options = {} if args.checkpoint is None else {"checkpoint": args.checkpoint}
    if args.address is not None and args.executor != "ray":
        parser.error("--address is of the Ray cluster: it needs --executor ray")
    manifest_time = _time(Path(args.out) / "manifest.json")
    try:
        estimator = estimators.get(args.estimator, **options)
    except (TypeError, ValueError) as error:
        if isinstance(error, TypeError) and "checkpoint" in str(error):
            error = f"{args.estimator} has no --checkpoint"
        parser.error(str(error))
    try:
        manifest = estimate_store(
            args.store,
            estimator,
            args.out,
            executor=args.executor,
            workers=args.workers,
            device=args.device,
            split=args.split,
            limit=args.limit,
            timeout=args.timeout,
            address=args.address,
            retry=args.retry,
            progress=not args.quiet,
        )
    except KeyboardInterrupt:
        print("interrupted: the same command goes on where it was", file=sys.stderr)
        return 130  # what shells expect of Ctrl-C
    except (EstimatorUnavailable, OSError, ValueError, executors.ExecutorError) as error:
        from datasets.pseudo.summary import error_line

        print(f"error: {error_line(error, args.out)}", file=sys.stderr)
        return 2 if _is_users_mistake(error) else 1
    from datasets.pseudo.summary import summary

    was_there = manifest_time == _time(Path(args.out) / "manifest.json")
    print(summary(manifest, args.out, was_there=was_there))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m datasets.pseudo_gt",
        description="Estimate the motion in a store's videos and write it as a new store.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--store", metavar="STORE", required=True, help="the clips with videos")
    parser.add_argument(
        "--estimator",
        metavar="NAME",
        required=True,
        help=f"one of: {', '.join(estimators.names())}",
    )
    parser.add_argument("--out", metavar="STORE2", required=True, help="the folder to create")
    parser.add_argument(
        "--executor",
        choices=executors.NAMES,
        default="local",
        help="processes of this machine, or a Ray cluster (default: %(default)s)",
    )
    parser.add_argument(
        "--workers",
        type=positive,
        default=1,
        metavar="N",
        help="processes, each with an estimator of its own (default: %(default)s)",
    )
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="worker i has GPU i modulo their number (default: cuda where this machine has one)",
    )
    parser.add_argument("--split", choices=("train", "val", "test"), help="only this split")
    parser.add_argument("--limit", type=positive, metavar="N", help="only the first N clips")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="the estimator's weights")
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=TIMEOUT,
        metavar="S",
        help="seconds after which a clip is given up (default: %(default)g)",
    )
    parser.add_argument(
        "--address", type=_address, metavar="RAY", help="the Ray cluster to join: auto or HOST:PORT"
    )
    parser.add_argument(
        "--retry", action="store_true", help="estimate the failed clips of a finished job again"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser


def _seconds(word: str) -> float:
    try:
        seconds = float(word)
    except ValueError:
        seconds = 0
    if not 0 < seconds <= 1e6:
        raise argparse.ArgumentTypeError(f"{word!r} is not a number of seconds")
    return seconds


def _address(word: str) -> str:
    host, _, port = word.rpartition(":")
    if word != "auto" and ("/" in host or not host or not port.isdecimal()):
        raise argparse.ArgumentTypeError(f"{word!r} is neither auto nor HOST:PORT")
    return word


def _run(
    executor: str,
    tasks: "Iterator[ShardTask]",
    start: "StartWorker",
    *,
    workers: int,
    address: str | None,
) -> Iterator:
    from datasets.pseudo.worker import RETRIES

    if executor == "ray":
        from datasets.pseudo.executors import ray

        return ray.run(
            tasks,
            start,
            workers=workers,
            retries=RETRIES,
            address=address,
            gpus=start.device != "cpu",
        )
    from datasets.pseudo.executors import local

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
    from datasets.clip_schema import rows_of
    from datasets.pseudo.shards import failed_row, read_rows

    estimated = (row for shard in shards for row in rows_of(read_rows(shard.file(work), shard.key)))
    for name in clip_ids:
        if name in left_out:
            yield failed_row(name, *left_out[name], n_frames=num_frames)
        else:
            yield next(estimated)


def _time(file: Path) -> int | None:
    """When a file was written, None where there is none."""
    return file.stat().st_mtime_ns if file.exists() else None


def _is_users_mistake(error: Exception) -> bool:
    from datasets.clip_schema import FolderError

    unavailable = EstimatorUnavailable | executors.ExecutorUnavailable
    return isinstance(error, unavailable | FolderError)


if __name__ == "__main__":
    sys.exit(main())
