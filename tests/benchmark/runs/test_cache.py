import json
import multiprocessing
import time

import numpy as np
import pytest

from benchmark.api.clips import Prediction
from benchmark.api.metric import Score
from benchmark.runs import artifacts, cache
from datasets.tools.files import hash_lines, locked
from datasets.video.files import read_video


def test_a_key_depends_on_contents_not_on_order():
    assert cache.make_key({"a": 1, "b": [1, 2]}) == cache.make_key({"b": [1, 2], "a": 1})
    assert cache.make_key({"a": 1}) != cache.make_key({"a": 2})
    assert cache.make_key({"a": [1, 2]}) != cache.make_key({"a": [2, 1]})
    with pytest.raises(ValueError):
        cache.make_key({"a": float("nan")})


def test_lists_of_names_do_not_run_together():
    assert hash_lines(["ab", "c"]) != hash_lines(["a", "bc"])


TRAINED = {"weights": "model.safetensors", "weights_sha256": "0" * 64}


def test_a_stage_is_finished_only_once_its_record_is_written(tmp_path):
    stage = cache.CachedStage(tmp_path, "train", {"seed": 0})

    def work():
        assert stage.record() is None
        return TRAINED | {"skipped_clips": 3}

    assert stage.record() is None
    record = stage.finish(work, device="cpu")
    assert (record.weights, record.skipped_clips, record.device) == ("model.safetensors", 3, "cpu")
    assert stage.record() == record and stage.finish(lambda: 1 / 0, device="cpu") == record
    written = json.loads((stage.folder / "run.json").read_text())
    assert {"started", "finished", "seconds", "peak_memory_mb", "git"} <= written.keys()
    assert json.loads((stage.folder / "inputs.json").read_text()) == {"stage": "train", "seed": 0}
    stage.discard()
    assert stage.record() is None


def test_a_failed_attempt_leaves_its_reason_and_the_next_one_clears_it(tmp_path):
    stage = cache.CachedStage(tmp_path, "train", {})

    def fail():
        raise ValueError("no\nclips")

    with pytest.raises(ValueError):
        stage.finish(fail, device="cpu")
    assert stage.failure() == cache.Failure("no clips", unavailable=False)
    assert stage.record() is None
    stage.finish(lambda: TRAINED, device="cpu")
    assert stage.failure() is None


RESULTS = {
    "train": TRAINED,
    "predict": {"facts": {}, "failed": {"a": "no_person"}},
    "estimate": {"failed": {}},
    "score": {"absent": {"fid": "too few clips"}},
}


@pytest.mark.parametrize("name", RESULTS)
def test_a_damaged_or_incomplete_record_counts_as_unfinished(tmp_path, name):
    stage = cache.CachedStage(tmp_path, name, {})
    stage.finish(lambda: RESULTS[name], device="cpu")
    file = stage.folder / "run.json"
    whole = json.loads(file.read_text())
    said = whole.keys() - {"files", "own_sha256"}
    assert cache.StageRecord.from_json(name, whole).to_json(name).keys() == said
    broken = [whole | {"schema_version": 0}, *(whole | {part: 3} for part in RESULTS[name])]
    broken += [{k: v for k, v in whole.items() if k != part} for part in RESULTS[name]]
    for text in ['{"seconds": 1', "[]", "3", "{}", *map(json.dumps, broken)]:
        stage.finish(lambda: RESULTS[name], device="cpu")
        file.write_text(text)
        assert stage.record() is None
        assert not stage.folder.exists()


def _hold(folder, held):
    with locked(folder / "lock"):
        held.set()
        time.sleep(0.3)
        (folder / "finished").touch()


def test_a_second_process_waits_for_the_lock(tmp_path):
    context = multiprocessing.get_context("fork")
    held = context.Event()
    other = context.Process(target=_hold, args=(tmp_path, held))
    other.start()
    assert held.wait(10)
    with locked(tmp_path / "lock"):
        assert (tmp_path / "finished").exists()
    other.join()


def test_predictions_round_trip_in_any_order(tmp_path):
    rng = np.random.default_rng(0)
    channels = rng.normal(size=(5, 7, 79)).astype(np.float32)
    tokens = rng.integers(512, size=(5, 14))
    ids = [f"clip/{i}" for i in range(5)]
    for number, piece in enumerate((slice(0, 3), slice(3, 5))):
        made = Prediction(channels[piece], tokens=tokens[piece])
        artifacts.write_predictions(artifacts.part_path(tmp_path, number), ids[piece], made)
    found = artifacts.read_predictions(tmp_path, ids[::-1])
    np.testing.assert_array_equal(found.channels, channels[::-1])
    np.testing.assert_array_equal(found.tokens, tokens[::-1])


