import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from datasets.motion import Motion
from model.tokenizer import MotionTokenizer, TokenizerConfig
from model.tokenizer.layers import DecoderHead, FrameToTokens
from model.tokenizer.loss import expert_losses
from model.training.config import TrainingConfig
from model.training.sidecar import CheckpointError
from tests.damage import rewrite_json

TOKENS_PER_FRAME = (1, 8, 24, 36, 54)
# Millions of trainable parameters of a design with nothing but Duolando's defaults, the codebook
# not counted: the paper prints 90.49, 95.31, 101.63, 123.13, 155.71.
PAPER = {1: 82.31, 8: 88.86, 24: 109.83, 36: 125.56, 54: 149.16}
PAPER_PRIMES = {1: 103.30, 8: 107.23, 24: 112.29, 36: 116.22, 54: 120.15}


def tiny(tokens_per_frame=4, **changes):
    settings = {"width": 8, "code_dim": 6, "depth": 1, "codebook_size": 16, **changes}
    strides = settings.pop("strides", (1, 1, 1, tokens_per_frame))
    return TokenizerConfig(tokens_per_frame=tokens_per_frame, strides=strides, **settings)


def make_channels(clips, frames, seed=0):
    rng = np.random.default_rng(seed)
    channels = 0.3 * rng.normal(size=(clips, frames, 79)).astype(np.float32)
    channels[..., 66:76] = channels[:, :1, 66:76]
    return channels


def trained_a_little(config, seed=0):
    """A tokenizer with codes and statistics, which a fresh one has not."""
    torch.manual_seed(seed)
    model = MotionTokenizer(config).train()
    prepared = model.prepare(make_channels(4, 8))
    model.fit_statistics(prepared, 8)
    model(model.representation(prepared), generator=torch.Generator().manual_seed(seed))
    return model.eval()


@pytest.mark.parametrize("k", TOKENS_PER_FRAME)
def test_parameter_counts(k):
    with torch.device("meta"):
        one_block = MotionTokenizer(TokenizerConfig.paper(k, 1024))
        primes = MotionTokenizer(TokenizerConfig.paper_primes(k))
        literal = MotionTokenizer(TokenizerConfig.paper(k, 512, quantizer="gradient"))
    assert round(one_block.num_parameters / 1e6, 2) == PAPER[k]
    for model in (one_block, primes, literal):
        assert model.config.num_parameters == model.num_parameters
    assert round(primes.num_parameters / 1e6, 2) == PAPER_PRIMES[k]
    assert literal.num_parameters - one_block.num_parameters == 512 * 512


@pytest.mark.parametrize("k", TOKENS_PER_FRAME)
@pytest.mark.parametrize("layout", [TokenizerConfig.paper, TokenizerConfig.paper_primes])
def test_lengths_are_exact(k, layout):
    config = layout(k, 16, width=4, code_dim=4, depth=2)
    model = trained_a_little(config)
    for frames in (1, 2, 7, 33):
        ids = model.encode_channels(make_channels(2, frames))
        assert ids.shape == (2, frames * k)
        assert ids.dtype == np.int64
        assert model.decode_channels(ids).shape == (2, frames, 79)


@pytest.mark.parametrize("rotation", ["sixd", "matrix", "axis_angle"])
def test_motion_in_motion_out(rotation):
    model = trained_a_little(tiny(rotation=rotation))
    motion = Motion.from_channels(make_channels(1, 9)[0], fps=25, space="world")
    ids = model.encode(motion)
    assert ids.shape == (36,)
    back = model.decode(ids, fps=25, space="world")
    assert len(back) == 9
    assert back.betas.shape == (10,)
    assert (back.fps, back.space) == (25, "world")


def test_a_batch_is_its_clips():
    model = trained_a_little(tiny())
    channels = make_channels(5, 7)
    ids = model.encode_channels(channels)
    one_by_one = np.concatenate([model.encode_channels(clip[None]) for clip in channels])
    np.testing.assert_array_equal(ids, one_by_one)
    alone = np.concatenate([model.decode_channels(row[None]) for row in ids])
    np.testing.assert_allclose(model.decode_channels(ids), alone, atol=1e-4)


