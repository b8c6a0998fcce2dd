"""The SOLAMI baseline: features there and back, lengths, training, and its authors' file format."""

import dataclasses
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from datasets.bodies.smplx import load_body
from datasets.motion import Motion
from model.tokenizer.solami import released as solami_released
from model.tokenizer.solami.config import SolamiConfig
from model.tokenizer.solami.features import extract, restore
from model.tokenizer.solami.network import SolamiTokenizer
from model.tokenizer.solami.released import load_released
from model.tokenizer.train import train
from model.training.config import TrainingConfig
from model.training.sidecar import CheckpointError
from tests.pickle_trap import Trap

TINY = SolamiConfig(width=16, code_dim=16, depth=1, codebook_size=32)


def smooth_channels(clips=3, frames=33, seed=0):
    """Random smooth motion in a world frame: upright, turning and walking about."""
    rng = np.random.default_rng(seed)
    time = np.linspace(0, 1, frames)[:, None]
    phases = rng.uniform(0, 2 * np.pi, size=(clips, 1, 69))
    waves = np.sin(2 * np.pi * rng.uniform(0.3, 1.5, size=(clips, 1, 69)) * time + phases)
    channels = np.zeros((clips, frames, 79), np.float32)
    yaw = rng.uniform(-np.pi, np.pi, size=(clips, 1)) + 1.5 * waves[..., 0]
    tilt = Rotation.from_rotvec(0.2 * waves[..., 1:4].reshape(-1, 3))
    root = Rotation.from_rotvec(yaw.reshape(-1, 1) * [0.0, 1.0, 0.0]) * tilt
    channels[..., :3] = root.as_rotvec().reshape(clips, frames, 3)
    channels[..., 3:66] = 0.4 * waves[..., 3:66]
    channels[..., 66:76] = rng.normal(size=(clips, 1, 10))
    channels[..., 76:] = rng.normal(size=(clips, 1, 3)) * 3 + waves[..., 66:]
    return channels


def seen_by_a_camera(channels):
    """The same motions in a camera's frame: y down, some metres away."""
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("xyz", [np.pi, 0.3, 0.0]).as_matrix()
    pose[:3, 3] = [0.3, 0.1, 4.0]
    moved = []
    for clip in channels:
        motion = Motion.from_channels(clip, fps=30, space="world")
        pelvis = load_body().rest_joints(motion.betas)[0]
        moved.append(motion.transformed(pose, pelvis, space="camera").to_channels())
    return np.stack(moved)


# --- features ---


def test_features_and_placement_give_the_motion_back():
    for channels in (smooth_channels(), seen_by_a_camera(smooth_channels())):
        features, placement = extract(channels)
        assert features.shape == (3, 33, 135) and features.dtype == np.float32
        np.testing.assert_allclose(restore(features, placement), channels, atol=1e-4)