def test_clips_that_failed_keep_their_reason_and_may_hold_anything(tmp_path):
    channels = np.zeros((2, 4, 85), np.float32)  # of SMPL motions
    channels[1] = np.nan
    made = Prediction(channels, failed={"b": "no_person: nobody is seen"})
    artifacts.write_predictions(artifacts.part_path(tmp_path, 0), ["a", "b"], made)
    found = artifacts.read_predictions(tmp_path, ["b", "a"])
    assert found.failed == {"b": "no_person: nobody is seen"}
    assert found.channels.shape == (2, 4, 85)
    assert artifacts.read_predictions(tmp_path, ["a"]).failed == {}


def test_a_prediction_of_videos_alone_has_no_channels(tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (2, 3, 16, 16, 3), np.uint8)
    artifacts.write_videos(tmp_path, [3, 7], iter(frames), [30.0, 30.0])
    artifacts.write_predictions(artifacts.part_path(tmp_path, 0), ["a", "b"], Prediction(None))
    assert artifacts.read_predictions(tmp_path, ["a"]).channels is None
    assert not artifacts.has_motion(tmp_path)
    paths = [artifacts.videos(tmp_path, 9)[number] for number in (3, 7)]
    assert sorted((tmp_path / "videos").iterdir()) == paths
    assert [read_video(path).shape for path in paths] == [(3, 16, 16, 3)] * 2


def test_clips_that_crashed_are_not_written_and_a_further_file_holds_them_later(tmp_path):
    channels = np.arange(3 * 4 * 79, dtype=np.float32).reshape(3, 4, 79)
    nothing = np.where(np.arange(3)[:, None, None] == 1, np.nan, channels)
    path = artifacts.new_part_path(tmp_path, 0)
    assert path == artifacts.part_path(tmp_path, 0)
    made = Prediction(nothing, failed={"c": "no_person: nobody"}, crashed={"b": "no memory"})
    artifacts.write_predictions(path, ["a", "b", "c"], made)
    artifacts.finish_part(path, range(3))
    assert artifacts.finished_clips(tmp_path) == {"a", "c"} and artifacts.has_motion(tmp_path)
    further = artifacts.new_part_path(tmp_path, 0)
    artifacts.write_predictions(further, ["b"], Prediction(channels[1:2]))
    artifacts.finish_part(further, [1])
    assert artifacts.finished_clips(tmp_path) == {"a", "b", "c"}
    found = artifacts.read_predictions(tmp_path, ["a", "b", "c"])
    np.testing.assert_array_equal(found.channels[:2], channels[:2])
    assert found.failed == {"c": "no_person: nobody"}
    assert artifacts.new_part_path(tmp_path, 0) not in (path, further)


def test_predictions_without_tokens(tmp_path):
    made = Prediction(np.zeros((1, 4, 79)))
    artifacts.write_predictions(artifacts.part_path(tmp_path, 0), ["a"], made)
    assert artifacts.read_predictions(tmp_path, ["a"]).tokens is None


def test_bad_predictions_are_refused_and_nothing_is_written(tmp_path):
    path = artifacts.part_path(tmp_path, 0)
    bad = np.zeros((2, 4, 79), np.float32)
    bad[1, 2, 3] = np.nan
    with pytest.raises(ValueError, match="as b"):
        artifacts.write_predictions(path, ["a", "b"], Prediction(bad))
    with pytest.raises(ValueError, match="do not fit"):
        artifacts.write_predictions(path, ["a"], Prediction(np.zeros((2, 4, 79))))
    with pytest.raises(ValueError, match="mpjpe of a is nan"):
        artifacts.write_scores(
            tmp_path / "scores.parquet", [Score("a", "mpjpe", sum=float("nan"), count=1)]
        )
    assert list(tmp_path.iterdir()) == []


def test_missing_and_damaged_predictions_are_told(tmp_path):
    path = artifacts.part_path(tmp_path, 0)
    artifacts.write_predictions(path, ["a"], Prediction(np.zeros((1, 4, 79))))
    with pytest.raises(ValueError, match="no prediction for 1 clips, as b"):
        artifacts.read_predictions(tmp_path, ["a", "b"])
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="damaged"):
        artifacts.read_predictions(tmp_path, ["a"])


def test_scores_round_trip(tmp_path):
    scores = [
        Score("a", "mpjpe", sum=12.5, count=65),
        Score("pooled", "codebook_util_pct", sum=100.0, count=512, clips=9),
    ]
    artifacts.write_scores(tmp_path / "scores.parquet", scores)
    assert artifacts.read_scores(tmp_path / "scores.parquet") == scores
    artifacts.write_scores(tmp_path / "none.parquet", [])
    assert artifacts.read_scores(tmp_path / "none.parquet") == []
