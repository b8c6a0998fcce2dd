"""Stand-ins for Cosmos's tokenizers: TorchScript with the released signatures, nothing learned."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.video_tokens.cosmos.files import CV, DIFFUSION, DV, SAMPLER

WORDS = 4000  # shades of grey a token can have


class DVEncoder(nn.Module):
    """The brightness of every block as an id: (B, 3, T, H, W) to (ids, codes, loss)."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        grey = x.float().mean(1, keepdim=True)  # a CPU pools no bf16
        first = F.avg_pool3d(grey[:, :, :1], [1, 16, 16])
        if x.shape[2] > 1:
            first = torch.cat([first, F.avg_pool3d(grey[:, :, 1:], [8, 16, 16])], 2)
        ids = ((first[:, 0] + 1) / 2 * 3999).round().to(torch.int32)
        return ids, first.repeat(1, 6, 1, 1, 1).to(x.dtype), first.mean()


class DVPairEncoder(nn.Module):
    """The same without the loss."""

    def __init__(self):
        super().__init__()
        self.whole = DVEncoder()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        ids, codes, _ = self.whole(x)
        return ids, codes


class DVDecoder(nn.Module):
    """Looks brightness up: ids (B, t, h, w) to (B, 3, T, H, W), beyond -1 .. 1 at its ends."""

    def __init__(self):
        super().__init__()
        self.register_buffer("shades", torch.linspace(-1.01, 1.01, 4000))

    def forward(self, ids: Tensor) -> Tensor:
        pixels = self.shades[ids.long().clamp(0, 3999)]
        pixels = pixels.repeat_interleave(16, 2).repeat_interleave(16, 3)
        pixels = torch.cat([pixels[:, :1], pixels[:, 1:].repeat_interleave(8, 1)], 1)
        return pixels.unsqueeze(1).repeat(1, 3, 1, 1, 1)


class CVEncoder(nn.Module):
    """Colours of every 8 x 8 block in channels 0 to 2; the others are 0.25."""

    def forward(self, x: Tensor) -> tuple[Tensor]:
        first = F.avg_pool3d(x[:, :, :1].float(), [1, 8, 8])
        if x.shape[2] > 1:
            first = torch.cat([first, F.avg_pool3d(x[:, :, 1:].float(), [8, 8, 8])], 2)
        rest = torch.full_like(first[:, :1], 0.25).repeat(1, 13, 1, 1, 1)
        return (torch.cat([first, rest], 1).to(x.dtype),)


class CVDecoder(nn.Module):
    """The inverse for videos of such blocks."""

    def forward(self, y: Tensor) -> Tensor:
        pixels = y[:, :3].repeat_interleave(8, 3).repeat_interleave(8, 4)
        return torch.cat([pixels[:, :, :1], pixels[:, :, 1:].repeat_interleave(8, 2)], 2)


def save(module: nn.Module, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.jit.save(torch.jit.script(module), file)


def build_dv(folder: Path) -> Path:
    save(DVEncoder(), folder / "encoder.jit")
    save(DVDecoder(), folder / "decoder.jit")
    return folder


def statistics(places: int = 16) -> tuple[Tensor, Tensor]:
    """Mean and std (16, places), other ones for every channel and place."""
    grid = torch.arange(16 * places, dtype=torch.float32).view(16, places)
    return grid / 100 - 1, 0.5 + grid / 64


def build_cv(folder: Path, places: int = 16) -> Path:
    save(CVEncoder(), folder / "encoder.jit")
    save(CVDecoder(), folder / "decoder.jit")
    torch.save(tuple(part.flatten() for part in statistics(places)), folder / "mean_std.pt")
    return folder


# Channel 0 of every latent is its id / 100, so that pictures tell what they were made from.
FAKE = """
import json, os
import numpy as np
def start(options):
    assert "SECRET" not in os.environ
    log = open(os.path.join(options["home"], "log"), "w")
    def handle(request):
        ids = np.load(request["ids"])
        print(json.dumps({**request, "shape": ids.shape}), file=log, flush=True)
        if ids.max() > 90:
            raise RuntimeError("too bright\\nfor me")
        if ids.max() == 85:
            os._exit(9)
        t, h, w = ids.shape
        latents = np.zeros((16, t, 2 * h, 2 * w), np.float32)
        latents[:3] = ids.repeat(2, 1).repeat(2, 2) / 100
        np.save(request["latents"], latents[:, : 1 if ids.max() == 80 else t])
        return {}
    return {"device": "cpu", "torch": "none"}, handle
"""


def build_installation(home: Path) -> Path:
    """A clone of cosmos-predict1: files of the right names, a CV8x8x8 without statistics."""
    (home / SAMPLER).parent.mkdir(parents=True)
    (home / SAMPLER).touch()
    for release in (DIFFUSION, DV):
        folder = release.folder(home)
        folder.mkdir(parents=True)
        for name in release.md5:
            (folder / name).touch()
    cv = build_cv(CV.folder(home))
    torch.save((torch.zeros(256), torch.full((256,), 0.5)), cv / "mean_std.pt")
    return home
