"""The network of the fitted codec: convolutions in each latent frame, and looks at the one before.

Shapes: N videos of t latent frames of h x w blocks; D channels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class BlockNetwork(nn.Module):
    """Numbers of every block to other numbers of every block, causal in time.

    No padding and no statistic reaches over latent frames, so the first of them alone give what
    they give in a longer video.
    """

    def __init__(self, inputs: int, outputs: int, *, width: int, groups: list[int], kernel: int):
        """Layers.

        Args:
            inputs: numbers of a block.
            outputs: numbers of a block.
            width: channels D.
            groups: residual blocks before the first look back, before the second, ...
            kernel: blocks across the first convolution.
        """
        super().__init__()
        self.enter = nn.Conv2d(inputs, width, kernel, padding=kernel // 2)
        # The first latent frame is one frame, the others are eight: the network is told which.
        self.first = nn.Parameter(torch.zeros(width, 1, 1))
        self.groups = nn.ModuleList(
            nn.Sequential(*(_Residual(width) for _ in range(blocks))) for blocks in groups
        )
        self.looks = nn.ModuleList(nn.Conv2d(2 * width, width, 1) for _ in groups)
        self.leave = nn.Conv2d(width, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, t, outputs, h, w) of (N, t, inputs, h, w)."""
        time = x.shape[:2]
        x = self.enter(x.flatten(0, 1)).unflatten(0, time)
        x = torch.cat([x[:, :1] + self.first, x[:, 1:]], dim=1)
        for group, look in zip(self.groups, self.looks, strict=True):
            x = group(x.flatten(0, 1)).unflatten(0, time)
            before = F.pad(x[:, :-1], (0, 0, 0, 0, 0, 0, 1, 0))
            x = x + look(torch.cat([before, x], dim=2).flatten(0, 1)).unflatten(0, time)
        return self.leave(x.flatten(0, 1)).unflatten(0, time)


class _Residual(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.GroupNorm(1, width),
            nn.GELU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(width, width, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)
