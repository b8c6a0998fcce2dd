"""The built-in video codecs: shapes, causality, training, checkpoints, hostile input."""

import json

import numpy as np
import pytest
import torch

from datasets.adapters.embedded import EmbeddedDataset
from datasets.prepare.prepare_store import prepare
from datasets.store.reader import ClipStore
from model.training.config import TrainingConfig, TrainingError
from model.training.sidecar import CheckpointError, read_sidecar, sidecar_path
from model.video_tokens import fsq
from model.video_tokens.codec import checked_frames, checked_ids, latent_shape
from model.video_tokens.fitted.blocks import frames_of, from_blocks, to_blocks
from model.video_tokens.fitted.codec import FittedCodec, FittedCodecConfig
from model.video_tokens.fitted.linear import LinearCodec
from model.video_tokens.fitted.train import codec_training, main, train_codec
from tests.damage import rewrite_json
from tests.model.training.stopping import stopped

TINY = FittedCodecConfig(coefficients=12, width=8, encoder_blocks=1, decoder_blocks=2)


def videos(count=6, frames=17, height=32, width=48, seed=0):
    """A bright disc that moves over a coloured ground."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    found = np.empty((count, frames, height, width, 3), np.uint8)
    for video in found:
        ground, disc = rng.integers(0, 256, (2, 3))
        start, speed = rng.uniform(8, 24, 2), rng.uniform(-1, 1, 2)
        for t, frame in enumerate(video):
            row, column = start + t * speed
            frame[:] = ground
            frame[(y - row) ** 2 + (x - column) ** 2 < 60] = disc
    return found


def training(steps=6, **changes):
    return TrainingConfig(steps=steps, batch_size=4, learning_rate=5e-3, window=17, **changes)


def fresh(config=TINY, seed=0):
    torch.manual_seed(seed)
    return FittedCodec(config)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train_codec(
        fresh(), training(30), videos(), tmp_path_factory.mktemp("run"), progress=False
    )


@pytest.fixture(params=["linear", "fitted"])
def codec(request, trained):
    return LinearCodec() if request.param == "linear" else FittedCodec.load(trained)


def test_latent_shapes():
    assert latent_shape(65, 512, 512) == (9, 32, 32)
    assert latent_shape(17, 64, 64) == (3, 4, 4)
    assert latent_shape(1, 16, 32) == (1, 1, 2)
    for frames in (0, 2, 16, -7):
        with pytest.raises(ValueError, match=f"1 \\+ 8 n frames .*got {frames}"):
            latent_shape(frames, 64, 64)
    for height, width in ((64, 60), (0, 64), (8, 16)):
        with pytest.raises(ValueError, match="multiples of 16 pixels"):
            latent_shape(17, height, width)


def test_blocks_are_the_frames_that_follow_the_time_rule():
    assert [frames_of(i) for i in range(3)] == [slice(0, 1), slice(1, 9), slice(9, 17)]
    video = videos(2)[:, 1:9]
    blocks = to_blocks(video)
    assert blocks.shape == (2, 2, 3, 8, 16, 16, 3)
    np.testing.assert_array_equal(blocks[1, 1, 2], video[1, :, 16:, 32:])
    np.testing.assert_array_equal(from_blocks(blocks), video)


def test_encode_and_decode_keep_shapes_and_a_batch_is_its_videos(codec):
    frames = videos(3)
    ids = codec.encode(frames)
    assert ids.shape == (3, 3, 2, 3) and ids.dtype == np.int64
    assert len(np.unique(ids)) > 5
    again = codec.decode(ids)
    assert again.shape == frames.shape and again.dtype == np.uint8
    for n in range(3):
        np.testing.assert_array_equal(codec.encode(frames[n]), ids[n])
        single = codec.decode(ids[n])
        assert single.shape == frames.shape[1:]
        # Sums of another number of rows may differ in their last digit, and round otherwise.
        np.testing.assert_allclose(single.astype(int), again[n], atol=1)


def test_later_frames_never_change_earlier_ids(codec):
    frames = videos(2)
    ids = codec.encode(frames)
    np.testing.assert_array_equal(codec.encode(frames[:, :1]), ids[:, :1])
    np.testing.assert_array_equal(codec.encode(frames[:, :9]), ids[:, :2])
    for latent in range(3):
        changed = frames.copy()
        changed[:, frames_of(latent)] = 255 - changed[:, frames_of(latent)]
        found = codec.encode(changed)
        np.testing.assert_array_equal(found[:, :latent], ids[:, :latent])
        assert (found[:, latent] != ids[:, latent]).any()


def test_the_first_latents_decode_to_the_first_frames(codec):
    ids = codec.encode(videos(2))
    whole = codec.decode(ids)
    for latents, frames in ((1, 1), (2, 9)):
        start = codec.decode(ids[:, :latents])
        assert start.shape[1] == frames
        np.testing.assert_allclose(start.astype(int), whole[:, :frames], atol=1)
    changed = ids.copy()
    changed[:, 2] = 63999 - changed[:, 2]
    found = codec.decode(changed)
    np.testing.assert_array_equal(found[:, :9], whole[:, :9])
    assert (found[:, 9:] != whole[:, 9:]).any()


def test_a_codec_says_what_it_is(codec):
    assert codec.name in ("linear", "fitted") and "\n" not in codec.decoder
    identity = codec.identity()
    assert identity["name"] == codec.name and identity == codec.identity()
    assert all(isinstance(value, str) for value in identity.values())


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros((9, 32, 32, 3), np.float32), "uint8 RGB from 0 to 255, got float32"),
        (np.zeros((9, 32, 32, 4), np.uint8), r"\(T, H, W, 3\).*got \(9, 32, 32, 4\)"),
        (np.zeros((32, 32, 3), np.uint8), r"\(T, H, W, 3\).*got \(32, 32, 3\)"),
        (np.zeros((8, 32, 32, 3), np.uint8), "1 \\+ 8 n frames .*got 8"),
        (np.zeros((9, 32, 40, 3), np.uint8), "multiples of 16 pixels, got 40 x 32"),
    ],
)
def test_other_frames_are_refused(codec, frames, message):
    with pytest.raises(ValueError, match=message):
        codec.encode(frames)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (np.full((1, 2, 2), 64_000), "from 0 to 63999, got 64000 to 64000"),
        (np.array([[[-1, 7]]]), "from 0 to 63999, got -1 to 7"),
        (np.zeros((1, 2, 2)), "integers, got float64"),
        (np.zeros((2, 2), int), r"\(t, h, w\) or \(N, t, h, w\), got \(2, 2\)"),
        (np.zeros((0, 2, 2), int), r"got \(0, 2, 2\)"),
    ],
)
def test_other_ids_are_refused(codec, ids, message):
    with pytest.raises(ValueError, match=message):
        codec.decode(ids)


def test_checks_add_the_axis_of_one_video():
    assert checked_frames(np.zeros((9, 32, 32, 3), np.uint8)).shape == (1, 9, 32, 32, 3)
    ids = checked_ids(np.zeros((2, 2, 2), np.uint16))
    assert ids.shape == (1, 2, 2, 2) and ids.dtype == np.int64
    assert checked_frames(np.zeros((0, 9, 32, 32, 3), np.uint8)).shape[0] == 0


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_linear_keeps_flat_grey_within_half_a_luma_step(grey):
    frames = np.full((9, 16, 32, 3), grey, np.uint8)
    again = LinearCodec().decode(LinearCodec().encode(frames))
    assert np.abs(again.astype(int) - grey).max() <= 255 / 14 + 1
    assert (again == again[0, 0, 0]).all()


def test_linear_keeps_flat_colours_within_half_a_step_of_each():
    frames = np.broadcast_to(np.uint8([120, 100, 140]), (9, 32, 16, 3))
    again = LinearCodec().decode(LinearCodec().encode(frames))
    # Half a step of luma, and of the chroma that a channel takes most of (1.772 Cb).
    assert np.abs(again.astype(int) - frames).max() <= 255 * (1 / 14 + 1.772 * 0.025) + 1
    assert (again == again[0, 0, 0]).all()


def test_linear_golden_ids():
    """Black, white, and ramps across, down and over time: one digit each leaves the middle."""
    level, ramp = np.zeros((9, 16, 16)), np.linspace(0, 0.9, 16)
    later = np.linspace(0, 0.9, 8).repeat([2] + [1] * 7)
    wanted = {
        "black": (level, [(0, 4, 4, 2, 2, 2)] * 2),
        "white": (level + 1, [(7, 4, 4, 2, 2, 2)] * 2),
        "across": (level + ramp, [(3, 7, 4, 2, 2, 2)] * 2),
        "down": (level + ramp[:, None], [(3, 4, 7, 2, 2, 2)] * 2),
        "later": (level + later[:, None, None], [(0, 4, 4, 2, 2, 2), (3, 4, 4, 2, 2, 4)]),
    }
    for name, (luma, digits) in wanted.items():
        frames = np.rint(255 * luma)[..., None].repeat(3, -1).astype(np.uint8)
        ids = LinearCodec().encode(frames)[:, 0, 0]
        assert fsq.digits(ids).tolist() == [list(row) for row in digits], name
    assert LinearCodec().encode(np.zeros((1, 16, 16, 3), np.uint8)).item() == 32032


def test_linear_sees_where_things_are_and_when():
    frames = videos(4)
    again = LinearCodec().decode(LinearCodec().encode(frames))
    error = np.square(again.astype(float) - frames).mean()
    flat = np.square(frames.mean((1, 2, 3), keepdims=True) - frames).mean()
    assert error < 0.8 * flat


def test_fitted_bases_are_orthonormal_and_hold_most_of_the_pixels():
    model, frames = fresh(), videos(12)
    model.fit_statistics(frames)
    coefficients = model.project(frames)
    assert coefficients.shape == (12, 3, 12, 2, 3)
    for latent, basis in ((0, model.first), (2, model.later)):
        torch.testing.assert_close(
            basis.vectors.T @ basis.vectors, torch.eye(12), atol=1e-4, rtol=0
        )
        blocks = to_blocks(frames[:, frames_of(latent)]).reshape(12, 2, 3, -1) / 255.0
        kept = basis.rebuild(coefficients[:, latent].movedim(1, -1)).numpy()
        assert np.square(kept - blocks).mean() < 0.1 * blocks.var()


def test_the_loss_is_the_error_of_the_pixels():
    """In an orthonormal basis; with the quantiser's own rounding, decoded without `decode`."""
    model, frames = fresh().eval(), videos(3)
    model.fit_statistics(frames)
    coefficients = model.project(frames)
    _, stats = model.loss(coefficients)
    ids = model.encode(frames)
    kept = {"error": 0.0, "pixels": 0}
    found = model.synthesis(fsq.decode(ids).movedim(-1, 2)).detach()
    for latent in range(3):
        basis = model.first if latent == 0 else model.later
        rebuilt, wanted = (
            basis.rebuild(c[:, latent].movedim(1, -1)) for c in (found, coefficients)
        )
        kept["error"] += (rebuilt - wanted).square().sum().item()
        kept["pixels"] += wanted.numel()
    assert stats["mse"].item() == pytest.approx(kept["error"] / kept["pixels"], rel=1e-3)


