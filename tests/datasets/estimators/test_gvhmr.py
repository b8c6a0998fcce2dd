"""GVHMR: clips to 30 fps and back, files that are missing, a tool that fails."""

import dataclasses
import os
import pickle
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.commands.rehearse.stand_ins import gvhmr as mini_gvhmr
from datasets.estimators import EstimateError, EstimatorUnavailable, get, gvhmr_session
from datasets.estimators.external import REHEARSAL, checked_sha256, see_only
from datasets.estimators.gaps import fill
from datasets.estimators.gvhmr import BODY, WEIGHTS, GvhmrEstimator
from datasets.estimators.gvhmr_session import retimed
from datasets.motion import Motion
from tests.datasets.estimators.gvhmr_clips import clip
from tests.pickle_trap import Trap

RATES = (15, 24, 25, 29.97, 30, 31, 50, 59.94, 60, 120)
WORKER = Path(gvhmr_session.__file__).with_name("gvhmr_worker.py")


@pytest.fixture
def weights(tmp_path, monkeypatch):
    root = mini_gvhmr.build_files(tmp_path / "weights")
    monkeypatch.setenv("GVHMR_CHECKPOINTS", str(root))
    monkeypatch.delenv("GVHMR_BODY_MODELS", raising=False)
    monkeypatch.setenv("GVHMR_PYTHON", sys.executable)
    return root


@pytest.mark.parametrize("fps", RATES)
@pytest.mark.parametrize("num_frames", [2, 3, 64, 65])
def test_a_clip_at_30_fps_and_back(fps, num_frames):
    shown, picture = retimed(num_frames, fps)
    frames = np.arange(num_frames)
    assert shown.min() >= 0 and shown.max() < num_frames and np.all(np.diff(shown) >= 0)
    if abs(fps - 30) <= 1.5:
        assert np.array_equal(shown, frames) and np.array_equal(picture, frames)
        return
    assert len(shown) == max(2, round(num_frames * 30 / fps + 1e-9))
    inner = shown[:-1]
    assert np.abs(inner / fps - np.arange(len(inner)) / 30).max() <= 0.5 / fps + 1e-9
    if fps < 30:  # every frame is shown, and none of them stands much longer than another
        assert np.array_equal(shown[picture], frames)
        assert num_frames == 2 or np.ptp(np.bincount(shown)[1:-1]) <= 1
    elif len(shown) > 2:  # every picture is some frame's
        assert set(picture[shown[picture] == frames]) >= set(range(len(shown) - 1))


def test_gaps_are_filled_along_the_shortest_way_and_known_frames_stay():
    rng = np.random.default_rng(0)
    pose, root = np.zeros((3, 63)), np.array([[0, 0, 0], [0, 3.0, 0], [0, -3.0, 0]])
    pose[:, :3] = rng.normal(size=(3, 3))
    transl = np.array([[0, 0, 1], [4, 0, 1], [4, 0, 3.0]])
    known = np.array([1, 5, 7])
    motion = Motion(pose, root, np.ones(10), transl, fps=50, space="camera")
    filled = fill(motion, known, 10)
    assert len(filled) == 10 and filled.fps == 50 and filled.space == "camera"
    for name in ("body_pose", "global_orient", "transl"):
        assert np.array_equal(getattr(filled, name)[known], getattr(motion, name))
        assert np.array_equal(getattr(filled, name)[0], getattr(motion, name)[0])
        assert np.array_equal(getattr(filled, name)[9], getattr(motion, name)[2])
    np.testing.assert_allclose(filled.transl[2:5, 0], [1, 2, 3])
    np.testing.assert_allclose(filled.global_orient[3], [0, 1.5, 0], atol=1e-6)
    assert abs(filled.global_orient[6, 1]) == pytest.approx(np.pi, abs=1e-6)  # not by way of 0


def test_what_is_missing_is_listed_before_anything_starts(weights, monkeypatch, tmp_path):
    GvhmrEstimator().preflight()
    hmr2, yolo = list(WEIGHTS)[1], list(WEIGHTS)[3]
    (weights / hmr2).unlink()
    os.truncate(weights / yolo, 10)
    (weights / "body_models" / BODY).unlink()
    with pytest.raises(EstimatorUnavailable) as error:
        GvhmrEstimator(checkpoint=tmp_path / "none.ckpt").identity()
    said = str(error.value)
    assert "lacks 4 files" in said and "\n" not in said
    for text in (hmr2, "2,709,494,041", f"{yolo} has 10 bytes", BODY, "smpl-x.is", "none.ckpt"):
        assert text in said
    monkeypatch.delenv("GVHMR_CHECKPOINTS")
    with pytest.raises(EstimatorUnavailable, match=r"GVHMR_CHECKPOINTS.*163,508,011.*smpl-x"):
        get("gvhmr").preflight()
    monkeypatch.delenv("GVHMR_PYTHON")
    monkeypatch.setenv("UNIMO_TOOLS", str(tmp_path / "none"))
    with pytest.raises(EstimatorUnavailable, match=r"benchmark\.run setup gvhmr"):
        get("gvhmr").preflight()


