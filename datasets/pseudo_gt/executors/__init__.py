"""Where the tasks of a long job run: in processes of this machine, or spread over a Ray cluster.

Each executor is a module with ``run(tasks, start, *, workers, retries, ...)``. It starts up to
`workers` worker processes; in each one ``start(index)`` is entered once, and what it gives is
called with one task after the other. Results come back in the order in which they finish, and
``None`` about once a second in between, so that the caller can show progress.

A worker process that dies (killed, segfault) is started again and gets its task again: a task
keeps what it has done so far on disk, and what must not be tried a third time.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

# Called in a worker process with the worker's number; small and picklable.
Start = Callable[[int], AbstractContextManager[Callable[[Any], Any]]]

NAMES = ("local", "ray")
TICK = 1.0  # seconds
# Workers share the cores, and sums over threads depend on how many there are: one thread each
# makes the same numbers with any number of workers. Whoever sets the variable decides.
ENVIRONMENT = {"OMP_NUM_THREADS": "1"}


class ExecutorError(Exception):
    """Workers cannot be started or do not stay alive; the message says why in one line."""


class ExecutorUnavailable(ExecutorError):
    """What the executor needs is not installed; the message says how to get it."""
