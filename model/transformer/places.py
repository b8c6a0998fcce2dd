"""Where the tokens of a sequence are for the network: positions and indices, made once on a device.

Legend: S positions of the sequence, n of its beginning.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model.sequence import MOTION, SPECIAL, Schedule
from model.transformer.block import Positions
from model.transformer.config import UniMoConfig
from model.transformer.position import ape_3d, rope_tables, rope_tables_1d


def make_positions(config: UniMoConfig, schedule: Schedule, device: torch.device) -> Positions:
    """Rotary and absolute positions of a sequence (equations 3-4): of each token its modality's."""
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
    """Where the tokens of a sequence's first n positions are, as indices on the device.

    Attributes:
        positions: modality -> its positions, increasing.
        back: (n,) from the modalities one after the other to the order of the sequence.
        targets: modality -> its targets, counted from the first target.
    """

    positions: dict[int, Tensor]
    back: Tensor
    targets: dict[int, Tensor]

    @classmethod
    def of(cls, schedule: Schedule, length: int, device: torch.device) -> "Order":
        """The order of the first `length` positions."""
        first = {m: p[p < length] for m, p in schedule.positions.items()}
        back = np.argsort(np.concatenate(list(first.values())))
        targets = {m: p - schedule.prefix for m, p in schedule.targets.items()}

        def move(indices: dict[int, np.ndarray]) -> dict[int, Tensor]:
            return {m: torch.from_numpy(p).to(device) for m, p in indices.items()}

        return cls(move(first), torch.from_numpy(back).to(device), move(targets))
