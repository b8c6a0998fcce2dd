"""Work spread over processes, with its results in the order of the work."""

import concurrent.futures
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import TypeVar

_AHEAD = 3  # tasks a worker taken from the input early, so that none of them has to wait

Item = TypeVar("Item")
Task = TypeVar("Task")
Result = TypeVar("Result")


def in_order(
    function: Callable[[Task], Result],
    items: Iterable[tuple[Item, Task | None]],
    *,
    workers: int,
    died: Result,
) -> Iterator[tuple[Item, Result | None]]:
    """Yield every item with the result of its task, in the order of `items`.

    `items` are taken as they are needed: only a few tasks a worker are under way at any time.

    Args:
        function: of a module's top level; runs in a worker, or here where `workers` is 1.
        items: each with its task, or None where there is nothing to do (the result is None, too).
        workers: number of processes. They start with the first task.
        died: the result of a task that kills its worker, again when it is tried alone.

    Raises:
        Exception: what `function` raises; tasks that were not started are dropped.
    """
    if workers == 1:
        for item, task in items:
            yield item, None if task is None else function(task)
        return
    pool = _Pool(function, workers, died)
    waiting: deque[tuple[Item, Callable[[], Result] | None]] = deque()

    def first() -> tuple[Item, Result | None]:
        item, result = waiting.popleft()
        return item, result and result()

    try:
        for item, task in items:
            waiting.append((item, None if task is None else pool.submit(task)))
            while len(waiting) > _AHEAD * workers:
                yield first()
        while waiting:
            yield first()
    finally:
        pool.close()


class _Pool:
    """Processes that are replaced when one of them dies."""

    def __init__(self, function: Callable, workers: int, died: object):
        self._function, self._workers, self._died = function, workers, died
        self._executor = _executor(workers)

    def submit(self, task: object) -> Callable[[], object]:
        """Start a task; calling what is returned waits for its result."""
        try:
            future = self._executor.submit(self._function, task)
        except BrokenProcessPool:
            self.close()
            self._executor = _executor(self._workers)
            future = self._executor.submit(self._function, task)
        return lambda: self._result(task, future)

    def close(self) -> None:
        """Wait for the tasks under way and drop the others."""
        self._executor.shutdown(cancel_futures=True)

    def _result(self, task: object, future: Future) -> object:
        try:
            return future.result()
        except BrokenProcessPool:
            # A death fails every task under way and does not say whose it was: each is tried alone.
            with _executor(1) as alone:
                try:
                    return alone.submit(self._function, task).result()
                except BrokenProcessPool:
                    return self._died


def _executor(workers: int) -> ProcessPoolExecutor:
    # Forked processes would inherit the locks and threads of the libraries loaded here.
    spawn = multiprocessing.get_context("spawn")
    return concurrent.futures.ProcessPoolExecutor(workers, spawn, initializer=_start_worker)


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    """Workers of a killed process must not go on writing into a folder that another one may use."""
    wait([multiprocessing.parent_process().sentinel])
    os._exit(1)
