"""The machine: what it is, how much memory is free, and how fast it copies and multiplies."""

import contextlib
import gc
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmark.api.errors import Unavailable
from benchmark.runs import provenance

# Dense bf16 TFLOP/s of the datasheets; the first name that is part of the GPU's counts.
DATASHEETS = {
    "H100 PCIe": 756,
    "H100 NVL": 835,
    "H100": 989,
    "H200": 989,
    "B200": 2250,
    "A100": 312,
    "L40S": 362,
    "L40": 181,
    "A10G": 70,
    "L4": 121,
    "4090": 165,
}


def describe(device: str) -> dict[str, str | int]:
    """Names and versions."""
    facts = {
        "cpu": provenance.cpu_name(),
        "threads": torch.get_num_threads(),
        "load": f"{os.getloadavg()[0]:.1f}",
        "torch": torch.__version__,
        "free_memory_gb": f"{free_memory(device) / 1e9:.1f}",
    }
    if device == "cuda":
        facts = {"gpu": torch.cuda.get_device_name(), "cuda": torch.version.cuda, **facts}
    return facts


def datasheet_flops(device: str) -> float | None:
    """Dense bf16 FLOP/s that the GPU's maker names, where it is known here."""
    if device != "cuda":
        return None
    name = torch.cuda.get_device_name()
    return next((1e12 * peak for part, peak in DATASHEETS.items() if part in name), None)


def free_memory(device: str) -> int:
    """Bytes that can be allocated; on Linux less what a container may not use."""
    if device == "cuda":
        return torch.cuda.mem_get_info()[0]
    free = 1 << 62
    with contextlib.suppress(OSError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvail"))
    with contextlib.suppress(OSError, ValueError):  # ValueError: "max", no limit
        group = Path("/sys/fs/cgroup")
        limit = int((group / "memory.max").read_text())
        free = min(free, limit - int((group / "memory.current").read_text()))
    return free


def require_memory(device: str, needed: float, what: str) -> None:
    """Refuse before allocating: a system that runs out of memory ends whatever it likes.

    Raises:
        Unavailable: less is free.
    """
    free = free_memory(device)
    if needed > free:
        raise Unavailable(f"{what} need {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free")


def release(device: str) -> None:
    """Give back what models that are no longer referred to have used."""
    torch.compiler.reset()
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()


def seconds(work: Callable[[], object], device: str) -> float:
    """Wall-clock seconds of `work`, the GPU's part included."""
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    wait()
    started = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - started


def typical(work: Callable[[], object], device: str, repeats: int = 5) -> float:
    """Median seconds of `work`, after one call that does not count."""
    work()
    return statistics.median(seconds(work, device) for _ in range(repeats))


def copy_bandwidth(device: str, size: int) -> float:
    """Bytes a second, read and written, of copying a buffer of `size` bytes."""
    require_memory(device, 2 * size, "the buffers")
    source = torch.ones(size // 4, device=device)
    target = torch.empty_like(source)
    return 2 * size / typical(lambda: target.copy_(source), device, repeats=7)


def matmul_flops(device: str, size: int, dtype: torch.dtype) -> float:
    """FLOP/s of multiplying two square matrices."""
    a = torch.full((size, size), 0.01, device=device, dtype=dtype)
    return 2 * size**3 / typical(lambda: a @ a, device)
