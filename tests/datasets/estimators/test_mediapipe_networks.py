"""The estimator mediapipe with its real networks, on rendered people."""

import os
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from benchmark.metrics.pose import pose_errors
from datasets.adapters.embedded import EmbeddedDataset
from datasets.bodies import load_body
from datasets.estimators import EstimateError, mediapipe
from datasets.estimators.mediapipe import MediapipeEstimator
from datasets.motion import Motion, mirrored_channels
from datasets.tools import isolated
from tests.datasets.estimators.mediapipe_clips import written

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
