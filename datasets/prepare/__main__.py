"""``python -m datasets.prepare NAME --root DIR --out STORE``: a dataset into a clip store.

``python -m datasets.prepare testset --stores A B --out TEST`` picks the test clips of several.
Nothing heavy is imported before there is work to do, so that ``--help`` answers at once.
"""

import argparse
import os
import sys
from pathlib import Path

from datasets import adapters
from datasets.prepare.prepare_store import NUM_FRAMES, VIDEO_SIZE, prepare
from datasets.tools.command_line import positive

_EPILOG = """\
A command that was stopped goes on where it was; a finished store is never written over.
exit codes: 0 the store is there, whatever was skipped, 1 failure, 2 a mistake in the command or
its folders, 130 stopped with Ctrl-C
"""


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit code: 0 done, 1 failure, 2 usage, 130 Ctrl-C."""
    argv = sys.argv[1:] if argv is None else argv
    parser, command = (
        (_testset_parser(), _testset) if argv[:1] == ["testset"] else (_parser(), _prepare)
    )
    args = parser.parse_args(argv)
    try:
        command(args, parser)
    except KeyboardInterrupt:
        print(f"interrupted: {_go_on(args.out) or 'no store was written'}", file=sys.stderr)
        return 130  # what shells expect of Ctrl-C
    except (OSError, ValueError) as error:
        return _fail(error, args.out)
    return 0


def _fail(error: Exception, out: str) -> int:
    """Tell the user; returns the exit code."""
    from datasets.prepare.summary import NoClipError, skipped_lines
    from datasets.store.schema import FolderError

    usage = isinstance(error, FileNotFoundError | NotADirectoryError | FolderError)
    lines = []
    if isinstance(error, NoClipError):
        usage, lines = error.by_command, skipped_lines(error.skipped)
    hint = "" if usage else _go_on(out)
    line = " ".join(str(error).split())
    print(
        f"error: {line} ({hint})" if hint else f"error: {line}", *lines, sep="\n", file=sys.stderr
    )
    return 2 if usage else 1


def _prepare(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    from datasets.prepare.summary import summary

    try:
        dataset = adapters.get(args.dataset)
    except ValueError as error:
        parser.error(str(error))
    if dataset.needs_root and args.root is None:
        parser.error(f"{args.dataset} needs --root DIR, the folder with its files")
    if not dataset.needs_root and args.root is not None:
        parser.error(f"{args.dataset} is built in and takes no --root")
    finished = (Path(args.out) / "manifest.json").exists()
    manifest = prepare(
        dataset,
        args.root,
        args.out,
        split=args.split,
        num_frames=args.frames,
        limit=args.limit,
        video_size=None if args.no_video else args.size,
        workers=args.workers,
        progress=not args.quiet,
    )
    if finished:
        print("nothing to do, this store is finished:")
    print(summary(manifest, args.out))


def _testset(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    from datasets.prepare.testset import make_testset

    manifest = make_testset(args.stores, args.out, progress=not args.quiet)
    quotas = manifest["quotas"]
    counts = (f"{name} {n} of {quotas[name]}" for name, n in manifest["counts"].items())
    found, total = manifest["num_clips"], manifest["total"]
    few = f", fewer than the {total} of the rule" if found < total else ""
    print(f"{found} clips{few} ({', '.join(counts)})\nstore: {args.out}")


def _go_on(out: str) -> str:
    """What is left of a stopped command, for the user; empty if nothing."""
    from datasets.store.schema import WORK

    there = (Path(out) / WORK).is_dir()
    return "the same command goes on where this one stopped" if there else ""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m datasets.prepare",
        description="Cut a dataset into a store of clips. "
        "(`testset --stores A B --out TEST` instead picks the test clips of several stores.)",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("dataset", help=f"one of: {', '.join(adapters.names())}")
    parser.add_argument("--root", metavar="DIR", help="the folder with the dataset's files")
    parser.add_argument("--out", metavar="STORE", required=True, help="the folder to create")
    parser.add_argument("--split", choices=("train", "val", "test"), help="keep only this split")
    parser.add_argument(
        "--limit", type=positive, metavar="N", help="read only the first N usable sequences"
    )
    parser.add_argument(
        "--frames",
        type=positive,
        default=NUM_FRAMES,
        metavar="N",
        help="frames of a clip (default: %(default)s)",
    )
    parser.add_argument(
        "--size",
        type=_even,
        default=VIDEO_SIZE,
        metavar="PIXELS",
        help="width and height of the clips' videos (default: %(default)s)",
    )
    parser.add_argument("--no-video", action="store_true", help="labels alone, no pictures")
    parser.add_argument(
        "--workers",
        type=positive,
        default=len(os.sched_getaffinity(0)),
        metavar="N",
        help="processes that make videos (default: the CPU cores it may use)",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    return parser


def _testset_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m datasets.prepare testset",
        description="Pick the test clips of prepared stores by a fixed rule, as a store.",
    )
    parser.add_argument("testset", help=argparse.SUPPRESS)
    parser.add_argument("--stores", nargs="+", metavar="STORE", required=True, help="to pick from")
    parser.add_argument("--out", metavar="STORE", required=True, help="the folder to create")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    return parser


def _even(word: str) -> int:
    if positive(word) % 2:
        raise argparse.ArgumentTypeError(f"{word} is odd: videos have even sizes")
    return int(word)


if __name__ == "__main__":
    sys.exit(main())
