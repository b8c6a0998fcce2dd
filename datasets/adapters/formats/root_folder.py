"""A dataset's own folder: the files below it, and whether ``--root`` names the right one."""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from datasets.sequence import PersonSequence, SkipLog

Read = Callable[[Path, str | None, SkipLog], Iterator[PersonSequence]]


@dataclass(frozen=True, kw_only=True)
class FolderDataset:
    """The adapter of a published dataset, over the folder with its files.

    Attributes:
        name: the adapter's name.
        version: raised whenever the same files give other sequences.
        is_root: whether a folder is the dataset's.
        holds: what the right folder directly holds, in words for the user.
        read: root, split (None for all) and the log of what is left out -> the sequences in order.
    """

    name: str
    version: int
    is_root: Callable[[Path], bool]
    holds: str
    read: Read
    needs_root: bool = True

    def sequences(
        self, root: Path | None, split: str | None = None, *, skipped: SkipLog | None = None
    ) -> Iterator[PersonSequence]:
        """Yield the sequences below `root`.

        Raises:
            FileNotFoundError: `root` is not the dataset's folder.
        """
        yield from self.read(
            check_root(root, self.is_root, self.holds), split, skipped or SkipLog()
        )


def check_root(root: str | Path | None, is_root: Callable[[Path], bool], holds: str) -> Path:
    """Return `root`, if it is the folder that a dataset's files are in (see `FolderDataset`).

    Raises:
        FileNotFoundError: it is not there, or not the right one; the message names the right one
            where that is up to two levels below or three above.
    """
    root = Path(".") if root is None else Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"no folder {root}: name the one that directly holds {holds}")
    if is_root(root):
        return root
    for other in _around(root):
        with contextlib.suppress(PermissionError):  # a neighbour that is closed to us is not it
            if is_root(other):
                raise FileNotFoundError(
                    f"{root} is not the folder that directly holds {holds}: use --root {other}"
                )
    raise FileNotFoundError(f"{root} does not hold {holds}: name the folder that directly does")


def _around(root: Path) -> Iterator[Path]:
    yield from root.resolve().parents[:3]
    for pattern in ("*", "*/*"):
        # `Path.is_dir` would raise in a closed folder.
        yield from sorted(path for path in root.glob(pattern) if os.path.isdir(path))


def files_below(
    root: Path, *, is_left_out: Callable[[Path], bool] = lambda folder: False
) -> list[Path]:
    """Return the files in a folder and below it, sorted; linked files and folders count.

    Each folder is read once, under its own name before that of a link, so that links in a circle
    come to an end. Every adapter that searches a folder does so by this rule. A folder that
    `is_left_out` is passed over with all below it.
    """
    found: list[Path] = []
    seen: set[tuple[int, int]] = set()
    starts = [root]
    for start in starts:  # grows by the links that are met
        for folder, below, names in os.walk(start):
            place = os.stat(folder)
            if (place.st_dev, place.st_ino) in seen or is_left_out(Path(folder)):
                below.clear()
                continue
            seen.add((place.st_dev, place.st_ino))
            starts += sorted(path for name in below if (path := Path(folder, name)).is_symlink())
            found += [Path(folder, name) for name in names]
    return sorted(found)
