"""``python -m datasets.prepare NAME --root DIR --out STORE``: a dataset into a clip store.

``python -m datasets.prepare testset --stores A B --out TEST`` picks the test clips of several.
Nothing heavy is imported before there is work to do, so that ``--help`` answers at once.
"""

import argparse
import contextlib
import dataclasses
import functools
import os
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import datasets
from datasets.command_line import positive

if TYPE_CHECKING:
    from datasets.sequence import Dataset

NUM_FRAMES = 65  # of a clip, as the video tasks have it
VIDEO_SIZE = 512  # pixels, as well
_EPILOG = """\
A command that was stopped goes on where it was; a finished store is never written over.
exit codes: 0 the store is there, whatever was skipped, 1 failure, 2 a mistake in the command or
its folders, 130 stopped with Ctrl-C
"""


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
    `datasets.splits` assigns them. A few sequences at a time are held in memory. What cannot be
    used is left out, with the reason in the manifest. Whoever is stopped keeps the videos made so
    far for the same call to go on; the store's bytes depend neither on that nor on `workers`.

    Args:
        dataset: the adapter, see `datasets.get`.
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

    from datasets.body_file import find_body
    from datasets.clip_schema import ClipError, FolderError
    from datasets.clip_store import ClipStore
    from datasets.clip_writer import ClipStoreWriter
    from datasets.preparing.clip_video import encode
    from datasets.preparing.plan import derive_splits, plan
    from datasets.preparing.summary import no_clip
    from datasets.processes import in_order
    from datasets.sequence import SkipLog, Skipped
    from datasets.splits import RULE
    from datasets.work_folder import claimed, is_finished, remove_other_videos

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
    from datasets.clip_schema import FolderError
    from datasets.preparing.summary import NoClipError, skipped_lines

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
    from datasets.preparing.summary import summary

    try:
        dataset = datasets.get(args.dataset)
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
    from datasets.testset import make_testset

    manifest = make_testset(args.stores, args.out, progress=not args.quiet)
    quotas = manifest["quotas"]
    counts = (f"{name} {n} of {quotas[name]}" for name, n in manifest["counts"].items())
    found, total = manifest["num_clips"], manifest["total"]
    few = f", fewer than the {total} of the rule" if found < total else ""
    print(f"{found} clips{few} ({', '.join(counts)})\nstore: {args.out}")


def _go_on(out: str) -> str:
    """What is left of a stopped command, for the user; empty if nothing."""
    from datasets.clip_schema import WORK

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
    parser.add_argument("dataset", help=f"one of: {', '.join(datasets.names())}")
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
