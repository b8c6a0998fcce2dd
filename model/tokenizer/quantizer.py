"""Vector quantisation: each feature becomes the index of the nearest code of one codebook.

Two ways to learn the codes: `EMAQuantizer`, exponential averages of the features assigned to them
with restart of dead codes (van den Oord et al. 2017, appendix A.1; Jukebox, as Duolando uses it),
and `GradientQuantizer`, the codebook term of the paper's equation 5 taken literally. Both work in
float32 whatever the autocast, and keep all their state in the module's state dict.

Shapes: N features of dimension D, B codes.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.tokenizer.config import TokenizerConfig


class Quantizer(nn.Module):
    """Common part of both: the first codes, the nearest code, straight-through gradients."""

    codebook: Tensor

    def __init__(self):
        super().__init__()
        self.register_buffer("initialised", torch.tensor(False))
        self._is_initialised = False  # mirrors the buffer, so that a GPU need not be asked

    def forward(
        self, features: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Quantise (N, D) features; in training mode, also learn.

        Args:
            features: (N, D), any float dtype.
            generator: source of the first codes and of restarts; None: no restart.

        Returns:
            The codes (N, D) with the gradient passed straight through to the features; their
            indices (N,) int64; the losses, unweighted.
        """
        with torch.autocast(features.device.type, enabled=False):
            exact = features.float()
            if self.training and not self._ready():
                self._initialise(exact.detach(), generator)
            ids = self.nearest(exact.detach())
            codes, losses = self._learn(exact, ids, generator)
            return (exact + (codes - exact).detach()).to(features.dtype), ids, losses

    def nearest(self, features: Tensor) -> Tensor:
        """Index (N,) of the nearest code, in squared Euclidean distance."""
        codebook = self.codebook.detach()
        norms = codebook.square().sum(1)

        def distances(rows: Tensor) -> Tensor:
            # |f - c|^2 without |f|^2, which no code changes.
            return torch.addmm(norms, rows, codebook.T, alpha=-2)

        if features.is_cuda:
            return torch.cat([distances(rows).argmin(1) for rows in features.split(2**15)])
        # Pieces that stay in cache; NumPy's argmin is ten times as fast as torch's on a CPU.
        pieces = [distances(rows).numpy().argmin(1) for rows in features.split(256)]
        return torch.from_numpy(np.concatenate(pieces))

    def lookup(self, ids: Tensor) -> Tensor:
        """Codes (..., D) of indices (...)."""
        return F.embedding(ids, self.codebook)

    def _learn(self, features: Tensor, ids: Tensor, generator: torch.Generator | None):
        raise NotImplementedError

    def _ready(self) -> bool:
        self._is_initialised = self._is_initialised or bool(self.initialised)
        return self._is_initialised

    @torch.no_grad()
    def _initialise(self, features: Tensor, generator: torch.Generator | None) -> None:
        """Codes are features of the first training batch, in random order."""
        codes = _draw(features, len(self.codebook), generator)
        if len(features) < len(codes):  # repeated features must not stay equal codes
            noise = torch.randn(codes.shape, generator=generator).to(codes)
            codes = codes + noise * (0.01 / codes.shape[1] ** 0.5)
        self.codebook.copy_(codes)
        self.initialised.fill_(True)


class EMAQuantizer(Quantizer):
    """Codes are running means of the features they won; dead codes move to random features."""

    def __init__(self, config: TokenizerConfig):
        super().__init__()
        self.decay = config.ema_decay
        self.restart_threshold = config.restart_threshold
        self.register_buffer("codebook", torch.zeros(config.codebook_size, config.code_dim))
        self.register_buffer("sums", torch.zeros(config.codebook_size, config.code_dim))
        self.register_buffer("counts", torch.zeros(config.codebook_size))

    def _initialise(self, features: Tensor, generator: torch.Generator | None) -> None:
        super()._initialise(features, generator)
        self.counts.fill_(self._least_load(features))
        self.sums.copy_(self.codebook * self.counts[:, None])

    def _least_load(self, features: Tensor) -> float:
        """Hits a step below which a code is dead, and with which a new code starts."""
        return self.restart_threshold * len(features) / len(self.codebook)

    def _learn(self, features: Tensor, ids: Tensor, generator: torch.Generator | None):
        codes = self.lookup(ids)
        losses = {"commitment": F.mse_loss(features, codes)}
        if self.training:
            self._update(features.detach(), ids, generator)
        return codes, losses

    @torch.no_grad()
    def _update(self, features: Tensor, ids: Tensor, generator: torch.Generator | None) -> None:
        # index_add_ into (B,) and (B, D): no (N, B) one-hot matrix, no wait for the device.
        hits = torch.zeros_like(self.counts).index_add_(0, ids, features.new_ones(len(ids)))
        wins = torch.zeros_like(self.sums).index_add_(0, ids, features)
        self.counts.lerp_(hits, 1 - self.decay)
        self.sums.lerp_(wins, 1 - self.decay)
        if generator is not None:
            least = self._least_load(features)
            dead = self.counts < least
            fresh = _draw(features, len(self.codebook), generator)
            # A new code has no past, and must win features in the next step or is moved again.
            self.counts.clamp_(min=least)
            self.sums.copy_(torch.where(dead[:, None], fresh * self.counts[:, None], self.sums))
        # A code that nothing chose for long keeps its place instead of becoming 0 / 0.
        means = self.sums / self.counts[:, None]
        self.codebook.copy_(torch.where(self.counts[:, None] > 1e-6, means, self.codebook))


class GradientQuantizer(Quantizer):
    """Equation 5 as printed: the codes are parameters, pulled to the features that chose them."""

    def __init__(self, config: TokenizerConfig):
        super().__init__()
        self.codebook = nn.Parameter(torch.zeros(config.codebook_size, config.code_dim))

    def _learn(self, features: Tensor, ids: Tensor, generator: torch.Generator | None):
        codes = self.lookup(ids)
        return codes, {
            "commitment": F.mse_loss(features, codes.detach()),
            "codebook": F.mse_loss(codes, features.detach()),
        }


def _draw(features: Tensor, number: int, generator: torch.Generator | None) -> Tensor:
    """`number` of the features (N, D), in random order, repeated only where N < number."""
    order = torch.randperm(len(features), generator=generator)
    return features[order[torch.arange(number) % len(features)].to(features.device)]
