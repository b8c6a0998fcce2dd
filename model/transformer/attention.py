"""Attention of a prefix language model, for training and from a cache.

Legend: B clips, H query heads, G = H / K query heads a key head, K key heads, S positions, P of the
condition, L = S - P of the target, D width of a head.
"""

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

CHUNK = 128  # positions of a cache that are multiplied together


def prefix_lm_attention(q: Tensor, k: Tensor, v: Tensor, prefix: int) -> Tensor:
    """Every position sees the whole condition, and the target up to itself.

    Two calls instead of one mask over S x S: the condition attends to itself in full, the target to
    everything before and including itself, causal from the lower right corner (``is_causal=True``
    would count from the upper left). Both are calls that fused kernels know, forward and backward.

    Args:
        q: (B, H, S, D).
        k: (B, K, S, D), K dividing H.
        v: (B, K, S, D).
        prefix: P, 0 for plain causal attention.

    Returns:
        (B, H, S, D).

    Raises:
        ValueError: a prefix outside 0..S, or heads that do not divide.
    """
    length = q.shape[2]
    if not 0 <= prefix <= length:
        raise ValueError(f"a prefix of {prefix} positions in a sequence of {length}")
    if q.shape[1] % k.shape[1] or k.shape != v.shape or k.shape[2] != length:
        raise ValueError(f"q {tuple(q.shape)}, k {tuple(k.shape)}, v {tuple(v.shape)} do not fit")
    grouped = q.shape[1] != k.shape[1]
    out = []
    if prefix:
        condition = (part[:, :, :prefix] for part in (q, k, v))
        out.append(scaled_dot_product_attention(*condition, enable_gqa=grouped))
    if 0 < prefix < length:
        mask = _lower_right(length - prefix, length, q.device)
        target = q[:, :, prefix:]
        out.append(scaled_dot_product_attention(target, k, v, attn_mask=mask, enable_gqa=grouped))
    elif prefix == 0:
        out.append(scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=grouped))
    return out[0] if len(out) == 1 else torch.cat(out, dim=2)


def _lower_right(rows: int, columns: int, device: torch.device) -> Tensor:
    """The mask of the last `rows` of `columns` positions, each of which sees itself and all before.

    On a GPU it is a name for fused kernels. Elsewhere torch makes the same booleans of it, but only
    after an import that takes 1.4 s.
    """
    if device.type == "cuda":
        from torch.nn.attention.bias import causal_lower_right

        return causal_lower_right(rows, columns)
    return torch.ones(rows, columns, dtype=torch.bool, device=device).tril(columns - rows)


def cached_attention(q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None) -> Tensor:
    """One new position against the keys and values of all before it.

    The G query heads of a key head become G query rows of it, so that each key is read once and
    nothing is expanded.

    Args:
        q: (B, H, 1, D).
        k: (B, K, S, D).
        v: (B, K, S, D).
        seen: (S,) bool, the positions that are filled, S a multiple of `CHUNK`; None: all are.

    Returns:
        (B, H, 1, D).
    """
    rows = q.view(q.shape[0], k.shape[1], -1, q.shape[3])  # (B, K, G, D)
    if seen is None:
        return scaled_dot_product_attention(rows, k, v).view(q.shape)
    # A fused kernel would give each key head, of which there are few, to one processor of a GPU.
    # Matrix products over pieces of the cache occupy all of them.
    scores = (rows @ k.transpose(-1, -2)).float() * q.shape[3] ** -0.5  # (B, K, G, S)
    weights = scores.masked_fill(~seen, -torch.inf).softmax(dim=-1).to(v.dtype)
    weights = weights.unflatten(-1, (-1, CHUNK)).transpose(2, 3)  # (B, K, S / CHUNK, G, CHUNK)
    out = weights @ v.unflatten(2, (-1, CHUNK))
    return out.sum(dim=2, dtype=torch.float32).to(q.dtype).view(q.shape)
