"""Trainings that are stopped in the middle."""

import contextlib
from collections.abc import Iterator
from unittest import mock

import pytest

from model.run import Run


@contextlib.contextmanager
def stopped(after: int) -> Iterator[None]:
    """Whatever trains in here writes its resume state after so many steps, and gets a Ctrl-C."""
    update = Run.update

    def update_and_stop(self, *args):
        update(self, *args)
        if self.step == after:
            self.save()
            raise KeyboardInterrupt

    with mock.patch.object(Run, "update", update_and_stop), pytest.raises(KeyboardInterrupt):
        yield
