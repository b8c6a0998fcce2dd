"""``python -m datasets.pseudo_gt --store STORE --estimator NAME --out STORE2``: pseudo labels.

The clips of a store that have a video, with the motion that an estimator sees in it. The work is
cut into shards that any number of workers do in any order (`datasets.pseudo_gt`); the store that
comes out depends on neither, nor on how often the work was interrupted.

Nothing heavy is imported before there is work to do, so that ``--help`` answers at once.
"""

import argparse
import sys
from pathlib import Path

from datasets import estimators
from datasets.estimators import TIMEOUT, EstimatorUnavailable
from datasets.tools.command_line import command_parser, number, positive, run_command
from datasets.tools.workers.spread import EXECUTORS, Executor
from datasets.tools.workers.worker import ExecutorError, ExecutorUnavailable

_EPILOG = """\
A job that was stopped goes on where it was when the same command is given again.
exit codes: 0 the store is there, whatever failed, 1 failure, 2 a mistake in the command or its
folders, or something is not installed, 130 stopped with Ctrl-C
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0 done, 1 failure, 2 usage, 130 Ctrl-C."""
    parser = _parser()
    args = parser.parse_args(argv)
    options = {} if args.checkpoint is None else {"checkpoint": args.checkpoint}
    if args.address is not None and args.executor != "ray":
        parser.error("--address is of the Ray cluster: it needs --executor ray")
    manifest_time = _time(Path(args.out) / "manifest.json")
    try:
        estimator = estimators.get(args.estimator, **options)
    except (TypeError, ValueError) as error:
        unknown = isinstance(error, TypeError) and "checkpoint" in str(error)
        parser.error(f"{args.estimator} has no --checkpoint" if unknown else str(error))
    from datasets.pseudo_gt.estimate_store import Extraction, estimate_store
    from datasets.pseudo_gt.summary import error_line, summary

    try:
        manifest = estimate_store(
            Extraction(
                store=args.store,
                estimator=estimator,
                device=args.device,
                split=args.split,
                limit=args.limit,
            ),
            args.out,
            executor=Executor(name=args.executor, workers=args.workers, address=args.address),
            timeout=args.timeout,
            retry=args.retry,
            progress=not args.quiet,
        )
    except KeyboardInterrupt:
        print("interrupted: the same command goes on where it was", file=sys.stderr)
        return 130  # what shells expect of Ctrl-C
    except (EstimatorUnavailable, OSError, ValueError, ExecutorError) as error:
        print(f"error: {error_line(error, args.out)}", file=sys.stderr)
        return 2 if _is_users_mistake(error) else 1
    was_there = manifest_time == _time(Path(args.out) / "manifest.json")
    print(summary(manifest, args.out, was_there=was_there))
    return 0


def _parser() -> argparse.ArgumentParser:
    what = "Estimate the motion in a store's videos and write it as a new store."
    parser = command_parser("datasets.pseudo_gt", what, _EPILOG)
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
        choices=EXECUTORS,
        default=EXECUTORS[0],
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
        type=number(float, lambda seconds: 0 < seconds <= 1e6, "is not a number of seconds"),
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


def _address(word: str) -> str:
    host, _, port = word.rpartition(":")
    if word != "auto" and ("/" in host or not host or not port.isdecimal()):
        raise argparse.ArgumentTypeError(f"{word!r} is neither auto nor HOST:PORT")
    return word


def _time(file: Path) -> int | None:
    """Return the time at which a file was written; None if there is none."""
    return file.stat().st_mtime_ns if file.exists() else None


def _is_users_mistake(error: Exception) -> bool:
    from datasets.store.schema import FolderError

    unavailable = EstimatorUnavailable | ExecutorUnavailable
    return isinstance(error, unavailable | FolderError)


if __name__ == "__main__":
    run_command(main)
