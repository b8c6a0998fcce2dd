"""One process or several: where a training runs, and what is shared among processes."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from model.run import Run

if TYPE_CHECKING:
    from model.training import TrainingConfig
    from model.transformer import UniMo


def rank_and_processes() -> tuple[int, int]:
    """This process's number, and how many there are."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


@contextlib.contextmanager
def processes(device: str) -> Iterator[None]:
    """Join the processes that torchrun started; alone, do nothing."""
    if "RANK" not in os.environ:
        yield
        return
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    torch.distributed.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()


def start(
    model: "UniMo",
    training: "TrainingConfig",
    identity: dict,
    out: Path,
    device: str,
    ema_decay: float,
) -> Run:
    """The run of a training: of the whole model, or under torchrun of a shard of it."""
    _, count = rank_and_processes()
    if count == 1:
        return Run(model.to(device), training, identity, out, ema_decay=ema_decay)
    from model.sharded_run import ShardedRun, shard

    return ShardedRun(shard(model, device), training, identity, out, ema_decay=ema_decay)


def precision(device: str, count: int) -> Callable[[], contextlib.AbstractContextManager]:
    """A context to compute in: bf16 on a GPU, unless the shards see to that themselves."""
    if device == "cuda" and count == 1:
        return lambda: torch.autocast("cuda", torch.bfloat16)
    return contextlib.nullcontext
