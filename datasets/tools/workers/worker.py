"""The inside of a worker process: what it gets, and how it answers."""

import pickle
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from typing import Any


class ExecutorError(Exception):
    """Workers cannot be started or do not stay alive; the message says why in one line."""


class ExecutorUnavailable(ExecutorError):
    """Something that the executor needs is missing; the message says how to get it."""


@dataclass(frozen=True)
class WorkerContext:
    """The facts that a worker process gets when it starts.

    Attributes:
        index: number of the worker, from 0; a replaced worker has the same one.
        device: the device that it computes on, such as ``cpu`` or ``cuda:1``.
        send: sends a picklable object to the caller of `spread`, as a `Message`.
    """

    index: int
    device: str
    send: Callable[[Any], None]


# Entered once in each worker process; the function is called with one task after the other.
# Picklable, and defined in a module: a function of ``__main__`` cannot be found by the workers.
Start = Callable[[WorkerContext], AbstractContextManager[Callable[[Any], Any]]]


@dataclass(frozen=True)
class Calls:
    """Starts workers that hold nothing: every task is the argument of a call of `function`."""

    function: Callable[[Any], Any]

    def __call__(self, context: WorkerContext) -> AbstractContextManager[Callable[[Any], Any]]:
        """Return the function, which needs nothing to be freed."""
        return nullcontext(self.function)


class Server:
    """Does tasks. All that goes in and out is pickled, and no exception leaves it."""

    def __init__(self):
        self._open = ExitStack()

    def start(self, start: bytes, context: WorkerContext) -> bytes:
        """Enter a start function; returns ``ready``, or ``broken`` with the exception."""
        try:
            self._work = self._open.enter_context(pickle.loads(start)(context))
            return pickle.dumps(("ready", None))
        except BaseException as error:
            return pickle.dumps(("broken", _portable(error)))

    def run(self, task: bytes) -> bytes:
        """Do a task; returns ``value`` with what it returns, or ``error`` with the exception."""
        try:
            return pickle.dumps(("value", self._work(pickle.loads(task))))
        except BaseException as error:  # foreign code also exits where it should raise
            return pickle.dumps(("error", _portable(error)))

    def close(self) -> None:
        """Free what the start function holds."""
        self._open.close()


def _portable(error: BaseException) -> Exception:
    """Return `error`, or its message where it cannot travel to another process."""
    portable: Exception = ExecutorError(f"{type(error).__name__}: {error}")
    try:
        if isinstance(error, Exception) and type(pickle.loads(pickle.dumps(error))) is type(error):
            portable = error
    except Exception:  # whatever its own methods raise
        pass
    portable.add_note("".join(traceback.format_exception(error)))  # the traceback stays here
    return portable
