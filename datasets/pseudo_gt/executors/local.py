"""Worker processes on this machine."""

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any

from datasets.pseudo_gt.executors import ENVIRONMENT, TICK, ExecutorError, Start

_STARTS = 3  # deaths in a row of a worker that never got ready
_GOODBYE = 30.0  # seconds for a worker to free what it holds


def run(tasks: Iterable, start: Start, *, workers: int, retries: int) -> Iterator[Any]:
    """Run tasks in `workers` processes; see `datasets.pseudo_gt.executors`.

    Args:
        tasks: picklable, taken one at a time.
        start: makes a worker.
        workers: number of processes.
        retries: how often a task is tried again after its worker died.

    Yields:
        Results as they finish, None where nothing happened for a second.

    Raises:
        ExecutorError: workers die while starting, or a task's workers died more than `retries`
            times.
        Exception: whatever `start` or a task raised.
    """
    queue = iter(tasks)
    payload = pickle.dumps(start)
    alive: list[_Worker] = []
    leaving: list[_Worker] = []
    try:
        for index, task in zip(range(workers), queue, strict=False):
            alive.append(_Worker(index, payload, task))
        while alive:
            heard = wait([worker.pipe for worker in alive], TICK)
            if not heard:
                yield None
            for worker in [worker for worker in alive if worker.pipe in heard]:
                message = worker.receive()
                if message is None:
                    worker.restart(retries)
                    continue
                kind, value = message
                if kind == "failed":
                    raise value
                if kind == "done":
                    yield value
                    worker.next_task(next(queue, None))
                    if worker.task is None:
                        alive.remove(worker)
                        leaving.append(worker)
                worker.send_task()
        for worker in leaving:
            worker.process.join(_GOODBYE)
    finally:
        for worker in alive + leaving:
            worker.kill()


class _Worker:
    """A process, seen from the one that started it, and the task it has."""

    def __init__(self, index: int, payload: bytes, task: Any):
        self.index, self.payload, self.task = index, payload, task
        self.retries = 0  # of this task
        self.starts = 0  # in a row
        self._spawn()

    def _spawn(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, self.payload, self.index))
        self.starts += 1
        self.process.start()
        theirs.close()  # so that the pipe ends when the process does

    def receive(self) -> tuple[str, Any] | None:
        """A message, or None where the process died."""
        try:
            kind, value = self.pipe.recv()
        except (EOFError, OSError):
            return None
        self.starts = 0
        return kind, value

    def send_task(self) -> None:
        """Give the task to the process, which waits for it; None sends it home."""
        with contextlib.suppress(OSError):  # it died just now: the end of its pipe will tell
            self.pipe.send(self.task)

    def next_task(self, task: Any) -> None:
        self.task, self.retries = task, 0

    def restart(self, retries: int) -> None:
        self.kill()
        if self.starts >= _STARTS:
            raise ExecutorError(
                f"worker {self.index} died {self.starts} times while starting "
                f"(exit code {self.process.exitcode})"
            )
        self.retries += 1
        if self.retries > retries:
            raise ExecutorError(f"worker {self.index} died {self.retries} times in one task")
        self._spawn()

    def kill(self) -> None:
        """End the process and all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()  # where it had no time to found its group
        self.process.join()
        self.pipe.close()


def _work(pipe: Connection, payload: bytes, index: int) -> None:
    """Life of a worker process."""
    # A group of its own: Ctrl-C is for the process that started it, which ends the whole group.
    os.setpgid(0, 0)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    os.dup2(2, 1)  # what an estimator prints is not the command's output
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        # Unpickled here, not with the arguments: it may import torch, which reads the environment.
        with pickle.loads(payload)(index) as work:
            pipe.send(("ready", None))
            while (task := pipe.recv()) is not None:
                pipe.send(("done", work(task)))
    except BaseException as error:
        pipe.send(("failed", _portable(error)))


def _die_with_parent() -> None:
    multiprocessing.parent_process().join()
    os.killpg(0, signal.SIGKILL)


def _portable(error: BaseException) -> Exception:
    """`error`, or what it says where it cannot travel to another process."""
    try:
        if isinstance(error, Exception) and type(pickle.loads(pickle.dumps(error))) is type(error):
            return error
    except Exception:  # whatever its own methods raise
        pass
    return ExecutorError(f"{type(error).__name__}: {error}")
