"""Cosmos 4B's weights: names and shapes, its forward written independently, files that fit."""

import math

import numpy as np
import pytest
import torch

from model.sequence import VISUAL, Schedule
from model.training.sidecar import CheckpointError
from model.transformer import UniMo, UniMoConfig, cosmos_weights
from model.transformer.train.steps import schedules
from tests.model.cosmos_state import make, official, plain_cosmos, transformer_engine


def prefixed(state):
    return {f"model.{name}": tensor for name, tensor in state.items()}


def visual_ids(config, count=2):
    generator = torch.Generator().manual_seed(0)
    size = int(np.prod(config.latent_shape))
    return torch.randint(config.visual_vocab, (count, size), generator=generator)


def assert_holds(model, state):
    for name, tensor in cosmos_weights.export(model).items():
        assert tensor.equal(state[name]), name


# --- the published size ---


def test_names_and_shapes_of_the_published_checkpoint():
    with torch.device("meta"):
        model = UniMo(UniMoConfig.paper())
    shapes = {name: tuple(tensor.shape) for name, tensor in cosmos_weights.export(model).items()}
    wanted = {
        "tok_embeddings.weight": (64000, 4096),
        "norm.weight": (4096,),
        "output.weight": (64000, 4096),
    }
    for i in range(16):
        wanted |= {
            f"layers.{i}.attention.wq.weight": (4096, 4096),
            f"layers.{i}.attention.wk.weight": (1024, 4096),
            f"layers.{i}.attention.wv.weight": (1024, 4096),
            f"layers.{i}.attention.wo.weight": (4096, 4096),
            f"layers.{i}.attention.q_norm.weight": (128,),
            f"layers.{i}.attention.k_norm.weight": (128,),
            f"layers.{i}.attention_norm.weight": (4096,),
            f"layers.{i}.ffn_norm.weight": (4096,),
            f"layers.{i}.feed_forward.w1.weight": (14336, 4096),
            f"layers.{i}.feed_forward.w3.weight": (14336, 4096),
            f"layers.{i}.feed_forward.w2.weight": (4096, 14336),
        }
    assert shapes == wanted and len(shapes) == 179
    assert sum(math.prod(shape) for shape in shapes.values()) == 4_014_088_192
    assert cosmos_weights.num_parameters(UniMoConfig.paper().of_cosmos()) == 4_014_088_192
    extra = 2 * 512 * 4096 + 3 * 4096 + 16  # motion rows and head, specials, gates
    assert sum(p.numel() for p in model.parameters()) == 4_014_088_192 + extra


# --- the forward ---


@pytest.mark.parametrize("key_heads", [1, 2, 4])
@pytest.mark.parametrize("ape", ["off", "hidden", "qk"])
@pytest.mark.parametrize("motion_rope", ["1d", "factorised"])
def test_unimo_on_video_alone_is_cosmos(ape, motion_rope, key_heads):
    """A sequence of visual tokens after the first of them; gates of absolute positions closed."""
    model = make(ape=ape, motion_rope=motion_rope, n_kv_heads=key_heads)
    shape = model.config.latent_shape
    size = int(np.prod(shape))
    t, h, w = np.indices(shape).reshape(3, -1)
    schedule = Schedule(
        task="video",
        latent_shape=shape,
        num_frames=model.config.num_frames,
        tokens_per_frame=model.config.tokens_per_frame,
        modality=np.full(size, VISUAL, np.int8),
        index=np.arange(size),
        t=t,
        h=h,
        w=w,
        prefix=1,
    )
    ids = visual_ids(model.config)
    with torch.no_grad():
        found = model(ids, schedule)
    assert set(found) == {"visual"}
    wanted = plain_cosmos(official(model), ids, model.config)[:, :-1]
    assert wanted.std() > 0.3
    assert (found["visual"] - wanted).norm() <= 1e-5 * wanted.norm()


def test_a_factorised_embedding_has_no_weights_of_cosmos():
    factorised = UniMo(UniMoConfig.tiny(visual_embedding="factorised", visual_vocab=64000))
    with pytest.raises(CheckpointError, match="table"):
        cosmos_weights.export(factorised)
    with pytest.raises(CheckpointError, match="table"):
        cosmos_weights.load(factorised, official(make()))


# --- files that fit ---

LAYOUTS = {
    "flat": lambda state: state,
    "under model": lambda state: {"model": state},
    "prefixed": prefixed,
    "under model and prefixed": lambda state: {"model": prefixed(state)},
    "TransformerEngine": transformer_engine,
    "TransformerEngine, prefixed": lambda state: prefixed(transformer_engine(state)),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_every_layout_of_the_file_loads(tmp_path, layout):
    source, model = make(), make(seed=1)
    state = official(source)
    kept = {k: v.clone() for k, v in model.state_dict().items() if "motion" in k or "special" in k}
    path = tmp_path / "model.pt"
    torch.save(layout(state), path)
    cosmos_weights.load(model, cosmos_weights.read(path))
    assert_holds(model, state)
    for name, tensor in kept.items():
        assert model.state_dict()[name].equal(tensor)


def test_half_precision_is_widened_and_the_models_dtype_kept():
    source, model = make(), make(seed=1)
    cosmos_weights.load(model, {k: v.bfloat16() for k, v in official(source).items()})
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert_holds(model, {k: v.bfloat16().float() for k, v in official(source).items()})


def test_exported_tensors_are_the_models_own():
    model = make()
    cosmos_weights.export(model)["layers.1.attention.wk.weight"].zero_()
    rows = model.layers[1].attention.wqkv.weight
    assert not rows[128:192].any() and rows[:128].any() and rows[192:].any()


def test_after_loading_only_what_the_paper_adds_differs():
    """The rest of two models given the same Cosmos weights decides nothing about the base."""
    model = make(seed=2, ape="hidden")
    source = make()
    cosmos_weights.load(model, official(source))
    schedule = schedules(model.config)["v2m"]
    tokens = torch.from_numpy(
        schedule.assemble(visual_ids(model.config).numpy(), np.zeros((2, 36), np.int64))
    )
    names = ("motion_embeddings", "special_embeddings", "motion_output")
    for name in names:
        getattr(model, name).load_state_dict(getattr(source, name).state_dict())
    assert model.hidden(tokens, schedule).equal(source.hidden(tokens, schedule))
