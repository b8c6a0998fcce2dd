"""What ``run --dry-run`` says, and that it does nothing."""

import pytest

from benchmark import run
from benchmark.runs import data, stores
from tests.benchmark.commands.comparing import without_workers


def test_a_dry_run_writes_nothing(clips_folder, tmp_path, capsys):
    words = ["table5", "--profile", "smoke", "--data", str(clips_folder), "--dry-run"]
    assert run.main([*words, "--out", str(tmp_path)]) == 0
    assert "table5: s=1/54 B=512: to do, from train on" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("no_drawing")
def test_a_dry_run_names_what_shows_a_row_and_what_always_would_do(
    clips_folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("benchmark.runs.outcomes.execute", without_workers)
    words = ["--profile", "smoke", "--data", str(clips_folder), "--steps", "1", "--limit", "2"]
    words += ["--quiet", "--out", str(tmp_path)]
    assert run.main(["table1", *words, "--rows", "Our"]) == 0
    capsys.readouterr()

    def said(*more):
        assert run.main(["table1", "table4", "table6", *words, *more, "--dry-run"]) == 0
        return capsys.readouterr().out.splitlines()

    ours = "table1: Our; table6: 6D Representation: "
    lines = said()
    assert "table4: computed at once" in lines
    assert ours + "cached" in lines
    assert "table1: SOLAMI: to do, from train on" in lines
    lines = said("--always")
    assert ours + "would be done again, from predict on" in lines
    assert ours + "would be done again, from train on" in said("--always", "train")
    assert ours + "would be done again, from score pose on" in said("--always", "score")
    assert ours + "cached" in said("--retry")  # no clip failed
    assert "table1: SOLAMI: to do, from train on" in lines
    assert "table1: SOLAMI, seed 1: to do, from train on" in said("--seeds", "0", "1")


def test_a_dry_run_makes_no_built_in_data_and_wants_it_for_rows_of_no_dataset(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(data, "FOLDER", tmp_path)
    monkeypatch.setattr(stores, "built_in_path", lambda profile, task: tmp_path / task)
    words = ["--profile", "smoke", "--dry-run", "--out", str(tmp_path)]
    assert run.main(["table11", *words]) == 0
    found = capsys.readouterr().out
    assert "built-in" not in found and "cannot be done here: " in found
    assert run.main(["table1", "figure11", "table11", *words]) == 0
    found = capsys.readouterr().out
    assert "the built-in clips for tokenizer tasks are not made yet" in found
    assert "table1, figure11: Our: to do, from train on" in found.splitlines()
    assert list(tmp_path.iterdir()) == []


def test_what_does_not_fit_is_said_before_a_picture_is_made(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(stores, "built_in_path", lambda profile, task: tmp_path / task)
    monkeypatch.setattr(stores, "make_built_in", lambda *_, **__: pytest.fail("pictures are made"))
    monkeypatch.setattr("model.training.memory.free_memory", lambda device: 10**6)
    words = ["table7", "--profile", "smoke", "--device", "cpu", "--out", str(tmp_path / "out")]
    assert run.main(words) == 2
    said = capsys.readouterr().err
    assert "weights in training need" in said and "GB of main memory" in said
