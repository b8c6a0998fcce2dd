"""`python -m datasets.pseudo_gt`: whatever happens on the way, the same store comes out."""

import errno
import importlib.util
import json
import os
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest

import datasets.estimators
from datasets.estimators import EstimatorUnavailable
from datasets.pseudo_gt.__main__ import main
from datasets.pseudo_gt.input import tasks
from datasets.pseudo_gt.shards import SIZE, plan, read_rows
from datasets.pseudo_gt.summary import error_line
from datasets.pseudo_gt.worker import StartWorker, resume, run_shard
from datasets.sequence import camera_of
from datasets.store.reader import ClipStore
from datasets.store.schema import FolderError, StoreError
from datasets.store.work_folder import claimed
from datasets.tools.workers.worker import WorkerContext
from tests.datasets.pseudo_gt.pseudo_estimators import (
    FPS,
    NoOp,
    T,
    build_store,
    clip_name,
    contents,
    estimate,
    scripted,
)

COUNT = 40  # clips: a full shard and a part of one
SCRIPT = {
    **{1: "no_person", 2: "kill", 5: "broken", 6: "exit", 7: "memory"},
    **{9: "long", 10: "nan", 11: "world first", 12: "female", 13: "fps", 14: "two people"},
    33: "hang",
}
OK = [number for number in range(COUNT) if number not in SCRIPT]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return build_store(tmp_path_factory.mktemp("source") / "in", COUNT)


@pytest.fixture(scope="module")
def hard_times(source, tmp_path_factory):
    """A run with two workers in which everything goes wrong that can."""
    folder = tmp_path_factory.mktemp("hard")
    estimator = scripted(folder / "log", SCRIPT)
    estimate(source, estimator, folder / "out", workers=2, timeout=0.5)
    return estimator, ClipStore.open(folder / "out")


def status_rows(out):
    return {row["clip_id"]: row for row in pq.read_table(out / "pseudo_gt.parquet").to_pylist()}


def test_every_clip_has_the_status_of_what_happened_to_it(hard_times):
    _, store = hard_times
    rows = status_rows(store.path)
    assert list(rows) == [clip_name(number) for number in range(COUNT)]
    expected = {
        **{1: "no_person", 2: "crashed", 5: "error", 6: "error", 7: "out_of_memory"},
        **{9: "error", 10: "error", 11: "error", 12: "error", 13: "error", 14: "error"},
        33: "timeout",
    }
    found = {number: rows[clip_name(number)]["status"] for number in range(COUNT)}
    assert found == {**dict.fromkeys(OK, "ok"), **expected}
    for number, reason in (
        (1, "nobody is there"),
        (5, "RuntimeError: something in the model"),
        (6, "SystemExit: 1"),
        (9, f"length {T + 1}, not {T}"),
        (10, "transl is not finite"),
        (11, "space world, not camera"),
        (12, "gender female, not neutral"),
        (13, "fps 30.0, not 25.0"),
        (14, "differ in pose or shape"),
        (33, "longer than 0.5 seconds"),
    ):
        assert reason in rows[clip_name(number)]["reason"]
    assert set(rows[clip_name(0)]) == {
        *("clip_id", "status", "reason", "K_source", "n_frames", "diagnostics")
    }
    diagnostics = json.loads(rows[clip_name(0)]["diagnostics"])
    assert 0 < diagnostics["confidence"] < 1
    assert diagnostics["odd"] is None


def test_only_a_clip_that_kills_its_worker_is_tried_twice(hard_times):
    estimator, _ = hard_times
    assert estimator.estimates() == {**dict.fromkeys(range(COUNT), 1), 2: 2}


