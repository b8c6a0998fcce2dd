"""BlazePose: its steps by hand numbers, a tool that fails, and the real networks on pictures."""

import dataclasses
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.metrics.pose import pose_errors
from datasets.adapters.embedded import EmbeddedDataset
from datasets.bodies import load_body
from datasets.estimators import ClipVideo, EstimateError, EstimatorUnavailable, get, mediapipe
from datasets.estimators.blazepose import steps
from datasets.estimators.mediapipe import MediapipeEstimator
from datasets.motion import Motion, mirrored_channels
from datasets.tools import isolated
from datasets.video.files import write_video


def square_K(num_frames, size=512, focal=None):
    focal = focal or size * 2**0.5
    one = np.array([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]])
    return np.tile(one, (num_frames, 1, 1)).astype(np.float32)


def written(path, pictures, fps=30.0, K=None):
    write_video(path, pictures, fps=fps)
    K = square_K(len(pictures), max(pictures[0].shape)) if K is None else K
    return ClipVideo(path.stem, path, K, "dataset", fps, True)


def test_anchors_are_the_centres_of_the_detectors_cells():
    centres = steps.anchors()
    assert centres.shape == (2254, 2)
    np.testing.assert_allclose(centres[[0, 1, 2]], [[1 / 56] * 2, [1 / 56] * 2, [3 / 56, 1 / 56]])
    np.testing.assert_allclose(centres[2 * 28 * 28], [1 / 28] * 2)
    np.testing.assert_allclose(centres[-6:], [[13 / 14] * 2] * 6)


def test_a_crop_has_the_person_upright_and_its_margin():
    about = steps.crop_about
    assert about(np.array([10.0, 20]), np.array([10.0, 16])) == pytest.approx((10, 20, 10, 0))
    lying = about(np.array([10.0, 20]), np.array([14.0, 20]))  # the head is at the right
    assert lying == pytest.approx((10, 20, 10, np.pi / 2))


def test_pixels_of_a_crop_come_from_where_its_map_says():
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8))
    picture = np.asarray(small.resize((200, 150), Image.Resampling.BICUBIC))
    image = Image.fromarray(picture)
    for crop, mirrored in (
        (steps.Crop(90, 70, 80, 0.6), False),
        (steps.Crop(100, 80, 64, -2.0), True),
    ):
        pixels, to_picture = steps.cut(image, crop, 64, mirrored=mirrored)
        for row, column in ((20, 40), (50, 10)):
            x, y = to_picture @ [column / 64, row / 64, 1]
            nearest = picture[round(y), round(x)] / 255
            assert np.abs(pixels[row, column] - nearest).max() < 0.08
    outside, _ = steps.cut(image, steps.Crop(0, 0, 50, 0), 32)
    assert outside[0, 0].tolist() == [0, 0, 0]


def test_windows_cover_the_picture_and_overlap_by_half():
    assert steps.windows((640, 360), 1) == [
        steps.Crop(320, 180, 640, 0)
    ]  # with bars above and below
    halves = steps.windows((640, 360), 2)
    assert sorted({w.x for w in halves}) == [160, 320, 480]
    assert len(steps.windows((512, 512), 4)) == 49


def test_detections_of_one_person_are_one():
    boxes = np.array([[0, 0, 10, 10], [100, 0, 110, 10], [1, 0, 11, 10.0]])
    assert steps.groups(np.array([0.6, 0.7, 0.9]), boxes) == [[2, 0], [1]]
    assert steps.overlap(boxes[0], boxes[2]) == pytest.approx(90 / 110)
    people = [
        steps.Person(0.9, steps.Crop(50, 50, 100, 0), boxes[0]),
        steps.Person(0.8, steps.Crop(65, 50, 60, 2.0), boxes[1]),  # the same hips, cut by a window
        steps.Person(0.7, steps.Crop(90, 50, 100, 0), boxes[1]),
    ]
    assert steps.distinct(people) == [people[0], people[2]]


