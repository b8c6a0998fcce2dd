"""Makes checkpoints of VBench's networks; runs in VBench's environment.

``vbench_networks.py OPERATORS ROOT BIAS``: all weights of AMT and RAFT are zero. AMT then takes the
mean of two frames for the one between; RAFT's flow is `BIAS` in x at every step, in eighths of the
picture's pixels. CLIP's are random, of one narrow block: the package reads the sizes off the file.
"""

import argparse
import runpy
import sys
from pathlib import Path

import torch

operators = runpy.run_path(sys.argv[1])["declare"]()  # kept: they live as long as it does

import clip.model  # noqa: E402
from easydict import EasyDict  # noqa: E402
from omegaconf import OmegaConf  # noqa: E402
from vbench.third_party import amt  # noqa: E402
from vbench.third_party.amt.utils.build_utils import build_from_cfg  # noqa: E402
from vbench.third_party.RAFT.core.raft import RAFT  # noqa: E402

root = Path(sys.argv[2])


def zeros(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return a model's parameters, all of them zero."""
    return {name: torch.zeros_like(value) for name, value in model.state_dict().items()}


config = OmegaConf.load(Path(amt.__path__[0], "cfgs", "AMT-S.yaml")).network
state = zeros(build_from_cfg(config))
path = root / "amt_model" / "amt-s.pth"
path.parent.mkdir(parents=True)
# Beside the weights what a trainer leaves there, which torch does not load by itself.
options = {"options": argparse.Namespace(rate=1e-4), "config": config}
torch.save({"state_dict": state, **options}, path)

options = {"small": False, "mixed_precision": False, "alternate_corr": False}
state = zeros(RAFT(EasyDict(options)))
state["update_block.flow_head.conv2.bias"][0] = float(sys.argv[3])
path = root / "raft_model" / "models" / "raft-things.pth"
path.parent.mkdir(parents=True)
state = {f"module.{name}": value for name, value in state.items()}
torch.save(state, path, _use_new_zipfile_serialization=False)

torch.manual_seed(0)
for name, patch in (("ViT-B-32", 32), ("ViT-L-14", 14)):
    network = clip.model.CLIP(
        embed_dim=768,
        image_resolution=224,
        vision_layers=1,
        vision_width=64,
        vision_patch_size=patch,
        context_length=2,
        vocab_size=2,
        transformer_width=64,
        transformer_heads=1,
        transformer_layers=1,
    ).eval()
    inputs = (torch.zeros(1, 3, 224, 224), torch.zeros(1, 2, dtype=torch.int64))
    path = root / "clip_model" / f"{name}.pt"
    path.parent.mkdir(exist_ok=True)
    torch.jit.save(torch.jit.trace(network, inputs), path)

path = root / "aesthetic_model" / "emb_reader" / "sa_0_4_vit_l_14_linear.pth"
path.parent.mkdir(parents=True)
torch.save(torch.nn.Linear(768, 1).state_dict(), path)
