"""Memory that is free, asked for before anything takes it."""

import contextlib
import shutil
from pathlib import Path

from model.training.config import TrainingError


def free_memory(device: str) -> int:
    """Return the bytes that can be allocated on a device; on the CPU within a container's limit.

    What torch holds on a GPU without using it counts as free.
    """
    if device.startswith("cuda"):
        import torch

        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + held
    free = 1 << 62
    with contextlib.suppress(OSError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvail"))
    with contextlib.suppress(OSError, ValueError):  # ValueError: "max", no limit
        group = Path("/sys/fs/cgroup")
        limit = int((group / "memory.max").read_text())
        free = min(free, limit - int((group / "memory.current").read_text()))
    return free


def require_disk(folder: Path, needed: float, what: str) -> None:
    """Check the free space of a folder's file system, which may be shared and fill up all the same.

    Args:
        folder: that is written to; it need not be there.
        needed: bytes.
        what: needs them, in words, plural.

    Raises:
        TrainingError: fewer bytes are free.
    """
    there = next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise TrainingError(
            f"{what} need {needed / 1e9:.1f} GB of disk, {free / 1e9:.1f} GB are free at {folder}: "
            "make room, or name another folder with --out"
        )


def require_memory(device: str, needed: float, what: str) -> None:
    """Check free memory before allocating: a system without memory ends any process it likes.

    Args:
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        needed: bytes.
        what: needs them, in words, plural.

    Raises:
        TrainingError: fewer bytes are free.
    """
    free = free_memory(device)
    if needed > free:
        kind = "GPU" if device.startswith("cuda") else "main"
        raise TrainingError(
            f"{what} need {needed / 1e9:.1f} GB of {kind} memory, {free / 1e9:.1f} GB are free"
        )