def test_places_move_to_the_middle_of_their_heat():
    heat = np.full((64, 64, 39), -20.0)
    heat[10, 20, 0] = heat[10, 21, 0] = 20.0
    place = np.full((39, 2), 0.5)
    place[0] = [21.7 / 64, 11.2 / 64]
    out = steps.refined(place, heat)
    np.testing.assert_allclose(out[0], [20.5 / 64, 10 / 64])
    assert (out[1:] == 0.5).all()


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


NUM = 17
ROWS = range(30, 30 + NUM)


@pytest.fixture(scope="module")
def real():
    """The real networks in their environment, running."""
    isolated.build("mediapipe")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MEDIAPIPE_PYTHON", raising=False)
        with MediapipeEstimator().start("cpu") as running:
            yield running


@pytest.fixture(scope="module")
def person():
    """A rendered clip: its pictures, K and true motion."""
    sequence = EmbeddedDataset().sequence(100_104)
    pictures = np.stack(list(sequence.source.frames(ROWS)))
    return pictures, sequence.view.K[ROWS.start : ROWS.stop], sequence.camera_motion[list(ROWS)]


@pytest.fixture(scope="module")
def plain(real, person, tmp_path_factory):
    """The clip as it is, and its estimate."""
    pictures, K, _ = person
    clip = written(tmp_path_factory.mktemp("plain") / "clip.mp4", pictures, K=K)
    return clip, real.estimate(clip)


def errors(motion, true):
    body = load_body()
    joints = (body.joints(m.to_channels()) for m in (motion, true))
    found = pose_errors(*joints, pelvis=(1, 2), fps=motion.fps)
    return {name: float(found[name].mean()) for name in ("mpjpe", "pa_mpjpe")}


@pytest.mark.tools
@pytest.mark.slow
def test_a_rendered_person_is_found_and_close(plain, person):
    _, estimate = plain
    assert estimate.diagnostics["found"] == 1 and estimate.diagnostics["people"] == 1
    assert estimate.diagnostics["reprojection_px"] < 3 and estimate.world_motion is None
    found = errors(estimate.camera_motion, person[2])
    assert found["mpjpe"] < 80 and found["pa_mpjpe"] < 60
    true = person[2].transl[:, 2]
    np.testing.assert_allclose(estimate.camera_motion.transl[:, 2], true, rtol=0.2)


@pytest.mark.tools
@pytest.mark.slow
def test_identity_names_networks_and_versions(real):
    identity = MediapipeEstimator().identity()
    assert identity["mediapipe"] == "0.10.21" and identity["ai-edge-litert"] == "2.3.0"
    assert {sha256 for _, sha256 in mediapipe.NETWORKS.values()} < set(identity.values())


@pytest.mark.tools
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["black", "noise"])
def test_pictures_of_nobody(real, tmp_path, kind):
    rng = np.random.default_rng(0)
    shape = (5, 256, 256, 3)
    pictures = np.zeros(shape, np.uint8) if kind == "black" else rng.integers(0, 256, shape, "u1")
    with pytest.raises(EstimateError, match=r"no_person: a person is in 0 of 5 frames"):
        real.estimate(written(tmp_path / "clip.mp4", pictures))


@pytest.mark.tools
@pytest.mark.slow
def test_a_person_who_comes_late_is_found_at_once_and_held_before(real, person, tmp_path):
    pictures, K, _ = person
    late = pictures.copy()
    late[:6] = 128
    late[12] = 128
    estimate = real.estimate(written(tmp_path / "late.mp4", late, K=K))
    assert estimate.diagnostics["found"] == pytest.approx(10 / 17)
    channels = estimate.camera_motion.to_channels()
    assert len(channels) == NUM and (channels[:6] == channels[6]).all()
    middle = (channels[11, 76:] + channels[13, 76:]) / 2
    np.testing.assert_allclose(channels[12, 76:], middle, atol=1e-6)
    with pytest.raises(EstimateError, match="a person is in 5 of 11 frames"):
        real.estimate(written(tmp_path / "most.mp4", late[:11], K=K[:11]))


