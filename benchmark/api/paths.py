"""Paths of this machine: the repository, and how paths are displayed."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def told(text: str) -> str:
    """A reason or a note without the paths of this machine: the root is ``.``, the home ``~``."""
    text = text.replace(f"{ROOT}/", "")
    return text.replace(f"{Path.home()}/", "~/") if Path.home() != Path("/") else text


def shown(path: Path) -> str:
    """The path from where the user stands, if that is above it."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def file_name(text: str) -> str:
    """`text` as part of a file's name: whatever is neither letter, digit, _ nor . becomes -."""
    return re.sub(r"[^A-Za-z0-9_.]+", "-", text).strip("-.")
