"""Cosmos 4B's weights: names and shapes, its forward written independently, foreign files."""

import os
import pickle
import warnings
import zipfile

import numpy as np
import pytest
import torch
from torch.nn.functional import silu

from model.checkpoint import CheckpointError
from model.sequence import VISUAL, Schedule
from model.transformer import UniMo, UniMoConfig, cosmos_weights
from model.transformer.training import schedules


def make(seed=0, **changes):
    """A tiny model whose every parameter matters."""
    torch.manual_seed(seed)
    model = UniMo(UniMoConfig.tiny(**changes))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("norm.weight"):
                parameter.copy_(1 + 0.3 * torch.randn(parameter.shape))
            elif parameter.ndim > 1:
                parameter.normal_(0.0, 0.1)
    return model.eval()


def official(model):
    """A copy of the Cosmos part under its official names."""
    return {name: tensor.clone() for name, tensor in cosmos_weights.export(model).items()}


def transformer_engine(state):
    """The same weights as TransformerEngine names and stacks them, with its extra state."""
    names = {
        "attention_norm.weight": "self_attention.layernorm_qkv.layer_norm_weight",
        "attention.wq.weight": "self_attention.layernorm_qkv.query_weight",
        "attention.wk.weight": "self_attention.layernorm_qkv.key_weight",
        "attention.wv.weight": "self_attention.layernorm_qkv.value_weight",
        "attention.wo.weight": "self_attention.proj.weight",
        "attention.q_norm.weight": "self_attention.q_norm.weight",
        "attention.k_norm.weight": "self_attention.k_norm.weight",
        "ffn_norm.weight": "layernorm_mlp.layer_norm_weight",
        "feed_forward.w2.weight": "layernorm_mlp.fc2_weight",
    }
    renamed = {}
    for name, tensor in state.items():
        layer, part = name[:9], name[9:]  # "layers.0."
        if part in names:
            renamed[layer + names[part]] = tensor
        elif part == "feed_forward.w1.weight":
            both = [tensor, state[f"{layer}feed_forward.w3.weight"]]
            renamed[f"{layer}layernorm_mlp.fc1_weight"] = torch.cat(both)
            renamed[f"{layer}layernorm_mlp._extra_state"] = torch.zeros(3, dtype=torch.uint8)
            renamed[f"{layer}self_attention.layernorm_qkv._extra_state"] = None
        elif part != "feed_forward.w3.weight":
            renamed[name] = tensor
    return renamed


def prefixed(state):
    return {f"model.{name}": tensor for name, tensor in state.items()}


