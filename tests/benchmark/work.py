"""How tests do work: in this process, in a cache of their own, and killed on the way."""

from benchmark.runs.work_item import RunContext
from datasets.bodies.smplx_file import find_body


def context_in(folder):
    """A context whose cache is in a folder."""
    return RunContext(folder / "runs", find_body(), device="cpu")


def ignore(what, done, total):
    """A progress callback that shows nothing."""


class Killed(BaseException):
    """Stands for a kill: nothing in the program catches it."""


def killer(at):
    """A progress callback that raises `Killed` at its call number `at`."""
    calls = iter(range(1, 1000))

    def progress(what, done, total):
        if next(calls) == at:
            raise Killed

    return progress
