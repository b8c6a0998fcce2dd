"""Finds tables, figures, datasets, methods, metrics and profiles by the files of a folder.

Listing imports none of them (`datasets.tools.discovery`). That module is imported where it is used,
since the command line first makes sure that ``datasets`` is ours.
"""

import ast
import functools
import importlib
import os
import re
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, overload

from benchmark.api.errors import UserError
from benchmark.api.figure import FigureSpec
from benchmark.api.method import Method
from benchmark.api.metric import Metric
from benchmark.api.paths import ROOT, display_path
from benchmark.api.profile import Profile
from benchmark.api.table import TASKS, TableSpec

# Kind -> package folder and the attribute its modules carry.
KINDS = {
    "tables": ("benchmark.tables", "TABLE"),
    "figures": ("benchmark.figures", "FIGURE"),
    "methods": ("benchmark.methods", "METHOD"),
    "metrics": ("benchmark.metrics", "METRIC"),
    "datasets": ("datasets.adapters", "DATASET"),
}

# The plug-ins of this package. Their ``version`` says when their results change; the key of what
# any other makes holds the sha256 of its files (`own_code`).
OF_THE_PACKAGE = {
    "methods": (
        "cosmos",
        "cosmos_fine_tuned",
        "first_frame",
        "gvhmr",
        "mean_pose",
        "phalp",
        "regressor",
        "solami",
        "unimo",
    ),
    "metrics": ("codebook", "diversity", "pose", "vbench"),
}


@functools.cache
def summaries(kind: str) -> dict[str, str]:
    """Return name -> one-line summary, for all of a kind or ``profiles``, sorted by name.

    Raises:
        UserError: a file of the folder cannot be read as Python.
    """
    if kind == "profiles":
        return _functions(ROOT / "benchmark" / "profiles.py")
    from datasets.tools.discovery import find_modules

    package, attribute = KINDS[kind]
    folder = ROOT / package.replace(".", "/")
    try:
        found = find_modules(folder, attribute)
    except (SyntaxError, ValueError):
        _require_python(folder)
        raise
    return dict(sorted(found.items(), key=lambda item: _natural(item[0])))


@overload
def load(kind: Literal["tables"], name: str) -> TableSpec: ...
@overload
def load(kind: Literal["figures"], name: str) -> FigureSpec: ...
@overload
def load(kind: Literal["methods"], name: str) -> Mapping[str, Method]: ...
@overload
def load(kind: Literal["metrics"], name: str) -> Metric: ...
@overload
def load(kind: Literal["profiles"], name: str) -> Profile: ...
@overload
def load(kind: str, name: str) -> Any: ...
def load(kind: str, name: str) -> Any:
    """Return the object of that kind and name; for ``methods``, task -> method.

    Raises:
        UserError: no such name; the message suggests the nearest. Or its file cannot be imported,
            or what it holds is not of the kind; the message says in which line.
    """
    check(kind, name)
    if kind == "profiles":
        return getattr(importlib.import_module("benchmark.profiles"), name)()
    package, attribute = KINDS[kind]
    file = ROOT / package.replace(".", "/") / f"{name}.py"
    try:
        found = getattr(importlib.import_module(f"{package}.{name}"), attribute)
    except Exception as error:  # whatever a file of the user's does when it is imported
        raise _mistake(file, _line_of(error, file), _describe(error)) from error
    if problem := _problem(kind, found):
        raise _mistake(file, _line_of_attribute(file, attribute), f"{attribute} {problem}")
    return found


def exhibits(names: Sequence[str]) -> tuple[list[TableSpec], list[FigureSpec]]:
    """Return the tables and figures named, each once; ``all`` stands for all of both.

    Raises:
        UserError: no such name; the message suggests the nearest.
    """
    from datasets.tools.discovery import unknown

    kinds = ("tables", "figures")
    known = {name: kind for kind in kinds for name in summaries(kind)}
    if "all" in names:
        names = list(known)
    for name in names:
        if name not in known:
            for kind in kinds:
                _require_attribute(kind, name)
            raise UserError(unknown("table or figure", name, list(known)))
    names = list(dict.fromkeys(names))
    tables = [load("tables", name) for name in names if known[name] == "tables"]
    figures = [load("figures", name) for name in names if known[name] == "figures"]
    return tables, figures


def method(name: str, task: str) -> Method:
    """Return the method that does a task.

    Raises:
        UserError: no such method, or it does not do the task.
    """
    tasks = load("methods", name)
    if task not in tasks:
        raise UserError(f"the method {name} does {' and '.join(tasks)}, not {task}")
    return tasks[task]


