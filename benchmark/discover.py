"""Finds datasets, tables, methods, metrics and profiles by looking at the files of a folder.

A module counts when it assigns the folder's attribute (``TABLE``, ``METHOD``, …) at its top level.
Listing reads the source with `ast` and imports nothing; its docstring's first line is the summary.
"""

import ast
import difflib
import functools
import importlib
import pkgutil
import re
from pathlib import Path

from benchmark.spec import UserError

ROOT = Path(__file__).resolve().parents[1]
# Kind -> package folder and the attribute its modules carry.
KINDS = {
    "tables": ("benchmark.tables", "TABLE"),
    "methods": ("benchmark.methods", "METHOD"),
    "metrics": ("benchmark.metrics", "METRIC"),
    "datasets": ("datasets", "DATASET"),
}


@functools.cache
def summaries(kind: str) -> dict[str, str]:
    """Name -> one-line summary of everything of a kind (also ``profiles``), sorted by name."""
    if kind == "profiles":
        return _functions(ROOT / "benchmark" / "profiles.py")
    package, attribute = KINDS[kind]
    folder = ROOT / package.replace(".", "/")
    found = {}
    for module in pkgutil.iter_modules([str(folder)]):
        file = folder / f"{module.name}.py"
        if not module.ispkg and attribute in _assigned(tree := ast.parse(file.read_text("utf-8"))):
            found[module.name] = _first_line(tree)
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


def check(kind: str, name: str) -> None:
    """Refuse an unknown name.

    Raises:
        UserError: no such name; the message suggests the nearest.
    """
    known = list(summaries(kind))
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise UserError(f"unknown {kind[:-1]} {name!r}. {hint}Known: {', '.join(known)}.")


def _assigned(tree: ast.Module) -> set[str]:
    targets = []
    for node in tree.body:
        targets += node.targets if isinstance(node, ast.Assign) else []
        targets += [node.target] if isinstance(node, ast.AnnAssign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _functions(file: Path) -> dict[str, str]:
    tree = ast.parse(file.read_text("utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {node.name: _first_line(node) for node in functions if node.name[0] != "_"}


def _first_line(node: ast.Module | ast.FunctionDef) -> str:
    return (ast.get_docstring(node) or "").partition("\n")[0]


def _natural(name: str) -> list:
    """Sort key by which table2 comes before table11."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]
