"""Configurations, construction and files of the transformer, and input that it refuses."""

import json
import math

import pytest
import torch

from model.sequence import TASKS, VIDEO_ALONE
from model.training.sidecar import CheckpointError, sidecar_path
from model.transformer import UniMo, UniMoConfig
from model.transformer.train.steps import schedules
from tests.damage import rewrite_json
from tests.model.tiny_unimo import FACTORISED, generated, make, tokens_of

# --- configurations ---


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dim": 50}, "dim 50 must be n_heads 4 times"),
        ({"dim": 20}, "even number of at least 6"),
        ({"dim": 16}, "even number of at least 6"),
        ({"n_kv_heads": 3}, "multiple of n_kv_heads"),
        ({"n_layers": 0}, "n_layers"),
        ({"n_layers": 10**400}, "n_layers"),
        ({"n_heads": 0}, "n_heads"),
        ({"n_heads": 4.0}, "n_heads"),
        ({"motion_vocab": 1}, "motion_vocab"),
        ({"latent_shape": (2, 2)}, r"\(t, h, w\)"),
        ({"latent_shape": (2, 0, 2)}, "latent_shape"),
        ({"ape": "both"}, "ape must be one of"),
        ({"ape_gate": math.nan}, "ape_gate"),
        ({"rope_theta": 0.5}, "rope_theta"),
        ({"motion_rope": "2d"}, "motion_rope"),
        ({"visual_embedding": "factorised"}, "64000 FSQ tokens"),
    ],
)
def test_configurations_that_cannot_be_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        UniMoConfig.tiny(**changes)


def test_configurations_survive_json_and_unknown_settings_are_named():
    for config in (UniMoConfig.paper(), UniMoConfig.embedded(), UniMoConfig.tiny(ape="off")):
        assert UniMoConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    with pytest.raises(ValueError, match="wings"):
        UniMoConfig.from_dict({"wings": 2})


def test_the_presets_have_the_lengths_they_promise():
    for config, length in ((UniMoConfig.paper(), 11558), (UniMoConfig.embedded(), 118)):
        assert {len(schedules(config)[task]) for task in TASKS} == {length}
        alone = schedules(config)[VIDEO_ALONE]
        assert len(alone) == 2 + math.prod(config.latent_shape)
    config = UniMoConfig.paper()
    assert (config.num_frames, config.height, config.width, config.head_dim) == (65, 512, 512, 128)


# --- files ---


def test_construction_is_reproducible_and_scaled():
    torch.manual_seed(3)
    first = UniMo(UniMoConfig.tiny(ape_gate=0.1))
    torch.manual_seed(3)
    second = UniMo(UniMoConfig.tiny(ape_gate=0.1))
    for name, tensor in first.state_dict().items():
        assert tensor.equal(second.state_dict()[name])
        if name.endswith("norm.weight"):
            assert (tensor == 1).all()
        elif name.endswith("ape_gate"):
            assert tensor.tolist() == pytest.approx([0.1])
        else:
            scale = 0.01 if name.endswith(("wo.weight", "w2.weight")) else 0.02
            assert float(tensor.std()) == pytest.approx(scale, rel=0.1)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("switches", [{}, {"ape": "off"}, FACTORISED], ids=str)
def test_models_survive_their_files(tmp_path, switches, half):
    model = make(**switches)
    path = model.save(tmp_path / "m.safetensors", extra={"training": {"steps": 1}}, half=half)
    again = UniMo.load(path)
    assert again.config == model.config and not again.training
    state, wanted = again.state_dict(), model.state_dict()
    assert state.keys() == wanted.keys()
    for name, tensor in wanted.items():
        if half and tensor.is_floating_point():
            tensor = tensor.half().float()
        assert state[name].equal(tensor) and state[name].dtype == tensor.dtype
    assert not any(t.is_meta for t in (*again.parameters(), *again.buffers()))
    model.load_state_dict(state)
    for schedule in schedules(model.config).values():
        tokens = tokens_of(model, schedule)
        assert again.hidden(tokens, schedule).equal(model.hidden(tokens, schedule))
        assert generated(again, tokens, schedule, [0, 1]).equal(
            generated(model, tokens, schedule, [0, 1])
        )
        sum(loss.sum() for loss in again.losses(tokens, schedule).values()).backward()


def test_files_that_do_not_fit_are_refused(tmp_path):
    path = make().save(tmp_path / "m.safetensors")
    sidecar = json.loads(sidecar_path(path).read_text())
    for changes, message in (
        ({"motion_vocab": 33}, "tensor motion_embeddings.weight is"),
        ({"n_layers": 3}, "has no tensor layers.2"),
        ({"n_layers": 1}, "tensor layers.1.* unknown to UniMo"),
        ({"ape": "off"}, "tensor layers.0.ape_gate, unknown"),
        ({"dim": 49}, "dim 49"),
        ({"dim": 10**12, "n_heads": 10**6}, "m.json|tensor"),
        ({"wings": 2}, "wings"),
    ):
        config = {**sidecar["config"], **changes}
        rewrite_json(sidecar_path(path), {**sidecar, "config": config})
        with pytest.raises(CheckpointError, match=message):
            UniMo.load(path)


# --- hostile input ---


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (1, 97, "visual ids must be from 0 to 96"),
        (1, -1, "visual ids must be from 0 to 96, got -1"),
        (-1, 32, "motion ids must be from 0 to 31"),
        (-2, -5, "motion ids must be from 0 to 31, got -5"),
        (0, 3, "special ids must be from 0 to 2"),
    ],
)
def test_ids_outside_their_vocabulary_are_refused(place, value, message):
    model = make()
    schedule = schedules(model.config)["v2m"]
    tokens = tokens_of(model, schedule)
    tokens[1, place] = value
    for use in (model, model.losses, model.hidden):
        with pytest.raises(ValueError, match=message):
            use(tokens, schedule)


def test_tokens_of_another_shape_are_refused():
    model = make()
    schedule = schedules(model.config)["v2m"]
    tokens = tokens_of(model, schedule)
    for wrong in (tokens[:, :-1], tokens[0], torch.cat([tokens, tokens[:, :1]], dim=1)):
        with pytest.raises(ValueError, match=r"expected \(B, 28\)"):
            model(wrong, schedule)
    with pytest.raises(ValueError, match=r"expected \(B, 10\)"):
        model.prefill(tokens[:, :9], schedule)
