"""Estimates: clips that an estimator fails or crashes on, and what is measured without it."""

import dataclasses

import numpy as np
import pytest

from benchmark import discover
from benchmark.api.clips import Prediction
from benchmark.api.errors import Unavailable
from benchmark.api.metric import Score
from benchmark.api.table import Column, Row
from benchmark.methods import estimators
from benchmark.metrics.vbench import VBenchMetric
from benchmark.results.cells import RowOutcome, make_cell
from benchmark.results.table import row_notes
from benchmark.runs import chain
from benchmark.runs.data import open_data
from benchmark.runs.stages import perform
from benchmark.runs.work_item import make_item
from datasets.estimators import Estimate, EstimateError, EstimatorUnavailable
from datasets.motion import Motion
from tests.benchmark.work import ignore

OURS = Row("Ours", "unimo")


@pytest.fixture
def data(shots_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("model.transformer.train.token_set.CACHE", tmp_path / "tokens")
    return open_data(shots_folder, task="v2m", limit=3)


@pytest.fixture
def item_of(data, tiny):
    def make(task, row=OURS, seed=0, metrics=("pose",)):
        return make_item(row, task, tiny, data, seed=seed, metrics=metrics)

    return make


class Picky:
    """An estimator that sees nobody in the second clip it is shown, and crashes on the third."""

    def start(self, device):
        import contextlib

        @contextlib.contextmanager
        def session():
            yield self

        self.shown = 0
        return session()

    def estimate(self, clip):
        self.shown += 1
        if self.shown == 2:
            raise EstimateError("no_person", "nobody is seen")
        if self.shown == 3:
            raise RuntimeError("a bug of the tool")
        still = np.zeros((17, 79), np.float32)
        return Estimate(Motion.from_channels(still, fps=clip.fps, space="camera"))


def test_one_bad_clip_never_stops_the_others(data):
    made = estimators.estimate(Picky(), data.clips(data.test_ids), "cpu")
    assert made.failed == {data.test_ids[1]: "no_person: nobody is seen"}
    assert made.crashed == {data.test_ids[2]: "a bug of the tool"}
    assert made.channels.shape == (3, 17, 79)


def test_what_an_estimator_did_before_it_ended_is_kept(data):
    class Ending(Picky):
        def estimate(self, clip):
            if self.shown == last:
                raise EstimatorUnavailable("it does not start again")
            self.shown += 1
            still = np.zeros((17, 79), np.float32)
            return Estimate(Motion.from_channels(still, fps=clip.fps, space="camera"))

    clips, last = data.clips(data.test_ids), 1
    made = estimators.estimate(Ending(), clips, "cpu")
    assert made.crashed == dict.fromkeys(data.test_ids[1:], "it does not start again")
    assert made.failed == {} and made.channels.shape == (3, 17, 79)
    last = 0
    with pytest.raises(Unavailable, match="does not start again"):
        estimators.estimate(Ending(), clips, "cpu")


def estimate_with(monkeypatch, session):
    """Put a session in the regressor's place; returns the ids of the clips of each call."""
    calls = []

    def estimate(estimator, clips, device):
        calls.append(list(clips.ids))
        return estimators.estimate(session, clips, device)

    monkeypatch.setattr("benchmark.methods.regressor.estimate", estimate)
    return calls


def test_a_clip_that_crashed_is_tried_again_and_the_others_are_kept(context, item_of, monkeypatch):
    item = item_of("v2m", Row("picky", "regressor"))
    calls, ids = estimate_with(monkeypatch, Picky()), list(item.data.test_ids)
    with pytest.raises(RuntimeError, match=r"regressor crashed on 1 of 3 clips, as .*a bug of"):
        perform(context, item, progress=ignore)
    outcome = chain.lookup(context, item)
    assert outcome.missing == ["predict"] and not outcome.scores
    assert "a bug of the tool" in outcome.failure("mpjpe").reason
    perform(context, item, progress=ignore)  # the first clip that it is shown has a motion
    outcome = chain.lookup(context, item)
    assert calls == [ids, ids[2:]]
    assert list(outcome.failed) == ids[1:2]
    assert {score.clip_id for score in outcome.scores["pose"]} == {ids[0], ids[2]}


@pytest.mark.parametrize(
    ("method", "needs"), [("unimo", {"pose"}), ("cosmos", {"diversity", "pose"})]
)
def test_an_estimator_takes_from_the_columns_that_need_it_alone(
    method, needs, context, item_of, monkeypatch
):
    item = item_of("i2vm", Row("x", method), metrics=("diversity", "pose", "vbench"))
    load, ids = discover.load, set(item.data.test_ids)
    monkeypatch.setattr(
        "benchmark.discover.load",
        lambda kind, name: Sizes() if name == "vbench" else load(kind, name),
    )
    calls = estimate_with(monkeypatch, Picky())
    with pytest.raises(RuntimeError, match="crashed on 1 of 3 clips"):
        perform(context, item, progress=ignore)
    outcome = chain.lookup(context, item)
    assert outcome.missing == ["estimate"]
    assert outcome.scores.keys() == {"diversity", "pose", "vbench"} - needs
    row = RowOutcome(row=Row("x", method), items=[item], outcomes=[outcome])
    consistency = make_cell(row, Column("mpjpe", "MPJPE"), None)
    assert consistency.status == "failed" and "a bug of the tool" in consistency.reason
    fid = make_cell(row, Column("fid", "FID"), None)
    assert fid.status == ("failed" if "diversity" in needs else "measured")
    perform(context, item, progress=ignore)
    outcome = chain.lookup(context, item)
    assert not outcome.missing and len(calls) == 2
    assert {score.clip_id for score in outcome.scores["vbench"]} == ids
    unseen = list(outcome.unseen)
    assert len(unseen) == 1
    for name in ("diversity", "pose"):
        assert outcome.left_out(name) == (set(unseen) if name in needs else set())
    assert {score.clips for score in outcome.scores["diversity"]} == {3 - ("diversity" in needs)}
    row = RowOutcome(row=Row("x", method), items=[item], outcomes=[outcome])
    (note,) = [note for note in row_notes([row]) if "sees no motion" in note]
    assert "in the videos of 1 of 3 test clips" in note and "nobody is seen" in note
    assert make_cell(row, Column("fid", "FID"), None).n == 3 - ("diversity" in needs)


class Sizes(VBenchMetric):
    """VBench as far as it can be without its environment: bytes of each video."""

    def missing(self, context):
        return {}

    def score(self, evaluation, *, progress):
        sizes = [path.stat().st_size for path in evaluation.videos]
        return [
            Score(name, "app", sum=size, count=1)
            for name, size in zip(evaluation.clips.ids, sizes, strict=True)
        ]


def test_clips_that_a_system_fails_on_are_in_no_number_of_it(context, item_of, monkeypatch):
    item = item_of("v2m", Row("picky", "regressor"))
    ids = item.data.test_ids
    monkeypatch.setattr(
        "benchmark.methods.regressor.estimate",
        lambda estimator, clips, device: Prediction(
            clips.channels, failed=dict.fromkeys(ids[1:], "no_person: nobody")
        ),
    )
    perform(context, item, progress=ignore)
    outcome = chain.lookup(context, item)
    assert list(outcome.failed) == list(ids[1:])
    assert {score.clip_id for score in outcome.scores["pose"]} == {ids[0]}


def test_without_an_estimator_the_rest_is_measured_and_the_reason_told(context, item_of):
    item = item_of("i2vm", metrics=("diversity", "pose"))
    item = dataclasses.replace(item, estimator=None, no_estimator="weights.pt is not there")
    perform(context, item, progress=ignore)
    row = RowOutcome(row=OURS, items=[item], outcomes=[chain.lookup(context, item)])
    consistency = make_cell(row, Column("mpjpe", "MPJPE"), None)
    assert (consistency.status, consistency.reason) == ("unavailable", "weights.pt is not there")
    assert make_cell(row, Column("fid", "FID"), None).status == "measured"


def test_what_needs_no_estimate_is_measured_where_the_estimator_fails_on_all(
    context, item_of, monkeypatch
):
    item = dataclasses.replace(
        item_of("i2vm"),
        estimator=item_of("v2m", Row("e", "regressor")),
        metrics=("diversity", "pose"),
    )
    crash = dict.fromkeys(item.data.test_ids, "error: it crashed")
    monkeypatch.setattr(
        "benchmark.methods.regressor.estimate",
        lambda estimator, clips, device: Prediction(None, failed=crash),
    )
    perform(context, item, progress=ignore)
    outcome = chain.lookup(context, item)
    assert not outcome.missing and not outcome.scores["pose"]
    assert {score.column for score in outcome.scores["diversity"]} >= {"fid", "div"}
    assert "the estimator failed: all" in outcome.absent["mpjpe"]
    assert "it crashed" in outcome.absent["mpjpe"] and "fid" not in outcome.absent