def error(codec, frames):
    return np.square(codec.decode(codec.encode(frames)).astype(float) - frames).mean()


def test_training_improves_the_pictures_and_leaves_the_same_codec_behind(tmp_path):
    frames, model = videos(24), fresh()
    model.fit_statistics(frames)
    before = error(model, frames)
    path = train_codec(model, training(80), frames, tmp_path, progress=False)
    assert error(model, frames) < 0.5 * before
    again = FittedCodec.load(path)
    assert again.identity() == model.identity()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    np.testing.assert_array_equal(again.encode(frames), model.encode(frames))
    # The finished run is found again, not run again.
    other = fresh(seed=3)
    assert train_codec(other, training(80), frames, tmp_path, progress=False) == path
    assert other.identity() == model.identity()


def test_the_identity_follows_the_weights():
    first, second = fresh(seed=0), fresh(seed=1)
    assert first.identity() != second.identity()
    second.load_state_dict(first.state_dict())
    assert first.identity() == second.train().identity()


def test_a_run_that_is_stopped_and_resumed_ends_bit_for_bit_the_same(tmp_path):
    whole = train_codec(fresh(), training(), videos(), tmp_path / "whole", progress=False)
    with stopped(after=3):
        train_codec(fresh(), training(), videos(), tmp_path / "parts", progress=False)
    torch.manual_seed(9)  # no state of the process may matter
    parts = train_codec(FittedCodec(TINY), training(), videos(), tmp_path / "parts", progress=False)
    assert parts.read_bytes() == whole.read_bytes()