def test_the_store_has_the_clips_of_the_other_with_the_estimated_motion(source, hard_times):
    estimator, store = hard_times
    assert store.clip_ids == [clip_name(number) for number in OK]
    with estimator.start("cpu") as session:
        for number, clip in zip(OK, store, strict=True):
            old = source[clip.clip_id]
            for name in ("dataset", "split", "sequence", "camera", "person", "group", "fps"):
                assert getattr(clip, name) == getattr(old, name)
            np.testing.assert_array_equal(clip.frame_ids, old.frame_ids)
            np.testing.assert_array_equal(clip.view.K, old.view.K)
            assert clip.view.T_w2c is None and clip.pelvis_rest is None
            assert clip.motion_source == "scripted"
            assert clip.resize == old.resize
            native, old_native = store.native(clip.clip_id), source.native(clip.clip_id)
            np.testing.assert_array_equal(native["pose"], old_native["pose"])
            assert native["who"] == old_native["who"]
            assert clip.video.samefile(old.video)
            (request,) = next(tasks(source, plan([clip.clip_id], {}), Path())).requests
            object.__setattr__(estimator, "script", {})
            expected = session.estimate(request.clip)
            pairs = [(clip.camera_motion, expected.camera_motion)]
            pairs.append((clip.world_motion, expected.world_motion))
            assert (clip.world_motion is None) == (number % 4 == 0)
            for found, motion in pairs:
                if motion is not None:
                    assert found.space == motion.space and found.fps == FPS
                    np.testing.assert_array_equal(found.to_channels(), motion.to_channels())


def test_the_manifest_says_where_it_all_comes_from(source, hard_times):
    _, store = hard_times
    manifest = store.manifest
    assert manifest["source"] == {"name": "in", "content_sha256": source.sha256}
    assert manifest["estimator"] == {
        **{"name": "scripted", "note": "random numbers", "identity": {"version": "1"}}
    }
    assert (manifest["name"], manifest["dataset"]) == ("out", "test")
    assert manifest["device"] == "cpu"
    assert manifest["split_rule"] == "official"
    facts = manifest["pseudo_gt"]
    assert facts["statuses"] == {
        **{"crashed": 1, "error": 8, "no_person": 1, "ok": 28, "out_of_memory": 1, "timeout": 1}
    }
    assert facts["K_sources"] == {"dataset": 28}
    rows = status_rows(store.path)
    assert {entry["name"]: entry["reason"] for entry in manifest["skipped"]} == {
        name: f"{row['status']}: {row['reason']}"
        for name, row in rows.items()
        if row["status"] != "ok"
    }
    kept = sorted(file.name for file in (store.path / ".work").iterdir())
    assert kept == ["job.json", "lock", "shards"]


@pytest.mark.slow
def test_other_accidents_and_fewer_workers_give_the_same_bytes(source, hard_times, tmp_path):
    _, store = hard_times
    script = {**SCRIPT, 2: "abort", 0: "kill once"}
    estimate(source, scripted(tmp_path / "log", script), tmp_path / "out", timeout=0.5)
    assert contents(tmp_path / "out") == contents(store.path)


def test_shards_are_a_function_of_the_clips_and_the_job():
    names = [f"clip {number}" for number in range(2 * SIZE + 1)]
    shards = plan(names, {"a": 1, "b": None})
    assert [name for shard in shards for name in shard.clip_ids] == names
    assert [len(shard.clip_ids) for shard in shards] == [SIZE, SIZE, 1]
    assert shards == plan(names, {"b": None, "a": 1})
    assert len({shard.key for shard in shards}) == 3
    for job, clips in (({"a": 2, "b": None}, names), ({"a": 1, "b": None}, names[1:])):
        assert not {s.key for s in shards} & {s.key for s in plan(clips, job)}


def test_the_estimator_is_told_the_dataset_s_camera(source):
    task = next(tasks(source, plan(source.clip_ids, {}), Path()))
    for number, request in enumerate(task.requests):
        clip = request.clip
        assert clip.K_source == "dataset"
        assert clip.K[0, 0, 0] == 500 + number
        assert clip.static_camera == (number % 2 == 0)
        assert clip.fps == FPS


