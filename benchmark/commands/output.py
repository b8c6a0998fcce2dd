"""The text that a verb prints."""

from collections.abc import Iterable
from pathlib import Path

from benchmark.api.paths import display_path
from datasets.tools.typed_json import printable


def with_paths(text: str, paths: Iterable[Path]) -> str:
    """Return a text and a line for each file written, without control characters."""
    return printable("\n".join([text, *(f"wrote {display_path(path)}" for path in paths)]))
