"""Cosmos's files with nothing learned: its transformer, and tokenizers of the true signatures.

A token of the discrete tokenizer is a shade of grey, so that pictures can be checked.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.transformer import UniMo, UniMoConfig, cosmos_weights

WORDS = 4000  # shades of grey; a token beyond them begins again


class DVEncoder(nn.Module):
    """The brightness of every block as an id: (B, 3, T, H, W) to (ids, codes, loss)."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return ids (B, t, h, w) int32, codes (B, 6, t, h, w) and a number."""
        grey = x.float().mean(1, keepdim=True)  # a CPU pools no bf16
        first = F.avg_pool3d(grey[:, :, :1], [1, 16, 16])
        if x.shape[2] > 1:
            first = torch.cat([first, F.avg_pool3d(grey[:, :, 1:], [8, 16, 16])], 2)
        ids = ((first[:, 0] + 1) / 2 * 3999).round().to(torch.int32)
        return ids, first.repeat(1, 6, 1, 1, 1).to(x.dtype), first.mean()


class DVDecoder(nn.Module):
    """Looks brightness up: ids (B, t, h, w) to (B, 3, T, H, W), beyond -1 .. 1 at its ends."""

    def __init__(self):
        super().__init__()
        self.register_buffer("shades", torch.linspace(-1.01, 1.01, 4000))

    def forward(self, ids: Tensor) -> Tensor:
        """Return the pixels."""
        pixels = self.shades[ids.long() % 4000]
        pixels = pixels.repeat_interleave(16, 2).repeat_interleave(16, 3)
        pixels = torch.cat([pixels[:, :1], pixels[:, 1:].repeat_interleave(8, 1)], 1)
        return pixels.unsqueeze(1).repeat(1, 3, 1, 1, 1)


class CVEncoder(nn.Module):
    """Colours of every 8 x 8 block in channels 0 to 2; the others are 0.25."""

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """Return latents (B, 16, t, H / 8, W / 8)."""
        first = F.avg_pool3d(x[:, :, :1].float(), [1, 8, 8])
        if x.shape[2] > 1:
            first = torch.cat([first, F.avg_pool3d(x[:, :, 1:].float(), [8, 8, 8])], 2)
        rest = torch.full_like(first[:, :1], 0.25).repeat(1, 13, 1, 1, 1)
        return (torch.cat([first, rest], 1).to(x.dtype),)


class CVDecoder(nn.Module):
    """The inverse for videos of such blocks."""

    def forward(self, y: Tensor) -> Tensor:
        """Return pixels (B, 3, T, H, W)."""
        pixels = y[:, :3].repeat_interleave(8, 3).repeat_interleave(8, 4)
        return torch.cat([pixels[:, :, :1], pixels[:, :, 1:].repeat_interleave(8, 2)], 2)


def save(module: nn.Module, file: Path) -> None:
    """Write a TorchScript archive."""
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.jit.save(torch.jit.script(module), file)


def build_dv(folder: Path) -> Path:
    """Write DV8x16x16's files."""
    save(DVEncoder(), folder / "encoder.jit")
    save(DVDecoder(), folder / "decoder.jit")
    return folder


def statistics(places: int = 16) -> tuple[Tensor, Tensor]:
    """Return mean and std (16, places), other ones for every channel and place."""
    grid = torch.arange(16 * places, dtype=torch.float32).view(16, places)
    return grid / 100 - 1, 0.5 + grid / 64


def build_cv(folder: Path, places: int = 16) -> Path:
    """Write CV8x8x8's files, with statistics of so many latent frames."""
    save(CVEncoder(), folder / "encoder.jit")
    save(CVDecoder(), folder / "decoder.jit")
    torch.save(tuple(part.flatten() for part in statistics(places)), folder / "mean_std.pt")
    return folder


def build_transformer(folder: Path, size: UniMoConfig) -> Path:
    """Write ``model.pt`` of a Cosmos of UniMo's size: bf16 under ``model``, as released."""
    with torch.device("meta"):
        model = UniMo(size)
    generator = torch.Generator().manual_seed(0)
    state = {}
    for name, tensor in cosmos_weights.export(model).items():
        numbers = torch.ones(tensor.shape)
        if not name.endswith("norm.weight"):
            numbers = torch.randn(tensor.shape, generator=generator) / tensor.shape[-1] ** 0.5
        state[f"model.{name}"] = numbers.bfloat16()
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"model": state}, folder / "model.pt")
    return folder