def test_without_a_camera_the_focal_length_is_the_picture_s_diagonal(tmp_path):
    source = build_store(tmp_path / "in", 1, cameras=False)
    camera, K_source = camera_of(source[0])
    scale = 512 / 1920  # of the 1920 x 1080 picture, 288 rows below a bar of 112
    focal = np.sqrt(1920**2 + 1080**2) * scale
    expected = [[focal, 0, 256], [0, focal, 112 + 144], [0, 0, 1]]
    np.testing.assert_allclose(camera.K, np.tile(expected, (T, 1, 1)), rtol=1e-6)
    assert (camera.width, camera.height, camera.T_w2c) == (512, 512, None)
    assert K_source == "diagonal"
    (request,) = next(tasks(source, plan(source.clip_ids, {}), Path())).requests
    assert request.clip.static_camera is None
    np.testing.assert_array_equal(request.clip.K, camera.K)


def shard_run(source, estimator, work, *, job=None):
    """The first shard, done in this process."""
    task = next(tasks(source, plan(source.clip_ids, job or {}), work))
    with estimator.start("cpu") as session:
        return task, run_shard(task, session=session, timeout=60)


def test_damaged_and_missing_videos_are_decode_errors(tmp_path):
    source = build_store(tmp_path / "in", 3)
    source[0].video.write_bytes(b"video O")
    source[1].video.unlink()
    estimator = scripted(tmp_path / "log")
    task, statuses = shard_run(source, estimator, tmp_path)
    assert statuses == {"decode_error": 2, "ok": 1}
    reasons = read_rows(task.shard.file(tmp_path), task.shard.key).column("reason").to_pylist()
    assert reasons == [
        "its video is not the one that the store was made with",
        "its video cannot be read: No such file or directory",
        "",
    ]
    assert estimator.estimates() == {2: 1}


def test_a_shard_goes_on_behind_its_last_whole_clip(source, tmp_path):
    estimator = scripted(tmp_path / "log", {5: "no_person"})
    task, _ = shard_run(source, estimator, tmp_path)
    file, scratch = task.shard.file(tmp_path), task.shard.scratch(tmp_path)
    before = file.read_bytes()
    file.unlink()
    (scratch / "03.ok").write_bytes((scratch / "03.ok").read_bytes()[:100])
    (scratch / "04.ok").write_bytes(b"")
    (scratch / "05.no_person").unlink()
    (scratch / ".06.ok.12345678").write_bytes(b"torn")
    shard_run(source, estimator, tmp_path)
    assert file.read_bytes() == before
    begun = estimator.estimates()
    assert {number for number in begun if begun[number] == 2} == {3, 4, 5}
    # The results of another job count for nothing.
    other, _ = shard_run(source, estimator, tmp_path, job={"version": 2})
    assert read_rows(other.shard.file(tmp_path), task.shard.key) is None
    assert min(estimator.estimates().values()) == 2


def cli(source, out, *words, log, **options):
    """The command in this process, with a scripted estimator."""
    get = datasets.estimators.get
    datasets.estimators.get = lambda name: scripted(log, **options)
    try:
        words = ("--store", source.path, "--out", out, "--device", "cpu", *words)
        return main([str(word) for word in ("--estimator", "scripted", *words)])
    finally:
        datasets.estimators.get = get


def test_a_finished_job_is_left_alone_and_says_so(source, tmp_path, capsys):
    words, log = ("--split", "train", "--limit", 3, "--quiet"), tmp_path / "log"
    assert cli(source, tmp_path / "out", *words, log=log, script={3: "no_person"}) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"2 clips of {T} frames with motion by scripted (no_person 1, ok 2)\n")
    assert f"\nnote: motion estimated by scripted: {scripted(log).note}\n" in out
    assert f"  {clip_name(3)}: no_person: nobody is there\n" in out
    assert out.endswith(f"store: {tmp_path / 'out'}\n")
    assert err == ""
    before = contents(tmp_path / "out")
    assert cli(source, tmp_path / "out", *words, log=log, script={3: "no_person"}) == 0
    assert capsys.readouterr().out.startswith("finished before: nothing to do\n2 clips")
    assert contents(tmp_path / "out") == before
    assert scripted(log).estimates() == {0: 1, 3: 1, 6: 1}
    assert [row["n_frames"] for row in status_rows(tmp_path / "out").values()] == [T] * 3
    # Another job does not touch it.
    assert cli(source, tmp_path / "out", "--quiet", log=log) == 2
    assert "finished store of another command" in capsys.readouterr().err
    assert contents(tmp_path / "out") == before


