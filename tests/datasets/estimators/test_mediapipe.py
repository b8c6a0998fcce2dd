"""The estimator mediapipe: a tool that fails, and tracks that are lost."""

import dataclasses
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from datasets.estimators import EstimateError, EstimatorUnavailable, get, mediapipe
from datasets.estimators.mediapipe import MediapipeEstimator
from tests.datasets.estimators.mediapipe_clips import written


def test_a_tool_that_is_missing_or_changed_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.delenv("MEDIAPIPE_PYTHON", raising=False)
    monkeypatch.setenv("UNIMO_TOOLS", str(tmp_path))
    with pytest.raises(EstimatorUnavailable, match=r"benchmark\.run setup mediapipe"):
        get("mediapipe").preflight()
    monkeypatch.setenv("MEDIAPIPE_PYTHON", sys.executable)
    with pytest.raises(EstimatorUnavailable, match="lacks packages of mediapipe") as error:
        get("mediapipe").identity()
    assert "\n" not in str(error.value)
    monkeypatch.setattr(mediapipe, "_INSTALLED", f"print('[\"{tmp_path}\", {{}}]')")
    file = tmp_path / "modules" / mediapipe.NETWORKS["detector"][0]
    file.parent.mkdir(parents=True)
    file.write_bytes(b"another network")
    with pytest.raises(EstimatorUnavailable, match=r"is not the network.*9ba9dd3d.*run `python"):
        get("mediapipe").identity()
    assert pickle.loads(pickle.dumps(MediapipeEstimator())) == MediapipeEstimator()


# Stands for the networks: does what the folder of its first file asks for.
STAND_IN = """
import os, signal, time
from pathlib import Path
import numpy as np
def start(options):
    mode = Path(options["detector"])
    return {}, lambda request: handle(mode, request)
def handle(mode, request):
    asked, first = mode.read_text(), not mode.with_name("tried").exists()
    mode.with_name("tried").touch()
    if asked == "dies" or (asked == "dies_once" and first):
        os.kill(os.getpid(), signal.SIGKILL)
    if asked == "hangs":
        time.sleep(600)
    if asked == "raises":
        raise MemoryError
    n = len(np.load(request["pictures"]))
    seen = np.full(n, asked not in ("nobody", "dies_once"))
    rng = np.random.default_rng(0)
    place = rng.uniform(0, 128, (n, 39, 2)) if asked == "lost" else np.zeros((n, 39, 2))
    world = rng.normal(size=(n, 39, 3))
    if asked == "nan":
        world[:] = np.nan
    np.savez(request["out"], seen=seen, crop=np.tile([64.0, 64, 100, 0], (n, 1)), image=place,
             world=world, visibility=np.ones((n, 39)))
    return {"people": 1}
"""


@pytest.fixture
def session(tmp_path, monkeypatch):
    script, mode = tmp_path / "stand_in.py", tmp_path / "mode"
    script.write_text(STAND_IN)
    mode.touch()
    monkeypatch.setattr(mediapipe, "_SCRIPT", script)
    monkeypatch.setattr(mediapipe, "_SECONDS", 2)
    installed = (Path(sys.executable), {"detector": mode, "landmarks": mode}, {})
    monkeypatch.setattr(MediapipeEstimator, "_installed", lambda self: installed)
    with MediapipeEstimator().start("cuda:3") as running:  # any device: it takes the CPU
        yield running


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ("dies", "error"),
        ("dies_once", "no_person"),  # asked again, it finds nobody
        ("hangs", "timeout"),
        ("raises", "error"),
        ("nobody", "no_person"),
    ],
)
def test_a_clip_that_fails_says_why(session, tmp_path, asked, status):
    pictures = [np.zeros((128, 128, 3), np.uint8)] * 3
    clip = written(tmp_path / "clip.mp4", pictures)
    (tmp_path / "mode").write_text(asked)
    with pytest.raises(EstimateError) as error:
        session.estimate(clip)
    assert error.value.status == status and error.value.reason
    (tmp_path / "mode").write_text("nobody")
    with pytest.raises(EstimateError, match="0 of 3 frames"):
        session.estimate(clip)


def test_landmarks_of_no_body_are_a_lost_track(session, tmp_path):
    clip = written(tmp_path / "clip.mp4", [np.zeros((128, 128, 3), np.uint8)])
    (tmp_path / "mode").write_text("lost")
    with pytest.raises(EstimateError, match=r"no_person: the track is lost.* 80 pixels high"):
        session.estimate(clip)


def test_a_video_that_is_damaged_or_of_another_length(session, tmp_path):
    clip = written(tmp_path / "clip.mp4", [np.zeros((128, 128, 3), np.uint8)] * 3)
    with pytest.raises(EstimateError, match=r"decode_error: 3 pictures in the video, 2 in"):
        session.estimate(dataclasses.replace(clip, K=clip.K[:2]))
    clip.video.write_bytes(b"no video")
    with pytest.raises(EstimateError, match="decode_error"):
        session.estimate(clip)
