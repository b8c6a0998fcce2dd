"""Checks that ``--root`` names a dataset's own folder, not one above or below it."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path


def check_root(root: str | Path | None, is_root: Callable[[Path], bool], holds: str) -> Path:
    """`root`, if it is the folder that a dataset's files are in.

    Args:
        root: the folder given.
        is_root: whether a folder is the right one.
        holds: what the right folder directly holds, in words for the user.

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
