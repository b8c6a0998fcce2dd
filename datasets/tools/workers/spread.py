"""Work spread over worker processes: of this machine, or of a Ray cluster."""

import contextlib
import functools
import itertools
import pickle
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from datasets.tools.workers import local, ray
from datasets.tools.workers.worker import ExecutorError, Start

EXECUTORS = ("local", "ray")
_TICK = 1.0  # seconds
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_AHEAD = 3  # tasks a worker that are taken early where the order counts, so that none waits
_GOODBYE = 30.0  # seconds for a worker to free what it holds
_STARTS = 3  # deaths in a row of a worker that never got ready


class WorkerDied(ExecutorError):
    """A task's workers died (killed, segfault, out of memory) more often than it may be retried."""


@dataclass(frozen=True, kw_only=True)
class Executor:
    """The processes that do the work.

    Attributes:
        name: ``local``, processes of this machine, or ``ray``, those of a Ray cluster.
        workers: number of processes. Each starts with the first task it gets.
        address: of the Ray cluster to join (``auto``, ``host:port``); None starts one on this
            machine and ends it afterwards.
    """

    name: str = EXECUTORS[0]
    workers: int = 1
    address: str | None = None


@dataclass(frozen=True, kw_only=True)
class Message:
    """An object (`content`) that a worker (its index) sent while it did the task of an item."""

    item: Any
    worker: int
    content: Any


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The end of the task of an item: the value of the worker's function, or an error."""

    item: Any
    value: Any = None
    error: Exception | None = None

    def result(self) -> Any:
        """Return the value, or raise the error."""
        if self.error is not None:
            raise self.error
        return self.value


def spread(
    tasks: Iterable[tuple[Any, Any]],
    start: Start,
    executor: Executor,
    *,
    devices: Sequence[str] = ("cpu",),
    retries: int = 1,
    ordered: bool = False,
    one_thread: bool = True,
) -> Generator[Outcome | Message | None, None, None]:
    """Yield the outcome of every task, the messages of workers, and None about once a second.

    A worker that dies is replaced and its task is tried again. Workers end with this process, even
    if it is killed; a caller that stops early closes the iterator, which ends them at once.

    Args:
        tasks: pairs of an item, which stays here, and the picklable task that a worker gets, or
            None where there is nothing to do for the item. They are taken as they are needed: when
            a worker is free, and a few earlier where the order counts.
        start: makes a worker.
        executor: where the workers run, and how many they are.
        devices: dealt to the workers in turn. Where they are not the CPU, Ray deals out the GPUs
            of its machines instead: an equal share to each worker, at most one GPU.
        retries: how often a task is tried again after its worker died.
        ordered: whether outcomes come in the order of the tasks, or as they finish.
        one_thread: whether workers on the CPU compute with one thread each: sums over threads
            depend on how many there are. Otherwise they have as many as this process.

    Raises:
        ExecutorUnavailable: Ray is not installed, or a GPU is needed and its cluster has none.
        ExecutorError: workers die while starting, or the cluster cannot be joined or is gone.
        Exception: whatever `start` raised.
    """
    source, exhausted = iter(tasks), False
    limit = executor.workers * (1 + _AHEAD if ordered else 1)
    jobs: list[_Job] = []  # taken from the source, and their outcomes not yet yielded
    waiting: deque[_Job] = deque()  # those that no worker has begun
    payload = pickle.dumps(start)
    with contextlib.ExitStack() as stack:
        machine: Any = local
        gpus = "cpu" not in devices
        environment = _ONE_THREAD if one_thread and not gpus else {}
        if executor.name == "ray":
            machine = stack.enter_context(ray.cluster(executor.address, executor.workers, gpus))
        places = []
        for index in range(executor.workers):
            device = devices[index % len(devices)]
            launch = functools.partial(machine.launch, index, device, payload, environment)
            places.append(_Place(index, launch, retries))
            stack.callback(places[-1].kill)  # all of them, also where Ctrl-C interrupts one
        while jobs or not exhausted:
            free = [place for place in places if place.job is None]
            for place in free[: len(waiting)]:
                place.begin(waiting.popleft())
            if len(jobs) < limit and not exhausted:
                pair = next(source, None)
                if pair is None:
                    exhausted = True
                    continue
                jobs.append(_Job(*pair))
                if jobs[-1].outcome is None:
                    waiting.append(jobs[-1])
                continue
            choose = itertools.takewhile if ordered else filter
            finished = list(choose(lambda job: job.outcome is not None, jobs))
            for job in finished:
                jobs.remove(job)
                yield job.outcome
            if finished:
                continue  # there is room for other tasks
            busy = {place.worker: place for place in places if place.job is not None}
            heard = machine.wait(list(busy), _TICK)
            if not heard:
                yield None
            for worker in heard:
                message = busy[worker].hear()
                if message is not None:
                    yield message
        for place in places:
            if place.worker is not None:
                place.worker.leave(_GOODBYE)


class _Job:
    """A task on its way to its outcome."""

    def __init__(self, item: Any, task: Any):
        self.item, self.task = item, pickle.dumps(task)
        self.outcome = Outcome(item=item) if task is None else None


class _Place:
    """The place of a worker: its process, which is replaced when it dies, and the job it has."""

    def __init__(self, index: int, launch: Callable[[], Any], retries: int):
        self.index, self._launch, self._retries = index, launch, retries
        self.worker: Any = None
        self.job: Any = None  # a _Job, or None
        self._starts = 0  # since a worker was ready
        self._deaths = 0  # of workers with this job

    def begin(self, job: _Job) -> None:
        """Give the worker a job."""
        self.job, self._deaths = job, 0
        if self.worker is None:
            self._start()
        else:
            self.worker.run(job.task)

    def hear(self) -> Message | None:
        """Take in the worker's next answer, which is returned where it is a message.

        Raises:
            ExecutorError: it dies again and again while it starts.
            Exception: whatever the start function raised.
        """
        kind, content = self.worker.receive()
        if kind == "message":
            return Message(item=self.job.item, worker=self.index, content=content)
        if kind == "broken":
            raise content
        if kind == "ready":
            self._starts = 0
            self.worker.run(self.job.task)
        elif kind == "died":
            self._died(content)
        else:
            self._finish(**{kind: content})
        return None

    def kill(self) -> None:
        """End the worker at once."""
        if self.worker is not None:
            self.worker.kill()
            self.worker = None

    def _start(self) -> None:
        self._starts += 1
        self.worker = self._launch()

    def _died(self, reason: str) -> None:
        self.kill()
        self._deaths += self._starts == 0
        if self._starts >= _STARTS:
            why = f"worker {self.index} died {self._starts} times while starting: {reason}"
            raise ExecutorError(why)
        if self._deaths > self._retries:
            self._finish(error=WorkerDied(reason))
        else:
            self._start()

    def _finish(self, **end: Any) -> None:
        self.job.outcome = Outcome(item=self.job.item, **end)
        self.job = None
