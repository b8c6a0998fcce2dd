"""The machine: what it is, how much memory is free, and how fast it copies and multiplies."""

import gc
import os
import time
from collections.abc import Callable, Iterator

import torch
from torch.utils.benchmark import Timer

from benchmark.api.errors import Unavailable
from benchmark.commands.speed.bench import Bench, Part, Row
from benchmark.runs import provenance
from model.training import memory
from model.training.config import TrainingError

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
    """Return names and versions of what speed depends on, and what else runs."""
    facts = {
        "cpu": provenance.cpu_name(),
        "threads": torch.get_num_threads(),
        "load": f"{os.getloadavg()[0]:.1f}",
        "torch": torch.__version__,
        "free_memory_gb": f"{memory.free_memory(device) / 1e9:.1f}",
    }
    if device == "cuda":
        facts = {"gpu": torch.cuda.get_device_name(), "cuda": torch.version.cuda, **facts}
    return facts


def datasheet_flops(device: str) -> float | None:
    """Return the GPU's dense bf16 FLOP/s by its datasheet; None for a CPU or an unknown GPU."""
    if device != "cuda":
        return None
    name = torch.cuda.get_device_name()
    return next((1e12 * peak for part, peak in DATASHEETS.items() if part in name), None)


def require_memory(device: str, needed: float, what: str) -> None:
    """Check free memory, see `model.training.memory.require_memory`.

    Raises:
        Unavailable: less than `needed` bytes are free.
    """
    try:
        memory.require_memory(device, needed, what)
    except TrainingError as error:
        raise Unavailable(str(error)) from error


def release(device: str) -> None:
    """Free the memory of models that are no longer referred to."""
    torch.compiler.reset()
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()


def seconds(work: Callable[[], object], device: str) -> float:
    """Return the wall-clock seconds of one call of `work`, the GPU's part included."""
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    wait()
    started = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - started


def typical(work: Callable[[], object]) -> float:
    """Return the median seconds of `work` over as many calls as take 0.2 s, after a warm-up."""
    timer = Timer("work()", globals={"work": work}, num_threads=torch.get_num_threads())
    return timer.blocked_autorange(min_run_time=0.2).median


def _rows(bench: Bench) -> Iterator[Row]:
    device, large = bench.device, bench.device == "cuda"
    tiny = bench.size == "tiny"
    size = 1 << (30 if large else 24 if tiny else 28)
    side = 8192 if large else 256 if tiny else 2048
    dtype = torch.bfloat16 if large else torch.float32

    def copy() -> dict:
        require_memory(device, 2 * size, "the buffers")
        source = torch.ones(size // 4, device=device)
        target = torch.empty_like(source)
        bench.bandwidth = 2 * size / typical(lambda: target.copy_(source))
        return {"value": bench.bandwidth / 1e9, "unit": "GB/s"}

    def product() -> dict:
        a = torch.full((side, side), 0.01, device=device, dtype=dtype)
        bench.peak = 2 * side**3 / typical(lambda: a @ a)
        return {"value": bench.peak / 1e12, "unit": "TFLOP/s"}

    yield {"what": f"copy of {size >> 20} MB, read and written"}, copy
    name = str(dtype).removeprefix("torch.")
    yield {"what": f"product of {side} x {side} matrices, {name}"}, product
    if sheet := datasheet_flops(device):
        values = {"value": sheet / 1e12, "unit": "TFLOP/s", "how": "the datasheet"}
        yield {"what": "dense bfloat16 product"}, lambda: values


PART = Part(
    title="Machine",
    columns={"what": "what", "value": "value", "unit": "unit", "how": "how"},
    rows=_rows,
)