def test_a_folder_with_another_run_is_refused(tmp_path):
    train_codec(fresh(), training(2), videos(), tmp_path, progress=False)
    with pytest.raises(TrainingError, match="another run"):
        train_codec(fresh(), training(2, seed=1), videos(), tmp_path, progress=False)
    with pytest.raises(TrainingError, match="another run"):
        train_codec(fresh(), training(2), videos(seed=1), tmp_path, progress=False)


def test_videos_that_cannot_be_trained_on_are_refused(tmp_path):
    with pytest.raises(ValueError, match="the window is 17 frames, the videos have 9"):
        train_codec(fresh(), training(), videos(frames=9), tmp_path, progress=False)
    with pytest.raises(ValueError, match="no videos"):
        train_codec(fresh(), training(), videos()[:0], tmp_path, progress=False)
    with pytest.raises(ValueError, match="1 \\+ 8 n frames"):
        train_codec(fresh(), codec_training(5, window=16), videos(), tmp_path, progress=False)
    with pytest.raises(ValueError, match="at least 9 frames"):
        fresh().fit_statistics(videos(frames=1))


def test_the_command_fits_a_codec_to_a_store(tmp_path, capsys):
    dataset = EmbeddedDataset(num_train=2, num_test=1, num_frames=17, image_size=32)
    prepare(dataset, None, tmp_path / "clips", num_frames=17, video_size=32, progress=False)
    given = ["--data", str(tmp_path / "clips"), "--out", str(tmp_path / "run"), "--quiet"]
    assert main([*given, "--steps", "2"]) == 0
    path = tmp_path / "run" / "model.safetensors"
    assert capsys.readouterr().out == f"{path}\n"
    assert read_sidecar(path)["extra"]["training"]["videos"] == 2
    assert FittedCodec.load(path).encode(videos(1)[0]).shape == (3, 2, 3)
    assert path.stat().st_size < 2_400_000
    assert not (tmp_path / "run" / "frames.npy").exists()
    train_ids = ClipStore.open(tmp_path / "clips").ids("train")
    assert main([*given, "--steps", "3"]) == 1
    assert "another run (steps is 2 there, 3 here)" in capsys.readouterr().err
    first, second = (clip.video for clip in ClipStore.open(tmp_path / "clips").some(train_ids))
    first.write_bytes(first.read_bytes()[:200])
    other = [*given[:3], str(tmp_path / "other"), "--quiet", "--steps", "2"]
    assert main(other) == 0
    assert "1 of 2 videos are left out, as " in capsys.readouterr().err
    path = tmp_path / "other" / "model.safetensors"
    assert read_sidecar(path)["extra"]["training"]["videos"] == 1
    second.unlink()
    assert main(other) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert "no video that can be read" in error


