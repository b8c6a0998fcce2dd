"""Finds tables, figures, datasets, methods, metrics and profiles by the files of a folder.

Listing imports none of them (`datasets.discovery`). That module is imported where it is used, since
the command line first makes sure that ``datasets`` is ours.
"""

import ast
import functools
import importlib
import re
from collections.abc import Sequence
from pathlib import Path

from benchmark.spec import FigureSpec, TableSpec, UserError

ROOT = Path(__file__).resolve().parents[1]
# Kind -> package folder and the attribute its modules carry.
KINDS = {
    "tables": ("benchmark.tables", "TABLE"),
    "figures": ("benchmark.figures", "FIGURE"),
    "methods": ("benchmark.methods", "METHOD"),
    "metrics": ("benchmark.metrics", "METRIC"),
    "datasets": ("datasets", "DATASET"),
}


@functools.cache
def summaries(kind: str) -> dict[str, str]:
    """Name -> one-line summary of everything of a kind (also ``profiles``), sorted by name."""
    if kind == "profiles":
        return _functions(ROOT / "benchmark" / "profiles.py")
    from datasets.discovery import find_modules

    package, attribute = KINDS[kind]
    found = find_modules(ROOT / package.replace(".", "/"), attribute)
    return dict(sorted(found.items(), key=lambda item: _natural(item[0])))


def load(kind: str, name: str):
    """The object of that kind and name; for ``profiles`` what its function returns.

    Raises:
        UserError: no such name; the message suggests the nearest.
    """
    check(kind, name)
    if kind == "profiles":
        return getattr(importlib.import_module("benchmark.profiles"), name)()
    package, attribute = KINDS[kind]
    return getattr(importlib.import_module(f"{package}.{name}"), attribute)


def exhibits(names: Sequence[str]) -> tuple[list[TableSpec], list[FigureSpec]]:
    """The tables and figures named, each once; ``all`` stands for all of both.

    Raises:
        UserError: no such name; the message suggests the nearest.
    """
    from datasets.discovery import unknown

    kinds = ("tables", "figures")
    known = {name: kind for kind in kinds for name in summaries(kind)}
    if "all" in names:
        names = list(known)
    for name in names:
        if name not in known:
            raise UserError(unknown("table or figure", name, list(known)))
    tables, figures = (
        [load(kind, name) for name in dict.fromkeys(names) if known[name] == kind] for kind in kinds
    )
    return tables, figures


def method(name: str, task: str):
    """What a method does of a task, see `benchmark.spec.Method`.

    Raises:
        UserError: no such method, or it does not do the task.
    """
    does = load("methods", name)
    if task not in does:
        raise UserError(f"the method {name} does {' and '.join(does)}, not {task}")
    return does[task]


def check(kind: str, name: str) -> None:
    """Refuse an unknown name.

    Raises:
        UserError: no such name; the message suggests the nearest.
    """
    from datasets.discovery import unknown

    known = list(summaries(kind))
    if name not in known:
        raise UserError(unknown(kind[:-1], name, known))


def _functions(file: Path) -> dict[str, str]:
    from datasets.discovery import first_line

    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {node.name: first_line(node) for node in functions if node.name[0] != "_"}


def _natural(name: str) -> list:
    """Sort key by which table2 comes before table11."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]