def plain_cosmos(state, ids, config):
    """Logits (B, S, V), from the description of the network and its official keys alone."""
    heads, key_heads, width = config.n_heads, config.n_kv_heads, config.head_dim
    _, height, columns = config.latent_shape
    count, length = ids.shape

    def norm(x, weight):
        return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * weight

    n = torch.arange(length)
    place = torch.stack([n // (height * columns), n // columns % height, n % columns]).double()
    side = 2 * (width // 6)
    angles = []
    for axis, size in zip(place, (width - 2 * side, side, side), strict=True):
        for k in range(size // 2):
            angles.append(axis * 500_000.0 ** (-2 * k / size))
    angle = torch.stack(angles, dim=-1)  # (S, D / 2)

    def turn(x):
        a, b = x[..., : width // 2], x[..., width // 2 :]
        cos, sin = angle.cos(), angle.sin()
        return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)

    def split(x, number):
        return x.view(count, length, number, width).transpose(1, 2)

    state = {name: tensor.double() for name, tensor in state.items()}
    future = torch.ones(length, length, dtype=torch.bool).triu(1)
    x = state["tok_embeddings.weight"][ids]
    for i in range(config.n_layers):
        own = {
            name.removeprefix(f"layers.{i}.").removesuffix(".weight"): tensor
            for name, tensor in state.items()
            if name.startswith(f"layers.{i}.")
        }
        y = norm(x, own["attention_norm"])
        q = turn(norm(split(y @ own["attention.wq"].T, heads), own["attention.q_norm"]))
        k = turn(norm(split(y @ own["attention.wk"].T, key_heads), own["attention.k_norm"]))
        v = split(y @ own["attention.wv"].T, key_heads)
        k, v = (part.repeat_interleave(heads // key_heads, dim=1) for part in (k, v))
        scores = (q @ k.transpose(-1, -2) / width**0.5).masked_fill(future, -torch.inf)
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(count, length, -1)
        x = x + mixed @ own["attention.wo"].T
        y = norm(x, own["ffn_norm"])
        gated = silu(y @ own["feed_forward.w1"].T) * (y @ own["feed_forward.w3"].T)
        x = x + gated @ own["feed_forward.w2"].T
    return norm(x, state["norm.weight"]) @ state["output.weight"].T


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
    assert cosmos_weights.num_base_parameters(model) == 4_014_088_192
    extra = 2 * 512 * 4096 + 3 * 4096 + 16  # motion rows and head, specials, gates
    assert sum(p.numel() for p in model.parameters()) == 4_014_088_192 + extra


# --- the forward ---


@pytest.mark.parametrize(
    "changes", [{}, {"n_kv_heads": 4}, {"n_kv_heads": 1, "ape": "off"}], ids=str
)
def test_an_independent_forward_gives_the_same_logits(changes):
    model = make(**changes)
    ids = visual_ids(model.config)
    found = cosmos_weights.base_logits(model, ids)
    wanted = plain_cosmos(official(model), ids, model.config)
    assert wanted.std() > 0.3
    assert (found - wanted).norm() <= 1e-5 * wanted.norm()


def test_logits_of_a_beginning_are_the_beginning_of_the_logits():
    model = make()
    ids = visual_ids(model.config)
    whole = cosmos_weights.base_logits(model, ids)
    torch.testing.assert_close(
        cosmos_weights.base_logits(model, ids[:, :19]), whole[:, :19], atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("ape", ["off", "hidden", "qk"])
@pytest.mark.parametrize("motion_rope", ["1d", "factorised"])
def test_unimo_on_video_alone_is_cosmos(ape, motion_rope):
    """A sequence of visual tokens after the first of them; gates of absolute positions closed."""
    model = make(ape=ape, motion_rope=motion_rope)
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
    assert (found["visual"] - wanted).norm() <= 1e-5 * wanted.norm()


def test_base_logits_refuse_what_cosmos_has_not():
    model = make()
    with pytest.raises(ValueError, match="from 0 to 96"):
        cosmos_weights.base_logits(model, torch.tensor([[0, 97]]))
    with pytest.raises(ValueError, match="from 0 to 96"):
        cosmos_weights.base_logits(model, torch.tensor([[0, -1]]))
    factorised = UniMo(UniMoConfig.tiny(visual_embedding="factorised", visual_vocab=64000))
    with pytest.raises(ValueError, match="table"):
        cosmos_weights.base_logits(factorised, torch.tensor([[0]]))
    with pytest.raises(CheckpointError, match="table"):
        cosmos_weights.export(factorised)
    with pytest.raises(CheckpointError, match="table"):
        cosmos_weights.load(factorised, official(model))


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
    ids = visual_ids(model.config)
    found, wanted = (cosmos_weights.base_logits(m, ids) for m in (model, source))
    assert found.equal(wanted)


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


# --- files that do not ---


def without(name):
    return lambda state: {k: v for k, v in state.items() if k != name}


def with_tensor(name, tensor):
    return lambda state: {**state, name: tensor}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("layers.1.attention.wk.weight"), r"no tensor layers\.1\.attention\.wk\.weight"),
        (without("output.weight"), r"no tensor output\.weight"),
        (with_tensor("layers.2.ffn_norm.weight", torch.ones(128)), r"layers\.2\.ffn_norm.*unknown"),
        (with_tensor("cross.weight", torch.ones(1)), r"cross\.weight, unknown"),
        (
            with_tensor("tok_embeddings.weight", torch.ones(98, 128)),
            r"tok_embeddings\.weight is \(98, 128\) in the checkpoint, \(97, 128\) in this model",
        ),
        (
            with_tensor("layers.0.attention.q_norm.weight", torch.ones(64)),
            r"q_norm\.weight is \(64,\) in the checkpoint, \(32,\) in this model",
        ),
        (with_tensor("norm.weight", torch.tensor(1.0)), r"norm\.weight is \(\) in"),
        (with_tensor("norm.weight", torch.ones(128, dtype=torch.int8)), "int8"),
        (with_tensor("norm.weight", torch.ones(128).to_sparse()), "sparse"),
        (lambda state: {}, "no tensor"),
        (lambda state: {k: v for k, v in transformer_engine(state).items() if "fc1" not in k},
         r"no tensor layers\.0\.feed_forward\.w1\.weight"),
        (lambda state: transformer_engine(state)
         | {"layers.1.layernorm_mlp.fc1_weight": torch.ones(511, 128)},
         r"layers\.1\.feed_forward\.w1\.weight is \(255, 128\)"),
        (lambda state: transformer_engine(state)
         | {"layers.1.layernorm_mlp.fc1_weight": torch.tensor(1.0)}, r"layers\.1\..*fc1|w1"),
        (lambda state: transformer_engine(state)
         | {"layers.1.layernorm_mlp.fc1_bias": torch.ones(512)}, "fc1_bias, unknown"),
    ],
)  # fmt: skip
def test_tensors_that_do_not_fit_are_named_and_the_model_is_left_alone(change, message):
    model = make(seed=1)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=message) as caught:
        cosmos_weights.load(model, change(official(make())))
    assert "\n" not in str(caught.value)
    for name, tensor in model.state_dict().items():
        assert tensor.equal(before[name])


def refused(path):
    with pytest.raises(CheckpointError) as caught:
        cosmos_weights.read(path)
    message = str(caught.value)
    assert "\n" not in message and str(path) in message and len(message) < 600
    return message


def test_a_file_that_is_not_there_says_where_to_get_it(tmp_path):
    assert "Hugging Face" in refused(tmp_path / "model.pt")
    assert "Hugging Face" in refused(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99, 0.9999])
def test_truncated_files_are_refused(tmp_path, share):
    path = tmp_path / "model.pt"
    torch.save(official(make()), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert "truncated or not a PyTorch archive" in refused(path)


class Payload:
    """What runs a command where it is unpickled."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("place", ["alone", "beside tensors", "extra state"])
def test_code_in_a_file_is_not_run(tmp_path, zipped, place):
    target, path = tmp_path / "owned", tmp_path / "model.pt"
    content = {
        "alone": Payload(target),
        "beside tensors": {**official(make()), "x": Payload(target)},
        "extra state": {**official(make()), "layers.0._extra_state": Payload(target)},
    }[place]
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    assert "nothing in it was executed" in refused(path)
    assert not target.exists()
    # The payload is a real one.
    torch.load(path, weights_only=False)
    assert target.is_dir()


def test_a_plain_pickle_is_not_run(tmp_path):
    target, path = tmp_path / "owned", tmp_path / "model.pt"
    path.write_bytes(pickle.dumps({"norm.weight": Payload(target)}))
    refused(path)
    assert not target.exists()


def script_archive(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that torch.jit is on its way out
        torch.jit.script(torch.nn.Linear(2, 2)).save(str(path))


def foreign_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.txt", "hello")


def damaged_pickle(data):
    def write(path):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", data)
            archive.writestr("archive/version", "3\n")
            archive.writestr("archive/byteorder", "little")

    return write


@pytest.mark.filterwarnings("ignore:.*looks like a TorchScript archive")
@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\x80\x02}q\x00."),
        lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"),
        lambda path: torch.save([1, 2], path),
        lambda path: torch.save({"norm.weight": [1.0]}, path),
        lambda path: torch.save({"model": {"norm.weight": 1.0}}, path),
        lambda path: torch.save(torch.ones(3), path),
        lambda path: torch.save({3: torch.ones(3)}, path),
        lambda path: np.savez(path.open("wb"), a=np.ones(3)),
        script_archive,
        foreign_zip,
        damaged_pickle(b""),
        damaged_pickle(b"\x80\x02"),
        damaged_pickle(b"\x80\x02."),
        damaged_pickle(b"\x80\x020."),
        damaged_pickle(b"\x80\x02h\x07."),
        damaged_pickle(b"\x80\x02X\xff\xff\xff\x7fabc."),
        damaged_pickle(b"\x80\x02)Q."),
        damaged_pickle(b"\x80\x02(K\x01Q."),
        damaged_pickle(b"\x80\x02K\x01K\x02s."),
        damaged_pickle(b"\x80\x02]K\x01a}K\x01K\x02s\x86R."),
        damaged_pickle(b"\x80\x02U\x01\xff."),
        damaged_pickle(bytes(range(256))),
    ],
)  # fmt: skip
def test_other_files_are_refused_in_a_line(tmp_path, write):
    path = tmp_path / "model.pt"
    write(path)
    refused(path)
