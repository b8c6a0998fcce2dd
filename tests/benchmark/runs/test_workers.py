import dataclasses
import os
import shutil

import numpy as np
import pytest

from benchmark.api.errors import UserError
from benchmark.api.table import Row
from benchmark.results.table import data_text
from benchmark.runs import chain
from benchmark.runs import workers as display_of
from benchmark.runs.data import open_data
from benchmark.runs.stages import perform
from benchmark.runs.work_item import distinct, make_item
from benchmark.runs.workers import execute
from datasets.bodies.smplx_file import BodyFile
from datasets.prepare.cut import cut
from datasets.store.writer import ClipStoreWriter
from datasets.tools.workers.worker import WorkerContext
from tests.benchmark.work import Killed, ignore, killer
from tests.datasets.mini.clips import T, sequence

ROW = Row("s=1/1 B=32", "unimo", {"tokens_per_frame": 1, "codebook_size": 32})
METRICS = ("codebook", "pose")


@pytest.fixture
def data(clips_folder):
    return open_data(clips_folder, limit=2)


@pytest.fixture
def item_of(data):
    def make(profile, row=ROW, seed=0, metrics=METRICS, data=data):
        return make_item(row, "tokenizer", profile, data, seed=seed, metrics=metrics)

    return make


def keys(context, item, stage):
    return chain.lookup(context, item).stages[stage].key


def test_the_whole_chain_then_the_cache(context, tiny, item_of):
    item = item_of(tiny)
    assert chain.lookup(context, item).missing == ["train"]
    perform(context, item, progress=ignore)
    outcome = chain.lookup(context, item)
    assert outcome.missing == []
    assert {score.clip_id for score in outcome.scores["pose"]} == set(item.data.test_ids)
    (pooled,) = outcome.scores["codebook"]
    assert (pooled.clips, pooled.count) == (2, 32)
    assert outcome.facts["params_m"] > 0
    before = {path: path.stat().st_mtime_ns for path in context.cache.rglob("*.parquet")}
    perform(context, item, progress=ignore)
    assert before == {path: path.stat().st_mtime_ns for path in context.cache.rglob("*.parquet")}


def test_tables_that_share_a_row_share_its_work_and_pool_its_metrics(tiny, item_of):
    for_pose, for_use = (
        item_of(tiny, dataclasses.replace(ROW, label=metric), metrics=(metric,))
        for metric in METRICS
    )
    other = item_of(tiny, seed=1)
    merged = distinct([for_use, other, for_pose])
    assert [item.metrics for item in merged] == [METRICS, METRICS]


def test_a_run_killed_anywhere_ends_in_the_same_scores(context, tiny, item_of):
    item = item_of(tiny)
    found = []
    # Calls 1-3 are training steps, 4 comes after a part of the prediction, 5 and 6 while scoring.
    for at in (99, 2, 4, 5):
        own = dataclasses.replace(context, cache=context.cache / str(at))
        if at != 99:
            with pytest.raises(Killed):
                perform(own, item, progress=killer(at))
            assert chain.lookup(own, item).missing
        perform(own, item, progress=ignore)
        outcome = chain.lookup(own, item)
        keys_of = {stage: run.key for stage, run in outcome.stages.items()}
        found.append((outcome.scores, outcome.facts, keys_of))
    assert all(one == found[0] for one in found[1:])


def test_a_method_that_uses_the_body_has_it_in_its_keys(context, tiny, item_of):
    other = dataclasses.replace(context.body, sha256="0" * 64)
    moved = dataclasses.replace(context, body=other)
    solami = item_of(tiny, Row("SOLAMI", "solami"))
    assert keys(context, solami, "train") != keys(moved, solami, "train")
    assert keys(context, item_of(tiny), "train") == keys(moved, item_of(tiny), "train")


def test_what_changes_the_training_key(context, tiny, item_of, data):
    key = keys(context, item_of(tiny), "train")
    longer = dataclasses.replace(tiny, training=dataclasses.replace(tiny.training, steps=4))
    other_row = Row("", "unimo", {"tokens_per_frame": 1, "codebook_size": 64})
    fewer = dataclasses.replace(data, train_ids=data.train_ids[1:])
    other = dataclasses.replace(data, sha256="0" * 64)
    changed = [
        keys(context, item_of(tiny, seed=1), "train"),
        keys(context, item_of(longer), "train"),
        keys(context, item_of(tiny, other_row), "train"),
        keys(context, item_of(tiny, data=fewer), "train"),
        keys(context, item_of(tiny, data=other), "train"),
        keys(dataclasses.replace(context, device="cuda"), item_of(tiny), "train"),
    ]
    assert len({key, *changed}) == 1 + len(changed)


