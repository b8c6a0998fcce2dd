"""A method or metric of the user's: its files are in the keys of what it makes."""

import importlib
import json
import re
import sys
from pathlib import Path

import pytest

import benchmark.methods
from benchmark import discover, run
from benchmark.api.errors import UserError
from benchmark.api.table import Row
from benchmark.runs import chain
from benchmark.runs.checkpoints import weights_sha256
from benchmark.runs.data import open_data
from benchmark.runs.stages import perform
from benchmark.runs.work_item import make_item
from tests.benchmark.commands.comparing import without_workers
from tests.benchmark.work import ignore

FOLDER = Path(discover.__file__).parent
EVERY_NTH = '''
"""Keeps every N-th frame and holds it."""
from benchmark.api.clips import Prediction
from benchmark.api.method import Method
{more}
N = {n}

class EveryNth(Method):
    checkpoint_class = "EveryNth"
    files = {files}

    def predict(self, weights, clips, *, device, seed):
        frames = clips.channels.shape[1]
        return Prediction(clips.channels[:, ::N].repeat(N, axis=1)[:, :frames])

METHOD = {{"tokenizer": EveryNth()}}
'''


@pytest.fixture
def plug_in(monkeypatch, tmp_path):
    """Write the method ``every_nth`` beside those of the package, in a folder of links to them."""
    root = tmp_path / "program" / "benchmark"
    folder = root / "methods"
    folder.mkdir(parents=True)
    for source in (FOLDER, FOLDER / "methods"):
        for path in source.iterdir():
            if path.name not in ("methods", "__pycache__"):
                (root / path.relative_to(FOLDER)).symlink_to(path)
    (root.parent / "datasets").symlink_to(FOLDER.parent / "datasets")
    monkeypatch.setattr(discover, "ROOT", root.parent)
    monkeypatch.setattr(benchmark.methods, "__path__", [*benchmark.methods.__path__, str(folder)])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(n=4, more="", files=(), help=""):
        text = EVERY_NTH.format(n=n, more=more, files=repr(tuple(files)))
        (folder / "every_nth.py").write_text(text)
        (folder / "_nth_helper.py").write_text(help)
        sys.modules.pop("benchmark.methods.every_nth", None)
        importlib.invalidate_caches()
        discover.summaries.cache_clear()

    yield write
    sys.modules.pop("benchmark.methods.every_nth", None)
    discover.summaries.cache_clear()


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "mine.bin"
    path.write_bytes(b"weights")
    path.with_suffix(".json").write_text('{"class": "EveryNth", "about": 1}')
    return path


