"""Model files: weights as safetensors, with a JSON sidecar that says what they are.

``name.safetensors`` holds every parameter and buffer; ``name.json`` holds the format version, the
class, its configuration, the sha256 of the weights' file, and whatever the writer wants to keep,
such as how the model was trained. Nothing is ever unpickled. Both files are renamed into place, the
sidecar last: weights without one are no checkpoint, and an older sidecar is never left beside newer
weights.
"""

import contextlib
import errno
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from datasets.tools.files import replacing, sha256_of, with_own_sha256
from model.training.sidecar import (
    FORMAT_VERSION,
    CheckpointError,
    read_sidecar,
    sidecar_path,
)


def save_model(
    path: str | Path,
    model: torch.nn.Module,
    *,
    config: dict,
    extra: dict | None = None,
    half: bool = False,
) -> Path:
    """Write the model's state and its sidecar.

    Args:
        path: ends in ``.safetensors``; its folder exists.
        model: every entry of its `state_dict` is written, from whatever device it is on.
        config: JSON-ready; what the model class needs to rebuild itself.
        extra: JSON-ready; kept as ``extra``.
        half: write float32 tensors in half precision; `load_weights` widens them again.

    Raises:
        CheckpointError: the disk is full.
    """
    path = Path(path)
    state = {
        name: (tensor.half() if half and tensor.dtype == torch.float32 else tensor)
        .detach()
        .cpu()
        .contiguous()
        for name, tensor in model.state_dict().items()
    }
    sidecar = {
        "format_version": FORMAT_VERSION,
        "class": type(model).__name__,
        "config": config,
        "extra": extra or {},
    }
    json.dumps(sidecar)  # whatever is not JSON fails before anything is written
    with writing(path) as temporary:
        save_file(state, temporary)
        sidecar = with_own_sha256({**sidecar, "sha256": sha256_of(temporary)})
        sidecar_path(path).unlink(missing_ok=True)
    with writing(sidecar_path(path)) as temporary:
        temporary.write_text(json.dumps(sidecar, indent=1) + "\n")
    return path


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Yield a temporary file that takes the place of `path`, as `datasets.tools.files.replacing`.

    Raises:
        CheckpointError: the disk is full. The message names the file.
        OSError: the file cannot be written for another reason.
    """
    try:
        with replacing(path) as temporary:
            yield temporary
    except (OSError, RuntimeError, SafetensorError) as error:  # of files, of torch, of safetensors
        if isinstance(error, OSError) and error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise CheckpointError(
            f"{path} cannot be written ({' '.join(str(error).split())[:200]}): make room and run "
            "the same command again"
        ) from error


def load_weights(path: str | Path, model: torch.nn.Module) -> None:
    """Give `model`, which may be on the meta device, the file's tensors; all of them must fit.

    Raises:
        CheckpointError: an unreadable file, one that is not the sidecar's or is replaced while it
            is read, or the first tensor that is missing, unknown, has another shape or dtype, or
            holds a number that is not finite.
    """
    wanted_sha256 = read_sidecar(path).get("sha256")  # older sidecars have none
    try:
        version = _version(path)
        # In memory: tensors of the mapped file would change with it after it was checked.
        state = {name: tensor.clone() for name, tensor in load_file(path).items()}
        found_sha256 = sha256_of(Path(path))
        if version != _version(path):
            raise CheckpointError(f"{path} was replaced while it was read: run the command again")
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} is not a readable safetensors file ({error})") from error
    if found_sha256 != (wanted_sha256 or found_sha256):
        raise CheckpointError(
            f"{path} is damaged, or not the file that {sidecar_path(path).name} was written "
            "with (its sha256 differs): copy both files again, or train again"
        )
    own = model.state_dict()
    for name in sorted(own.keys() | state.keys()):
        if name not in state:
            raise CheckpointError(f"{path} has no tensor {name}, which {type(model).__name__} has")
        if name not in own:
            raise CheckpointError(f"{path} has a tensor {name}, unknown to {type(model).__name__}")
        found, wanted = state[name], own[name]
        if (found.dtype, wanted.dtype) == (torch.float16, torch.float32):
            found = state[name] = found.float()
        if found.shape != wanted.shape or found.dtype != wanted.dtype:
            raise CheckpointError(
                f"{path}: tensor {name} is {_describe(found)}, "
                f"{type(model).__name__} wants {_describe(wanted)}"
            )
        if found.is_floating_point() and not bool(found.isfinite().all()):
            raise CheckpointError(
                f"{path}: tensor {name} holds numbers that are not finite: the training that wrote "
                "it went wrong, train again"
            )
    model.load_state_dict(state, assign=True)


def _version(path: str | Path) -> tuple[int, ...]:
    """Numbers that differ between a file and one that takes its place or is written into it."""
    stat = Path(path).stat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def weights_sha256(model: torch.nn.Module) -> str:
    """Sha256 over the names, shapes and values of a model's state: what cache keys use."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {_describe(tensor)}\n".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _describe(tensor: torch.Tensor) -> str:
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"
