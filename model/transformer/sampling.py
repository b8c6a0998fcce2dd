"""From logits to a token (appendix A: top-p 0.8 at temperature 1)."""

import torch
from torch import Tensor


def top_p(logits: Tensor, p: float, temperature: float) -> Tensor:
    """Return the distribution that is sampled from: the most likely tokens that together reach `p`.

    As Cosmos does it: a token is kept while those before it weigh no more than `p`, so the one that
    crosses the threshold stays.

    Args:
        logits: (..., V).
        p: in (0, 1]; 1 keeps all.
        temperature: divides the logits; 0 keeps the most likely token alone.

    Returns:
        (..., V) float32 probabilities.

    Raises:
        ValueError: `p` or `temperature` outside its range.
    """
    if not 0 < p <= 1:
        raise ValueError(f"top-p must be above 0 and at most 1, got {p}")
    if not temperature >= 0:
        raise ValueError(f"the temperature must be 0 or above, got {temperature}")
    logits = logits.float()
    if temperature == 0:
        return torch.zeros_like(logits).scatter_(-1, logits.argmax(-1, keepdim=True), 1.0)
    # The largest is 0 then: a tiny temperature makes no infinity of it, whose softmax is NaN.
    logits = logits - logits.amax(dim=-1, keepdim=True)
    temperature = max(temperature, torch.finfo(torch.float32).tiny)
    probabilities = torch.softmax(logits / temperature, dim=-1)
    if p == 1:
        return probabilities
    # Stable: which of equals crosses the threshold must not depend on the rows beside.
    ranked, order = probabilities.sort(dim=-1, descending=True, stable=True)
    ranked = ranked * (ranked.cumsum(dim=-1) - ranked <= p)
    inside = torch.zeros_like(probabilities).scatter_(-1, order, ranked)
    return inside / inside.sum(dim=-1, keepdim=True)


def draw(probabilities: Tensor, noise: Tensor) -> Tensor:
    """Tokens (...) of distributions (..., V), by exponential noise (..., V).

    argmax(p / e) with e ~ Exp(1) is distributed as p and asks nothing of the device that the host
    would have to wait for.
    """
    return (probabilities / noise).argmax(dim=-1)


class Noise:
    """Exponential noise, for each clip from a generator of its own.

    What is drawn for a clip depends on its seed and not on the clips beside it.
    """

    def __init__(self, seeds: list[int], device: torch.device):
        self.device = device
        self.generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]

    def __call__(self, size: int) -> Tensor:
        """(B, size) float32, Exp(1)."""
        noise = torch.empty(len(self.generators), size, device=self.device)
        for row, generator in zip(noise, self.generators, strict=True):
            row.exponential_(generator=generator)
        return noise
