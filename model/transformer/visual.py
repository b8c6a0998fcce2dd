"""Embedding and head of the visual tokens: one row a token, or one row a digit.

Legend: N tokens, V visual tokens in all, C width of the model.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

from model.transformer.cost import LOGITS_AT_ONCE
from model.transformer.sampling import Noise, draw, top_p
from model.video_tokens import fsq

_SPREAD = 1.7  # of an embedded digit along its direction, from the lowest to the highest value


class TableHead(nn.Linear):
    """A logit for every token: Cosmos's ``output``."""

    def __init__(self, dim: int, vocabulary: int):
        super().__init__(dim, vocabulary, bias=False)

    def losses(self, hidden: Tensor, tokens: Tensor, rivals: Tensor | None) -> Tensor:
        """Cross-entropies (N,) of tokens (N,) given hidden states (N, C).

        A piece at a time, its logits computed again for the gradient: those of 8192 tokens would
        take 2 GB.

        Args:
            hidden: (N, C).
            tokens: (N,).
            rivals: (N, R) logits of other tokens in the same softmax, or None.
        """

        def piece(hidden: Tensor, tokens: Tensor, rivals: Tensor | None = None) -> Tensor:
            logits = self(hidden)
            if rivals is not None:
                logits = torch.cat([logits, rivals], dim=-1)
            return cross_entropy(logits.float(), tokens, reduction="none")

        inputs = (hidden, tokens) if rivals is None else (hidden, tokens, rivals)
        pieces = zip(*(part.split(LOGITS_AT_ONCE) for part in inputs), strict=True)
        return torch.cat([checkpoint(piece, *parts, use_reentrant=False) for parts in pieces])

    def first_logits(self, hidden: Tensor) -> Tensor:
        """Logits (N, V): what shares a softmax with motion tokens in a unified vocabulary."""
        return self(hidden)

    def sample(self, hidden: Tensor, noise: Noise, *, p: float, temperature: float) -> Tensor:
        """Tokens (B,) of hidden states (B, C)."""
        probabilities = top_p(self(hidden), p, temperature)
        return draw(probabilities, noise(probabilities.shape[-1]))


class DigitEmbedding(nn.Module):
    """The sum of a row for each of the six FSQ digits."""

    def __init__(self, dim: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(sum(fsq.LEVELS), dim))
        starts = torch.tensor([0, *fsq.LEVELS[:-1]]).cumsum(0)
        self.register_buffer("starts", starts)

    @torch.no_grad()
    def initialise(self) -> None:
        """Neighbouring values of a digit start near each other, along a direction of its own.

        An FSQ digit is a number. Small independent rows hide that, and the model then learns to
        predict motion from motion and never looks at the video.
        """
        rows = []
        for levels in fsq.LEVELS:
            direction = 0.1 * torch.randn(self.weight.shape[1])
            rows.append(torch.linspace(-_SPREAD, _SPREAD, levels)[:, None] * direction)
        self.weight.copy_(torch.cat(rows) + 0.02 * torch.randn_like(self.weight))

    def forward(self, tokens: Tensor) -> Tensor:
        """Embeddings (..., C) of tokens (...)."""
        rows = fsq.split(tokens) + self.starts
        return nn.functional.embedding(rows, self.weight).sum(dim=-2)


class DigitHead(nn.Module):
    """An exact distribution over all tokens, digit after digit.

    The logits of a digit see the hidden state and the digits of the same token before it.
    """

    def __init__(self, dim: int):
        super().__init__()
        self.outputs = nn.ModuleList(nn.Linear(dim, levels, bias=False) for levels in fsq.LEVELS)
        self.given = nn.ModuleList(nn.Embedding(levels, dim) for levels in fsq.LEVELS[:-1])

    def losses(self, hidden: Tensor, tokens: Tensor, rivals: Tensor | None) -> Tensor:
        """Return cross-entropies, like `TableHead.losses`."""
        digits = fsq.split(tokens)
        total = 0.0
        for place, output in enumerate(self.outputs):
            logits = output(hidden)
            if place == 0 and rivals is not None:
                logits = torch.cat([logits, rivals], dim=-1)
            total = total + cross_entropy(logits.float(), digits[:, place], reduction="none")
            if place < len(self.given):
                hidden = hidden + self.given[place](digits[:, place])
        return total

    def first_logits(self, hidden: Tensor) -> Tensor:
        """Logits (N, 8) of the first digit: with rivals they share the first softmax."""
        return self.outputs[0](hidden)

    def sample(self, hidden: Tensor, noise: Noise, *, p: float, temperature: float) -> Tensor:
        """Tokens (B,) of hidden states (B, C); top-p holds for each digit."""
        digits = []
        for place, output in enumerate(self.outputs):
            probabilities = top_p(output(hidden), p, temperature)
            digits.append(draw(probabilities, noise(probabilities.shape[-1])))
            if place < len(self.given):
                hidden = hidden + self.given[place](digits[-1])
        return fsq.from_digits(torch.stack(digits, dim=-1))
