"""What GVHMR needs on disk, without its weights: everything is random, empty or the stand-in."""

import os
import shutil
import subprocess
from pathlib import Path

import torch

from datasets.bodies.smplx_file import STAND_IN
from datasets.estimators.gvhmr import BODY, WEIGHTS

# Runs in the tool's environment: the package's own denoiser as it is before any training.
_RANDOM_DENOISER = """
import runpy, sys, torch
operators = runpy.run_path(sys.argv[1])["declare"]()
import gvhmr
torch.save({"state_dict": {}}, "empty.ckpt")
torch.manual_seed(0)
model = gvhmr.pipeline(device="cpu", ckpt_path="empty.ckpt").model.pl
torch.save({"state_dict": model.state_dict()}, sys.argv[2])
"""
_OPERATORS = (
    Path(__file__).parents[3] / "datasets" / "tools" / "isolated" / "torchvision_operators.py"
)


def build(root: Path) -> Path:
    """Write files of the released sizes and the stand-in body below `root`."""
    for name, size in WEIGHTS.items():
        file = root / name
        file.parent.mkdir(parents=True)
        file.touch()
        os.truncate(file, size)  # takes no space on disk
    body = root / "body_models" / BODY
    body.parent.mkdir(parents=True)
    shutil.copy(STAND_IN, body)
    return root


def random_denoiser(python: Path, root: Path, file: Path) -> None:
    """Write a denoiser with random weights."""
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(file.parent),
        "GVHMR_CHECKPOINTS": str(root),
        "GVHMR_CONFIG": os.devnull,
        "HF_HUB_OFFLINE": "1",
    }
    command = [python, "-I", "-c", _RANDOM_DENOISER, str(_OPERATORS), str(file)]
    subprocess.run(command, env=env, cwd=file.parent, check=True, capture_output=True)


def preprocess(folder: Path, num_pictures: int, size: int) -> None:
    """Write the package's caches of a person who walks across pictures of `size` x `size`."""
    generator = torch.Generator().manual_seed(num_pictures)
    time = torch.linspace(0, 1, num_pictures)
    centre = torch.stack([size * (0.4 + 0.2 * time), torch.full_like(time, size / 2)], 1)
    height = size * 0.7
    boxes = torch.cat([centre, torch.full((num_pictures, 1), height)], 1)
    half = torch.tensor([height * 0.375, height / 2])
    spread = (torch.rand(1, 17, 2, generator=generator) - 0.5) * half * 1.5
    jitter = torch.rand(num_pictures, 17, 2, generator=generator)
    confidence = torch.full((num_pictures, 17, 1), 0.75)
    folder.mkdir(parents=True)
    corners = torch.cat([centre - half, centre + half], 1)
    torch.save({"bbx_xyxy": corners, "bbx_xys": boxes}, folder / "bbx.pt")
    points = torch.cat([centre[:, None] + spread + jitter, confidence], 2)
    torch.save(points, folder / "vitpose.pt")
    features = torch.randn(1, 1024, generator=generator).repeat(num_pictures, 1)
    torch.save(features, folder / "vit_features.pt")
