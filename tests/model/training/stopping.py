"""Trainings that are stopped in the middle."""

import contextlib
import signal
from collections.abc import Iterator
from unittest import mock

import pytest

from model.training.loop import TrainingRun


@contextlib.contextmanager
def stopped(after: int) -> Iterator[None]:
    """Whatever trains in here gets a Ctrl-C in the middle of a step, its last the one `after`."""
    update = TrainingRun.update

    def update_and_stop(self, *args):
        if self.step == after - 1:
            signal.raise_signal(signal.SIGINT)
        update(self, *args)

    with (
        mock.patch.object(TrainingRun, "update", update_and_stop),
        pytest.raises(KeyboardInterrupt),
    ):
        yield
