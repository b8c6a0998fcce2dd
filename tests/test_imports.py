"""Rules about the whole program: who imports whom, and what every discovered object must be."""

import ast
from pathlib import Path

import pytest

from benchmark import discover
from benchmark.contracts import Setting
from benchmark.spec import TASKS, FigureSpec, TableSpec
from datasets.body_file import find_body

ROOT = Path(__file__).parents[1]
LAYERS = ("datasets", "model", "benchmark")  # a layer imports itself and those before it
FILES = sorted(path for layer in LAYERS for path in (ROOT / layer).rglob("*.py"))
LIGHT = {"benchmark.spec", "benchmark.columns", "model.tokenizer", "model.training"}
FACTS = {"params_m"}  # columns that a method says of its model
METRIC_PARTS = ("protocol", "missing", "score", "absent", "notes")


def imported(file):
    """Modules that a file imports anywhere, except for type checkers."""
    found = set()
    pending = list(ast.parse(file.read_text("utf-8")).body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        pending += ast.iter_child_nodes(node)
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_layer_imports_a_higher_one(file):
    own = file.relative_to(ROOT).parts[0]
    higher = set(LAYERS[LAYERS.index(own) + 1 :]) | {"tests"}
    assert not {name for name in imported(file) if name.partition(".")[0] in higher}


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
            assert isinstance(does.version, int) and isinstance(does.note, str)
            parts = ("settings", "train", "facts", "predict")
            lacking = [part for part in parts if not callable(getattr(does, part, None))]
            assert not lacking, f"METHOD lacks {', '.join(lacking)}: see benchmark.contracts"
    elif kind == "metrics":
        lacking = [part for part in METRIC_PARTS if not callable(getattr(found, part, None))]
        assert not lacking, f"METRIC lacks {', '.join(lacking)}: see benchmark.contracts"
        assert isinstance(found.version, int) and found.columns
        for task in TASKS:
            setting = Setting(task, find_body(), seed=0, dataset="", cache=tmp_path)
            assert "\n" not in found.protocol(setting)
            assert found.missing(setting).keys() <= set(found.columns)
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
    from benchmark.spec import UserError

    with pytest.raises(UserError, match="Did you mean table5"):
        discover.check("tables", "tabel5")
    with pytest.raises(UserError, match=r"unknown table 'xyzzy'\. Known: table1"):
        discover.check("tables", "xyzzy")
