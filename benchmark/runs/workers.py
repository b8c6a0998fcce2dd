"""Runs items in worker processes, with progress on stderr.

On the CPU every worker computes with exactly one thread, however many workers there are: sums are
then formed in the same order, and the values do not depend on the number of workers. A worker that
dies or an item that fails is reported and the others go on. Workers end with their parent, even
if it is killed.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait

from benchmark.api.errors import one_line
from benchmark.runs.chain import train_stage
from benchmark.runs.stages import perform
from benchmark.runs.work_item import RunContext, WorkItem

_PROGRESS_SECONDS = 0.2
_WORKER_LINE = "  {desc} {bar:20} {n_fmt}/{total_fmt}"
_THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def default_workers(device: str) -> int:
    """One per CPU core that this process may use; one on a GPU."""
    return 1 if device == "cuda" else len(os.sched_getaffinity(0))


def execute(
    items: Sequence[WorkItem], context: RunContext, *, workers: int, quiet: bool = False
) -> dict[str, str]:
    """Do the items, `workers` at a time.

    Returns:
        ``WorkItem.identity`` -> reason, of the items that failed.

    Raises:
        KeyboardInterrupt: the user stopped it; no worker is left.
    """
    # Tables grow in cost downwards: the long rows first, so that none is left alone at the end.
    queue = _Queue(items, context)
    failures: dict[str, str] = {}
    pool = [_start(context) for _ in range(min(workers, len(queue)))]
    try:
        with _Display(len(queue), len(pool), quiet=quiet) as display:
            for slot, worker in enumerate(pool):
                worker.take(queue.pop(pool))
                display.begin(slot, worker.item)
            while any(worker.item for worker in pool):
                ready = wait([worker.connection for worker in pool if worker.item])
                for slot, worker in enumerate(pool):
                    if worker.connection not in ready:
                        continue
                    kind, content = worker.receive()
                    if kind == "progress":
                        display.progress(slot, *content)
                        continue
                    display.end(slot, worker.item, content)
                    if content is not None:
                        failures[worker.item.identity] = content
                    worker.item = None
                    if queue:
                        if kind == "died":
                            pool[slot] = worker = _start(context)
                        worker.take(queue.pop(pool))
                        display.begin(slot, worker.item)
    finally:
        for worker in pool:
            worker.stop()
    return failures


class _Queue:
    """Tasks to be done, the last first, but none that waits for what another worker trains."""

    def __init__(self, items: Sequence[WorkItem], context: RunContext):
        self._items = list(items)
        self._trainings = {item.identity: _open_trainings(context, item) for item in items}

    def __len__(self) -> int:
        return len(self._items)

    def pop(self, pool: Sequence["_Worker"]) -> WorkItem:
        running = [self._trainings[worker.item.identity] for worker in pool if worker.item]
        busy = set().union(*running)
        for item in reversed(self._items):
            if not self._trainings[item.identity] & busy:
                break
        else:
            item = self._items[-1]
        self._items.remove(item)
        return item


def _open_trainings(context: RunContext, item: WorkItem) -> set[str]:
    """Keys of the trainings that a work item waits for."""
    trained = [part for part in (item, item.estimator) if part and part.weights is None]
    runs = [train_stage(context, part) for part in trained]
    return {run.key for run in runs if run.record() is None}


@dataclass
class _Worker:
    """A process, the pipe to it, and the item it has."""

    process: multiprocessing.Process
    connection: Connection
    item: WorkItem | None = None

    def take(self, item: WorkItem) -> None:
        self.item = item
        # A worker that is already dead is found by `receive`.
        with contextlib.suppress(OSError):
            self.connection.send(item)

    def receive(self) -> tuple[str, object]:
        """``progress`` with its arguments; ``done`` or ``died`` with a reason or None."""
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            self.process.join()
            code = self.process.exitcode
            why = f"the worker process ended with exit code {code}"
            if code == -signal.SIGKILL:
                why += ": killed, perhaps for want of memory; fewer --workers need less"
            return "died", why

    def stop(self) -> None:
        self.connection.close()  # an idle worker takes that as the end
        if self.item:
            self.process.terminate()
        self.process.join()


def _start(context: RunContext) -> _Worker:
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_work, args=(theirs, context), daemon=True)
    with _one_thread(context.device):
        process.start()
    theirs.close()
    return _Worker(process, ours)


@contextlib.contextmanager
def _one_thread(device: str):
    """Children started within load their numeric libraries with one thread each, on the CPU."""
    before = {name: os.environ.get(name) for name in _THREAD_LIMITS}
    if device == "cpu":
        os.environ.update(dict.fromkeys(_THREAD_LIMITS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _work(connection: Connection, context: RunContext) -> None:
    """Main function of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _keep_tqdm_in_process()
    if context.device == "cpu":
        import torch

        torch.set_num_threads(1)
    while True:
        try:
            item = connection.recv()
            reason = None
            try:
                perform(context, item, progress=_Reporter(connection))
            except Exception as error:
                reason = one_line(error)
            connection.send(("done", reason))
        except (EOFError, OSError):
            return


def _keep_tqdm_in_process() -> None:
    """Spare tqdm its lock between processes, which leaves a semaphore behind in those killed."""
    from tqdm import tqdm

    tqdm.set_lock(threading.RLock())


def _end_with_parent() -> None:
    wait([multiprocessing.parent_process().sentinel])
    os._exit(1)


class _Reporter:
    """Sends progress to the parent, a few times a second."""

    def __init__(self, connection: Connection):
        self._connection = connection
        self._sent = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if done == total or now - self._sent >= _PROGRESS_SECONDS:
            self._sent = now
            self._connection.send(("progress", (what, done, total)))


class _Display:
    """A line for all items and one for each worker; plain lines where stderr is no terminal."""

    def __init__(self, items: int, workers: int, *, quiet: bool):
        from tqdm import tqdm

        _keep_tqdm_in_process()
        self._quiet = quiet
        hidden = quiet or not sys.stderr.isatty()
        self._overall = tqdm(total=items, desc="rows", position=0, disable=hidden, unit="row")
        self._lines = [
            tqdm(position=1 + slot, disable=hidden, leave=False, bar_format=_WORKER_LINE)
            for slot in range(workers)
        ]
        self._labels = [""] * workers
        self._started = [0.0] * workers

    def __enter__(self) -> "_Display":
        return self

    def __exit__(self, *error) -> None:
        for line in [*self._lines, self._overall]:
            line.close()

    def begin(self, slot: int, item: WorkItem) -> None:
        self._labels[slot] = item.label
        self._started[slot] = time.monotonic()
        self.progress(slot, "start", 0, 1)

    def progress(self, slot: int, what: str, done: int, total: int) -> None:
        line = self._lines[slot]
        line.set_description_str(f"{self._labels[slot]}: {what}", refresh=False)
        line.total, line.n = total, done
        line.refresh()

    def end(self, slot: int, item: WorkItem, failure: str | None) -> None:
        self._overall.update()
        if not self._quiet:
            seconds = time.monotonic() - self._started[slot]
            outcome = f"FAILED: {failure}" if failure else "done"
            self._overall.write(f"{item.label}: {outcome} ({seconds:.0f} s)", file=sys.stderr)
