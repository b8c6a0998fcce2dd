import numpy as np
import pytest
import torch

from datasets import rotation
from model.tokenizer import representation as representation_module
from model.tokenizer.config import expert_channels
from model.tokenizer.representation import Representation

ROTATIONS = {"sixd": 145, "matrix": 211, "axis_angle": 79}


def make_clips(clips=3, frames=20, seed=0):
    """(N, T, 79) smooth motion with constant shape, some root angles close to pi."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, 0.03, (clips, frames, 79))
    channels = np.cumsum(steps, axis=1) + rng.normal(0, 0.4, (clips, 1, 79))
    channels[0, :, :3] += [0.0, 3.0, 0.0]
    channels[:, :, 66:76] = rng.normal(size=(clips, 1, 10))
    channels[:, :, 76:] += [0.0, 0.0, 4.0]
    return channels.astype(np.float32)


def fitted(name, clips, window=8):
    representation = Representation(name)
    prepared = representation.prepare(clips)
    representation.fit(prepared, window)
    return representation, prepared


@pytest.mark.parametrize(("name", "channels"), ROTATIONS.items())
def test_channel_counts(name, channels):
    assert sum(expert_channels(name).values()) == channels
    assert Representation(name).prepare(make_clips()).shape == (3, 20, channels)


@pytest.mark.parametrize("name", ROTATIONS)
@pytest.mark.parametrize("frames", [1, 2, 20])
def test_round_trip(name, frames):
    clips = make_clips()
    representation, prepared = fitted(name, clips)
    restored = representation.inverse(representation(prepared[:, :frames]))
    clips = clips[:, :frames]
    np.testing.assert_allclose(restored[..., 66:], clips[..., 66:], atol=2e-5)
    before, after = (
        rotation.axis_angle_to_matrix(c[..., :66].reshape(-1, 22, 3).astype(np.float64))
        for c in (clips, restored)
    )
    turned = rotation.matrix_to_axis_angle(np.swapaxes(after, -1, -2) @ before)
    angle = np.linalg.norm(turned, axis=-1)
    assert angle.max() < 2e-3  # float32 matrices: an angle of 1e-3 near pi
    assert np.median(angle) < 1e-6


def test_the_conversion_in_pieces_is_that_of_the_whole(monkeypatch):
    clips = make_clips()
    for name in ROTATIONS:
        whole = Representation(name).prepare(clips)
        with monkeypatch.context() as patch:
            patch.setattr(representation_module, "_FRAMES_AT_ONCE", 7)
            assert torch.equal(Representation(name).prepare(clips), whole)


def test_order_of_channels_is_theta_beta_phi_tau():
    clips = np.zeros((1, 4, 79), np.float32)
    clips[..., 3:66] = np.linspace(0.01, 0.63, 63)
    clips[..., 66:76] = np.arange(10)
    clips[..., :3] = [0.7, 0.8, 0.9]
    clips[..., 76:] = [5, 6, 7]
    features = Representation("axis_angle").prepare(clips)[0, 0].numpy()
    np.testing.assert_allclose(features[:63], np.linspace(0.01, 0.63, 63), atol=1e-6)
    np.testing.assert_array_equal(features[63:73], np.arange(10))
    np.testing.assert_allclose(features[73:76], [0.7, 0.8, 0.9], atol=1e-6)
    np.testing.assert_array_equal(features[76:], [5, 6, 7])


def test_tau_is_absolute_once_then_displacement():
    clips = make_clips()
    representation = Representation("sixd")  # identity statistics
    tau = representation(representation.prepare(clips))[:, -3:].numpy()
    np.testing.assert_array_equal(tau[..., 0], clips[:, 0, 76:])
    np.testing.assert_allclose(tau[..., 1:], np.diff(clips[..., 76:], axis=1).swapaxes(1, 2))


def test_prefix_sum_does_not_lose_millimetres_over_a_long_clip():
    frames = 3000
    clips = np.zeros((1, frames, 79), np.float32)
    clips[0, :, 76] = 1000 + 0.0333 * np.arange(frames)
    representation = Representation("axis_angle")
    features = representation(representation.prepare(clips))
    features[:, -3, 1:] = 0.0333
    restored = representation.inverse(features)[0, :, 76]
    np.testing.assert_allclose(restored, 1000 + 0.0333 * np.arange(frames), atol=2e-4)


def test_statistics_are_those_of_all_windows():
    clips, window = make_clips(), 8
    representation, prepared = fitted("sixd", clips, window)
    windows = torch.cat([prepared[:, s : s + window] for s in range(20 - window + 1)])
    features = representation(windows).double()
    theta, beta, phi, tau = features.split(list(representation.sizes.values()), dim=1)
    for values in (theta, beta, phi, tau[..., 1:], tau[..., :1]):
        assert values.mean(dim=(0, 2)).abs().max() < 1e-3
    for values in (beta, tau[..., 1:], tau[..., :1]):
        std = values.std(dim=(0, 2), correction=0)
        torch.testing.assert_close(std, torch.ones_like(std), atol=1e-3, rtol=0)
    for values in (theta, phi):
        assert float(values.square().mean()) == pytest.approx(1, abs=1e-3)
        assert len(values.std(dim=(0, 2)).unique()) == values.shape[1]


def test_constant_channels_are_not_blown_up():
    clips = np.zeros((2, 10, 79), np.float32)
    representation, prepared = fitted("sixd", clips)
    assert representation.std.min() == pytest.approx(1e-3)
    assert representation(prepared).abs().max() < 1e-3


def test_betas_are_averaged_over_time():
    representation = Representation("axis_angle")
    output = torch.zeros(1, 79, 4)
    output[0, 63] = torch.tensor([1.0, 2.0, 3.0, 6.0])
    restored = representation.inverse(output)
    np.testing.assert_array_equal(restored[0, :, 66], 3.0)


@pytest.mark.parametrize("name", ROTATIONS)
def test_any_output_becomes_rotations(name):
    torch.manual_seed(0)
    output = torch.randn(2, ROTATIONS[name], 5) * 4
    output[0] = 0
    restored = Representation(name).inverse(output)
    assert np.isfinite(restored).all()
    assert np.linalg.norm(restored[..., :66].reshape(-1, 3), axis=-1).max() <= np.pi + 1e-5


def test_clips_shorter_than_the_window_are_refused():
    with pytest.raises(ValueError, match="clips of 20 frames are shorter than a window of 21"):
        fitted("sixd", make_clips(), window=21)


def test_wrong_channels_are_refused():
    with pytest.raises(ValueError, match=r"not \(\.\.\., T, 79\)"):
        Representation("sixd").prepare(np.zeros((2, 5, 78), np.float32))
