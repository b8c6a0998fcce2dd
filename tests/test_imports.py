"""Rules about the whole program: who imports whom, and what every discovered object must be."""

import ast
import tomllib
from pathlib import Path

import pytest

from benchmark import discover
from benchmark.api.figure import FigureSpec
from benchmark.api.method import Method
from benchmark.api.metric import Metric, MetricContext
from benchmark.api.table import TASKS, TableSpec
from datasets.bodies.smplx_file import find_body

ROOT = Path(__file__).parents[1]
LAYERS = ("datasets", "model", "benchmark")  # a layer imports itself and those before it
FILES = sorted(path for layer in LAYERS for path in (ROOT / layer).rglob("*.py"))
LIGHT = {
    "benchmark.api.table",
    "benchmark.tables",
    "benchmark.tables.shared",
    "dataclasses",
    "model.tokenizer",
    "model.training.config",
}
MOST_ENTRIES = 13  # of a folder, `__init__.py` not counted
FACTS = {"params_m"}  # columns that a method says of its model


def module_of(file):
    """Dotted name of a file; of an ``__init__.py`` that of its folder."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(file):
    """Modules that a file imports anywhere, within functions and for type checkers too."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= inside & MODULES or {node.module}
            # A name that the package itself defines is imported beside its modules.
            if inside - MODULES:
                found.add(node.module)
    return found


MODULES = {module_of(file) for file in FILES}


@pytest.fixture(scope="module")
def imports():
    """The modules that each module imports."""
    return {module_of(file): imported(file) for file in FILES}


def circles(arrows):
    """Sets of names that can be reached from one another."""
    graph = {name: set(targets) & arrows.keys() - {name} for name, targets in arrows.items()}

    def reached(name):
        seen, pending = set(), [name]
        while pending:
            new = graph[pending.pop()] - seen
            seen |= new
            pending += new
        return seen

    reachable = {name: reached(name) for name in graph}
    tied = (
        frozenset(o for o in reachable[name] if name in reachable[o])
        for name in graph
        if name in reachable[name]
    )
    return sorted(map(sorted, set(tied)))


def test_no_circle_among_files(imports):
    assert circles(imports) == []


def test_no_circle_among_folders(imports):
    found = []
    for folder in sorted({file.parent for file in FILES}):
        own = module_of(folder / "__init__.py") + "."
        rooms: dict[str, set[str]] = {}
        for name, targets in imports.items():
            if name.startswith(own):
                inside = {
                    t.removeprefix(own).partition(".")[0] for t in targets if t.startswith(own)
                }
                rooms.setdefault(name.removeprefix(own).partition(".")[0], set()).update(inside)
        found += [(own, circle) for circle in circles(rooms)]
    assert found == []


def test_no_layer_imports_a_higher_one(imports):
    found = []
    for name, targets in imports.items():
        higher = {*LAYERS[LAYERS.index(name.partition(".")[0]) + 1 :], "tests", "scripts"}
        found += [(name, target) for target in targets if target.partition(".")[0] in higher]
    assert found == []


def test_no_folder_holds_more_than_thirteen_entries():
    crowded = {}
    files = [file for top in (*LAYERS, "tests") for file in (ROOT / top).rglob("*.py")]
    for folder in {file.parent for file in files}:
        entries = {entry.name for entry in folder.iterdir()} - {"__init__.py", "__pycache__"}
        if len(entries) > MOST_ENTRIES:
            crowded[str(folder.relative_to(ROOT))] = len(entries)
    assert crowded == {}


def test_every_package_and_its_data_are_installed():
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    packages = {module_of(file.parent / "__init__.py") for file in FILES}
    folders = setuptools["package-dir"]  # without modules
    assert all(any((ROOT / folder).iterdir()) for folder in folders.values())
    assert sorted([*packages, *folders]) == sorted(setuptools["packages"])
    carried = {
        file
        for package, patterns in setuptools["package-data"].items()
        for pattern in patterns
        for file in (ROOT / package.replace(".", "/")).glob(pattern)
    }
    others = {
        file
        for layer in LAYERS
        for file in (ROOT / layer).rglob("*")
        if file.is_file() and file.suffix != ".py" and "__pycache__" not in file.parts
    }
    assert others - carried == set()


@pytest.mark.parametrize("name", discover.summaries("tables"))
def test_table_files_are_small_and_light(name):
    file = ROOT / "benchmark" / "tables" / f"{name}.py"
    module = ast.parse(file.read_text("utf-8"))
    names = {node.module for node in module.body if isinstance(node, ast.ImportFrom)}
    assert names <= LIGHT
    assert not [node for node in module.body if isinstance(node, ast.Import)]


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in discover.KINDS for name in discover.summaries(kind)]
)
def test_everything_discovered_keeps_its_contract(kind, name, tmp_path):
    found = discover.load(kind, name)
    assert discover.summaries(kind)[name].endswith(".")
    if kind == "tables":
        assert isinstance(found, TableSpec) and found.id == name
        methods = discover.summaries("methods")
        rows = (*found.rows, *found.more_rows)
        if found.compute is None:
            assert {row.method for row in rows} <= methods.keys(), "a row of no method"
            assert all(found.task in discover.load("methods", row.method) for row in rows)
            keys = {column.key for column in (*found.columns, *found.more_columns)}
            assert keys <= {*measured_columns(), *FACTS}, "a column that no metric fills"
        assert len({row.label for row in rows}) == len(rows)
    elif kind == "methods":
        assert found and found.keys() <= TASKS.keys()
        for does in found.values():
            assert isinstance(does, Method) and isinstance(does.version, int)
    elif kind == "metrics":
        assert isinstance(found, Metric) and isinstance(found.version, int) and found.columns
        for task in TASKS:
            context = MetricContext(task=task, body=find_body(), seed=0, dataset="", cache=tmp_path)
            assert "\n" not in found.protocol(context)
            assert found.missing(context).keys() <= set(found.columns)
        assert found.notes([]) == []
    elif kind == "figures":
        assert isinstance(found, FigureSpec) and found.id == name
    else:
        assert found.name == name, "DATASET.name is not the file's"
        assert isinstance(found.version, int)
        assert callable(found.sequences)


def measured_columns():
    return [
        column
        for name in discover.summaries("metrics")
        for column in discover.load("metrics", name).columns
    ]


def test_every_measured_column_has_one_source():
    columns = measured_columns()
    assert len(columns) == len(set(columns))


def test_unknown_names_get_the_nearest_match():
    from benchmark.api.errors import UserError

    with pytest.raises(UserError, match="Did you mean table5"):
        discover.check("tables", "tabel5")
    with pytest.raises(UserError, match=r"unknown table 'xyzzy'\. Known: table1"):
        discover.check("tables", "xyzzy")
