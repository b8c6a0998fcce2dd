"""Paths of this machine: the repository, and how paths are displayed."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def redact_paths(text: str) -> str:
    """Remove this machine's paths from a message: the repository's goes, the home becomes ``~``."""
    text = text.replace(f"{ROOT}/", "")
    return text.replace(f"{Path.home()}/", "~/") if Path.home() != Path("/") else text


def display_path(path: Path) -> str:
    """Return the path, relative to the working folder if it lies below."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def file_name(text: str) -> str:
    """`text` as part of a file's name: whatever is neither letter, digit, _ nor . becomes -."""
    return re.sub(r"[^A-Za-z0-9_.]+", "-", text).strip("-.")
