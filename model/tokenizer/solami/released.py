"""SOLAMI's own weights, for a user who has them; nothing of theirs is ever unpickled here.

python -m model.tokenizer.solami.released FOLDER solami.safetensors
python -m benchmark.run table1 --checkpoint solami.safetensors
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from datasets.tools.command_line import run_command
from datasets.tools.npz import read_npz_arrays
from model.tokenizer.representation import STD_FLOOR
from model.tokenizer.solami.config import SolamiConfig
from model.tokenizer.solami.features import NUM_FEATURES
from model.tokenizer.solami.network import SolamiTokenizer
from model.training.sidecar import CheckpointError

_CONVERT = (
    "python -c \"import numpy as np; f = np.load('all_mean_variance_post.npz', allow_pickle=True)"
    "['smplx_feature'].item(); keys = ['root_velocity', 'root_height', 'global_root_cont6d', "
    "'cont6d_local']; np.savez('mean_std.npz', **{s: np.concatenate([np.ravel(f[k][s]) for k in "
    "keys]) for s in ('mean', 'std')})\""
)


def load_released(folder: str | Path) -> SolamiTokenizer:
    """SOLAMI's body tokenizer with the weights its authors trained, in evaluation mode.

    Its ``all_mean_variance_post.npz`` holds pickled objects, which could run anything when opened;
    the command that converts it, in the error for a missing ``mean_std.npz``, is the user's to run.

    Args:
        folder: holds SOLAMI's ``body.pth``, a plain state dict, and ``mean_std.npz``: plain arrays
            ``mean`` and ``std`` of 135 or more features.

    Raises:
        CheckpointError: a file is missing, unreadable or holds anything but tensors; or the
            first tensor that is missing, unknown or of another shape.
    """
    path = Path(folder) / "body.pth"
    weights = _read_state(path)
    mean, std = _read_statistics(Path(folder) / "mean_std.npz")
    model = SolamiTokenizer(SolamiConfig())
    shapes = {
        name: tuple(tensor.shape)
        for name, tensor in model.state_dict().items()
        if name.startswith(("encoder.", "decoder.")) or name == "quantizer.codebook"
    }
    for name in sorted(shapes.keys() | weights.keys()):
        found = tuple(weights[name].shape) if name in weights else "missing"
        wanted = shapes.get(name, "no such tensor")
        if found != wanted:
            raise CheckpointError(
                f"{path} is not SOLAMI's body tokenizer: {name} is {found}, expected {wanted}"
            )
    # The running averages behind the codes are not in the file; training would go on from these.
    codebook = weights["quantizer.codebook"]
    averages = {
        "quantizer.sums": codebook,
        "quantizer.counts": torch.ones(len(codebook)),
        "quantizer.initialised": torch.tensor(True),
    }
    model.load_state_dict({**weights, **averages, "mean": mean, "std": std})
    return model.eval()


def _read_state(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a PyTorch file by name."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no {path}: put SOLAMI's body tokenizer there") from error
    except Exception as error:  # a damaged file raises whatever its bytes lead to
        raise CheckpointError(
            f"{path} is not a plain PyTorch state dict ({type(error).__name__})"
        ) from error
    if not isinstance(state, dict) or not all(torch.is_tensor(value) for value in state.values()):
        raise CheckpointError(f"{path} holds something else than tensors by name")
    return state


def _read_statistics(path: Path) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (135,) of SOLAMI's training features."""
    if not path.exists():
        raise CheckpointError(
            f"there is no {path}: in the folder of SOLAMI's all_mean_variance_post.npz, if you "
            f"trust that file, run {_CONVERT}"
        )
    try:
        file = read_npz_arrays(path, ("mean", "std"))
        mean, std = (np.float32(file[name][:NUM_FEATURES]) for name in ("mean", "std"))
    except (KeyError, IndexError, ValueError) as error:
        raise CheckpointError(
            f"{path} does not hold plain arrays 'mean' and 'std' ({error}): make it from SOLAMI's "
            f"all_mean_variance_post.npz, if you trust that file, by {_CONVERT}"
        ) from error
    both = np.stack([mean, std]) if mean.shape == std.shape else np.empty(0)
    if both.shape != (2, NUM_FEATURES) or not np.isfinite(both).all() or (std < 0).any():
        raise CheckpointError(f"{path}: mean and std are not {NUM_FEATURES} finite numbers each")
    # SOLAMI divides by 1e-9 where a channel is constant, which blows up anything that is not.
    std = np.where(std == 0, np.float32(STD_FLOOR), std)
    return torch.from_numpy(mean), torch.from_numpy(std)


def main(argv: list[str] | None = None) -> int:
    """Convert SOLAMI's files to a checkpoint of this program; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m model.tokenizer.solami.released",
        description="Convert SOLAMI's released body tokenizer to a checkpoint of this program.",
    )
    parser.add_argument("folder", type=Path, help="holds body.pth and mean_std.npz")
    parser.add_argument("out", type=Path, help="the .safetensors file to write")
    args = parser.parse_args(argv)
    try:
        print(load_released(args.folder).save(args.out, extra={"source": "SOLAMI, released"}))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    run_command(main)
