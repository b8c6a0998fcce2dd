"""Runs work items in worker processes, with progress on stderr.

An item that fails, or that kills its worker twice, is reported and the others go on.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial

from benchmark.api.errors import one_line
from benchmark.runs.chain import train_stage
from benchmark.runs.stages import perform
from benchmark.runs.work_item import RunContext, WorkItem
from datasets.estimators.external import see_only
from datasets.tools.typed_json import printable
from datasets.tools.workers.spread import Executor, Message, spread
from datasets.tools.workers.worker import WorkerContext

_PROGRESS_SECONDS = 0.2
_WORKER_LINE = "  {desc} {bar:20} {n_fmt}/{total_fmt}, {remaining} left"
_LOG_SECONDS = 60.0  # between lines about one piece of work, where stderr is no terminal


def default_workers(device: str) -> int:
    """One per CPU core that this process may use, or one per GPU."""
    return len(_gpus()) if device == "cuda" else len(os.sched_getaffinity(0))


def _gpus() -> list[str]:
    import torch

    return [f"cuda:{number}" for number in range(torch.cuda.device_count())]


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
    executor = Executor(workers=min(workers, len(items)))
    devices = _gpus() if context.device == "cuda" else [context.device]
    outcomes = spread(queue, _Start(context), executor, devices=devices)
    with _Display(len(items), executor.workers, quiet=quiet) as display, closing(outcomes):
        for event in outcomes:
            if isinstance(event, Message):
                display.progress(event.worker, event.item, *event.content)
            elif event is not None:
                queue.finish(event.item)
                failure = event.value if event.error is None else str(event.error)
                display.end(event.item, failure)
                if failure is not None:
                    failures[event.item.identity] = failure
    return failures


class _Queue:
    """Pending items, the last first; skips those whose training is running in another worker."""

    def __init__(self, items: Sequence[WorkItem], context: RunContext):
        self._items = list(items)
        self._trainings = {item.identity: _open_trainings(context, item) for item in items}
        self._running: set[str] = set()

    def __iter__(self) -> "_Queue":
        return self

    def __next__(self) -> tuple[WorkItem, WorkItem]:
        """Return the work item to begin now, twice, as `spread` takes pairs of item and task."""
        if not self._items:
            raise StopIteration
        busy = set().union(*(self._trainings[identity] for identity in self._running))
        for item in reversed(self._items):
            if not self._trainings[item.identity] & busy:
                break
        else:
            item = self._items[-1]
        self._items.remove(item)
        self._running.add(item.identity)
        return item, item

    def finish(self, item: WorkItem) -> None:
        """Count a work item as running no more."""
        self._running.remove(item.identity)


def _open_trainings(context: RunContext, item: WorkItem) -> set[str]:
    """Keys of the trainings that a work item waits for."""
    known = (item, item.estimator, item.base)
    trained = [part for part in known if part and part.weights is None]
    # What builds on another training has no key before that is done.
    runs = [train_stage(context, part) for part in trained if part.base is None]
    return {run.key for run in runs if run.record() is None}


@dataclass(frozen=True)
class _Start:
    """Starts a worker (see `datasets.tools.workers.spread`)."""

    context: RunContext

    @contextmanager
    def __call__(self, worker: WorkerContext) -> Iterator[Callable[[WorkItem], str | None]]:
        _keep_tqdm_in_process()
        # To this process, and to the tools that it starts, its GPU is the only one.
        os.environ.update(see_only(worker.device, os.environ))
        yield partial(_perform, self.context, worker)


def _perform(context: RunContext, worker: WorkerContext, item: WorkItem) -> str | None:
    """Do a work item; returns the reason where it fails."""
    report = _Reporter(worker.send)
    report("start", 0, 1)
    try:
        perform(context, item, progress=report)
    except Exception as error:
        return one_line(error)
    return None


def _keep_tqdm_in_process() -> None:
    """Spare tqdm its lock between processes, which leaves a semaphore behind in those killed."""
    from tqdm import tqdm

    tqdm.set_lock(threading.RLock())


class _Reporter:
    """Sends progress to the parent, a few times a second."""

    def __init__(self, send: Callable[[tuple[str, int, int]], None]):
        self._send = send
        self._sent = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if done == total or now - self._sent >= _PROGRESS_SECONDS:
            self._sent = now
            self._send((what, done, total))


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
        self._log = not quiet and hidden
        self._started: dict[str, float] = {}  # by WorkItem.identity
        self._stages: dict[int, tuple[str, float, int]] = {}  # slot -> name, begin, done at it
        self._logged: dict[int, float] = {}  # slot -> when a line was last written

    def __enter__(self) -> "_Display":
        return self

    def __exit__(self, *error) -> None:
        for line in [*self._lines, self._overall]:
            line.close()

    def progress(self, slot: int, item: WorkItem, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        self._started.setdefault(item.identity, now)
        # A training's progress begins with the word and goes on with its losses.
        stage = f"{item.identity} {what.split()[0]} {total}"
        line, text = self._lines[slot], printable(f"{item.label}: {what}")
        if self._stages.get(slot, ("",))[0] != stage:
            self._stages[slot] = (stage, now, done)
            self._logged[slot] = now
            line.reset(total)
            line.initial = done
        line.set_description_str(text, refresh=False)
        line.n = done
        line.refresh()
        if self._log and now - self._logged[slot] >= _LOG_SECONDS:
            self._logged[slot] = now
            _, began, first = self._stages[slot]
            left = (now - began) / max(1, done - first) * (total - done)
            print(f"{text}: {done}/{total}, about {left / 60:.0f} min left", file=sys.stderr)

    def end(self, item: WorkItem, failure: str | None) -> None:
        self._overall.update()
        if not self._quiet:
            now = time.monotonic()
            seconds = now - self._started.get(item.identity, now)  # it may die before it reports
            outcome = f"FAILED: {failure}" if failure else "done"
            text = printable(f"{item.label}: {outcome} ({seconds:.0f} s)")
            self._overall.write(text, file=sys.stderr)
