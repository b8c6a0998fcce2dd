"""``--always`` and ``--retry``: what is done again, and what stays."""

import dataclasses

import pytest

from benchmark.api.clips import Prediction
from benchmark.api.table import Row
from benchmark.methods.mean_pose import METHOD
from benchmark.runs import chain
from benchmark.runs.data import open_data
from benchmark.runs.outcomes import measure
from benchmark.runs.work_item import make_item
from tests.benchmark.commands.comparing import without_workers


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    monkeypatch.setattr("benchmark.runs.outcomes.execute", without_workers)


@pytest.fixture
def item(clips_folder, tiny):
    data = open_data(clips_folder, limit=3)
    row = Row("mean", "mean_pose")
    return make_item(row, "tokenizer", tiny, data, seed=0, metrics=("pose",))


def run(context, item, *, always=None, retry=False):
    found = measure(context, [item], [item], always=always, retry=retry, workers=1, quiet=True).of(
        item
    )
    return {name: record_time(stage) for name, stage in found.stages.items()}, found


def record_time(stage):
    return (stage.folder / "run.json").stat().st_mtime_ns


@pytest.mark.parametrize(
    ("always", "again"),
    [
        (None, set()),
        ("score", {"score pose"}),
        ("estimate", {"score pose"}),
        ("predict", {"predict", "score pose"}),
        ("train", {"train", "predict", "score pose"}),
    ],
)
def test_always_does_a_stage_and_those_after_it_again(context, item, always, again):
    before, first = run(context, item)
    after, second = run(context, item, always=always)
    assert {name for name in before if before[name] != after[name]} == again
    assert first.scores == second.scores


def test_retry_tries_the_clips_again_that_failed(context, item, monkeypatch):
    whole = type(METHOD["tokenizer"]).predict
    bad = item.data.test_ids[1]

    def predict(self, weights, clips, *, device, seed):
        made = whole(self, weights, clips, device=device, seed=seed)
        return dataclasses.replace(made, failed={bad: "out_of_memory: the GPU was full"})

    with monkeypatch.context() as patch:
        patch.setattr(type(METHOD["tokenizer"]), "predict", predict)
        _, first = run(context, item)
        assert first.failed == {bad: "out_of_memory: the GPU was full"}
    assert run(context, item)[1].failed == first.failed
    _, second = run(context, item, retry=True)
    assert second.failed == {} and len(second.scores["pose"]) > len(first.scores["pose"])
    assert second.stages["train"].record() == first.stages["train"].record()


def test_a_retry_leaves_the_estimators_training_and_estimates_anew(
    context, shots_folder, tiny, monkeypatch
):
    data = open_data(shots_folder, task="i2vm", limit=2)
    row = Row("still", "first_frame")
    item = make_item(row, "i2vm", tiny, data, seed=0, metrics=("diversity", "pose"))
    method = type(item.implementation)
    whole, bad = method.predict, data.test_ids[1]

    def predict(self, weights, clips, *, device, seed):
        made = whole(self, weights, clips, device=device, seed=seed)
        return dataclasses.replace(made, failed={bad: "out_of_memory: the GPU was full"})

    with monkeypatch.context() as patch:
        patch.setattr(method, "predict", predict)
        before, _ = run(context, item)
    for always, retry in ((None, True), ("predict", False), ("estimate", False)):
        after, found = run(context, item, always=always, retry=retry)
        again = {name for name in before if before[name] != after[name]}
        follow = {"estimate", "score diversity", "score pose"}
        assert again == (follow if always == "estimate" else follow | {"predict"})
        assert found.failed == {} and found.scores["diversity"]
        before = after


def test_the_reason_of_a_row_whose_clips_all_failed_names_the_cure(context, item, monkeypatch):
    def predict(self, weights, clips, *, device, seed):
        return Prediction(None, failed=dict.fromkeys(clips.ids, "timeout: 600 s"))

    monkeypatch.setattr(type(METHOD["tokenizer"]), "predict", predict)
    with pytest.raises(ValueError, match=r"all 3 clips failed \(--retry .*timeout: 600 s"):
        run(context, item)
    assert "--retry" in chain.lookup(context, item).failure("mpjpe").reason