@pytest.mark.tools
@pytest.mark.slow
def test_a_small_person_is_found(real, person, tmp_path):
    pictures, _, true = person
    small = np.full_like(pictures, 128)
    for row, picture in enumerate(pictures):
        image = Image.fromarray(picture).resize((64, 64), Image.Resampling.BOX)
        small[row, 200:264, 300:364] = np.asarray(image)
    estimate = real.estimate(written(tmp_path / "small.mp4", small))
    assert estimate.diagnostics["found"] == 1 and errors(estimate.camera_motion, true)["mpjpe"] < 90


@pytest.mark.tools
@pytest.mark.slow
def test_two_people_are_counted_and_one_is_followed(real, person, tmp_path):
    pictures, _, true = person
    both = np.concatenate([pictures[:, :, 96:-96], pictures[:, :, 96:-96]], 2)
    estimate = real.estimate(written(tmp_path / "two.mp4", both))
    assert estimate.diagnostics["people"] == 2 and estimate.diagnostics["found"] == 1
    moved = np.abs(np.diff(estimate.camera_motion.transl[:, 0])).max()
    assert moved < 0.2 and errors(estimate.camera_motion, true)["pa_mpjpe"] < 60


@pytest.mark.tools
@pytest.mark.slow
def test_the_mirror_image_gives_the_mirrored_motion(real, person, plain, tmp_path):
    pictures, K, _ = person
    K = K.copy()
    K[:, 0, 2] = 512 - K[:, 0, 2]
    estimate = real.estimate(written(tmp_path / "mirror.mp4", pictures[:, :, ::-1], K=K))
    channels = plain[1].camera_motion.to_channels()
    rest = load_body().rest_joints(channels[:, 66:76])[:, 0]
    channels = mirrored_channels(channels, rest)
    mirrored = Motion.from_channels(channels, fps=30.0, space="camera")
    assert errors(estimate.camera_motion, mirrored)["mpjpe"] < 30


@pytest.mark.tools
@pytest.mark.slow
@pytest.mark.parametrize("fps", [15.0, 60.0])
def test_other_rates_of_frames(real, person, tmp_path, fps):
    pictures, K, true = person
    rows = np.arange(NUM)[::2] if fps == 15 else np.arange(NUM)
    clip = written(tmp_path / "clip.mp4", pictures[rows], fps=fps, K=K[rows])
    motion = real.estimate(clip).camera_motion
    assert motion.fps == fps and errors(motion, true[rows])["mpjpe"] < 90


@pytest.mark.tools
@pytest.mark.slow
def test_a_portrait_of_one_picture(real, person, tmp_path):
    pictures, K, _ = person
    K = K[:1].copy()
    K[:, 0, 2] -= 128
    one = real.estimate(written(tmp_path / "one.mp4", pictures[:1, :, 128:-128], K=K))
    assert len(one.camera_motion) == 1 and one.diagnostics["reprojection_px"] < 3


@pytest.mark.tools
@pytest.mark.slow
def test_the_same_bits_in_any_order_in_another_process_and_without_network(
    real, plain, tmp_path, monkeypatch
):
    clip, first = plain
    interpreter = isolated.python("mediapipe")
    offline = tmp_path / "python"
    unshare = shutil.which("unshare")
    if unshare and not subprocess.run([unshare, "-rn", "true"], capture_output=True).returncode:
        offline.write_text(f'#!/bin/sh\nexec {unshare} -rn {interpreter} "$@"\n')
    else:  # not allowed here: another process all the same
        offline.write_text(f'#!/bin/sh\nexec {interpreter} "$@"\n')
    os.chmod(offline, 0o755)
    monkeypatch.setenv("MEDIAPIPE_PYTHON", str(offline))
    with MediapipeEstimator().start("cpu") as other:
        for session in (real, other):
            again = session.estimate(clip)
            assert again.diagnostics == first.diagnostics
            channels = [e.camera_motion.to_channels() for e in (again, first)]
            assert np.array_equal(*channels)