def test_what_does_not_change_the_training_key(context, tiny, item_of, data, tmp_path):
    key = keys(context, item_of(tiny), "train")
    moved = dataclasses.replace(data, path=tmp_path / "elsewhere", name="other")
    renamed = dataclasses.replace(ROW, label="renamed")
    elsewhere = dataclasses.replace(context, cache=tmp_path / "cache")
    body = BodyFile(tmp_path / "other.npz", "smplx-neutral", "0" * 64)
    assert keys(elsewhere, item_of(tiny, renamed, data=moved), "train") == key
    assert keys(dataclasses.replace(context, body=body), item_of(tiny), "train") == key
    assert keys(context, item_of(dataclasses.replace(tiny, name="x")), "train") == key


def test_what_changes_the_prediction_and_score_keys(context, tiny, item_of, data, monkeypatch):
    from benchmark.metrics.pose import METRIC

    item = dataclasses.replace(item_of(tiny), metrics=("pose",))
    perform(context, item, progress=ignore)
    prediction, score = (keys(context, item, stage) for stage in ("predict", "score pose"))
    one_clip = dataclasses.replace(data, test_ids=data.test_ids[:1])
    assert keys(context, dataclasses.replace(item, data=one_clip), "predict") != prediction
    sampled = dataclasses.replace(item, seed=1)
    assert keys(context, sampled, "predict") != prediction
    weights = next(context.cache.glob("train/*/model.safetensors"))
    copy = context.cache / "copy.safetensors"
    shutil.copy(weights, copy)
    shutil.copy(weights.with_suffix(".json"), copy.with_suffix(".json"))
    given = item_of(tiny, Row("mine", "unimo", weights=copy), metrics=item.metrics)
    assert keys(context, given, "predict") == prediction  # the contents count, not the path
    data = bytearray(copy.read_bytes())
    data[-1] ^= 1
    changed = context.cache / "changed.safetensors"
    changed.write_bytes(data)
    given = dataclasses.replace(given, weights=changed)
    assert keys(context, given, "predict") != prediction
    body = BodyFile(context.body.path, "smplx-neutral", "0" * 64)
    assert keys(dataclasses.replace(context, body=body), item, "score pose") != score
    assert keys(dataclasses.replace(context, body=body), item, "predict") == prediction
    with monkeypatch.context() as patch:
        patch.setattr(type(METRIC), "version", METRIC.version + 1)
        assert keys(context, item, "score pose") != score
        assert keys(context, item, "predict") == prediction
    with monkeypatch.context() as patch:
        patch.setattr(type(METRIC), "protocol", lambda self, context: "another protocol")
        assert keys(context, item, "score pose") != score


def test_a_failure_is_kept_with_its_reason(context, tiny, item_of):
    too_long = dataclasses.replace(tiny.training, window=66)
    item = item_of(dataclasses.replace(tiny, training=too_long))
    with pytest.raises(ValueError):
        perform(context, item, progress=ignore)
    outcome = chain.lookup(context, item)
    assert outcome.missing == ["train"]
    assert "66 frames" in outcome.failure("mpjpe").reason


def test_the_mean_pose_is_the_mean_and_is_scored(context, tiny, item_of, data):
    item = item_of(tiny, Row("floor", "mean_pose"))
    perform(context, item, progress=ignore)
    outcome = chain.lookup(context, item)
    assert outcome.scores["codebook"] == []
    mean = np.load(next(context.cache.glob("train/*/mean_pose.npy")))
    train = data.clips(data.train_ids).channels
    np.testing.assert_allclose(mean[66:], train[..., 66:].mean(axis=(0, 1)), atol=1e-4)


def test_limits_take_clips_from_the_whole_split(clips_folder):
    whole = open_data(clips_folder)
    assert open_data(clips_folder, limit=2).test_ids == (whole.test_ids[0], whole.test_ids[2])
    assert open_data(clips_folder, limit=99).test_ids == whole.test_ids


