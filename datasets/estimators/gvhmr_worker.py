"""GVHMR inside its own environment; started by `worker_main`, imports none of our code.

The working folder holds the clips to come and is where the package writes.
"""

import importlib.metadata
import math
import os
import pickle
import runpy
import traceback
import types
from pathlib import Path

import torch

_OPERATORS = Path(__file__).parents[1] / "tools" / "isolated" / "torchvision_operators.py"
# The package's caches between its stages. Where all are given, its passes over the pictures are
# skipped.
_PREPROCESS = ("bbx.pt", "vitpose.pt", "vit_features.pt")


def start(options):
    """Load the package and its denoiser; the other networks follow with the first clip.

    Args:
        options: ``work``, the working folder; ``checkpoint``, the file of the denoiser.
    """
    os.chdir(options["work"])
    # Kept: the declarations live as long as they are referenced.
    start.operators = runpy.run_path(str(_OPERATORS))["declare"]()
    import gvhmr
    from gvhmr.utils.console import console
    from gvhmr.utils.device import get_device

    device = get_device()
    # The package lets cuDNN choose by speed, another kernel each time.
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    # Its own loading executes what a checkpoint asks for, and goes on without what is not in it.
    empty = Path("empty.ckpt")
    torch.save({"state_dict": {}}, empty)
    console.quiet = True  # about the missing weights
    pipe = gvhmr.pipeline(device=str(device), ckpt_path=empty)
    console.quiet = False
    pipe.model.pl.load_state_dict(_read_state(options["checkpoint"]), strict=True)
    hello = {
        "gvhmr": importlib.metadata.version("gvhmr"),
        "torch": torch.__version__,
        "device": device.type,
    }
    return hello, lambda request: _recover(pipe, request)


def _recover(pipe, request):
    """One clip; ``name``.mp4 and ``name``.npz (its K) are in the working folder."""
    name = request["name"]
    try:
        _give_preprocess(request["preprocess"], Path(name, "preprocess"))
        result = pipe(
            Path(f"{name}.mp4"),
            static_camera=request["static"],
            camera="simplevo",
            intrinsics=f"{name}.npz",
            f_mm=_lens(f"{name}.mp4", request["focal"]),
            flip_test=False,
            world_from_incam=False,
            output_dir=name,
            render=False,
            progress=False,
        )
        result.save_npz(Path(name, "result.npz"))
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        return {"status": _status(error), "reason": f"{type(error).__name__}: {error}"}
    return {"status": "ok"}


def _lens(video, focal):
    """Return the focal length in mm of a 36 x 24 mm camera with the same view along the diagonal.

    The intrinsics have precedence over it, except in the camera tracking: that reads nothing else,
    and would take a lens of 24 mm.
    """
    from gvhmr.utils.video_io_utils import get_video_lwh

    _, width, height = get_video_lwh(video)
    return focal * math.hypot(36, 24) / math.hypot(width, height)


def _status(error):
    """Return the word for what went wrong, by the package's function that it went wrong in."""
    where = {frame.name for frame in traceback.extract_tb(error.__traceback__)}
    if isinstance(error, IndexError) and "get_one_track" in where:
        return "no_person"
    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return "out_of_memory"
    if isinstance(error, OSError) and where & {"get_video_lwh", "get_batch", "read_video_np"}:
        return "decode_error"
    return "error"


def _give_preprocess(source, target):
    """Put caches that are given where the package looks for them, as tensors and nothing else."""
    if source is None:
        return
    target.mkdir(parents=True)
    for name in _PREPROCESS:
        if Path(source, name).is_file():
            # The package would unpickle them without restriction.
            torch.save(torch.load(Path(source, name), weights_only=True), target / name)


def _read_state(path):
    """The tensors of a checkpoint by name; of anything else in it nothing is imported or run.

    Raises:
        ValueError: another kind of file. Torch would run the code of a TorchScript archive, and
            reads what is no zip file in older ways that know nothing of `_Unpickler`.
    """
    with open(path, "rb") as file:
        if file.read(4) != b"PK\x03\x04":  # what torch itself goes by
            raise ValueError(f"{path} is not a checkpoint of torch 1.6 or later: save it again")
    # By torch's own reader: to `zipfile` the same bytes can be another archive.
    try:
        names = torch._C.PyTorchFileReader(str(path)).get_all_records()
    except RuntimeError as error:
        raise ValueError(f"{path} is damaged or cut short: get it again") from error
    if "constants.pkl" in names:
        raise ValueError(f"{path} is a TorchScript archive: name a checkpoint of weights")
    # Not `weights_only`: that refuses the released file for the trainer's objects beside the
    # weights. `_Unpickler` allows less than it does, and makes empty things of all others.
    module = types.ModuleType("tensors")  # in place of pickle
    module.Unpickler = _Unpickler
    loaded = torch.load(path, map_location="cpu", weights_only=False, pickle_module=module)
    return loaded["state_dict"]


class _Unpickler(pickle.Unpickler):
    """Makes tensors; the trainer's other objects in a checkpoint become `_Inert`."""

    _KNOWN = (
        ("collections", "OrderedDict"),
        ("torch._utils", "_rebuild_tensor_v2"),
        ("torch._utils", "_rebuild_parameter"),
    )

    def find_class(self, module, name):
        if (module, name) in self._KNOWN:
            return super().find_class(module, name)
        return _Inert


class _Inert(dict):
    """Stands for an object that is not wanted: takes what a pickle gives it and does nothing."""

    def __init__(self, *args, **kwargs):
        super().__init__()

    def __setstate__(self, state):
        pass

    def append(self, item):
        pass
