"""Rotary and absolute positions (paper equations 3-4), as Cosmos computes them.

Legend: S positions, D width of a head (or of the model). Coordinates are integers (t, h, w) on the
grid of latent frames, without any rescaling. Of D numbers, 2 * (D // 6) belong to h, as many to w,
the rest to t.
"""

import functools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model.sequence import MOTION, SPECIAL, Schedule
from model.transformer.config import UniMoConfig

_KEPT = 16  # results: three tasks, some lengths, some devices


def axis_widths(dim: int) -> tuple[int, int, int]:
    """Return the numbers among `dim` that belong to t, h and w."""
    side = 2 * (dim // 6)
    return dim - 2 * side, side, side


def rope_tables(
    t: Tensor, h: Tensor, w: Tensor, head_dim: int = 128, theta: float = 500_000.0
) -> tuple[Tensor, Tensor]:
    """Cosines and sines of Cosmos's 3D rotary embedding.

    Numbers i and i + D/2 of a head form a pair. The pairs' angles are t * f_t, then h * f_s, then
    w * f_s, with f = theta^(-2k/width) over each axis's own width.

    Args:
        t: (S,) coordinates; tensors, arrays or numbers.
        h: (S,).
        w: (S,).
        head_dim: D, even.
        theta: base of the frequencies.

    Returns:
        cos and sin, (S, D) float32 each.
    """
    angles = [
        _angles(axis, width, theta)
        for axis, width in zip((t, h, w), axis_widths(head_dim), strict=True)
    ]
    return _tables(torch.cat(angles, dim=-1))


def rope_tables_1d(
    position: Tensor, head_dim: int = 128, theta: float = 500_000.0
) -> tuple[Tensor, Tensor]:
    """Cosines and sines (S, D) of a rotary embedding over one coordinate (S,)."""
    return _tables(_angles(position, head_dim, theta))


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate heads x (..., S, D) by tables (S, D): ``x cos + R(x) sin``, R([a|b]) = [-b|a]."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin


def ape_3d(t: Tensor, h: Tensor, w: Tensor, dim: int) -> Tensor:
    """Absolute positions as in Cosmos's Video2World: [sin | cos] for t, then h, then w.

    Frequencies are 10000^(-k/(width/2)) over each axis's own width.

    Args:
        t: (S,) coordinates; tensors, arrays or numbers.
        h: (S,).
        w: (S,).
        dim: width of the vectors.

    Returns:
        (S, dim) float32; the root mean square of every row is 0.7071.
    """
    parts = []
    for axis, width in zip((t, h, w), axis_widths(dim), strict=True):
        angles = _angles(axis, width, 10_000.0)
        parts += [angles.sin(), angles.cos()]
    return torch.cat(parts, dim=-1)


def _angles(position: Tensor, width: int, theta: float) -> Tensor:
    """Position times theta^(-2k/width), (..., width / 2) float32."""
    exponents = torch.arange(0, width, 2, dtype=torch.float32) / width
    position = torch.as_tensor(position, dtype=torch.float32)
    return position[..., None] * (1.0 / theta**exponents)


def _tables(angles: Tensor) -> tuple[Tensor, Tensor]:
    angles = torch.cat([angles, angles], dim=-1)
    return angles.cos(), angles.sin()


@dataclass(frozen=True)
class Positions:
    """Rotary and absolute positions of the tokens that a block reads.

    Attributes:
        cos: (S, D) rotary cosines.
        sin: (S, D).
        ape: (S, D) or (S, C) absolute positions, or None; see `UniMoConfig.ape`.
    """

    cos: Tensor
    sin: Tensor
    ape: Tensor | None

    def __getitem__(self, rows) -> "Positions":
        ape = None if self.ape is None else self.ape[rows]
        return Positions(self.cos[rows], self.sin[rows], ape)


@functools.lru_cache(maxsize=_KEPT)
def make_positions(config: UniMoConfig, schedule: Schedule, device: torch.device) -> Positions:
    """Rotary and absolute positions of a sequence (equations 3-4): of each token its modality's.

    The last few results are kept on their devices.
    """
    head_dim, theta = config.head_dim, config.rope_theta
    t, h, w = (torch.from_numpy(axis) for axis in (schedule.t, schedule.h, schedule.w))
    moved = torch.from_numpy(schedule.modality == MOTION)[:, None]
    special = torch.from_numpy(schedule.modality == SPECIAL)[:, None]
    if config.unified:
        _, height, width = schedule.latent_shape
        place = torch.arange(len(schedule))
        latent, place = place // (height * width), place % (height * width)
        tables = rope_tables(latent, place // width, place % width, head_dim, theta)
    else:
        tables = rope_tables(t, h, w, head_dim, theta)
        if config.motion_rope == "1d":
            own = rope_tables_1d(torch.from_numpy(schedule.index), head_dim, theta)
            pairs = zip(own, tables, strict=True)
            tables = tuple(torch.where(moved, mine, theirs) for mine, theirs in pairs)
        # As Cosmos does with its own special token: no turn, and no place.
        tables = tuple(
            table.masked_fill(special, value)
            for table, value in zip(tables, (1.0, 0.0), strict=True)
        )
    cos, sin = (table.to(device) for table in tables)
    if config.ape == "off":
        return Positions(cos, sin, None)
    ape = ape_3d(t, h, w, head_dim if config.ape == "qk" else config.dim)
    return Positions(cos, sin, ape.masked_fill(special, 0.0).to(device))


@dataclass(frozen=True)
class Order:
    """Indices, on the device, that gather a sequence's first n tokens by modality and back.

    Attributes:
        positions: modality -> its positions, increasing.
        back: (n,) from the modalities one after the other to the order of the sequence.
        targets: modality -> its targets, counted from the first target.
    """

    positions: dict[int, Tensor]
    back: Tensor
    targets: dict[int, Tensor]

    @classmethod
    @functools.lru_cache(maxsize=_KEPT)
    def of(cls, schedule: Schedule, length: int, device: torch.device) -> "Order":
        """Return the order of the first `length` positions; the last few are kept."""
        first = {m: p[p < length] for m, p in schedule.positions.items()}
        back = np.argsort(np.concatenate(list(first.values())))
        targets = {m: p - schedule.prefix for m, p in schedule.targets.items()}

        def move(indices: dict[int, np.ndarray]) -> dict[int, Tensor]:
            return {m: torch.from_numpy(p).to(device) for m, p in indices.items()}

        return cls(move(first), torch.from_numpy(back).to(device), move(targets))
