"""Cosmos's finite scalar quantiser: six numbers on small grids are one of 64,000 ids.

Formulas and constants: `FSQuantizer` of Cosmos DV8x16x16, after Mentzer et al. 2023
(arXiv 2309.15505). A *digit* j is a whole number from 0 to LEVELS[j] - 1, a *code* the same as a
number from -1 to 1, an *id* all six digits in a mixed radix, the first the least significant.

All functions take tensors or arrays and return tensors.
"""

import math

import numpy as np
import torch
from torch import Tensor

from model.token_ids import require_ids
from model.video_tokens.codec import VOCABULARY

LEVELS = (8, 8, 8, 5, 5, 5)
NUM_DIGITS = len(LEVELS)
_BASIS = tuple(math.prod(LEVELS[:j]) for j in range(NUM_DIGITS))
_MARGIN = 1e-3  # lets tanh reach the outermost levels

Numbers = Tensor | np.ndarray


def bound(z: Numbers) -> Tensor:
    """Squash real numbers (..., 6) into what rounds to -(L // 2) .. L - 1 - L // 2."""
    z = torch.as_tensor(z)
    levels = _like(LEVELS, z)
    reach = (levels - 1) * (1 + _MARGIN) / 2
    offset = torch.where(levels % 2 == 0, 0.5, 0.0).to(z)  # an even grid has no middle
    return torch.tanh(z + torch.atanh(offset / reach)) * reach - offset


def quantize(z: Numbers) -> Tensor:
    """Codes (..., 6) of real numbers (..., 6), with the gradient of `bound` (straight through)."""
    smooth = bound(z)
    rounded = smooth + (smooth.round() - smooth).detach()
    return rounded / _halves(smooth)


def encode(z: Numbers) -> Tensor:
    """Ids (...) int64 of real numbers (..., 6)."""
    digits = bound(z).round().to(torch.int64)
    return from_digits(digits + _halves(digits))


def decode(ids: Numbers) -> Tensor:
    """Codes (..., 6) float32 of ids (...).

    Raises:
        ValueError: not integers, or outside the vocabulary.
    """
    places = digits(ids).to(torch.float32)
    halves = _halves(places)
    return (places - halves) / halves


def digits(ids: Numbers) -> Tensor:
    """Digits (..., 6) int64 of ids (...).

    Raises:
        ValueError: not integers, or outside the vocabulary.
    """
    ids = torch.as_tensor(ids)
    require_ids("ids", ids, VOCABULARY)
    return split(ids.to(torch.int64))


def split(ids: Tensor) -> Tensor:
    """Return `digits` of int64 ids without checking them, so that no device is waited for."""
    places = [ids // base % levels for base, levels in zip(_BASIS, LEVELS, strict=True)]
    return torch.stack(places, dim=-1)


def from_digits(digits: Numbers) -> Tensor:
    """Ids (...) int64 of digits (..., 6): the inverse of `digits`."""
    places = torch.as_tensor(digits).to(torch.int64).unbind(dim=-1)
    return sum(base * place for base, place in zip(_BASIS, places, strict=True))


def _halves(like: Tensor) -> Tensor:
    """Steps from the lowest level to the code 0."""
    return _like([level // 2 for level in LEVELS], like)


def _like(values, tensor: Tensor) -> Tensor:
    return torch.tensor(values, dtype=tensor.dtype, device=tensor.device)
