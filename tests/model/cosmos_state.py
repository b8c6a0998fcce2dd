"""Small models, their weights under the names of Cosmos's released files, and its forward."""

import torch
from torch.nn.functional import silu

from model.transformer import UniMo, UniMoConfig, cosmos_weights
from tests.model.tiny_unimo import with_weights


def make(seed=0, **changes):
    """A tiny model whose every parameter matters."""
    torch.manual_seed(seed)
    return with_weights(UniMo(UniMoConfig.tiny(**changes)), 0.1)


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
