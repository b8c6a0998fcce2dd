"""Folders that are there whole or not at all, so that a stopped rehearsal goes on."""

import shutil
from collections.abc import Callable
from pathlib import Path


def once(folder: Path, build: Callable[[Path], object]) -> Path:
    """Return a folder that `build` writes, unless it is there already.

    What a stopped call left is removed first.
    """
    if not folder.is_dir():
        part = folder.with_name(f"{folder.name}.tmp")
        shutil.rmtree(part, ignore_errors=True)
        part.parent.mkdir(parents=True, exist_ok=True)
        build(part)
        part.rename(folder)
    return folder
