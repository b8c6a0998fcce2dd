"""The tokenizer's loss on joints."""

import dataclasses

import numpy as np
import pytest
import torch

from datasets.adapters.embedded import EmbeddedDataset
from datasets.bodies.smplx import load_body
from model.tokenizer import MotionTokenizer, TokenizerConfig
from model.tokenizer.network import PLACE_SHARE


@pytest.fixture(scope="module")
def channels():
    sequences = [EmbeddedDataset().sequence(index) for index in (0, 5)]
    return np.stack([s.camera_motion.to_channels()[:17] for s in sequences])


def model_of(channels, **changes):
    torch.manual_seed(0)
    config = TokenizerConfig.small(4, 16, width=8, code_dim=4, **changes)
    model = MotionTokenizer(config)
    prepared = model.prepare(channels)
    model.fit_statistics(prepared, 17)
    return model, model.representation(prepared)


def test_the_joint_loss_is_that_of_the_bodys_joints(channels):
    model, batch = model_of(channels, joint_weight=2.0)
    model.train()
    output, losses, _ = model(batch)
    decoded = model.representation.inverse(output)
    decoded[..., 66:76] = channels[..., 66:76]  # of one shape
    joints = [load_body().joints(c).astype(np.float64) for c in (decoded, channels)]
    pelvis = [j[..., :1, :] for j in joints]
    error = (joints[0] - pelvis[0]) - (joints[1] - pelvis[1])
    expected = np.abs(error).mean() + PLACE_SHARE * np.abs(pelvis[0] - pelvis[1]).mean()
    assert losses["joints"].item() == pytest.approx(expected, rel=1e-4)
    rest = sum(losses[name] for name in ("theta", "beta", "phi", "tau"))
    rest = rest + model.config.commitment * losses["commitment"]
    assert losses["total"].item() == pytest.approx((rest + 2 * losses["joints"]).item(), rel=1e-5)
    losses["joints"].backward()
    assert model.encoder[0].weight.grad.abs().sum() > 0


def test_without_a_weight_nothing_is_as_if_there_were_none(channels):
    model, batch = model_of(channels)
    assert "joints" not in model(batch)[1]
    assert "joint_weight" not in model.config.to_dict()
    weighted = dataclasses.replace(model.config, joint_weight=3.0)
    assert weighted.to_dict()["joint_weight"] == 3.0
    for config in (model.config, weighted):
        assert TokenizerConfig.from_dict(config.to_dict()) == config


def test_joints_need_sixd_rotations():
    with pytest.raises(ValueError, match="sixd"):
        TokenizerConfig.small(joint_weight=1.0, rotation="matrix")