def test_encoding_leaves_the_model_as_it_was():
    model = trained_a_little(tiny()).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.decode_channels(model.encode_channels(make_channels(2, 5)))
    assert model.training
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (np.zeros(6, np.int64), "whole number of frames of 4 tokens"),
        (np.zeros(0, np.int64), "whole number of frames of 4 tokens"),
        (np.zeros((2, 4, 4), np.int64), "whole number of frames"),
        (np.full(4, 16), "from 0 to 15, got 16 to 16"),
        (np.full(4, -1), "from 0 to 15, got -1 to -1"),
        (np.zeros(4), "must be integers"),
    ],
)
def test_bad_ids_are_refused(ids, message):
    with pytest.raises(ValueError, match=message):
        trained_a_little(tiny()).decode(ids)


def test_experts_share_nothing_but_their_input():
    model = MotionTokenizer(tiny())
    codes = torch.randn(2, 20, 6)
    sizes = list(model.representation.sizes.values())
    gradients = []
    for expert in range(4):
        model.zero_grad()
        model.decoders(codes).split(sizes, dim=1)[expert].sum().backward()
        gradients.append(model.decoders.blocks[0].mix.weight.grad.chunk(4))
    for expert in range(4):
        for group in range(4):
            touched = bool(gradients[expert][group].abs().sum() > 0)
            assert touched == (expert == group)


@pytest.mark.parametrize("stride", [3, 8, 9])
def test_composed_decoder_head_is_the_two_convolutions(stride):
    head = DecoderHead(5, 7, 4, stride, "unfold").double()
    codes = torch.randn(2, 11 * stride, 5, dtype=torch.float64)
    plain = head.contract(head.spread(codes.transpose(1, 2)))
    assert torch.allclose(head.composed(codes), plain, atol=1e-12)
    assert torch.allclose(head(codes), plain, atol=1e-12)


@pytest.mark.parametrize("layout", [TokenizerConfig.paper, TokenizerConfig.paper_primes])
def test_a_fresh_network_keeps_the_scale_of_its_input(layout):
    torch.manual_seed(0)
    model = MotionTokenizer(layout(36, width=64, code_dim=64))
    features = model.encoder(torch.randn(2, 145, 64))
    assert 0.5 < features.std().item() < 2
    output = model.decoders(torch.randn(2, 64 * 36, 64))
    assert 0.5 < output.std().item() < 2


def test_frame_to_tokens_is_the_transposed_convolution():
    layer = FrameToTokens(3, 4, 5, 5).double()
    x = torch.randn(2, 3, 7, dtype=torch.float64)
    plain = torch.nn.functional.conv_transpose1d(x, layer.weight, layer.bias, stride=5)
    assert torch.allclose(layer(x), plain, atol=1e-12)


def test_loss_of_constant_errors_has_no_difference_terms():
    sizes = {"theta": 2, "beta": 3, "phi": 1, "tau": 3}
    error = torch.arange(1.0, 10.0)[None, :, None].expand(2, 9, 6)
    losses = expert_losses(error, 0 * error, sizes, velocity_weight=1, acceleration_weight=1)
    assert {name: float(loss) for name, loss in losses.items()} == pytest.approx(
        {"theta": 1.5, "beta": 4.0, "phi": 6.0, "tau": 8.0}
    )


def test_loss_weighs_differences_and_treats_tau_as_velocity():
    sizes = {"theta": 1, "beta": 1, "phi": 1, "tau": 3}
    frames = torch.arange(5.0)
    error = torch.zeros(1, 6, 5)
    error[0, 0] = frames.square()  # mean 6, |D| mean 4, |DD| 2
    error[0, 3] = torch.tensor([100.0, 1, 2, 3, 4])  # mean 22, D without frame 0: 1
    losses = expert_losses(
        error, torch.zeros_like(error), sizes, velocity_weight=10, acceleration_weight=100
    )
    assert float(losses["theta"]) == pytest.approx(6 + 10 * 4 + 100 * 2)
    assert float(losses["beta"]) == 0
    assert float(losses["tau"]) == pytest.approx((22 + 100 * 1) / 3)


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_total_is_the_weighted_sum_even_of_very_short_clips(frames):
    config = tiny(quantizer="gradient", commitment=0.5)
    model = trained_a_little(config)
    batch = model.representation(model.prepare(make_channels(2, frames)))
    with torch.no_grad():
        output, losses, stats = model(batch)
    assert output.shape == batch.shape
    experts = sum(losses[name] for name in ("theta", "beta", "phi", "tau"))
    expected = experts + 0.5 * losses["commitment"] + losses["codebook"]
    assert float(losses["total"]) == pytest.approx(float(expected), rel=1e-5)
    assert 0 < float(stats["codes_used"]) <= 1


