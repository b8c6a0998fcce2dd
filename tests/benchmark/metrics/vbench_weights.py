"""Makes checkpoints of VBench's networks whose output is known; runs in VBench's environment.

``vbench_weights.py OPERATORS ROOT BIAS``: all weights are zero. AMT then takes the mean of two
frames for the one between; RAFT's flow is `BIAS` in x at every step, in eighths of the picture's
pixels.
"""

import argparse
import runpy
import sys
from pathlib import Path

import torch

operators = runpy.run_path(sys.argv[1])["declare"]()  # kept: they live as long as it does

from easydict import EasyDict  # noqa: E402
from omegaconf import OmegaConf  # noqa: E402
from vbench.third_party import amt  # noqa: E402
from vbench.third_party.amt.utils.build_utils import build_from_cfg  # noqa: E402
from vbench.third_party.RAFT.core.raft import RAFT  # noqa: E402

root = Path(sys.argv[2])


def zeros(model):
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
