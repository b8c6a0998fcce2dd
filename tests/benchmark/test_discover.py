"""Files of the user's in the folders that are looked through: what is wrong with them is told."""

import pytest

from benchmark import discover
from benchmark.api.errors import UserError

BASE = "from benchmark.api.method import Method\n"


@pytest.fixture
def put(tmp_path, monkeypatch):
    """Writes ``mine.py`` into a folder of its own that stands for that of a kind."""

    def write(kind, text):
        package = tmp_path / f"users_{kind}"
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "mine.py").write_bytes(text if isinstance(text, bytes) else text.encode())
        attribute = discover.KINDS[kind][1]
        monkeypatch.setitem(discover.KINDS, kind, (package.name, attribute))

    monkeypatch.setattr(discover, "ROOT", tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    discover.summaries.cache_clear()
    yield write
    discover.summaries.cache_clear()
    for kind in discover.KINDS:
        forget(f"users_{kind}")


def forget(package):
    import sys

    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("kind", "text", "says"),
    [
        ("metrics", "x = 1\nMETRIC = y\n", "mine.py, line 2: NameError: name 'y' is not defined"),
        ("metrics", "x = 1\nMETRIC = (\n", "mine.py, line 2: SyntaxError: '(' was never closed"),
        ("metrics", b"# \xff\nMETRIC = 1\n", "mine.py: UnicodeDecodeError: "),
        ("metrics", "import nowhere\nMETRIC = 1\n", "mine.py, line 1: ModuleNotFoundError: No mod"),
        ("metrics", "METRIC = 1\ndel METRIC\n", "mine.py: AttributeError: "),
        ("metrics", "\nMETRIC = 1\n", "mine.py, line 2: METRIC is no Metric"),
        ("metrics", "metric = 1\n", "mine.py has no line `METRIC = …`"),
        ("tables", "TABLE = 1\n", "mine.py, line 1: TABLE is no TableSpec"),
        ("figures", "FIGURE = 1\n", "mine.py, line 1: FIGURE is no FigureSpec"),
        ("methods", "METHOD = 1\n", "line 1: METHOD is no dictionary from tokenizer, v2m, i2vm to"),
        ("methods", "METHOD = {'video': 1}\n", "line 1: METHOD is no dictionary from"),
        (
            "methods",
            "class A: version = 1\nMETHOD = {'tokenizer': A()}\n",
            "line 2: METHOD of tokenizer is no Method",
        ),
        (
            "methods",
            f"{BASE}class A(Method): version = 2\nMETHOD = {{'v2m': A()}}\n",
            "line 3: TypeError: Can't instantiate abstract class A with",
        ),
        (
            "methods",
            f"{BASE}class A(Method):\n    def predict(self): 1\nMETHOD = {{'v2m': A}}\n",
            "line 4: METHOD of v2m is no Method",
        ),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_file_that_cannot_be_used_is_told_in_one_line(put, kind, text, says):
    put(kind, text)
    with pytest.raises(UserError) as error:
        discover.load(kind, "mine")
    assert str(error.value).startswith(f"users_{kind}/mine.py") and says in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_a_table_or_figure_without_its_attribute_is_told(put):
    put("figures", "figure = 1\n")
    with pytest.raises(UserError, match=r"users_figures/mine\.py has no line `FIGURE = …`"):
        discover.exhibits(["mine"])


def test_everything_that_comes_with_the_program_can_be_used():
    for kind in discover.KINDS:
        assert all(discover.load(kind, name) for name in discover.summaries(kind))
