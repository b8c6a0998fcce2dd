"""The built-in estimator: its targets, its training, and how it answers as an estimator."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from datasets import estimators
from datasets.adapters.embedded import DATASET, TEST_START, EmbeddedDataset
from datasets.bodies.smplx import BODY_JOINTS, load_body
from datasets.estimators import ClipVideo, EstimateError, EstimatorUnavailable
from datasets.motion import JOINTS, Camera
from datasets.video.files import write_video
from model.kinematics import joints_from_rotations, sixd_to_matrix
from model.regressor.config import RegressorConfig
from model.regressor.estimator import RegressorEstimator
from model.regressor.examples import Examples
from model.regressor.network import MotionRegressor, from_features, mirrored, to_features
from model.regressor.train import train, train_built_in
from model.training.config import TrainingConfig, TrainingError
from tests.damage import rewrite_json
from tests.model.training.stopping import stopped

FRAMES = 20
TINY = RegressorConfig(size=16, widths=(4, 8), width=16)


@pytest.fixture(scope="module")
def sequence():
    return DATASET.sequence(3)


def examples(seed=0, count=3):
    rng = np.random.default_rng(seed)
    sequence = DATASET.sequence(seed)
    features = to_features(sequence.camera_motion.to_channels(), sequence.view)[:FRAMES]
    rest = load_body().rest_joints(sequence.camera_motion.betas)[:BODY_JOINTS]
    return Examples(
        pictures=rng.integers(0, 256, (count, FRAMES, 16, 16, 3), dtype=np.uint8),
        features=np.tile(features, (count, 1, 1)),
        focal=np.full((count, FRAMES), 1.5, np.float32),
        rest=np.tile(rest, (count, 1, 1)),
        identity={"examples": f"noise {seed}", "body_sha256": load_body().sha256},
    )


def training(steps=6, **changes):
    return TrainingConfig(steps=steps, batch_size=2, learning_rate=1e-3, window=8, **changes)


def fresh():
    torch.manual_seed(0)
    return MotionRegressor(TINY)


def test_features_and_back_are_the_same_motion(sequence):
    motion = sequence.camera_motion
    features = to_features(motion.to_channels(), sequence.view)
    again = from_features(features.astype(np.float64), sequence.view, fps=motion.fps)
    body = load_body()
    moved = body.joints(again.to_channels()) - body.joints(motion.to_channels())
    assert np.abs(moved).max() < 1e-4
    assert again.space == "camera" and again.fps == motion.fps


def test_features_do_not_depend_on_the_focal_length_but_for_the_perspective(sequence):
    """The same picture through a lens twice as long is of a person twice as far away."""
    view, motion = sequence.view, sequence.camera_motion
    K = view.K.copy()
    K[:, [0, 1], [0, 1]] *= 2
    longer = Camera(K, view.T_w2c, view.width, view.height)
    features = to_features(motion.to_channels(), view).astype(np.float64)
    far = from_features(features, longer, fps=30.0)
    rest = load_body().rest_joints(motion.betas)[0]
    pelvis, far_pelvis = rest + motion.transl, rest + far.transl
    np.testing.assert_allclose(far_pelvis[:, 2], 2 * pelvis[:, 2], rtol=1e-4)
    pixels = view.project(pelvis[:, None]), longer.project(far_pelvis[:, None])
    np.testing.assert_allclose(*pixels, atol=0.05)


def test_mirrored_features_are_those_of_the_mirrored_person(sequence):
    motion, body = sequence.camera_motion, load_body()
    features = mirrored(to_features(motion.to_channels(), sequence.view))
    found = body.joints(from_features(features, sequence.view, fps=30.0).to_channels())
    wanted = body.joints(motion.to_channels()) * [-1, 1, 1]
    swapped = [
        JOINTS.index(name.replace("left", "R").replace("right", "left").replace("R", "right"))
        for name in JOINTS
    ]
    # The stand-in's own sides differ by millimetres.
    np.testing.assert_allclose(found, wanted[:, swapped], atol=0.01)
    np.testing.assert_allclose(mirrored(features), features_of(sequence), atol=1e-6)


def features_of(sequence):
    return to_features(sequence.camera_motion.to_channels(), sequence.view)


def test_joints_in_torch_are_those_of_the_body(sequence):
    motion, body = sequence.camera_motion, load_body()
    features = to_features(motion.to_channels(), sequence.view)
    turns = sixd_to_matrix(torch.from_numpy(features[:, :132]).reshape(-1, BODY_JOINTS, 6))
    rest = torch.from_numpy(body.rest_joints(motion.betas)[:BODY_JOINTS])
    joints = joints_from_rotations(turns, rest, body.parents[:BODY_JOINTS].tolist()).numpy()
    wanted = body.joints(motion.to_channels())
    np.testing.assert_allclose(joints, wanted - wanted[:, :1], atol=1e-5)


def test_training_lowers_the_loss_and_leaves_a_checkpoint(tmp_path):
    data, model = examples(), fresh()
    model.fit_statistics(data.features)
    batch = [torch.from_numpy(a) for a in (data.pictures, data.focal, data.features, data.rest)]
    before, _ = model.loss(*batch)
    path = train(model, training(20), data, tmp_path, progress=False)
    after, _ = model.loss(*batch)
    assert after < 0.8 * before
    again = MotionRegressor.load(path)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


def test_a_run_that_is_stopped_and_resumed_ends_bit_for_bit_the_same(tmp_path):
    data = examples()
    whole = train(fresh(), training(), data, tmp_path / "whole", progress=False)
    with stopped(after=3):
        train(fresh(), training(), data, tmp_path / "parts", progress=False)
    parts = train(fresh(), training(), data, tmp_path / "parts", progress=False)
    assert parts.read_bytes() == whole.read_bytes()


def test_a_folder_with_another_run_is_refused(tmp_path):
    train(fresh(), training(), examples(), tmp_path, progress=False)
    with pytest.raises(TrainingError, match="another run"):
        train(fresh(), training(seed=1), examples(), tmp_path, progress=False)
    with pytest.raises(TrainingError, match="another run"):
        train(fresh(), training(), examples(seed=1), tmp_path, progress=False)


def test_clips_shorter_than_the_window_are_refused(tmp_path):
    longer = TrainingConfig(steps=1, window=FRAMES + 1)
    with pytest.raises(TrainingError, match="have 20 frames, fewer than the training window of 21"):
        train(fresh(), longer, examples(), tmp_path, progress=False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": 17}, "size 17 must be a multiple of 2\\^4"),
        ({"size": 24, "widths": (4, 4, 4, 4)}, "multiple"),
        ({"widths": ()}, "at least one convolution"),
        ({"dilations": (0,)}, "dilations must be"),
        ({"smoothing": float("nan")}, "smoothing must be"),
    ],
)
def test_impossible_networks_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        RegressorConfig(**changes)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return train(fresh(), training(), examples(), tmp_path_factory.mktemp("run"), progress=False)


def clip_video(path, frames=12, size=32):
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (frames, size, size, 3), dtype=np.uint8)
    write_video(path, pictures, fps=25)
    K = np.tile([[40.0, 0, size / 2], [0, 40, size / 2], [0, 0, 1]], (frames, 1, 1))
    return ClipVideo("a/clip", path, K, "dataset", 25.0, True)


def test_the_estimator_is_found_by_name_and_answers_the_same_every_time(weights, tmp_path):
    estimator = estimators.get("regressor", checkpoint=weights)
    assert "no ground truth" in estimator.note
    assert set(estimator.identity()) == {"weights_sha256", "config", "body_sha256"}
    clip = clip_video(tmp_path / "clip.mp4")
    with estimator.start("cpu") as session:
        first, second = session.estimate(clip), session.estimate(clip)
    motion = first.camera_motion
    assert len(motion) == 12 and motion.space == "camera" and motion.fps == 25
    assert motion.betas.shape == (10,) and first.world_motion is None
    np.testing.assert_array_equal(motion.to_channels(), second.camera_motion.to_channels())


def test_a_video_that_cannot_be_read_is_one_clips_failure(weights, tmp_path):
    clip = clip_video(tmp_path / "clip.mp4")
    with RegressorEstimator(weights).start("cpu") as session:
        (tmp_path / "clip.mp4").write_bytes(b"not a video")
        with pytest.raises(EstimateError) as error:
            session.estimate(clip)
        assert error.value.status == "decode_error"
        short = clip_video(tmp_path / "short.mp4", frames=9)
        wrong = ClipVideo("a", short.video, clip.K, "dataset", 25.0, True)
        with pytest.raises(EstimateError, match="9 pictures in the video, 12 in the index"):
            session.estimate(wrong)


def test_missing_or_foreign_weights_say_what_to_do(weights, tmp_path):
    with pytest.raises(EstimatorUnavailable, match=r"python -m model\.regressor\.train"):
        RegressorEstimator(tmp_path / "none.safetensors").identity()
    (tmp_path / "x.safetensors").write_bytes(b"")
    with pytest.raises(EstimatorUnavailable, match="not a trained regressor"):
        RegressorEstimator(tmp_path / "x.safetensors").identity()


@pytest.mark.parametrize("training", [5, [], "x", {}])
def test_weights_that_do_not_say_how_they_were_trained_are_refused(tmp_path, training):
    path = fresh().save(tmp_path / "model.safetensors", extra={"training": training})
    with pytest.raises(EstimatorUnavailable, match="not a trained regressor"):
        RegressorEstimator(path).identity()


def test_weights_of_another_body_are_refused(weights, tmp_path):
    copy = tmp_path / "model.safetensors"
    copy.write_bytes(weights.read_bytes())
    sidecar = json.loads(Path(weights).with_suffix(".json").read_text())
    sidecar["extra"]["training"]["body_sha256"] = "0" * 64
    rewrite_json(copy.with_suffix(".json"), sidecar)
    with pytest.raises(EstimatorUnavailable, match="another body"):
        RegressorEstimator(copy).identity()


def test_the_smoothing_is_part_of_the_identity(weights, tmp_path):
    copy = tmp_path / "model.safetensors"
    copy.write_bytes(weights.read_bytes())
    sidecar = json.loads(Path(weights).with_suffix(".json").read_text())
    sidecar["config"]["smoothing"] += 1
    rewrite_json(copy.with_suffix(".json"), sidecar)
    before, after = RegressorEstimator(weights).identity(), RegressorEstimator(copy).identity()
    assert {name for name in before if before[name] != after[name]} == {"config"}


@pytest.mark.slow
def test_it_learns_to_look_at_the_pictures(tmp_path):
    """Trained for two minutes: better than the mean pose, and than itself on others' pictures."""
    path = train_built_in(tmp_path, steps=400, sequences=400, progress=False)
    model, body = MotionRegressor.load(path), load_body()
    small = EmbeddedDataset(image_size=64)
    held_out = [small.sequence(TEST_START + i) for i in range(12)]
    videos = [list(s.source.frames(range(0, 130, 2))) for s in held_out]
    truth = [body.joints(s.camera_motion.to_channels())[::2] for s in held_out]

    def error(order):
        errors = []
        for i, sequence in enumerate(held_out):
            video = np.stack(videos[order[i]])
            found = body.joints(model.estimate(video, sequence.view[::2], fps=15.0).to_channels())
            gap = (found - found[:, :1]) - (truth[i] - truth[i][:, :1])
            errors.append(np.linalg.norm(gap, axis=-1).mean())
        return np.mean(errors)

    seen, others = error(np.arange(12)), error(np.roll(np.arange(12), 1))
    poses = np.concatenate([joints - joints[:, :1] for joints in truth])
    mean_pose = np.linalg.norm(poses - poses.mean(0), axis=-1).mean()
    assert seen < 0.95 * mean_pose  # of these very clips, which is much to know
    assert seen < 0.85 * others
