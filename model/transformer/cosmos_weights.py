"""Cosmos-1.0-Autoregressive-4B's checkpoint, and ours in its layout.

The official file is a flat dictionary or one under ``model``; keys may begin with ``model.``; a
file of TransformerEngine has other names for the same matrices (``ar/utils/checkpoint.py`` of
nvidia-cosmos/cosmos-predict1). Here queries, keys and values are one matrix, and so are w1 and w3.
"""

import zipfile
from pathlib import Path

import torch
from torch import Tensor

from model.training.sidecar import CheckpointError
from model.transformer.config import UniMoConfig
from model.transformer.network import UniMo

_STACKED = {
    "attention.wqkv.weight": ("attention.wq", "attention.wk", "attention.wv"),
    "feed_forward.w13.weight": ("feed_forward.w1", "feed_forward.w3"),
}
# Ends of a key of TransformerEngine -> ours; fc1 is w1 on top of w3.
_TRANSFORMER_ENGINE = {
    "self_attention.layernorm_qkv.layer_norm_weight": "attention_norm.weight",
    "self_attention.layernorm_qkv.query_weight": "attention.wq.weight",
    "self_attention.layernorm_qkv.key_weight": "attention.wk.weight",
    "self_attention.layernorm_qkv.value_weight": "attention.wv.weight",
    "self_attention.proj.weight": "attention.wo.weight",
    "self_attention.q_norm.weight": "attention.q_norm.weight",
    "self_attention.k_norm.weight": "attention.k_norm.weight",
    "layernorm_mlp.layer_norm_weight": "ffn_norm.weight",
    "layernorm_mlp.fc2_weight": "feed_forward.w2.weight",
}
_FC1 = "layernorm_mlp.fc1_weight"
_NOT_COSMOS = ("motion_embeddings.", "special_embeddings.", "motion_output.")


def read(path: str | Path) -> dict[str, Tensor]:
    """The tensors of an official ``model.pt``, mapped from the file; no code in it is executed.

    Raises:
        CheckpointError: no such file, or not a PyTorch archive of tensors alone.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(
            f"{path} is not there: request Cosmos-1.0-Autoregressive-4B (also named "
            "Cosmos-Predict1-4B) from nvidia on Hugging Face and name its model.pt"
        )
    try:
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # damaged pickles fail in all ways: IndexError, KeyError, ...
        why = "truncated or not a PyTorch archive" if not zipfile.is_zipfile(path) else "unusable"
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path} is {why}; nothing in it was executed ({reason})") from error
    if isinstance(found, dict) and isinstance(found.get("model"), dict):
        found = found["model"]
    if not isinstance(found, dict) or not _names_tensors(found):
        raise CheckpointError(f"{path} does not hold a dictionary of tensors")
    return found


def load(model: UniMo, state_dict: dict[str, Tensor]) -> None:
    """Give `model` the weights of a Cosmos checkpoint; what the paper adds to it stays as it is.

    Args:
        model: with a visual table; its dtypes and devices are kept.
        state_dict: plain, ``model.``-prefixed or of TransformerEngine.

    Raises:
        CheckpointError: the first tensor that is missing, unknown, of another shape or not of
            plain floats; `model` is then unchanged.
    """
    own = export(model)
    found = _canonical(state_dict)
    for name in own:
        if name not in found:
            raise CheckpointError(f"the checkpoint has no tensor {name}, which this model has")
        if found[name].shape != own[name].shape:
            raise CheckpointError(
                f"tensor {name} is {tuple(found[name].shape)} in the checkpoint, "
                f"{tuple(own[name].shape)} in this model: is it of another configuration?"
            )
        if not found[name].is_floating_point() or found[name].layout != torch.strided:
            kind = f"{found[name].layout} {found[name].dtype}".replace("torch.", "")
            raise CheckpointError(f"tensor {name} is {kind} in the checkpoint, not plain floats")
    unknown = sorted(found.keys() - own.keys())
    if unknown:
        raise CheckpointError(f"the checkpoint has a tensor {unknown[0]}, unknown to this model")
    with torch.no_grad():
        for name, tensor in own.items():  # views of the model's own
            tensor.copy_(found[name])


def export(model: UniMo) -> dict[str, Tensor]:
    """Return the Cosmos part of a model under its official names, as views of the model's tensors.

    Raises:
        CheckpointError: a factorised visual embedding, which Cosmos does not have.
    """
    if model.config.visual_embedding != "table":
        raise CheckpointError("Cosmos's weights need visual_embedding='table'")
    state = {}
    for name, tensor in model.state_dict().items():
        if name.startswith(_NOT_COSMOS) or name.endswith("ape_gate"):
            continue
        for ours, theirs in _STACKED.items():
            if name.endswith(ours):
                sizes = _sizes(model, ours)
                for part, piece in zip(theirs, tensor.split(sizes), strict=True):
                    state[f"{name.removesuffix(ours)}{part}.weight"] = piece
                break
        else:
            state[name] = tensor
    return state


def num_parameters(config: UniMoConfig) -> int:
    """Return the number of parameters of Cosmos at a model's sizes."""
    with torch.device("meta"):
        return sum(tensor.numel() for tensor in export(UniMo(config)).values())


def _canonical(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """Plain official names, whatever the layout."""
    plain = {}
    for key, tensor in state_dict.items():
        if "_extra_state" in key:  # of TransformerEngine; not a tensor of the model
            continue
        key = key.removeprefix("model.")
        if key.endswith(f".{_FC1}") and tensor.ndim:
            layer, half = key.removesuffix(_FC1), len(tensor) // 2
            plain[f"{layer}feed_forward.w1.weight"] = tensor[:half]
            plain[f"{layer}feed_forward.w3.weight"] = tensor[half:]
        else:
            end = next((end for end in _TRANSFORMER_ENGINE if key.endswith(f".{end}")), "")
            plain[key.removesuffix(end) + _TRANSFORMER_ENGINE.get(end, "")] = tensor
    return plain


def _sizes(model: UniMo, stacked: str) -> tuple[int, ...]:
    config = model.config
    if stacked.startswith("feed_forward"):
        return (config.ffn_hidden_size,) * 2
    keys = config.n_kv_heads * config.head_dim
    return (config.dim, keys, keys)


def _names_tensors(state: dict) -> bool:
    return all(
        isinstance(name, str) and (isinstance(value, Tensor) or "_extra_state" in name)
        for name, value in state.items()
    )
