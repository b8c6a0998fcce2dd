"""Small models and their weights under the names of Cosmos's released files."""

import torch

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
