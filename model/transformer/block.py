"""A block of the transformer, as in Cosmos: attention and feed-forward on a residual stream.

Legend: B clips, S positions, P of the condition, C width of the model, H query heads, K key heads,
D width of a head.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import rms_norm, silu

from model.transformer.attention import cached_attention, prefix_lm_attention
from model.transformer.config import UniMoConfig
from model.transformer.position import Positions, rotate


class RMSNorm(nn.Module):
    """Root mean square normalisation: statistics in float32, the weight in the input's dtype."""

    def __init__(self, dim: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last axis."""
        normal = rms_norm(x.float(), x.shape[-1:], eps=self.eps)
        return normal.to(x.dtype) * self.weight


class Attention(nn.Module):
    """Grouped-query attention with normalised queries and keys."""

    def __init__(self, config: UniMoConfig):
        super().__init__()
        self.sizes = (config.n_heads, config.n_kv_heads, config.n_kv_heads)
        self.ape = config.ape
        width = config.head_dim
        self.wqkv = nn.Linear(config.dim, sum(self.sizes) * width, bias=False)
        self.wo = nn.Linear(config.n_heads * width, config.dim, bias=False)
        self.q_norm = RMSNorm(width, config.norm_eps)
        self.k_norm = RMSNorm(width, config.norm_eps)

    def rotated(self, x: Tensor, at: Positions) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, H, S, D), keys and values (B, K, S, D) of x (B, S, C), rotary alone."""
        heads = self.wqkv(x).unflatten(-1, (sum(self.sizes), -1)).transpose(1, 2)
        q, k, v = heads.split(self.sizes, dim=1)
        cos, sin = at.cos.to(x.dtype), at.sin.to(x.dtype)
        q, k = rotate(self.q_norm(q), cos, sin), rotate(self.k_norm(k), cos, sin)
        # Under autocast these are float32 and the values are not; attention wants one dtype.
        return q.to(v.dtype), k.to(v.dtype), v

    def placed(
        self, x: Tensor, at: Positions, gate: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Like `rotated`, plus absolute positions where the configuration adds them here."""
        q, k, v = self.rotated(x, at)
        if self.ape == "qk":
            shift = (gate * at.ape).to(q.dtype)
            q, k = q + shift, k + shift
        return q, k, v

    def merge(self, out: Tensor) -> Tensor:
        """Heads (B, H, S, D) to the residual stream (B, S, C)."""
        return self.wo(out.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """The gated network w2(silu(w1 x) * w3 x); w1 and w3 are one matrix."""

    def __init__(self, config: UniMoConfig):
        super().__init__()
        self.w13 = nn.Linear(config.dim, 2 * config.ffn_hidden_size, bias=False)
        self.w2 = nn.Linear(config.ffn_hidden_size, config.dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) to (..., C)."""
        gate, value = self.w13(x).chunk(2, dim=-1)
        return self.w2(silu(gate) * value)


class Block(nn.Module):
    """Attention and feed-forward, each on a normalised residual stream."""

    def __init__(self, config: UniMoConfig):
        super().__init__()
        self.ape = config.ape
        self.attention_norm = RMSNorm(config.dim, config.norm_eps)
        self.attention = Attention(config)
        self.ffn_norm = RMSNorm(config.dim, config.norm_eps)
        self.feed_forward = FeedForward(config)
        self.ape_gate = None if config.ape == "off" else nn.Parameter(torch.empty(1))

    def forward(self, x: Tensor, at: Positions, prefix: int) -> Tensor:
        """All positions (B, S, C) of a sequence; `prefix`: as for `prefix_lm_attention`."""
        x, (q, k, v) = self._heads(x, at)
        return self._merged(x, prefix_lm_attention(q, k, v, prefix))

    def prefill(
        self, x: Tensor, at: Positions, cache: tuple[Tensor, Tensor], prefix: int
    ) -> Tensor:
        """Return the condition (B, P, C), its keys and values kept in `cache` (B, K, S, D) each.

        `prefix`: as for `prefix_lm_attention`, P or 0.
        """
        x, (q, k, v) = self._heads(x, at)
        for kept, new in zip(cache, (k, v), strict=True):
            kept[:, :, : x.shape[1]] = new
        return self._merged(x, prefix_lm_attention(q, k, v, prefix))

    def step(
        self,
        x: Tensor,
        at: Positions,
        position: Tensor,
        cache: tuple[Tensor, Tensor],
        seen: Tensor | None,
    ) -> Tensor:
        """One new position (B, 1, C) after those in `cache`, to which it is added.

        `seen`: as for `cached_attention`.
        """
        x, (q, k, v) = self._heads(x, at)
        for kept, new in zip(cache, (k, v), strict=True):
            kept.index_copy_(2, position, new)
        return self._merged(x, cached_attention(q, *cache, seen))

    def _heads(self, x: Tensor, at: Positions) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        if self.ape == "hidden":
            x = x + (self.ape_gate * at.ape).to(x.dtype)
        return x, self.attention.placed(self.attention_norm(x), at, self.ape_gate)

    def _merged(self, x: Tensor, out: Tensor) -> Tensor:
        x = x + self.attention.merge(out)
        return x + self.feed_forward(self.ffn_norm(x))
