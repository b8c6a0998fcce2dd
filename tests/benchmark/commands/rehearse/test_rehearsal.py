"""The whole rehearsal, from an empty folder: some twenty minutes on two cores."""

import pytest

from benchmark import run
from benchmark.api.profile import REHEARSAL
from benchmark.commands.rehearse.outcome import Rehearsal
from benchmark.discover import summaries
from datasets.tools import isolated
from datasets.tools.typed_json import decode, load

# What cannot be rehearsed: it has no environment of its own to build.
_NOT_OURS = "install 4D-Humans"


@pytest.mark.tools
@pytest.mark.slow
def test_everything_runs_and_no_cell_lacks_a_value_for_a_reason_of_ours(tmp_path, capsys):
    for tool in ("gvhmr", "vbench"):
        isolated.build(tool)
    code = run.main(["rehearse", "--out", str(tmp_path), "--device", "cpu"])
    found = decode(Rehearsal, load(tmp_path / "rehearsal.json"))
    assert {stage.name: stage.reason for stage in found.stages if stage.status != "ran"} == {}
    wrong = {
        (one.name, reason): cells
        for one in found.exhibits
        for reason, cells in one.reasons.items()
        if not reason.startswith(_NOT_OURS)
    }
    assert wrong == {} and code == 0
    names = {one.name for one in found.exhibits}
    assert names == {*summaries("tables"), *summaries("figures")}
    assert {one.name for one in found.runs} >= {"train", "predict", "enhance", "estimate"}
    (folder,) = tmp_path.glob("reports/rehearsal-*")
    measured = {name for name in summaries("tables") if name != "table4"}  # which is computed
    for name in measured:
        for suffix in (".json", ".md", ".tex", ".svg"):
            assert REHEARSAL in (folder / f"{name}{suffix}").read_text(), (name, suffix)
        assert "rehearsal," in (folder / f"{name}.csv").read_text()
    assert (folder / "index.html").read_text().count(REHEARSAL) >= 2 * len(measured)
