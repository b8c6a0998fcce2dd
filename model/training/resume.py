"""Resume states: plain tensors in a file, with the hash of the file in a record beside it.

``NAME.pt`` is written by `torch.save`. ``NAME.json`` holds the sha256 of every content that the
file may have: that of the state before, and that of the new one. It is written first, so that a
process killed between the two leaves a state that its record knows.
"""

import contextlib
from pathlib import Path

import torch

from datasets.tools.files import read_json, sha256_of, write_json
from model.training.checkpoint import writing


class DamagedState(Exception):
    """A resume state is not what was written; the message is one line."""


def write_state(path: Path, state: dict) -> None:
    """Write a resume state and its record.

    Raises:
        CheckpointError: the disk is full; the state before stays.
    """
    with writing(path) as temporary:
        torch.save(state, temporary)
        known = (read_json(_record(path)) or {}).get("sha256", [])
        _write_record(path, [*known[-1:], sha256_of(temporary)])


def read_state(path: Path, device: torch.device) -> dict:
    """The resume state in a file. One without a record, of an older version, is read as it is.

    Args:
        path: of the file.
        device: that its tensors are for. For a GPU, to which they are copied at once, the file is
            only mapped: a state of 48 GB is not in main memory, too. On a CPU an optimiser keeps
            the tensors, which must not change with the file.

    Raises:
        DamagedState: it cannot be read, or is not what was written.
    """
    try:
        if _record(path).exists():
            digest, known = sha256_of(path), (read_json(_record(path)) or {}).get("sha256", [])
            if digest not in known:
                raise DamagedState(f"{path} is damaged: its record has another sha256")
            if digest != known[-1]:
                with contextlib.suppress(OSError):  # such as a full disk, which must not stop this
                    _write_record(path, [digest])
        return torch.load(path, map_location="cpu", weights_only=True, mmap=device.type != "cpu")
    except DamagedState:
        raise
    except Exception as error:
        raise DamagedState(f"{path} cannot be read ({type(error).__name__})") from error


def delete_state(path: Path) -> None:
    """Delete a resume state and its record, where there is one."""
    path.unlink(missing_ok=True)
    _record(path).unlink(missing_ok=True)


def _record(path: Path) -> Path:
    return path.with_suffix(".json")


def _write_record(path: Path, digests: list[str]) -> None:
    write_json(_record(path), {"sha256": digests})
