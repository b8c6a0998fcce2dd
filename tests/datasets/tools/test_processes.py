"""Work over processes: results in order, deaths confined, nothing read far ahead."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from datasets.tools.processes import in_order
from tests.datasets.tools.process_ends import ends

ROOT = Path(__file__).parents[3]


def square(task):
    return task * task


def square_or_die(task):
    if task in (3, 4):
        os.kill(os.getpid(), signal.SIGKILL)
    return task * task


def die_once(marker):
    """Dies the first time, as a process does that memory runs out for beside others."""
    if marker and not os.path.exists(marker):
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


def fail(task):
    raise OSError(28, "No space left on device")


def write_and_sleep(folder):
    Path(folder, str(os.getpid())).touch()
    time.sleep(60)


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_results_come_in_the_order_of_the_items(workers):
    items = [(name, None if name == 2 else name) for name in range(20)]
    found = list(in_order(square, items, workers=workers, died=None))
    assert found == [(name, None if name == 2 else name * name) for name in range(20)]


def test_items_are_taken_as_they_are_needed():
    taken = []

    def items():
        for name in range(100):
            taken.append(name)
            yield name, name

    results = in_order(square, items(), workers=2, died=None)
    assert next(results) == (0, 0)
    assert len(taken) < 10
    results.close()


def test_no_process_starts_without_a_task():
    started = in_order(fail, [("a", None), ("b", None)], workers=2, died=None)
    assert list(started) == [("a", None), ("b", None)]


def test_only_the_tasks_that_kill_are_lost():
    found = dict(in_order(square_or_die, [(n, n) for n in range(9)], workers=2, died="died"))
    assert found == {n: "died" if n in (3, 4) else n * n for n in range(9)}
    assert list(found) == list(range(9))


@pytest.mark.slow
def test_who_dies_once_is_tried_again(tmp_path):
    items = [("a", ""), ("b", str(tmp_path / "marker")), ("c", "")]
    found = dict(in_order(die_once, items, workers=2, died="died"))
    assert found == {"a": "done", "b": "done", "c": "done"}


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_errors_reach_the_caller(workers):
    with pytest.raises(OSError, match="No space left"):
        list(in_order(fail, [("a", 1), ("b", 2)], workers=workers, died=None))


@pytest.mark.slow
def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    code = f"""
import sys
sys.path[:0] = [{str(ROOT)!r}]
from datasets.tools.processes import in_order
from tests.datasets.tools.test_processes import write_and_sleep
list(in_order(write_and_sleep, [("a", {str(tmp_path)!r})], workers=2, died=None))
"""
    parent = subprocess.Popen([sys.executable, "-c", code])
    while not list(tmp_path.iterdir()):
        assert parent.poll() is None
        time.sleep(0.05)
    (worker,) = (int(file.name) for file in tmp_path.iterdir())
    parent.kill()
    parent.wait()
    assert ends(worker)