def own_code(kind: Literal["methods", "metrics"], name: str) -> dict[str, str]:
    """Return path -> sha256 of the files of a plug-in that is not the package's; else nothing.

    They are its file, the files in its folder that these import, and those that it names.

    Raises:
        UserError: a file that it names is not there.
    """
    if name in OF_THE_PACKAGE[kind]:
        return {}
    from datasets.tools.files import sha256_of

    package, _ = KINDS[kind]
    folder = ROOT / package.replace(".", "/")
    found: Any = load(kind, name)
    named = [
        file for one in (found.values() if kind == "methods" else [found]) for file in one.files
    ]
    files, todo = {folder / file for file in named}, [f"{name}.py"]
    while todo:
        file = folder / todo.pop()
        if file not in files:
            files.add(file)
            todo += _imported(file, package) - {f"{own}.py" for own in OF_THE_PACKAGE[kind]}
    for file in files:
        if not file.is_file():
            raise UserError(f"{name}: {display_path(file)}, which its `files` name, is not there")
    return {os.path.relpath(file, folder): sha256_of(file) for file in sorted(files)}


def place_of(error: BaseException) -> str:
    """Return ``file:line`` in a method or metric that is not the package's; "" if it had no part.

    It is the last such line of the error's traceback.
    """
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename)
        for kind, names in OF_THE_PACKAGE.items():
            folder = ROOT / KINDS[kind][0].replace(".", "/")
            if file.parent == folder and file.stem in summaries(kind).keys() - set(names):
                return f"{display_path(file)}:{frame.lineno}"
    return ""


def _imported(file: Path, package: str) -> set[str]:
    """Names of the modules in a package's folder that a file imports anywhere in it."""
    words: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            words |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = f"{package}.{node.module or ''}".rstrip(".") if node.level else node.module
            words |= {str(module), *(f"{module}.{alias.name}" for alias in node.names)}
    ends = {word.removeprefix(f"{package}.") for word in words if word.startswith(f"{package}.")}
    modules = {f"{end.partition('.')[0]}.py" for end in ends}
    return {name for name in modules if file.with_name(name).is_file()}


def check(kind: str, name: str) -> None:
    """Refuse an unknown name.

    Raises:
        UserError: no such name; the message suggests the nearest.
    """
    from datasets.tools.discovery import unknown

    known = list(summaries(kind))
    if name not in known:
        _require_attribute(kind, name)
        raise UserError(unknown(kind[:-1], name, known))


def _require_attribute(kind: str, name: str) -> None:
    """Refuse a file that lacks the attribute which makes it one of the kind.

    Raises:
        UserError: there is such a file.
    """
    if kind not in KINDS or not name.isidentifier() or name[0] == "_":
        return
    package, attribute = KINDS[kind]
    file = ROOT / package.replace(".", "/") / f"{name}.py"
    if file.is_file():
        raise UserError(f"{file.relative_to(ROOT)} has no line `{attribute} = …`: add it")


def _problem(kind: str, found: object) -> str:
    """The reason that an object is not of its kind; empty if it is."""
    if kind in ("tables", "figures"):
        wanted = TableSpec if kind == "tables" else FigureSpec
        return "" if isinstance(found, wanted) else f"is no {wanted.__name__}"
    if kind == "metrics":
        return "" if isinstance(found, Metric) else "is no Metric: derive its class from Metric"
    if kind != "methods":
        return ""
    if not isinstance(found, dict) or not found or not found.keys() <= TASKS.keys():
        return f"is no dictionary from {', '.join(TASKS)} to what does the task"
    foreign = [task for task, does in found.items() if not isinstance(does, Method)]
    return f"of {foreign[0]} is no Method: derive its class from Method" if foreign else ""


def _require_python(folder: Path) -> None:
    """Refuse a folder with a file that cannot be parsed.

    Raises:
        UserError: there is one; the message says in which line.
    """
    for file in sorted(folder.glob("*.py")):
        try:
            ast.parse(file.read_text(encoding="utf-8"))
        except (SyntaxError, ValueError) as error:
            raise _mistake(file, getattr(error, "lineno", None), _describe(error)) from error


def _mistake(file: Path, line: int | None, problem: str) -> UserError:
    where = f"{file.relative_to(ROOT)}" + (f", line {line}" if line else "")
    return UserError(f"{where}: {problem}: fix or remove this file")


def _describe(error: Exception) -> str:
    message = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
    return f"{type(error).__name__}: {message}"


def _line_of(error: Exception, file: Path) -> int | None:
    """Return the last line of a file in an error's traceback."""
    if isinstance(error, SyntaxError) and error.filename == str(file):
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(file)]
    return lines[-1] if lines else None


def _line_of_attribute(file: Path, attribute: str) -> int | None:
    lines = file.read_text(encoding="utf-8").splitlines()
    return next((n for n, text in enumerate(lines, 1) if re.match(rf"{attribute}\b", text)), None)


def _functions(file: Path) -> dict[str, str]:
    from datasets.tools.discovery import first_line

    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {node.name: first_line(node) for node in functions if node.name[0] != "_"}


def _natural(name: str) -> list[int | str]:
    """Sort key by which table2 comes before table11."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def metrics_of(table: TableSpec) -> tuple[str, ...]:
    """Return the names of the metrics that fill columns of a table."""
    keys = {column.key for column in (*table.columns, *table.more_columns)}
    return tuple(name for name in summaries("metrics") if keys & set(load("metrics", name).columns))