@pytest.mark.slow
def test_the_failed_clips_of_a_finished_job_are_tried_again_when_asked(tmp_path, capsys):
    source = build_store(tmp_path / "in", 5, without_video=(4,))
    damaged = {0: b"?", 2: b"?", 3: b""}
    videos = {number: source[number].video for number in damaged}
    for number, data in damaged.items():
        videos[number].write_bytes(data)
    videos[2].unlink()
    out, log = tmp_path / "out", tmp_path / "log"
    assert cli(source, out, "--quiet", log=log) == 0
    said = capsys.readouterr().out
    damage = "decode_error: its video is not the one that the store was made with"
    assert f"  {clip_name(0)} and 1 more: {damage}\n" in said
    assert f"  {clip_name(2)}: decode_error: its video cannot be read: No such file" in said
    assert "3 failed: the same command with --retry tries again\n" in said
    for number, video in videos.items():
        video.write_bytes(f"video {number}".encode())
    before = contents(out)
    assert cli(source, out, "--quiet", log=log) == 0  # not asked
    assert "nothing to do" in capsys.readouterr().out
    assert contents(out) == before
    # A retry that is stopped goes on, asked again or not, and the others are never done again.
    with pytest.raises(EstimatorUnavailable):
        estimate(source, scripted(log, start_fails="unavailable"), out, retry=True)
    assert cli(source, out, "--quiet", "--retry", log=log) == 0
    said = capsys.readouterr().out
    assert "(no_video 1, ok 4)" in said and "nothing to do" not in said
    assert scripted(log).estimates() == dict.fromkeys(range(4), 1)
    estimate(source, scripted(tmp_path / "log2"), tmp_path / "fresh" / "out")
    assert contents(out) == contents(tmp_path / "fresh" / "out")
    assert cli(source, out, "--quiet", "--retry", log=log) == 0
    said = capsys.readouterr().out
    assert "nothing to do" in said and "--retry" not in said  # no video: not a failure


def test_a_full_disk_is_said_with_the_folder_and_how_to_go_on():
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert error_line(full, "out") == (
        "cannot write out: [Errno 28] No space left on device; "
        "make room, and the same command goes on where it was"
    )


def test_a_job_without_success_writes_the_reasons_and_no_store(source, tmp_path, capsys):
    broken = {"log": tmp_path / "log", "script": {0: "no_person", 1: "broken"}}
    for _ in range(2):
        assert cli(source, tmp_path / "out", "--limit", 2, "--quiet", **broken) == 1
        line = capsys.readouterr().err
        assert "no clip could be estimated (error 1, no_person 1)" in line
        assert str(tmp_path / "out" / "pseudo_gt.parquet") in line and line.count("\n") == 1
        assert "--retry tries them again" in line
        statuses = [row["status"] for row in status_rows(tmp_path / "out").values()]
        assert statuses == ["no_person", "error"]
        with pytest.raises(StoreError, match="not finished"):
            ClipStore.open(tmp_path / "out")
    assert scripted(broken["log"]).estimates() == {0: 1, 1: 1}
    # An unfinished folder is of one job; another one is told what differs.
    for options, word in (
        ({"limit": 3}, "only_first"),
        ({"split": "test"}, "only_split"),
        ({"limit": 2, "device": "cuda"}, "device was 'cpu', now 'cuda'"),
    ):
        with pytest.raises(FolderError, match=word):
            estimate(source, scripted(tmp_path / "log"), tmp_path / "out", **options)
    with pytest.raises(FolderError, match="estimator differs"):
        estimate(source, scripted(tmp_path / "log", version="2"), tmp_path / "out", limit=2)
    words = ("--limit", 2, "--quiet", "--retry")
    assert cli(source, tmp_path / "out", *words, log=tmp_path / "log") == 0
    assert len(ClipStore.open(tmp_path / "out")) == 2