def test_foreign_checkpoints_are_refused(trained, tmp_path):
    with pytest.raises(CheckpointError, match="is not a checkpoint"):
        FittedCodec.load(tmp_path / "none.safetensors")
    copy = tmp_path / "model.safetensors"
    copy.write_bytes(trained.read_bytes())
    sidecar = json.loads(sidecar_path(trained).read_text())
    for changes, message in (
        ({"class": "MotionRegressor"}, "holds a MotionRegressor, not a FittedCodec"),
        ({"config": {**sidecar["config"], "width": 9}}, "FittedCodec wants"),
        ({"config": {**sidecar["config"], "width": 0}}, "width must be"),
        ({"config": {**sidecar["config"], "width": 10**12}}, str(copy.with_suffix(".json"))),
        ({"config": {**sidecar["config"], "coefficients": 769}}, "768 coefficients at most"),
    ):
        rewrite_json(sidecar_path(copy), {**sidecar, **changes})
        with pytest.raises(CheckpointError, match=message):
            FittedCodec.load(copy)
    rewrite_json(sidecar_path(copy), sidecar)
    copy.write_bytes(b"not a file of tensors")
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        FittedCodec.load(copy)


def test_the_size_of_the_shipped_codec():
    codec = FittedCodec(FittedCodecConfig())
    weights = sum(tensor.numel() for tensor in codec.parameters())
    assert 600_000 < weights < 700_000
