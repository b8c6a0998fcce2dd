"""For all tests: one thread a process, as tiny networks on two only wait; and a working Ctrl-C."""

import gc
import os
import signal
from collections.abc import Iterator

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
# Jobs that a shell starts in the background ignore it, and so would the programs that tests stop.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Only what nothing refers to is freed."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()