def test_clips_without_a_video_or_with_several_people_are_counted_and_not_estimated(tmp_path):
    source = build_store(tmp_path / "in", 5, without_video=(0, 2), people={1: 0, 2: 2, 3: 3})
    estimator = scripted(tmp_path / "log")
    manifest = estimate(source, estimator, tmp_path / "out")
    assert manifest["pseudo_gt"]["statuses"] == {"multi_person": 1, "no_video": 2, "ok": 2}
    rows = status_rows(tmp_path / "out")
    assert list(rows) == source.clip_ids
    assert rows[clip_name(3)]["reason"] == "3 people are annotated in its video"
    assert estimator.estimates() == {1: 1, 4: 1}  # 1: nobody knows how many there are
    for name, options, message in (
        ("bare", {"without_video": (0, 1)}, "has no videos to estimate"),
        ("crowd", {"without_video": (0,), "people": {1: 2}}, "no videos of one person"),
    ):
        other = build_store(tmp_path / name, 2, **options)
        with pytest.raises(FolderError, match=message):
            estimate(other, NoOp(), tmp_path / "out2")
    with pytest.raises(FolderError, match="no clip in the val split"):
        estimate(source, NoOp(), tmp_path / "out2", split="val")
    assert not (tmp_path / "out2").exists()


def test_temporary_files_of_a_killed_job_are_removed_by_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", None)
    for _ in range(2):
        start = StartWorker(NoOp(), 60, resume(tmp_path))
        with start(WorkerContext(0, "cpu", print)):
            left = Path(tempfile.mkdtemp())
        assert list((tmp_path / "temporary").iterdir()) == [left]


def test_what_is_missing_is_said_before_anything_is_done(source, tmp_path, capsys):
    log = tmp_path / "log"
    assert cli(source, tmp_path / "out", log=log, start_fails="unavailable") == 2
    err = capsys.readouterr().err
    assert err.splitlines()[-1] == "error: no weights: get them at https://example.org"
    assert not (tmp_path / "out").exists()
    no_ray = ("--executor", "ray", "--address", "127.0.0.1:1")
    expected = 1 if importlib.util.find_spec("ray") else 2
    assert cli(source, tmp_path / "out", *no_ray, log=log) == expected
    assert "Ray" in capsys.readouterr().err
    nowhere = SimpleNamespace(path=tmp_path / "nope")
    assert cli(nowhere, tmp_path / "out", log=log) == 2
    assert "no clip store at" in capsys.readouterr().err


def test_two_processes_never_write_one_store(source, tmp_path, capsys):
    job = {"some": "job"}
    with claimed(tmp_path / "out", job):
        assert cli(source, tmp_path / "out", "--quiet", log=tmp_path / "log") == 1
    assert "another process" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--estimator", "gvmhr"], "Did you mean gvhmr"),
        (["--workers", "0"], "positive"),
        (["--limit", "x"], "positive"),
        (["--timeout", "-1"], "seconds"),
        (["--timeout", "nan"], "seconds"),
        (["--split", "all"], "invalid choice"),
        (["--executor", "slurm"], "invalid choice"),
        (["--address", "auto"], "needs --executor ray"),
        (["--executor", "ray", "--address", "ray://host:1"], "neither auto nor HOST:PORT"),
    ],
)
def test_usage_errors(words, expected, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--store", "a", "--out", "b", "--estimator", "gvhmr", *words])
    assert stop.value.code == 2
    assert expected in capsys.readouterr().err