def test_body_models_may_lie_elsewhere(weights, monkeypatch, tmp_path):
    (weights / "body_models").rename(tmp_path / "bodies")
    monkeypatch.setenv("GVHMR_BODY_MODELS", str(tmp_path / "bodies"))
    assert GvhmrEstimator().preflight() == Path(sys.executable)


def test_a_pinned_file_must_match(tmp_path):
    file = tmp_path / "x.ckpt"
    file.write_bytes(b"abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    pin = tmp_path / "x.ckpt.sha256"
    assert checked_sha256(file) == digest
    pin.write_text(f"{digest}  x.ckpt\n")
    assert checked_sha256(file) == digest
    pin.write_text("0" * 64)
    with pytest.raises(EstimatorUnavailable, match=r"x\.ckpt has sha256 ba78"):
        checked_sha256(file)


def test_the_note_tells_other_weights_from_the_released_ones():
    assert "with the released weights" in GvhmrEstimator().note
    assert "not the released ones (my.ckpt)" in GvhmrEstimator(checkpoint=Path("a/my.ckpt")).note


def test_the_note_says_that_weights_are_a_rehearsals(weights):
    (weights / REHEARSAL).touch()
    assert "with the random weights of a rehearsal" in GvhmrEstimator().note


def test_estimators_can_be_pickled():
    estimator = GvhmrEstimator(checkpoint=Path("my.ckpt"))
    assert pickle.loads(pickle.dumps(estimator)) == estimator


@pytest.mark.parametrize(
    ("device", "visible", "expected"),
    [("cpu", None, None), ("cuda", "3", "3"), ("cuda:1", None, "1"), ("cuda:1", "4,6", "6")],
)
def test_a_tool_sees_its_gpu_as_the_first(device, visible, expected):
    env = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert see_only(device, env).get("CUDA_VISIBLE_DEVICES") == expected


def test_of_a_checkpoint_only_tensors_are_read(tmp_path):
    folder, file = str(tmp_path / "made"), tmp_path / "evil.ckpt"
    weights = {"a": torch.ones(2), "b": torch.nn.Parameter(torch.zeros(1))}
    content = {"state_dict": weights, "callbacks": [Trap(os.mkdir, folder)], "config": Path("x")}
    torch.save(content, file)
    state = runpy.run_path(str(WORKER))["_read_state"](file)
    assert list(state) == ["a", "b"] and state["a"].tolist() == [1, 1]
    assert not os.path.exists(folder)
    torch.load(file, weights_only=False)
    assert os.path.exists(folder)  # it would have


def test_a_checkpoint_of_another_kind_is_refused(tmp_path):
    read = runpy.run_path(str(WORKER))["_read_state"]
    old = tmp_path / "old.ckpt"
    content = {"state_dict": {}, "callbacks": [Trap(os.mkdir, str(tmp_path / "made"))]}
    torch.save(content, old, _use_new_zipfile_serialization=False)
    with pytest.raises(ValueError, match="save it again"):
        read(old)
    assert not (tmp_path / "made").exists()
    short = tmp_path / "short.ckpt"
    torch.save(content, short)
    os.truncate(short, short.stat().st_size - 100)
    with pytest.raises(ValueError, match="cut short"):
        read(short)
    script = tmp_path / "script.ckpt"
    torch.jit.script(torch.nn.Linear(1, 1)).save(script)
    # The same for torch, while `zipfile` takes the second directory, which tells another name.
    disguised = tmp_path / "disguised.ckpt"
    data = script.read_bytes()
    end = data.rindex(b"PK\6\6")  # behind the directory
    directory = data[data.index(b"PK\1\2") : end].replace(b"constants.pkl", b"constant_.pkl")
    disguised.write_bytes(data[:end] + directory + data[end:])
    for file in (script, disguised):
        with pytest.raises(ValueError, match="TorchScript"):
            read(file)


# Stands for the package: one picture's number is its x, and it does as the clip's name says.
STAND_IN = """
import os, signal, sys, time
from pathlib import Path
import numpy as np
def start(options):
    os.chdir(options["work"])
    return {"device": "cpu"}, handle
def handle(request):
    with np.load(request["name"] + ".npz") as file:
        K = file["K"]
    asked = Path(request["preprocess"]).name
    tried = Path(request["preprocess"], "tried")
    first = not tried.exists()
    tried.touch()
    if asked == "dies" or (asked == "dies_once" and first):
        os.kill(os.getpid(), signal.SIGKILL)
    if asked == "hangs":
        time.sleep(600)
    if asked == "raises":
        raise MemoryError
    if asked == "nobody":
        return {"status": "no_person", "reason": "IndexError"}
    n = len(K)
    parts = {"body_pose": np.zeros((n, 63)), "global_orient": np.zeros((n, 3)),
             "betas": np.ones((n, 10)), "transl": np.arange(n)[:, None] * [1.0, 0, 0]}
    if asked == "nan":
        parts["transl"][1] = np.nan
    out = Path(request["name"])
    out.mkdir()
    arrays = {f"{s}_{k}": v for s in ("camera", "world") for k, v in parts.items()}
    if asked == "differs":
        arrays["world_body_pose"] = parts["body_pose"] + 1
    np.savez(out / "result.npz", **arrays, fps=30.0, camera="static", kp2d=np.full((n, 17, 3), 0.5),
             intrinsics=K * (2 if asked == "other_K" else 1), bbx_xys=np.full((n, 3), 9.0))
    return {"status": "ok"}
"""


@pytest.fixture
def session(weights, tmp_path, monkeypatch):
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    monkeypatch.setattr(gvhmr_session, "_SCRIPT", script)
    monkeypatch.setattr(gvhmr_session, "_CLIP_SECONDS", 1)
    (tmp_path / "pre").mkdir()
    with GvhmrEstimator(preprocess=tmp_path / "pre").start("cpu") as running:
        yield running


def ask(session, tmp_path, name, **options):
    (tmp_path / "pre" / name).mkdir()
    return session.estimate(clip(tmp_path, clip_id=name, **options))


@pytest.mark.parametrize(("fps", "step"), [(15, 2), (25, 1.2), (30, 1), (60, 0.5)])
def test_every_frame_gets_the_estimate_of_its_own_time(session, tmp_path, fps, step):
    estimate = ask(session, tmp_path, "fine", fps=fps, num_frames=21)
    for motion, space in ((estimate.camera_motion, "camera"), (estimate.world_motion, "world")):
        assert (len(motion), motion.fps, motion.space) == (21, fps, space)
        assert np.abs(motion.transl[:, 0] - np.arange(21) * step).max() <= 0.5
        assert motion.betas.shape == (10,)
    if fps == 60:  # frames that are not shown lie between their neighbours
        np.testing.assert_allclose(estimate.camera_motion.transl[:20, 0], np.arange(20) / 2)
    assert estimate.diagnostics == {
        **{"keypoint_confidence": 0.5, "box_size_px": 9.0},
        "frames_interpolated": 10 if fps == 60 else 0,
    }
    assert not list(session._work.glob("clip*"))


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("dies", "error"),
        ("hangs", "timeout"),
        ("raises", "error"),
        ("nobody", "no_person"),
        ("nan", "nan"),
        ("differs", "error"),
        ("other_K", "error"),
    ],
)
def test_a_clip_that_fails_says_why_and_the_next_one_works(session, tmp_path, name, status):
    with pytest.raises(EstimateError) as error:
        ask(session, tmp_path, name)
    assert error.value.status == status and error.value.reason
    assert not list(session._work.glob("clip*"))
    assert len(ask(session, tmp_path, "fine").camera_motion) == 20


def test_a_process_that_dies_once_is_replaced(session, tmp_path):
    assert len(ask(session, tmp_path, "dies_once").camera_motion) == 20


def test_videos_that_are_too_short_or_damaged(session, tmp_path):
    good = clip(tmp_path, fps=25, clip_id="x")
    with pytest.raises(EstimateError, match="too_short"):
        session.estimate(dataclasses.replace(good, K=good.K[:1]))
    with pytest.raises(EstimateError, match="decode_error"):
        session.estimate(dataclasses.replace(good, K=np.concatenate([good.K, good.K])))
    good.video.write_bytes(b"no video")
    with pytest.raises(EstimateError, match="decode_error"):
        session.estimate(good)


def test_a_device_that_the_tool_does_not_see_is_told(weights, tmp_path, monkeypatch):
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    monkeypatch.setattr(gvhmr_session, "_SCRIPT", script)
    with (
        pytest.raises(EstimatorUnavailable, match="on cpu, not on cuda:1"),
        GvhmrEstimator().start("cuda:1"),
    ):
        pass
