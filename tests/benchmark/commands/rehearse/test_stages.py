"""Steps of a rehearsal: what fails stops nothing else, and what ran is not run again."""

import pytest

from benchmark import run
from benchmark.commands.rehearse.outcome import Exhibit, Rehearsal, read_stages
from benchmark.commands.rehearse.stages import Stage, environment_of, follow
from benchmark.commands.rehearse.steps import Step, steps


def step(name, *options, module="json.tool", **facts):
    return Step(name=name, module=module, options=options, **facts)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in.json").write_text("{}")
    (tmp_path / "broken.json").write_text("{")
    return tmp_path


def stages_of(folder, *every, known=()):
    found = follow(every, folder, environment_of({}), {one.name: one for one in known})
    return {stage.name: stage for stage in found}


def test_a_step_that_fails_stops_only_what_needs_it(folder):
    found = stages_of(
        folder,
        step("bad", "broken.json"),
        step("needs it", "in.json", "a.json", after=("bad",)),
        step("needs that", "in.json", "a.json", after=("needs it",)),
        step("other", "in.json", "b.json"),
    )
    assert {name: one.status for name, one in found.items()} == {
        **{"bad": "failed", "needs it": "failed", "needs that": "failed", "other": "ran"}
    }
    assert found["bad"].reason.startswith("exit code 1: Expecting property name")
    assert found["needs it"].reason == "it needs bad"
    assert not (folder / "a.json").exists() and (folder / "b.json").exists()
    assert found["other"].peak_memory_mb > 1


def test_a_tool_that_is_not_installed_is_said_and_is_no_failure(folder, monkeypatch):
    monkeypatch.setenv("UNIMO_TOOLS", str(folder))
    monkeypatch.delenv("GVHMR_PYTHON", raising=False)
    found = stages_of(
        folder,
        step("labels", "in.json", "a.json", tool="gvhmr"),
        step("table", "in.json", "a.json", after=("labels",)),
    )
    assert [one.status for one in found.values()] == ["not here", "not here"]
    assert "benchmark.run setup gvhmr" in found["labels"].reason
    assert not Rehearsal(device="cpu", stages=tuple(found.values())).failed


def test_what_ran_is_not_run_again_unless_its_command_is_another(folder):
    first = stages_of(folder, step("a", "in.json", "a.json"), step("b", "broken.json"))
    Rehearsal(device="cpu", stages=tuple(first.values())).write(folder)
    known = read_stages(folder).values()
    (folder / "a.json").unlink()
    again = stages_of(folder, step("a", "in.json", "a.json"), step("b", "in.json"), known=known)
    assert again["a"] == first["a"] and not (folder / "a.json").exists()
    assert again["b"].status == "ran"
    other = stages_of(folder, step("a", "--indent", "2", "in.json", "c.json"), known=known)
    assert other["a"].status == "ran" and (folder / "c.json").exists()


def test_a_pattern_stands_for_a_file_that_a_step_before_made(folder):
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "x.json").write_text("{}")
    found = stages_of(folder, step("a", "deep/**/*.json"), step("b", "none/**/*.json"))
    assert found["a"].command[-1] == "deep/er/x.json" and found["a"].status == "ran"
    assert found["b"].status == "failed" and "none/**/*.json" in found["b"].reason


def test_a_cell_that_failed_is_a_failure_and_its_reason_is_in_the_table(tmp_path):
    exhibit = Exhibit(
        name="table2", cells={"measured": 3, "failed": 1}, reasons={"no | memory": ("Ours (fid)",)}
    )
    found = Rehearsal(device="cpu", stages=(Stage(name="all", status="ran"),), exhibits=(exhibit,))
    assert found.failed
    found.write(tmp_path)
    text = (tmp_path / "rehearsal.md").read_text()
    assert "REHEARSAL, no number means anything" in text
    assert "- table2, Ours (fid): no \\| memory" in text


def test_steps_only_need_steps_before_them():
    names = set()
    for one in steps(device="cpu", size=128, processes=2):
        assert names.issuperset(one.after), one.name
        names.add(one.name)
    assert any("2 processes" in name for name in names)


def test_the_folder_is_asked_for(capsys):
    with pytest.raises(SystemExit) as stopped:
        run.main(["rehearse"])
    assert stopped.value.code == 2
    assert "--out" in capsys.readouterr().err
