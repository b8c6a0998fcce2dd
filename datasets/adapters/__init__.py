"""Dataset adapters, one file each: a dataset's files as `datasets.sequence.PersonSequence`.

An adapter is a module of this folder with a top-level ``DATASET = ...`` (see
`datasets.sequence.Dataset`). Its name is the module's.
"""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from datasets.tools.discovery import find_modules, unknown

if TYPE_CHECKING:
    from datasets.sequence import Dataset


def names() -> list[str]:
    """Names of all dataset adapters, sorted; the modules are read, not imported."""
    return sorted(find_modules(Path(__file__).parent, "DATASET"))


def get(name: str) -> "Dataset":
    """Return the adapter called `name`.

    Raises:
        ValueError: there is none; the message names the nearest one and all known ones.
    """
    known = names()
    if name not in known:
        raise ValueError(unknown("dataset", name, known))
    return importlib.import_module(f"datasets.adapters.{name}").DATASET