def test_save_and_load(tmp_path):
    model = trained_a_little(tiny())
    path = model.save(tmp_path / "m.safetensors", extra={"note": "x"})
    loaded = MotionTokenizer.load(path)
    assert loaded.config == model.config
    channels = make_channels(2, 7)
    ids = model.encode_channels(channels)
    np.testing.assert_array_equal(loaded.encode_channels(channels), ids)
    np.testing.assert_array_equal(loaded.decode_channels(ids), model.decode_channels(ids))


def test_a_checkpoint_of_other_sizes_names_the_first_mismatch(tmp_path):
    path = trained_a_little(tiny()).save(tmp_path / "m.safetensors")
    other = trained_a_little(tiny(codebook_size=8)).save(tmp_path / "n.safetensors")
    sidecar, theirs = (json.loads(p.with_suffix(".json").read_text()) for p in (path, other))
    rewrite_json(path.with_suffix(".json"), {**sidecar, "config": theirs["config"]})
    with pytest.raises(CheckpointError, match=r"quantizer\.codebook is \(16, 6\) float32"):
        MotionTokenizer.load(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tokens_per_frame": 8}, "multiply to 36, not to tokens_per_frame 8"),
        ({"strides": ()}, "at least one block"),
        ({"codebook_size": 1}, "whole number of at least 2"),
        ({"width": 2.5}, "width must be a whole number"),
        ({"rotation": "quaternion"}, "rotation must be one of"),
        ({"quantizer": "fsq"}, "quantizer must be one of"),
        ({"commitment": -1}, "commitment must be a number"),
        ({"ema_decay": 1.5}, "ema_decay must be a number from 0 to 1"),
    ],
)
def test_impossible_configurations_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        TokenizerConfig(**changes)


def test_configurations_survive_json():
    config = TokenizerConfig.paper_primes(54, 256, rotation="matrix")
    assert TokenizerConfig.from_dict(config.to_dict()) == config
    assert config.strides == (2, 3, 3, 3)
    assert TokenizerConfig.paper_primes(48).strides == (2, 2, 3, 4)
    assert TokenizerConfig.paper_primes(1).strides == (1, 1, 1, 1)
    training = TrainingConfig(steps=5)
    assert TrainingConfig.from_dict(training.to_dict()) == training
    with pytest.raises(ValueError, match="unknown TokenizerConfig settings: colour"):
        TokenizerConfig.from_dict({"colour": "red"})


def test_learning_rate_warms_up_and_decays():
    cosine = TrainingConfig(steps=110, learning_rate=1.0, schedule="cosine", warmup_steps=10)
    assert cosine.learning_rate_at(0) == pytest.approx(0.1)
    assert cosine.learning_rate_at(10) == 1.0
    assert cosine.learning_rate_at(60) == pytest.approx(0.5)
    assert 0 < cosine.learning_rate_at(109) < 1e-3
    assert TrainingConfig(steps=9, learning_rate=1.0).learning_rate_at(8) == 1.0


def test_importing_the_package_does_not_import_torch():
    code = (
        "import sys; from model.tokenizer import TokenizerConfig; TokenizerConfig.paper();"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (5, "model.json is not a sidecar"),
        ({"width": -1}, "model.json: width"),
        ({"breadth": 1}, "model.json: unknown"),
        ({"width": 10**5}, "tensor"),
        ({"width": 10**9}, "model.json: "),
        ({"width": 10**400}, "model.json: width must be at most"),
        ({"depth": 10**9}, "model.json: depth must be at most 16"),
        ({"commitment": 10**400}, "model.json: commitment must be a number"),
    ],
)
def test_a_checkpoint_with_a_hostile_configuration_is_refused(tmp_path, config, message):
    path = trained_a_little(tiny()).save(tmp_path / "model.safetensors")
    sidecar = json.loads(path.with_suffix(".json").read_text())
    sidecar["config"] = config if config == 5 else {**sidecar["config"], **config}
    rewrite_json(path.with_suffix(".json"), sidecar)
    with pytest.raises(CheckpointError, match=message):
        MotionTokenizer.load(path)


def test_a_longer_training_warms_up_in_proportion():
    assert TrainingConfig.small(2000).with_steps(40) == TrainingConfig.small(40)
    assert TrainingConfig.small().with_steps(20_000) == TrainingConfig.small(20_000)
