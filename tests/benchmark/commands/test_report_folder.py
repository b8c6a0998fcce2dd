"""The folder of a command's reports: whatever changes the numbers is in its name."""

import json
from dataclasses import fields

import pytest

from benchmark import run
from benchmark.commands import arguments
from benchmark.commands.request import Options, folder_name
from benchmark.profiles import smoke
from benchmark.runs.checkpoints import user_checkpoints
from model import assets
from tests.benchmark.commands.comparing import put, without_workers

TOKENIZER = assets.TOKENIZER


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ([], "smoke"),
        (["--seeds", "0"], "smoke"),
        (["--seeds", "1"], "smoke-seed1"),
        (["--seeds", "0", "1", "2"], "smoke-seeds0,1,2"),
        (["--steps", "20000", "--limit", "4"], "smoke-steps20000-limit4"),
        (["--rows", "s=1/1 *"], "smoke-rows-s-1-1"),
        (["--rows", "*"], "smoke-rows"),
        (["--data", "data/my clips"], "smoke-my-clips"),
        (["--checkpoint", str(TOKENIZER)], "smoke-with-tokenizer"),
    ],
    ids=" ".join,
)
def test_whatever_changes_the_numbers_names_the_folder(words, name):
    assert named(words) == name


def named(words):
    """The reports' folder of a command."""
    args = arguments.parser().parse_args(["run", "table5", *words])
    options = Options(**{field.name: getattr(args, field.name) for field in fields(Options)})
    return folder_name(smoke(), options, user_checkpoints(options.checkpoint))


def test_a_long_folder_name_is_cut_and_stays_its_own():
    first, second = (
        named(["--seeds", *map(str, range(60)), "--limit", limit]) for limit in ("4", "5")
    )
    assert first != second and len(first) < 120
    assert named(["--seeds", *map(str, range(60))]) != named(["--seeds", *map(str, range(61))])


@pytest.mark.usefixtures("no_drawing")
def test_a_quick_try_leaves_the_whole_table_alone(clips_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("benchmark.runs.outcomes.execute", without_workers)
    words = ["table1", "--profile", "smoke", "--data", str(clips_folder), "--quiet"]
    words += ["--out", str(tmp_path)]
    whole = tmp_path / f"smoke-{clips_folder.name}" / "table1.json"
    whole.parent.mkdir()
    whole.write_text("kept")
    checkpoint = put(TOKENIZER, tmp_path / "mine" / "model.safetensors")
    more = ["--rows", "SOLAMI", "--steps", "1", "--limit", "1", "--checkpoint", str(checkpoint)]
    assert run.main([*words, *more]) == 0
    folder = tmp_path / f"{whole.parent.name}-steps1-limit1-rows-SOLAMI-with-mine-model"
    assert whole.read_text() == "kept"
    assert f"wrote {folder / 'table1.json'}" in capsys.readouterr().out
    result = json.loads((folder / "table1.json").read_text())
    assert result["profile"] == "smoke"
    assert result["provenance"]["options"]["checkpoint"] == [str(checkpoint)]
    assert "checkpoint mine/model" in {row["label"] for row in result["rows"]}
    (folder / "table1.md").unlink()
    whole.unlink()
    assert run.main(["report", "--out", str(tmp_path)]) == 0
    assert (folder / "table1.md").exists()
