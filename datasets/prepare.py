"""``python -m datasets.prepare NAME --root DIR --out STORE``: a dataset into a clip store.

Nothing heavy is imported before there is work to do, so that ``--help`` answers at once.
"""

import argparse
import functools
import sys
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import datasets

if TYPE_CHECKING:
    from datasets.sequence import Clip, Dataset, PersonSequence, SkipLog

NUM_FRAMES = 65  # of a clip, as the video tasks have it


def prepare(
    dataset: "Dataset",
    root: str | Path | None,
    out: str | Path,
    *,
    split: str | None = None,
    num_frames: int = NUM_FRAMES,
    limit: int | None = None,
    progress: bool = True,
) -> dict:
    """Cut a dataset into clips and write them as a clip store.

    Where the dataset has no official splits, a first pass measures its groups and
    `datasets.splits` assigns them. One sequence at a time is held in memory; one that cannot be
    used is left out, with the reason in the manifest.

    Args:
        dataset: the adapter, see `datasets.get`.
        root: its folder; None for a built-in dataset.
        out: the new store's folder, whose name becomes the store's.
        split: keep only this split; all by default.
        num_frames: length of a clip.
        limit: read only the first so many usable sequences, as a trial.
        progress: show progress bars on stderr.

    Returns:
        The store's manifest.

    Raises:
        OSError: the root is missing.
        StoreError: `out` is in use or cannot be written, or no sequence was usable.
    """
    from tqdm import tqdm

    from datasets.body import load_body
    from datasets.clip_schema import ClipError, StoreError
    from datasets.clip_store import ClipStore
    from datasets.clip_writer import ClipStoreWriter
    from datasets.sequence import SkipLog
    from datasets.splits import RULE, split_groups

    root = None if root is None else Path(root)
    skipped = SkipLog()
    num_sequences = 0
    with ClipStoreWriter(out, num_frames=num_frames) as writer:
        bar = functools.partial(tqdm, unit=" sequences", leave=False, disable=not progress)
        first_pass = bar(islice(dataset.sequences(root), limit), desc="measuring")
        measured = _measure(first_pass, num_frames)
        derived = None if measured is None else split_groups(_sum_by_group(measured))
        # Only official splits are the adapter's to select; ours are selected below.
        sequences = dataset.sequences(root, split if derived is None else None, skipped=skipped)
        total = limit if measured is None else len(measured)
        for sequence in bar(islice(sequences, limit), desc="writing", total=total):
            # A group without a usable sequence has no split.
            own = sequence.split if derived is None else derived.get(sequence.group, "")
            try:
                clips = _clips(sequence, own, num_frames)
                if split in (None, own):
                    writer.add(*clips)
                    num_sequences += 1
            except ClipError as error:
                skipped.add(sequence.sequence, error.reason)
        if not num_sequences:
            raise StoreError(f"no clip to write: {_why_nothing(skipped, split)}")
        notes = []
        if derived is not None and len(derived) == 1:
            notes.append("all sequences belong to one group, so all are in the test split")
        body = load_body()
        writer.close(
            {
                "name": writer.path.resolve().name,
                "dataset": dataset.name,
                "dataset_version": dataset.version,
                "split_rule": "official" if derived is None else RULE,
                "split": split,
                "limit": limit,
                "num_sequences": num_sequences,
                "body": {"name": body.name, "sha256": body.sha256},
                "notes": notes,
                "skipped": [{"name": s.name, "reason": s.reason} for s in skipped.entries],
            }
        )
    return ClipStore.open(out).manifest


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit code: 0 done, 1 failure, 2 usage, 130 Ctrl-C."""
    parser = _parser()
    args = parser.parse_args(argv)
    try:
        try:
            dataset = datasets.get(args.dataset)
        except ValueError as error:
            parser.error(str(error))
        if dataset.needs_root and args.root is None:
            parser.error(f"{args.dataset} needs --root DIR, the folder with its files")
        manifest = prepare(
            dataset,
            args.root,
            args.out,
            split=args.split,
            num_frames=args.frames,
            limit=args.limit,
            progress=not args.quiet,
        )
    except KeyboardInterrupt:
        print("interrupted: no store was written", file=sys.stderr)
        return 130  # what shells expect of Ctrl-C
    except (OSError, ValueError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    print(_summary(manifest, args.out))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m datasets.prepare", description="Cut a dataset into a store of clips."
    )
    parser.add_argument("dataset", help=f"one of: {', '.join(datasets.names())}")
    parser.add_argument("--root", metavar="DIR", help="the folder with the dataset's files")
    parser.add_argument("--out", metavar="STORE", required=True, help="the folder to create")
    parser.add_argument("--split", choices=("train", "val", "test"), help="keep only this split")
    parser.add_argument(
        "--frames",
        type=_positive,
        default=NUM_FRAMES,
        metavar="N",
        help="frames of a clip (default: %(default)s)",
    )
    parser.add_argument(
        "--limit", type=_positive, metavar="N", help="read only the first N usable sequences"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    return parser


def _positive(word: str) -> int:
    if not word.isdecimal() or int(word) == 0:
        raise argparse.ArgumentTypeError(f"{word!r} is not a positive whole number")
    return int(word)


def _clips(sequence: "PersonSequence", split: str, num_frames: int) -> "list[Clip]":
    """The clips of a sequence.

    Raises:
        ClipError: there is none, or the store cannot keep one of them.
    """
    from datasets.clip_schema import ClipError
    from datasets.clip_writer import check, cut

    clips = list(cut(sequence, split, num_frames))
    if not clips:
        raise ClipError(sequence.sequence, f"fewer than {num_frames} usable frames in a row")
    for clip in clips:
        check(clip)
    return clips


def _measure(
    sequences: "Iterable[PersonSequence]", num_frames: int
) -> list[tuple[str, int]] | None:
    """Group and length of every sequence, length 0 where it is not usable.

    None as soon as the dataset turns out to have official splits.
    """
    from datasets.clip_schema import ClipError

    measured = []
    for sequence in sequences:
        if sequence.split is not None:
            return None
        try:
            _clips(sequence, "", num_frames)
        except ClipError:
            measured.append((sequence.group, 0))
        else:
            measured.append((sequence.group, len(sequence)))
    return measured


def _sum_by_group(measured: list[tuple[str, int]]) -> dict[str, int]:
    """Group -> frames; groups without a clip are left out, as they would starve a split."""
    frames: dict[str, int] = {}
    for group, length in measured:
        if length:
            frames[group] = frames.get(group, 0) + length
    return frames


def _why_nothing(skipped: "SkipLog", split: str | None) -> str:
    if skipped.entries:
        first = skipped.entries[0]
        return f"{len(skipped.entries)} skipped, the first, {first.name}: {first.reason}"
    return "the dataset is empty" if split is None else f"no sequence is in the {split} split"


def _summary(manifest: dict, out: str) -> str:
    """What was written, in lines for the user."""
    splits = ", ".join(f"{name} {count}" for name, count in sorted(manifest["splits"].items()))
    lines = [
        f"{manifest['num_clips']} clips of {manifest['num_frames']} frames ({splits}) "
        f"from {manifest['num_sequences']} sequences of {manifest['dataset']}"
    ]
    lines += [f"note: {note}" for note in manifest["notes"]]
    if manifest["skipped"]:
        lines.append(f"skipped {len(manifest['skipped'])}:")
    by_reason: dict[str, list[str]] = {}
    for entry in manifest["skipped"]:
        by_reason.setdefault(entry["reason"], []).append(entry["name"])
    for reason, names in by_reason.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        lines.append(f"  {names[0]}{more}: {reason}")
    return "\n".join([*lines, f"store: {out}"])


if __name__ == "__main__":
    sys.exit(main())
