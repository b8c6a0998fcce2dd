"""One process or several: where a training runs, and what is shared among processes."""

import contextlib
import datetime
import os
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch

from model.training.config import TrainingError

T = TypeVar("T")


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
    # With gloo beside it, processes can ask each other something without waiting for their GPUs.
    torch.distributed.init_process_group("cpu:gloo,cuda:nccl" if device == "cuda" else "gloo")
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()


@contextlib.contextmanager
def first_process_first() -> Iterator[None]:
    """Process 0 does something before the others do, which then find it done."""
    rank, count = rank_and_processes()
    if count == 1:
        yield
        return
    # Of its own, since it may take longer than an answer in a training: tokens of a large store.
    group = torch.distributed.new_group(backend="gloo", timeout=datetime.timedelta(days=7))
    if rank > 0:
        torch.distributed.barrier(group)
    try:
        yield
    finally:  # also where it failed: the others then fail for the same reason, and do not wait
        if rank == 0:
            torch.distributed.barrier(group)


def gathered(value: T) -> list[T]:
    """Return the values of all processes, by their number; every process waits for all."""
    values: list = [value] * rank_and_processes()[1]
    if len(values) == 1:
        return values
    torch.distributed.all_gather_object(values, value)
    return values


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Wait for all processes at the end of a block; where one fails in it, all do.

    Raises:
        TrainingError: another process failed.
    """
    failure = None
    try:
        yield
    except Exception as error:
        failure = error
    problems = gathered(None if failure is None else str(failure) or type(failure).__name__)
    if failure is not None:
        raise failure
    for problem in problems:
        if problem is not None:
            raise TrainingError(problem)


def precision(device: str, count: int) -> Callable[[], contextlib.AbstractContextManager]:
    """Return a context to compute in: bf16 on a GPU, unless the shards see to that themselves."""
    if device == "cuda" and count == 1:
        return lambda: torch.autocast("cuda", torch.bfloat16)
    return contextlib.nullcontext
