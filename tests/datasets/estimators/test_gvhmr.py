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
from datasets.bodies.smplx import load_body
from datasets.estimators import ClipVideo, EstimateError, EstimatorUnavailable, get, gvhmr_session
from datasets.estimators.external import REHEARSAL, checked_sha256, see_only
from datasets.estimators.gaps import fill
from datasets.estimators.gvhmr import BODY, WEIGHTS, GvhmrEstimator
from datasets.estimators.gvhmr_session import retimed
from datasets.motion import Motion
from datasets.tools import isolated
from datasets.video.files import write_video
from tests.pickle_trap import Trap

RATES = (15, 24, 25, 29.97, 30, 31, 50, 59.94, 60, 120)
SIZE = 128
WORKER = Path(gvhmr_session.__file__).with_name("gvhmr_worker.py")


@pytest.fixture
def weights(tmp_path, monkeypatch):
    root = mini_gvhmr.build_files(tmp_path / "weights")
    monkeypatch.setenv("GVHMR_CHECKPOINTS", str(root))
    monkeypatch.delenv("GVHMR_BODY_MODELS", raising=False)
    monkeypatch.setenv("GVHMR_PYTHON", sys.executable)
    return root


def clip(tmp_path, *, fps=30.0, num_frames=20, static=True, clip_id=None):
    """A textured background that slides past, with intrinsics that change from frame to frame."""
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 256, (32, 32, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    video = tmp_path / f"clip {fps}.mp4"
    if not video.exists():
        rows = [blocks[:SIZE, i // 2 : i // 2 + SIZE] for i in range(num_frames)]
        write_video(video, rows, fps=fps)
    K = np.tile(np.array([[150, 0, 60], [0, 150, 66], [0, 0, 1.0]]), (num_frames, 1, 1))
    K[:, 0, 0] += np.arange(num_frames)
    name = clip_id or f"d/test/it's a=b,[c] {fps}/none/0/000000"
    return ClipVideo(name, video, K.astype(np.float32), "dataset", fps, static)


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


def preprocess(folder: Path, num_pictures: int, size: int) -> None:
    """Write the package's caches of a person who walks across pictures of `size` x `size`."""
    generator = torch.Generator().manual_seed(num_pictures)
    time = torch.linspace(0, 1, num_pictures)
    centre = torch.stack([size * (0.4 + 0.2 * time), torch.full_like(time, size / 2)], 1)
    height = size * 0.7
    boxes = torch.cat([centre, torch.full((num_pictures, 1), height)], 1)
    half = torch.tensor([height * 0.375, height / 2])
    spread = (torch.rand(1, 17, 2, generator=generator) - 0.5) * half * 1.5
    jitter = torch.rand(num_pictures, 17, 2, generator=generator)
    confidence = torch.full((num_pictures, 17, 1), 0.75)
    folder.mkdir(parents=True)
    corners = torch.cat([centre - half, centre + half], 1)
    torch.save({"bbx_xyxy": corners, "bbx_xys": boxes}, folder / "bbx.pt")
    points = torch.cat([centre[:, None] + spread + jitter, confidence], 2)
    torch.save(points, folder / "vitpose.pt")
    features = torch.randn(1, 1024, generator=generator).repeat(num_pictures, 1)
    torch.save(features, folder / "vit_features.pt")


@pytest.fixture(scope="module")
def contract(tmp_path_factory):
    """The real package in its real environment, with random weights and the stand-in body."""
    folder = tmp_path_factory.mktemp("gvhmr")
    root = mini_gvhmr.build_files(folder / "weights")
    denoiser = folder / "random.ckpt"
    mini_gvhmr.random_denoiser(isolated.build("gvhmr"), root, denoiser)
    clips = {fps: clip(folder, fps=fps, num_frames=round(1.4 * fps)) for fps in (15, 25, 30, 60)}
    clips["moving"] = dataclasses.replace(clips[30], static_camera=None)
    for one in (clips[15], clips[25], clips[30], clips[60]):
        pictures = len(retimed(len(one.K), one.fps)[0])
        preprocess(folder / "pre" / one.clip_id, pictures, SIZE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GVHMR_CHECKPOINTS", str(root))
        patch.delenv("GVHMR_BODY_MODELS", raising=False)
        patch.delenv("GVHMR_PYTHON", raising=False)
        yield GvhmrEstimator(checkpoint=denoiser, preprocess=folder / "pre"), clips


@pytest.mark.tools
@pytest.mark.slow
def test_contract_with_the_real_package(contract, tmp_path):
    estimator, clips = contract
    body = load_body()
    with estimator.start("cpu") as session:
        assert session._worker.hello()["gvhmr"] == "1.6.1"
        first = {name: session.estimate(one) for name, one in clips.items()}
        again = {name: session.estimate(one) for name, one in reversed(clips.items())}
        K = clips[30].K.copy()
        K[:, :2, :2] *= 2
        far = session.estimate(dataclasses.replace(clips[30], K=K)).camera_motion.transl
        damaged = dataclasses.replace(clips[30], video=tmp_path / "damaged.mp4")
        damaged.video.write_bytes(clips[30].video.read_bytes()[:200])
        with pytest.raises(EstimateError, match="decode_error"):
            session.estimate(damaged)
        with pytest.raises(EstimateError, match="error"):  # the detector's weights are empty
            session.estimate(dataclasses.replace(clips[30], clip_id="without preprocess"))
    for name, one in clips.items():
        camera, world = first[name].camera_motion, first[name].world_motion
        assert len(camera) == len(world) == len(one.K) and camera.fps == world.fps == one.fps
        assert (camera.space, world.space, camera.body) == ("camera", "world", "smplx")
        assert np.array_equal(camera.body_pose, world.body_pose)
        assert camera.betas.shape == (10,) and np.array_equal(camera.betas, world.betas)
        # tz = 2 f / (s b): with s of an untrained network and a box of 90 pixels, metres it is.
        assert camera.transl[:, 2].min() > 0.5 and camera.transl[:, 2].max() < 30
        floor = body.joints(world.to_channels())[
            :, :22, 1
        ].min()  # the package's foot IK moves it a little
        assert abs(floor) < 0.1
        assert first[name].diagnostics["keypoint_confidence"] == pytest.approx(0.75)
        for space in ("camera_motion", "world_motion"):
            one_, two = getattr(first[name], space), getattr(again[name], space)
            for part in ("body_pose", "global_orient", "betas", "transl"):
                assert np.array_equal(getattr(one_, part), getattr(two, part)), (name, part)
    # A frame has the focal length of its own time, tz = 2 f / (s b), and the pictures of the 15 fps
    # clip are those of the 30 fps one, each shown twice.
    scaled = {
        fps: first[fps].camera_motion.transl[:, 2] / clips[fps].K[:, 0, 0] for fps in (15, 30)
    }
    np.testing.assert_allclose(scaled[15], scaled[30][::2], rtol=0.02)
    # The intrinsics are used: depth is proportional to the focal length.
    near = first[30].camera_motion.transl
    assert np.median(far[:, 2] / near[:, 2]) == pytest.approx(2, rel=0.2)
    # The camera was tracked where nobody says that it stands still.
    assert not np.array_equal(first[30].world_motion.transl, first["moving"].world_motion.transl)


@pytest.mark.tools
@pytest.mark.slow
def test_contract_identity_and_other_checkpoints(contract, tmp_path):
    estimator, _ = contract
    identity = estimator.identity()
    assert identity["gvhmr"] == "1.6.1" and len(identity["checkpoint"]) == 64
    assert identity["world_from_incam"] == "False" and next(iter(WEIGHTS)) not in identity
    assert all(len(identity[name]) == 64 for name in [*list(WEIGHTS)[1:], BODY])
    state = torch.load(estimator.checkpoint, weights_only=True)["state_dict"]
    assert len(state) == 247
    state["pipeline.denoiser3d.more"] = state.pop(next(iter(state)))
    torch.save({"state_dict": state}, tmp_path / "other.ckpt")
    other = dataclasses.replace(estimator, checkpoint=tmp_path / "other.ckpt")
    with (
        pytest.raises(EstimatorUnavailable, match=r"Missing key.*Unexpected key"),
        other.start("cpu"),
    ):
        pass
