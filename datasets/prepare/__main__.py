"""``python -m datasets.prepare NAME --root DIR --out STORE``: a dataset into a clip store.

``python -m datasets.prepare testset --stores A B --out TEST`` picks the test clips of several.
Nothing heavy is imported before there is work to do, so that ``--help`` answers at once.
"""

import argparse
import os
import re
import sys
from fractions import Fraction
from pathlib import Path

from datasets import adapters
from datasets.prepare.options import NUM_FRAMES, VIDEO_SIZE, OptionError, SplitOptions, with_options
from datasets.tools.command_line import command_parser, number, positive, run_command

_rate = number(float, lambda rate: 0.1 <= rate <= 1000, "is no frame rate from 0.1 to 1000")
_share = number(Fraction, lambda share: 0 < share < 1, "is not between 0 and 1")

_EPILOG = """\
A command that was stopped goes on where it was; a finished store is never written over.
exit codes: 0 the store is there, whatever was skipped, 1 failure, 2 a mistake in the command or
its folders, 130 stopped with Ctrl-C
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0 done, 1 failure, 2 usage, 130 Ctrl-C."""
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

    usage = isinstance(error, FileNotFoundError | NotADirectoryError | FolderError | OptionError)
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
    from datasets.prepare.prepare_store import prepare
    from datasets.prepare.summary import summary

    try:
        dataset = adapters.get(args.dataset)
    except ValueError as error:
        parser.error(str(error))
    if dataset.needs_root and args.root is None:
        parser.error(f"{args.dataset} needs --root DIR, the folder with its files")
    if not dataset.needs_root and args.root is not None:
        parser.error(f"{args.dataset} is built in and takes no --root")
    own = {name: getattr(args, name) for name in ("up", "source_fps", "gender", "skeleton")}
    dataset = with_options(dataset, fps=args.fps, **own)
    folds = range(1, args.folds + 1) if args.folds else (None,)
    for fold in folds:
        out = args.out if fold is None else f"{args.out}-fold{fold}"
        finished = (Path(out) / "manifest.json").exists()
        manifest = prepare(
            dataset,
            args.root,
            out,
            split=args.split,
            num_frames=args.frames,
            limit=args.limit,
            video_size=None if args.no_video else args.size,
            fps=args.fps,
            splitting=SplitOptions(
                group_by=args.group_by,
                test_share=args.test_share,
                test_takes=args.test_takes,
                fold=None if fold is None else (fold, args.folds),
            ),
            workers=args.workers,
            progress=not args.quiet,
        )
        if finished:
            print("nothing to do, this store is finished:")
        print(summary(manifest, out))


def _testset(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    from datasets.prepare.testset import make_testset

    manifest = make_testset(args.stores, args.out, progress=not args.quiet)
    quotas = manifest["quotas"]
    counts = (f"{name} {n} of {quotas[name]}" for name, n in manifest["counts"].items())
    found, total = manifest["num_clips"], manifest["total"]
    few = f", fewer than the {total} of the rule" if found < total else ""
    print(f"{found} clips{few} ({', '.join(counts)})\nstore: {args.out}")


def _go_on(out: str) -> str:
    """Say that a stopped command can go on; empty if nothing is left of it."""
    from datasets.store.schema import WORK

    there = (Path(out) / WORK).is_dir()
    return "the same command goes on where this one stopped" if there else ""


def _parser() -> argparse.ArgumentParser:
    parser = command_parser(
        "datasets.prepare",
        "Cut a dataset into a store of clips. "
        "(`testset --stores A B --out TEST` instead picks the test clips of several stores.)",
        _EPILOG,
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
    _add_reading(parser.add_argument_group("how the files are read"))
    _add_splitting(parser.add_argument_group("split of a dataset without an official one"))
    parser.add_argument(
        "--workers",
        type=positive,
        default=len(os.sched_getaffinity(0)),
        metavar="N",
        help="processes that make videos (default: the CPU cores it may use)",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    return parser


def _add_reading(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--fps",
        type=_rate,
        metavar="N",
        help="re-time all clips to N frames a second; files that do not say their rate have this",
    )
    group.add_argument(
        "--source-fps",
        type=_rate,
        metavar="N",
        help="the files were recorded at N frames a second, whatever they say",
    )
    group.add_argument("--up", choices=("x", "y", "z", "-y"), help="axis that is up in the files")
    group.add_argument(
        "--gender",
        choices=("neutral", "female", "male"),
        help="body of the files that do not say it",
    )
    group.add_argument(
        "--skeleton", type=_file, metavar="FILE.json", help="the joints of an unknown skeleton"
    )


def _add_splitting(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--group-by",
        type=_pattern,
        metavar="file|folder|REGEX",
        help="what is never separated; REGEX is searched in names, its first group counts",
    )
    choice = group.add_mutually_exclusive_group()
    choice.add_argument(
        "--test-share", type=_share, metavar="F", help="of all frames to test on (default: 0.2)"
    )
    choice.add_argument(
        "--test-takes",
        type=_lines,
        metavar="FILE",
        help="names of the files to test on, a line each, without suffix",
    )
    choice.add_argument(
        "--folds",
        type=_folds,
        metavar="N",
        help="write N stores, STORE-fold1 ..., each of which tests on another part",
    )


def _testset_parser() -> argparse.ArgumentParser:
    what = "Pick the test clips of prepared stores by a fixed rule, as a store."
    parser = command_parser("datasets.prepare testset", what)
    parser.add_argument("testset", help=argparse.SUPPRESS)
    parser.add_argument("--stores", nargs="+", metavar="STORE", required=True, help="to pick from")
    parser.add_argument("--out", metavar="STORE", required=True, help="the folder to create")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    return parser


def _folds(word: str) -> int:
    if positive(word) < 2:
        raise argparse.ArgumentTypeError("at least 2 folds are needed")
    return int(word)


def _pattern(word: str) -> str:
    try:
        re.compile(word)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{word!r} is no regular expression: {error}") from None
    return word


def _file(word: str) -> Path:
    if not Path(word).is_file():
        raise argparse.ArgumentTypeError(f"no file {word}")
    return Path(word)


def _lines(word: str) -> tuple[str, ...]:
    try:
        lines = _file(word).read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise argparse.ArgumentTypeError(f"{word} is no text file") from None
    return tuple(line.strip() for line in lines if line.strip())


def _even(word: str) -> int:
    if positive(word) % 2:
        raise argparse.ArgumentTypeError(f"{word} is odd: videos have even sizes")
    return int(word)


if __name__ == "__main__":
    run_command(main)
