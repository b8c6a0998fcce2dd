"""GVHMR's files with nothing learned, and its package with other eyes.

Random weights find nobody in a picture, and its image networks take half a minute a frame on a CPU.
So the package is the installed one but for the three modules that look at pictures: they say that
somebody crosses the picture, whatever it shows. The denoiser has its own layout and random weights.
"""

import os
from pathlib import Path

from benchmark.commands.rehearse.stand_ins import bodies
from benchmark.commands.rehearse.stand_ins.environments import run, with_modules
from datasets.estimators.gvhmr import BODY, DENOISER, ENV_WEIGHTS, WEIGHTS
from datasets.tools.isolated import torchvision_operators

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
_EYES = {
    "tracker": """
import torch
from gvhmr.utils.video_io_utils import get_video_lwh


class Tracker:
    name = "stand-in"

    def __init__(self, *args, **options):
        pass

    def get_one_track(self, video_path):
        length, width, height = get_video_lwh(video_path)
        centre = width * (0.4 + 0.2 * torch.linspace(0, 1, length))
        tall = torch.full((length,), 0.7 * height)
        left, right = centre - 0.375 * tall, centre + 0.375 * tall
        return torch.stack([left, height / 2 - tall / 2, right, height / 2 + tall / 2], 1)
""",
    "vitpose": """
import torch


class VitPoseExtractor:
    def __init__(self, *args, **options):
        pass

    def extract(self, video_path, bbx_xys, img_ds=0.5):
        generator = torch.Generator().manual_seed(len(bbx_xys))
        spread = torch.rand(1, 17, 2, generator=generator) - 0.5
        jitter = torch.rand(len(bbx_xys), 17, 2, generator=generator)
        points = bbx_xys[:, None, :2] + 0.8 * spread * bbx_xys[:, None, 2:] + jitter
        return torch.cat([points, torch.full_like(points[..., :1], 0.75)], 2)
""",
    "vitfeat_extractor": """
import torch
from gvhmr.utils.imgcrop import get_batch


class Extractor:
    feat_dim = 1024

    def __init__(self, *args, **options):
        pass

    def extract_video_features(self, video_path, bbx_xys, img_ds=0.5):
        generator = torch.Generator().manual_seed(len(bbx_xys))
        return torch.randn(1, 1024, generator=generator).repeat(len(bbx_xys), 1)
""",
}


def build_files(root: Path) -> Path:
    """Write files of the released sizes, which take no space on disk, and a body below `root`."""
    for name, size in WEIGHTS.items():
        file = root / name
        file.parent.mkdir(parents=True)
        file.touch()
        os.truncate(file, size)
    bodies.write_smplx(root / "body_models" / BODY, seed=0)
    return root


def random_denoiser(python: Path, root: Path, file: Path) -> None:
    """Write a denoiser with random weights.

    Args:
        python: of the tool's environment.
        root: of `build_files`.
        file: to write.
    """
    env = {ENV_WEIGHTS: str(root), "GVHMR_CONFIG": os.devnull}
    words = ("-c", _RANDOM_DENOISER, torchvision_operators.__file__, file)
    run(python, words, file.parent, env)


def build_weights(python: Path, root: Path) -> None:
    """Write `build_files`, with random weights where the released denoiser belongs.

    Raises:
        BuildError: the environment has no GVHMR that starts.
    """
    build_files(root)
    whole = root / "denoiser.ckpt"
    random_denoiser(python, root, whole)
    missing = WEIGHTS[DENOISER] - whole.stat().st_size
    with whole.open("r+b") as file:  # a zip file ends in a comment, with its length before it
        file.seek(-2, os.SEEK_END)
        file.write(missing.to_bytes(2, "little") + bytes(missing))
    whole.replace(root / DENOISER)
    (root / "empty.ckpt").unlink()


def build_environment(python: Path, folder: Path) -> None:
    """Write an environment whose package sees somebody in every picture.

    Args:
        python: of the tool's environment.
        folder: of the new one.
    """
    with_modules(
        python, folder, {f"gvhmr/utils/preproc/{name}.py": text for name, text in _EYES.items()}
    )
