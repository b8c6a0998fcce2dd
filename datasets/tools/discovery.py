"""Finds the modules of a folder that carry an attribute, without importing any of them.

Adapters, methods, metrics and tables are all found this way: a file with a top-level
``DATASET = ...`` (``METHOD``, ``METRIC``, ``TABLE``) is one. Nothing is registered anywhere.
"""

import ast
import difflib
import pkgutil
import re
from pathlib import Path


def find_modules(folder: Path, attribute: str) -> dict[str, str]:
    """Return module name -> first line of its docstring, for modules that assign `attribute`."""
    found = {}
    for module in pkgutil.iter_modules([str(folder)]):
        file = folder / f"{module.name}.py"
        if module.ispkg:
            continue
        text = file.read_text(encoding="utf-8")
        if attribute not in text:  # parsing is slow
            continue
        tree = ast.parse(text)
        if attribute in _assigned(tree):
            found[module.name] = first_line(tree)
    return found


def first_line(node: ast.Module | ast.FunctionDef) -> str:
    """First line of a docstring, or an empty string."""
    return (ast.get_docstring(node) or "").partition("\n")[0]


def natural_key(name: str) -> list:
    """Return a key to sort names by, under which ``frame2`` comes before ``frame11``."""
    # Digits stand at the odd places, so that texts and numbers are never compared.
    parts = re.split(r"(\d+)", name)
    return [int(part) if place % 2 else part for place, part in enumerate(parts)]


def unknown(kind: str, name: str, known: list[str]) -> str:
    """Return the message for a name that does not exist: the nearest name, and all names."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]}? " if near else ""
    return f"unknown {kind} {name!r}. {hint}Known: {', '.join(known)}."


def _assigned(tree: ast.Module) -> set[str]:
    targets = []
    for node in tree.body:
        targets += node.targets if isinstance(node, ast.Assign) else []
        targets += [node.target] if isinstance(node, ast.AnnAssign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}
