"""Checkpoints of the user in ``run``: rows of their own, labels, and what is refused."""

import json

from benchmark import run
from benchmark.runs.checkpoints import Checkpoint
from model import assets
from tests.benchmark.commands.comparing import put

TOKENIZER = assets.TOKENIZER


def test_what_has_no_row_of_a_checkpoint_is_said(clips_folder, tmp_path, capsys):
    words = ["--profile", "smoke", "--data", str(clips_folder), "--dry-run", "--out", str(tmp_path)]
    words += ["--checkpoint", str(TOKENIZER)]
    assert run.main(["table4", "table1", "figure5", *words]) == 0
    found = capsys.readouterr()
    assert "table1, figure5: checkpoint tokenizer: to do" in found.out
    assert found.err.endswith("(motion -> tokens -> motion): it has no row in table4\n")
    # A figure alone may show it beside a table that cannot.
    assert run.main(["table4", "figure5", *words]) == 0
    assert "checkpoint tokenizer: to do" in capsys.readouterr().out


def test_a_checkpoint_without_a_known_class_is_refused(clips_folder, tmp_path, capsys):
    checkpoint = tmp_path / "foreign.safetensors"
    checkpoint.write_bytes(b"anything")
    words = ["table1", "--profile", "smoke", "--data", str(clips_folder), "--out", str(tmp_path)]
    assert run.main([*words, "--checkpoint", str(checkpoint)]) == 2
    assert "foreign.json" in capsys.readouterr().err


def test_a_checkpoint_of_ours_that_is_no_safetensors_is_refused(clips_folder, tmp_path, capsys):
    checkpoint = put(TOKENIZER, tmp_path / "mine" / "model.safetensors")
    words = ["table1", "--profile", "smoke", "--data", str(clips_folder), "--dry-run"]
    words += ["--out", str(tmp_path / "out"), "--checkpoint"]
    assert run.main([*words, str(checkpoint.parent)]) == 0  # the folder of a training
    assert "checkpoint mine/model: to do" in capsys.readouterr().out
    whole = checkpoint.read_bytes()
    for content in (b"", b"no weights", whole[:-1]):
        checkpoint.write_bytes(content)
        assert run.main([*words, str(checkpoint)]) == 2
        message = capsys.readouterr().err
        assert "is not a readable safetensors file" in message and len(message.splitlines()) == 1
    checkpoint.with_suffix(".json").write_text("[]")
    assert run.main([*words, str(checkpoint)]) == 2
    assert "model.json beside it cannot be read as a JSON object" in capsys.readouterr().err


def test_checkpoints_are_told_apart_by_their_folders(clips_folder, tmp_path, capsys):
    paths = [put(TOKENIZER, tmp_path / name / "model.safetensors") for name in "ab"]
    words = ["table1", "--profile", "smoke", "--data", str(clips_folder), "--dry-run"]
    words += ["--out", str(tmp_path), "--checkpoint"]
    assert run.main([*words, str(paths[0])]) == 0
    assert "table1: checkpoint a/model: to do, from predict on" in capsys.readouterr().out
    # One named twice is one row; what holds the same is measured once.
    assert run.main([*words, *map(str, [*paths, paths[0]])]) == 0
    found = capsys.readouterr().out
    assert "table1: checkpoint a/model and checkpoint b/model: to do" in found


def test_a_checkpoint_says_how_it_was_trained(tmp_path):
    facts = {"steps": 9, "batch_size": 4, "clips": 20, "start": "system 01", "seed": 0}
    facts |= {"dataset": "rich", "init": {"steps": 100, "start": "random"}}
    path = tmp_path / "model.safetensors"
    path.with_suffix(".json").write_text(json.dumps({"extra": {"training": facts}}))
    assert Checkpoint.read(path).origin == (
        "9 steps of 4 on 20 clips of rich from system 01 (100 steps of another training) "
        "with seed 0"
    )
    path.with_suffix(".json").write_text("{}")
    assert not Checkpoint.read(path).origin