def test_the_rates_of_takes_are_said_and_a_mixture_is_warned_of(clips_folder, tmp_path):
    one_rate = open_data(clips_folder)
    assert data_text(one_rate).endswith(" of 65 frames at 30 frames per second")
    assert one_rate.notes == ()
    with ClipStoreWriter(tmp_path / "s", num_frames=T) as writer:
        for split, fps in (("train", 24.0), ("train", 60.0), ("test", 120.0)):
            take = sequence(f"take {fps:g}", T, cameras="none")
            motion = dataclasses.replace(take.world_motion, fps=fps)
            take = dataclasses.replace(take, fps=fps, world_motion=motion)
            writer.add(*cut(take, split, T))
        writer.close({})
    data = open_data(tmp_path / "s")
    assert data_text(data) == (
        f"s: 2 training clips and 1 test clip of {T} frames at 24 to 120 frames per second"
    )
    (note,) = data.notes
    assert "24 to 120 frames per second in one store" in note and "--fps" in note
    assert data.test_rates == {120.0: 1}


def test_clips_of_several_datasets_are_counted_by_dataset(clips_folder, context, tiny, item_of):
    data = open_data(clips_folder)
    (dataset,) = data.test_datasets
    assert data.test_datasets == {dataset: 4} and data.test_rates == {30.0: 4}
    assert item_of(tiny, data=data).metric_context(context).rates == {30.0: 4}
    mixed = dataclasses.replace(data, test_datasets={"threedpw": 1, "human4dit": 3})
    assert " and 4 test clips (2 groups) (3 of human4dit, 1 of threedpw) of 65" in data_text(mixed)


def test_stores_that_cannot_be_used_are_one_line_errors(clips_folder, tmp_path):
    for file in ("manifest.json", "motion.parquet"):
        broken = tmp_path / file
        shutil.copytree(clips_folder, broken)
        (broken / file).write_bytes(b"x")
        with pytest.raises(UserError, match=r"^[^\n]+$"):
            open_data(broken)
    with pytest.raises(UserError, match="no clip store"):
        open_data(tmp_path / "nowhere")


def test_a_store_without_a_test_split_is_refused(tmp_path):
    from datasets.adapters.embedded import EmbeddedDataset
    from datasets.prepare.prepare_store import prepare

    prepare(
        EmbeddedDataset(1, 1), None, tmp_path / "s", split="train", video_size=None, progress=False
    )
    with pytest.raises(UserError, match="no test clips"):
        open_data(tmp_path / "s")


@pytest.mark.slow
def test_the_number_of_workers_does_not_change_a_value(context, tiny, item_of):
    rows = [
        Row(f"B={size}", "unimo", {"tokens_per_frame": 8, "codebook_size": size})
        for size in (32, 64)
    ]
    found = []
    for workers in (1, 2):
        own = dataclasses.replace(context, cache=context.cache / str(workers))
        items = [item_of(tiny, row) for row in rows]
        assert execute(items, own, workers=workers, quiet=True) == {}
        found.append([chain.lookup(own, item).scores for item in items])
    assert found[0] == found[1]


@pytest.mark.slow
def test_a_failing_task_is_reported_and_the_others_go_on(context, tiny, item_of):
    bad = item_of(dataclasses.replace(tiny, training=dataclasses.replace(tiny.training, window=66)))
    good = item_of(tiny)
    failures = execute([bad, good], context, workers=1, quiet=True)
    assert list(failures) == [bad.identity]
    assert "66 frames" in failures[bad.identity]
    assert chain.lookup(context, good).missing == []


def test_a_log_has_a_plain_line_a_minute_with_the_time_left(tiny, item_of, capsys, monkeypatch):
    clock = iter(range(0, 10_000, 25))  # a call every 25 s
    monkeypatch.setattr(display_of.time, "monotonic", lambda: next(clock))
    item = item_of(tiny, dataclasses.replace(ROW, label="s=1/1 \x1b]0;\x07"))
    with display_of._Display(1, 1, quiet=False) as display:
        for step in range(1, 11):
            display.progress(0, item, f"train loss {step}", step, 100)
        display.end(item, None)
    text = capsys.readouterr().err
    assert "\r" not in text and "\x1b" not in text and "\x07" not in text
    lines = text.splitlines()
    assert len(lines) == 4 and lines[-1].endswith("done (250 s)")
    assert lines[0].endswith(": train loss 4: 4/100, about 40 min left")


@pytest.mark.parametrize(("visible", "mine"), [(None, "1"), ("4,5", "5")])
def test_a_worker_sees_the_gpu_alone_that_it_was_dealt(visible, mine, context, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr("os.environ", dict(os.environ))
    with display_of._Start(context)(WorkerContext(1, "cuda:1", print)):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == mine