@pytest.mark.usefixtures("no_drawing")
def test_an_edited_method_is_measured_again(
    plug_in, checkpoint, clips_folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("benchmark.runs.outcomes.execute", without_workers)
    words = ["table1", "--profile", "smoke", "--data", str(clips_folder), "--limit", "2", "--quiet"]
    words += ["--rows", "checkpoint*", "--checkpoint", str(checkpoint), "--out", str(tmp_path)]

    def line():
        assert run.main(words) == 0
        out = capsys.readouterr().out
        (row,) = [text for text in out.splitlines() if text.startswith("| checkpoint mine")]
        return row, "from the cache, made 20" in out

    plug_in(n=4)
    first = line()
    assert not first[1]
    assert line() == (first[0], True)
    plug_in(n=16)
    second = line()
    assert second[0] != first[0] and not second[1]


def test_what_is_in_the_key_of_a_users_method(plug_in, checkpoint, clips_folder, tiny, context):
    data = open_data(clips_folder, limit=2)

    def key():
        row = Row("mine", "every_nth", weights=checkpoint)
        item = make_item(row, "tokenizer", tiny, data, seed=0, metrics=())
        return chain.lookup(context, item).stages["predict"].key

    plug_in()
    found = [key()]
    plug_in(more="# a comment")
    found.append(key())
    helped = {"more": "import benchmark.methods._nth_helper"}
    plug_in(**helped, help="A = 1")
    found.append(key())
    plug_in(**helped, help="A = 2")
    found.append(key())
    plug_in(files=["../__init__.py"])
    found.append(key())
    checkpoint.with_suffix(".json").write_text('{"class": "EveryNth", "about": 2}')
    found.append(key())
    checkpoint.with_name("mine.vocabulary.txt").write_text("a b")
    found.append(key())
    assert len(set(found)) == len(found)
    assert key() == found[-1]
    plug_in(files=["nothing.txt"])
    with pytest.raises(
        UserError, match=r"every_nth: .*methods/nothing.txt, which its `files` name"
    ):
        key()


def test_a_checkpoint_replaced_while_it_is_measured_leaves_nothing(
    plug_in, checkpoint, clips_folder, tiny, context, monkeypatch
):
    plug_in()
    row = Row("mine", "every_nth", weights=checkpoint)
    item = make_item(
        row, "tokenizer", tiny, open_data(clips_folder, limit=2), seed=0, metrics=("pose",)
    )
    method = type(item.implementation)
    whole = method.predict

    def replaced(self, weights, clips, **options):
        weights.write_bytes(b"of another training")
        return whole(self, weights, clips, **options)

    with monkeypatch.context() as patch:
        patch.setattr(method, "predict", replaced)
        with pytest.raises(ValueError, match=r"mine\.bin was replaced while it was measured"):
            perform(context, item, progress=ignore)
    assert not [*context.cache.rglob("predictions-*"), *context.cache.rglob("run.json")]
    perform(context, item, progress=ignore)
    assert not chain.lookup(context, item).missing


def test_the_plug_ins_of_the_package_are_those_of_its_folders():
    """A new one of the package belongs in the list: without it, every edit makes new keys."""
    for kind, names in discover.OF_THE_PACKAGE.items():
        assert tuple(discover.summaries(kind)) == names
        assert all(discover.own_code(kind, name) == {} for name in names)


def test_weights_of_the_package_keep_their_identity(checkpoint):
    before = weights_sha256(checkpoint)
    checkpoint.with_suffix(".json").write_text('{"class": "EveryNth", "about": 2}')
    assert weights_sha256(checkpoint) == before
    assert weights_sha256(checkpoint, whole=True) != before


@pytest.mark.usefixtures("no_drawing")
def test_rows_selects_any_row_and_json_is_all_that_is_printed(
    plug_in, checkpoint, clips_folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("benchmark.runs.outcomes.execute", without_workers)
    plug_in()
    other = checkpoint.with_name("other.bin")
    other.write_bytes(b"other weights")
    other.with_suffix(".json").write_text('{"class": "EveryNth"}')
    words = ["table1", "table5", "--profile", "smoke", "--data", str(clips_folder), "--steps", "1"]
    words += ["--limit", "2", "--quiet", "--out", str(tmp_path), "--json"]
    words += ["--checkpoint", str(checkpoint), str(other)]

    def rows(*patterns):
        more = [word for pattern in patterns for word in ("--rows", pattern)]
        assert run.main([*words, *more]) == 0
        tables = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [table["table"] for table in tables] == ["table1", "table5"]
        return [{row["label"] for row in table["rows"]} for table in tables]

    mine, others = "checkpoint mine", "checkpoint other"
    assert rows("checkpoint mine") == [{mine}, {mine}]
    one, five = rows("SOLAMI", "checkpoint o*")  # mine is cached by now
    assert one >= {"SOLAMI", others, mine} and "Our" not in one
    assert five >= {others, mine} and "SOLAMI" not in five
    one, five = rows("s=1/1 B=512")  # no pattern is of a checkpoint: all of them stay
    assert {mine, others, "s=1/1 B=512"} <= five and "s=1/8 B=512" not in five
    words = words[: words.index("--checkpoint")]
    assert run.main([*words, "--rows", "s=1/1 B=512", "--out", str(tmp_path / "new")]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["table"] == "table5"
    assert run.main([*words, "--rows", "SOLAMI", "--rows", "nothing*"]) == 2
    assert "--rows 'nothing*' matches no row" in capsys.readouterr().err


@pytest.mark.usefixtures("no_drawing")
def test_a_mistake_in_a_method_is_named_by_file_and_line(
    plug_in, checkpoint, clips_folder, tmp_path, monkeypatch, capsys
):
    def in_this_process(items, context, **options):
        failures = {}
        for item in items:
            try:
                perform(context, item, progress=ignore)
            except Exception as error:
                failures[item.identity] = str(error)
        return failures

    monkeypatch.setattr("benchmark.runs.outcomes.execute", in_this_process)
    plug_in(n="0")
    words = ["table1", "--profile", "smoke", "--data", str(clips_folder), "--limit", "2", "--quiet"]
    words += ["--rows", "checkpoint*", "--checkpoint", str(checkpoint), "--out", str(tmp_path)]
    assert run.main([*words, "--json"]) == 1
    cells = json.loads(capsys.readouterr().out)["cells"]
    (reason,) = {cell["reason"] for cell in cells if cell["row"] == "checkpoint mine"}
    assert {cell["status"] for cell in cells if cell["row"] == "checkpoint mine"} == {"failed"}
    assert re.search(
        r"methods/every_nth\.py:14: .*zero.*\(the whole traceback: .*error\.json\)", reason
    )
    text = Path(re.search(r"traceback: (.*)\)", reason)[1]).read_text()
    assert "ValueError" in text and "every_nth.py" in text
    assert run.main(words) == 1
    assert "failed (a)" in capsys.readouterr().out
    plug_in(more="N = M")
    assert run.main(words) == 2
    assert "every_nth.py, line 5: NameError" in capsys.readouterr().err
