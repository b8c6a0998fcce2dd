"""Motions, bodies, videos and clips: everything that goes into the benchmark.

This is unimo-bench's own package, not Hugging Face's ``datasets``.

A dataset adapter is a module of this folder with a top-level ``DATASET = ...`` (see
`datasets.motion.Dataset`); its name is the module's. Nothing is registered anywhere.
"""

import ast
import difflib
import importlib
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets.motion import Dataset


def names() -> list[str]:
    """Names of all dataset adapters, sorted; the modules are read, not imported."""
    folder = Path(__file__).parent
    return sorted(
        module.name
        for module in pkgutil.iter_modules([str(folder)])
        if not module.ispkg and _assigns_dataset(folder / f"{module.name}.py")
    )


def get(name: str) -> "Dataset":
    """The adapter called `name`.

    Raises:
        ValueError: there is none; the message names the nearest one and all known ones.
    """
    known = names()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f", did you mean {near[0]!r}?" if near else ";"
        raise ValueError(f"unknown dataset {name!r}{hint} Known: {', '.join(known)}")
    return importlib.import_module(f"datasets.{name}").DATASET


def _assigns_dataset(path: Path) -> bool:
    """Whether the module has a top-level ``DATASET = ...``."""
    return any(
        isinstance(target, ast.Name) and target.id == "DATASET"
        for statement in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(statement, ast.Assign | ast.AnnAssign)
        for target in getattr(statement, "targets", None) or [statement.target]
    )
