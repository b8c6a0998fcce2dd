"""VBench inside its own environment; started by `worker_main`, imports none of our code.

``$VBENCH_CACHE_DIR`` and ``$TORCH_HOME`` are folders of our own with links to the user's weights.
"""

import importlib.metadata
import json
import os
import runpy
import socket
from pathlib import Path

import torch

_OPERATORS = (
    Path(__file__).parents[3] / "datasets" / "tools" / "isolated" / "torchvision_operators.py"
)
# What the values depend on: the package, its arithmetic and its two readers of videos.
_VERSIONS = ("vbench", "torch", "opencv-python", "decord")


def start(options):
    """Say what is installed; the package itself is imported with the first request."""
    _refuse_connections()
    # Kept: the declarations live as long as they are referenced.
    start.operators = runpy.run_path(str(_OPERATORS))["declare"]()
    # The choice by speed falls on another kernel each time.
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    device = "cuda" if torch.cuda.is_available() else "cpu"
    versions = {name: importlib.metadata.version(name) for name in _VERSIONS}
    return {"versions": versions, "device": device}, lambda request: _evaluate(request, device)


def _evaluate(request, device):
    """One dimension of all videos in a folder.

    Args:
        request: ``dimension``; ``videos``, a folder of mp4 files; ``results``, a folder for what
            the package writes.
        device: ``cpu`` or ``cuda``.

    Returns:
        ``results``: path and value of every video, in any order.
    """
    dimension, results = request["dimension"], request["results"]
    if dimension == "motion_smoothness":
        _keep_tensors(Path(os.environ["VBENCH_CACHE_DIR"], "amt_model", "amt-s.pth"))
    from vbench import VBench

    # Not the word "cuda", with which it scales pictures down where the GPU is small.
    judge = VBench(torch.device(device), None, results)
    with torch.no_grad():  # it leaves this out in places, at four times the memory
        judge.evaluate(
            videos_path=request["videos"],
            name=dimension,
            dimension_list=[dimension],
            local=True,
            mode="custom_input",
        )
    text = Path(results, f"{dimension}_eval_results.json").read_text(encoding="utf-8")
    _, videos = json.loads(text)[dimension]
    return {"results": [[video["video_path"], video["video_results"]] for video in videos]}


def _keep_tensors(path):
    """Replace the link to AMT's checkpoint by its tensors alone.

    It may hold the trainer's own objects beside them, which cannot be loaded without running what
    the file asks for. They become empty.
    """
    if not path.is_symlink():
        return
    try:
        others = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except ValueError:  # the format before torch 1.6, which cannot be searched
        others = []
    with torch.serialization.safe_globals([(_Inert, name) for name in others]):
        state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    path.unlink()
    torch.save({"state_dict": state}, path)


class _Inert:
    """Stands for an object that is not wanted: takes what a pickle gives it and does nothing."""

    def __new__(cls, *args, **kwargs):
        return super().__new__(cls)

    def __init__(self, *args, **kwargs):
        pass

    def __setstate__(self, state):
        pass


def _refuse_connections():
    """Refuse the package's downloads; wget and git, its other means, have no PATH."""

    def refuse(*args, **kwargs):
        raise OSError("vbench must not connect to anything")

    socket.getaddrinfo = refuse
    socket.socket.connect = refuse