def test_features_are_those_of_a_canonical_frame():
    channels = smooth_channels()
    features, placement = extract(channels)
    body = load_body()
    joints = np.einsum("nij,ntkj->ntki", placement.turn, body.joints(channels))
    joints += placement.shift[:, :, None]
    pelvis = joints[:, :, 0]
    np.testing.assert_allclose(joints[..., 1].min(axis=(1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(pelvis[:, 0, [0, 2]], 0, atol=1e-5)
    np.testing.assert_allclose(features[..., 2], pelvis[..., 1], atol=1e-5)
    across = joints[:, 0, 2] - joints[:, 0, 1] + joints[:, 0, 17] - joints[:, 0, 16]
    assert (across[:, 0] < 0).all()  # the right side is at -x of a body that faces +z
    np.testing.assert_allclose(across[:, 2], 0, atol=1e-5)


def test_velocity_is_in_the_heading_frame_of_euler_order_yzx():
    channels = smooth_channels()
    features, placement = extract(channels)
    pelvis = np.einsum("nij,ntj->nti", placement.turn, load_body().joints(channels)[:, :, 0])
    root = placement.turn[:, None] @ Rotation.from_rotvec(
        channels[..., :3].reshape(-1, 3)
    ).as_matrix().reshape(3, 33, 3, 3)
    yaw = Rotation.from_matrix(root.reshape(-1, 3, 3)).as_euler("yzx")[:, 0]
    heading = Rotation.from_rotvec(yaw[:, None] * [0.0, 1.0, 0.0]).as_matrix().reshape(3, 33, 3, 3)
    local = np.einsum("ntji,ntj->nti", heading[:, :-1], np.diff(pelvis, axis=1))
    np.testing.assert_allclose(features[:, :-1, :2], local[..., [0, 2]], atol=1e-5)
    np.testing.assert_array_equal(features[:, -1, :2], 0)  # the last frame is repeated


def test_where_a_clip_is_and_what_it_faces_does_not_matter():
    channels = smooth_channels()
    turned = []
    for clip, yaw in zip(channels, (0.7, -2.0, 3.0), strict=True):
        pose = np.eye(4)
        pose[:3, :3] = Rotation.from_euler("y", yaw).as_matrix()
        pose[:3, 3] = [5.0, -2.0, 1.0]
        motion = Motion.from_channels(clip, fps=30, space="world")
        pelvis = load_body().rest_joints(motion.betas)[0]
        turned.append(motion.transformed(pose, pelvis, space="world").to_channels())
    before, after = extract(channels)[0], extract(np.stack(turned))[0]
    np.testing.assert_allclose(after, before, atol=1e-4)


def test_a_camera_frame_is_turned_upright():
    channels = smooth_channels()
    in_camera, placement = extract(seen_by_a_camera(channels))
    np.testing.assert_allclose(in_camera, extract(channels)[0], atol=1e-4)
    assert (placement.turn[:, 1, 1] == -1).all()


def test_clips_are_independent_of_each_other():
    channels = smooth_channels(clips=5, frames=2000)  # more than is worked on at a time
    together, placement = extract(channels)
    for row in range(5):
        alone, _ = extract(channels[row : row + 1])
        np.testing.assert_allclose(together[row], alone[0], atol=1e-6)
    np.testing.assert_allclose(restore(together, placement), channels, atol=1e-3)


@pytest.mark.parametrize("shape", [(33, 79), (2, 33, 78), (2, 0, 79), (0, 33, 79)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="not \\(N, T, 79\\)"):
        extract(np.zeros(shape))


# --- network ---


def test_the_published_size_has_as_many_parameters_as_solamis():
    model = SolamiTokenizer(SolamiConfig())
    assert round(model.num_parameters / 1e6, 2) == 19.04
    assert model.quantizer.codebook.shape == (512, 512)


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5, 32, 33, 65])
def test_lengths_are_exact(frames):
    model = random_model()
    channels = smooth_channels(clips=2, frames=frames)
    ids, output = model.reconstruct(channels)
    assert ids.shape == (2, -(-frames // 4)) and ids.dtype == np.int64
    assert output.shape == channels.shape and np.isfinite(output).all()
    np.testing.assert_array_equal(ids, model.encode_channels(channels))


def random_model():
    """A tiny model whose codes are not all alike."""
    torch.manual_seed(0)
    model = SolamiTokenizer(TINY).eval()
    model.fit_statistics(model.prepare(smooth_channels()), 32)
    model.quantizer.codebook.normal_()
    return model


def test_shape_and_first_placement_are_those_of_the_original():
    channels = smooth_channels(frames=30)
    _, output = random_model().reconstruct(channels)
    np.testing.assert_array_equal(output[..., 66:76], channels[..., 66:76])
    # Up to its height, which is tokenised, the pelvis starts where it was.
    np.testing.assert_allclose(output[:, 0, [76, 78]], channels[:, 0, [76, 78]], atol=1e-5)


def test_ids_that_do_not_fit_are_refused():
    model = random_model()
    _, placement = extract(smooth_channels(clips=2, frames=10))
    for ids, message in [
        (np.zeros((2, 4), int), "3 for each of 2 clips of 10 frames"),
        (np.zeros((2, 3)), "must be integers"),
        (np.full((2, 3), 32), "from 0 to 31"),
    ]:
        with pytest.raises(ValueError, match=message):
            model.decode_channels(ids, placement)


def test_training_learns_and_the_checkpoint_gives_the_same_model(tmp_path):
    channels = smooth_channels(clips=4, frames=32)
    training = TrainingConfig(steps=200, batch_size=4, learning_rate=2e-3, schedule="cosine")
    torch.manual_seed(0)
    model = SolamiTokenizer(SolamiConfig(width=64, code_dim=64, depth=1, codebook_size=64))
    path = train(model, training, channels, tmp_path, progress=False)
    losses = np.genfromtxt(tmp_path / "losses.csv", delimiter=",", names=True)
    assert losses["features"][-1] < 0.5 * losses["features"][0]
    loaded = SolamiTokenizer.load(path)
    assert loaded.config == model.config
    for mine, theirs in zip(model.reconstruct(channels), loaded.reconstruct(channels), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_unknown_settings_are_refused():
    assert SolamiConfig.from_dict(TINY.to_dict()) == TINY
    with pytest.raises(ValueError, match="unknown SolamiConfig settings: strides"):
        SolamiConfig.from_dict({"strides": (1,)})
    with pytest.raises(ValueError, match="width"):
        SolamiConfig(width=0)


# --- the authors' own files ---


def official_state():
    """Random tensors under the names and shapes of SOLAMI's body model, written out by hand."""

    def conv(name, out, into, kernel):
        return {f"{name}.weight": (out, into, kernel), f"{name}.bias": (out,)}

    def resnet(name):
        shapes = {}
        for unit in range(3):
            shapes |= conv(f"{name}.model.{unit}.conv1", 512, 512, 3)
            shapes |= conv(f"{name}.model.{unit}.conv2", 512, 512, 1)
        return shapes

    shapes = {"quantizer.codebook": (512, 512)}
    shapes |= conv("encoder.model.0", 512, 135, 3)
    shapes |= conv("encoder.model.4", 512, 512, 3)
    shapes |= conv("decoder.model.0", 512, 512, 3)
    shapes |= conv("decoder.model.4", 512, 512, 3)
    shapes |= conv("decoder.model.6", 135, 512, 3)
    for block in (2, 3):
        shapes |= conv(f"encoder.model.{block}.0", 512, 512, 4)
        shapes |= resnet(f"encoder.model.{block}.1")
        shapes |= resnet(f"decoder.model.{block}.0")
        shapes |= conv(f"decoder.model.{block}.2", 512, 512, 3)
    assert len(shapes) == 67
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator) * 0.02 for name, shape in shapes.items()}


@pytest.fixture
def released(tmp_path):
    torch.save(official_state(), tmp_path / "body.pth")
    rng = np.random.default_rng(0)
    std = rng.uniform(0.1, 1.0, size=315)
    std[7] = 0.0
    np.savez(tmp_path / "mean_std.npz", mean=rng.normal(size=315), std=std)
    return tmp_path


def test_a_state_dict_of_solamis_layout_loads(released):
    model = load_released(released)
    state = official_state()
    for name, tensor in state.items():
        torch.testing.assert_close(model.state_dict()[name], tensor)
    statistics = np.load(released / "mean_std.npz")
    np.testing.assert_allclose(model.mean, statistics["mean"][:135], rtol=1e-6)
    assert (model.std > 0).all()
    ids, output = model.reconstruct(smooth_channels(clips=1, frames=9))
    assert ids.shape == (1, 3) and np.isfinite(output).all()


def test_the_units_of_a_block_have_solamis_dilations():
    model = SolamiTokenizer(dataclasses.replace(TINY, depth=3))
    for resnet in (model.encoder.model[2][1], model.decoder.model[2][0]):
        assert [unit.conv1.dilation[0] for unit in resnet.model] == [9, 3, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("encoder.model.3.0.weight"), "encoder.model.3.0.weight is missing"),
        (
            lambda s: s.update({"decoder.model.6.bias": torch.zeros(180)}),
            "decoder.model.6.bias is \\(180,\\), expected \\(135,\\)",
        ),
        (lambda s: s.update(extra=torch.zeros(1)), "extra is \\(1,\\), expected no such tensor"),
        (lambda s: s.update(epoch=3), "something else than tensors"),
    ],
)
def test_another_state_dict_is_refused_by_its_first_difference(released, change, message):
    state = official_state()
    change(state)
    torch.save(state, released / "body.pth")
    with pytest.raises(CheckpointError, match=message):
        load_released(released)


def test_nothing_is_ever_unpickled(released):
    harm = released / "harm"
    assert pickle.loads(pickle.dumps(Trap(Path.touch, harm))) is None and harm.exists()
    harm.unlink()
    objects = np.array(Trap(Path.touch, harm), dtype=object)
    np.savez(released / "all_mean_variance_post.npz", smplx_feature=objects)
    np.savez(released / "mean_std.npz", mean=objects, std=objects)
    with pytest.raises(CheckpointError, match="does not hold plain arrays"):
        load_released(released)
    (released / "mean_std.npz").unlink()
    with pytest.raises(CheckpointError, match=r"there is no .*mean_std.npz.* if you trust"):
        load_released(released)
    torch.save({"encoder.model.0.weight": Trap(Path.touch, harm)}, released / "body.pth")
    with pytest.raises(CheckpointError, match="not a plain PyTorch state dict"):
        load_released(released)
    assert not harm.exists()


def test_missing_and_broken_files_are_one_line(tmp_path):
    with pytest.raises(CheckpointError, match=r"there is no .*body.pth"):
        load_released(tmp_path)
    (tmp_path / "body.pth").write_bytes(b"not a model")
    with pytest.raises(CheckpointError, match="not a plain PyTorch state dict") as caught:
        load_released(tmp_path)
    assert "\n" not in str(caught.value)
    torch.save(official_state(), tmp_path / "body.pth")
    np.savez(tmp_path / "mean_std.npz", mean=np.zeros(7), std=np.ones(7))
    with pytest.raises(CheckpointError, match="not 135 finite numbers"):
        load_released(tmp_path)


def test_damage_anywhere_is_a_checkpoint_error(tmp_path):
    """Files of either format of PyTorch, each with a byte changed or an end cut off."""
    rng = np.random.default_rng(0)
    for is_zip in (True, False):
        path = tmp_path / "body.pth"
        torch.save({"a": torch.zeros(3)}, path, _use_new_zipfile_serialization=is_zip)
        content = path.read_bytes()
        for place in rng.integers(min(len(content), 400), size=60):
            changed = bytearray(content)
            changed[place] ^= 0x80
            for damaged in (bytes(changed), content[:place]):
                path.write_bytes(damaged)
                with pytest.raises(CheckpointError):
                    load_released(tmp_path)


def test_released_weights_become_a_checkpoint_of_ours(released, tmp_path, capsys):
    out = tmp_path / "solami.safetensors"
    assert solami_released.main([str(released), str(out)]) == 0
    again, direct = SolamiTokenizer.load(out), load_released(released)
    for name, tensor in direct.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    (released / "body.pth").unlink()
    assert solami_released.main([str(released), str(out)]) == 1
    assert "body.pth" in capsys.readouterr().err
