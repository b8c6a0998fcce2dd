"""Work over processes: deaths confined, nothing read far ahead, nobody left behind."""

import contextlib
import functools
import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from datasets.tools.workers.spread import EXECUTORS, Executor, Message, Outcome, WorkerDied, spread
from datasets.tools.workers.worker import ExecutorError
from tests.datasets.tools.process_ends import ends

ROOT = Path(__file__).parents[3]
NO_RAY = importlib.util.find_spec("ray") is None


@pytest.fixture(
    params=[
        EXECUTORS[0],
        pytest.param(
            EXECUTORS[1],
            marks=[pytest.mark.slow, pytest.mark.skipif(NO_RAY, reason="Ray is not installed")],
        ),
    ]
)
def executor(request):
    return functools.partial(Executor, name=request.param)


class UnportableError(Exception):
    """Can be pickled, but not unpickled: its constructor takes two arguments."""

    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


@contextlib.contextmanager
def start(context):
    yield functools.partial(work, context)


def work(context, task):
    """Do what a task says, a word and an argument."""
    word, argument = task
    if word == "square":
        return argument * argument
    if word == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if word == "die once":  # as a process does that memory runs out for beside others
        if not os.path.exists(argument):
            Path(argument).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return "done"
    if word == "fork and die":
        if os.fork() == 0:
            time.sleep(60)
        os.kill(os.getpid(), signal.SIGKILL)
    if word == "raise":
        raise argument
    if word == "raise unportable":
        raise UnportableError("ü", "second\nline")
    if word == "unportable value":
        return lambda: None
    if word == "send":
        for number in range(argument):
            context.send({"number": number})
        return "sent"
    if word == "sleep":
        time.sleep(argument)
    if word == "facts":
        time.sleep(argument)
        return context.index, context.device, os.environ.get("OMP_NUM_THREADS"), os.getpid()
    if word == "threads":
        import torch

        return torch.get_num_threads()
    if word == "write and sleep":
        child = subprocess.Popen(["sleep", "60"])
        Path(argument, f"{os.getpid()}-{child.pid}").touch()
        time.sleep(60)
    return None


def broken_start(context):
    raise OSError(28, "No space left on device")


def deadly_start(context):
    os.kill(os.getpid(), signal.SIGKILL)


def outcomes(tasks, executor, start=start, **options):
    """All outcomes; the items are the numbers of the tasks."""
    events = spread(enumerate(tasks), start, executor, **options)
    return [event for event in events if isinstance(event, Outcome)]


def squares(count):
    return [None if n == 2 else ("square", n) for n in range(count)]


def test_outcomes_come_in_the_order_of_the_tasks(executor):
    tasks = [("facts", 0.2), *squares(20)]  # the first takes longest
    first, *rest = outcomes(tasks, executor(workers=2), ordered=True)
    assert first.item == 0
    assert [(o.item, o.value) for o in rest] == [
        (n + 1, None if n == 2 else n * n) for n in range(20)
    ]


def test_or_as_they_finish():
    found = outcomes([("sleep", 1), *squares(9)], Executor(workers=2))
    assert {o.item for o in found} == set(range(10))
    assert found[-1].item == 0


@pytest.mark.parametrize(("ordered", "most"), [(True, 9), (False, 3)])
def test_tasks_are_taken_as_they_are_needed(ordered, most):
    taken = []

    def tasks():
        for number in range(100):
            taken.append(number)
            yield number, ("square", number)

    events = spread(tasks(), start, Executor(workers=2), ordered=ordered)
    done = 0
    with contextlib.closing(events):
        for event in events:
            if event is not None:
                done += 1
                assert len(taken) < done + most
            if done == 20:
                break


def test_a_task_is_chosen_knowing_what_has_finished(executor):
    """Without an order, the next task is taken after the outcomes before it were handled."""
    running, seen = set(), []

    def tasks():
        for number in range(6):
            seen.append(len(running))
            running.add(number)
            yield number, ("square", number)

    for event in spread(tasks(), start, executor(workers=2)):
        if event is not None:
            running.remove(event.item)
    assert max(seen) < 2
    assert not running


def test_no_process_starts_without_a_task():
    found = outcomes([None, None], Executor(workers=2), start=deadly_start)
    assert [(o.item, o.result()) for o in found] == [(0, None), (1, None)]
    assert outcomes([], Executor(workers=2), start=deadly_start) == []


def test_only_the_tasks_that_kill_are_lost(executor):
    tasks = [("die", 0) if n in (3, 4) else ("square", n) for n in range(9)]
    found = outcomes(tasks, executor(workers=2), ordered=True)
    assert [o.item for o in found] == list(range(9))
    for outcome in found:
        if outcome.item in (3, 4):
            with pytest.raises(WorkerDied):
                outcome.result()
        else:
            assert outcome.result() == outcome.item**2


def test_who_dies_once_is_tried_again_if_the_caller_wants_so(executor, tmp_path):
    for retries, expected in ((1, "done"), (0, None)):
        task = ("die once", str(tmp_path / f"marker{retries}"))
        (found,) = outcomes([task], executor(workers=1), retries=retries)
        assert found.value == expected
        assert (found.error is None) == (expected == "done")


def test_the_death_of_a_worker_is_told_with_its_exit_code():
    (found,) = outcomes([("die", 0)], Executor())
    assert "exit code -9: killed, perhaps for want of memory" in str(found.error)


def test_a_worker_is_dead_although_what_it_forked_holds_its_pipe():
    (found,) = outcomes([("fork and die", 0)], Executor(), retries=0)
    assert isinstance(found.error, WorkerDied)


def test_errors_are_the_tasks_own_and_the_others_go_on(executor):
    tasks = [
        ("raise", OSError(28, "No space left on device")),
        ("raise unportable", None),
        ("raise", SystemExit(3)),
        ("unportable value", None),
        ("square", 5),
    ]
    full, odd, left, value, fine = outcomes(tasks, executor(workers=1))
    assert (type(full.error), full.error.errno) == (OSError, 28)
    assert "in work" in full.error.__notes__[0]  # where it happened
    assert (type(odd.error), str(odd.error)) == (
        ExecutorError,
        "UnportableError: ü and second\nline",
    )
    assert str(left.error) == "SystemExit: 3"
    assert "pickle" in str(value.error)
    assert fine.result() == 25
    with pytest.raises(OSError, match="No space left"):
        full.result()


def test_a_start_that_fails_ends_the_job(executor):
    with pytest.raises(OSError, match="No space left"):
        outcomes(squares(3), executor(workers=2), start=broken_start)
    with pytest.raises(ExecutorError, match="worker 0 died 3 times while starting"):
        outcomes(squares(3), executor(workers=1), start=deadly_start, retries=99)


def test_messages_come_before_the_outcome_of_their_task(executor):
    tasks = [(n, ("send", 3)) for n in "abcd"]
    events = [event for event in spread(tasks, start, executor(workers=2)) if event is not None]
    for item in "abcd":
        own = [event for event in events if event.item == item]
        assert [m.content["number"] for m in own[:-1] if isinstance(m, Message)] == [0, 1, 2]
        assert own[-1] == Outcome(item=item, value="sent")
        assert len({m.worker for m in own[:-1]}) == 1


def test_every_worker_has_a_device_of_its_own_and_those_on_the_cpu_one_thread(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    tasks = [("facts", 0.5)] * 3
    found = [o.value for o in outcomes(tasks, Executor(workers=3), devices=["fake:0", "fake:1"])]
    assert sorted(facts[:3] for facts in found) == [
        (0, "fake:0", "7"),
        (1, "fake:1", "7"),
        (2, "fake:0", "7"),
    ]
    (facts,) = [o.value for o in outcomes([("facts", 0)], Executor())]
    assert facts[:3] == (0, "cpu", "1")
    assert facts[3] != os.getpid()
    assert os.environ["OMP_NUM_THREADS"] == "7"


@pytest.mark.slow
def test_torch_computes_with_one_thread(executor):
    (found,) = outcomes([("threads", 0)], executor())
    assert found.result() == 1


@pytest.mark.slow
def test_none_comes_while_nothing_happens():
    kinds = Counter(type(event) for event in spread([(0, ("sleep", 2.5))], start, Executor()))
    assert kinds[type(None)] >= 2
    assert kinds[Outcome] == 1


def program(folder, executor):
    """A process with two workers, which leave their ids in a folder."""
    code = f"""
import sys
sys.path[:0] = [{str(ROOT)!r}]
from datasets.tools.workers.spread import Executor, spread
from tests.datasets.tools.test_workers import start
tasks = [(n, ("write and sleep", {str(folder)!r})) for n in range(2)]
try:
    list(spread(tasks, start, Executor(name={executor.name!r}, workers=2)))
except KeyboardInterrupt:
    sys.exit(130)
"""
    running = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    while len(list(folder.iterdir())) < 2:
        assert running.poll() is None
        time.sleep(0.05)
    pids = [int(pid) for file in folder.iterdir() for pid in file.name.split("-")]
    # What Ray's actors start is not of their group: it is theirs to end.
    return running, pids if executor.name == "local" else pids[::2]


def test_workers_and_what_they_started_end_with_a_parent_that_is_killed(executor, tmp_path):
    parent, pids = program(tmp_path, executor())
    parent.kill()
    parent.wait()
    assert all(ends(pid) for pid in pids)


@pytest.mark.parametrize(
    "times", [pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(5, marks=pytest.mark.slow)]
)
def test_ctrl_c_ends_everything(executor, tmp_path, times):
    parent, pids = program(tmp_path, executor())
    for _ in range(times):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(parent.pid, signal.SIGINT)  # as a terminal does
        time.sleep(0.01)
    # Once the program is about to exit, Ctrl-C ends Python itself, by the signal.
    assert parent.wait(timeout=60) in ((130,) if times == 1 else (130, -signal.SIGINT))
    assert all(ends(pid) for pid in pids)


def test_whoever_stops_early_ends_the_workers(executor, tmp_path):
    events = spread(
        [(n, ("write and sleep", str(tmp_path))) for n in "ab"], start, executor(workers=2)
    )
    while len(list(tmp_path.iterdir())) < 2:
        assert next(events) is None
    events.close()
    assert all(ends(int(file.name.split("-")[0])) for file in tmp_path.iterdir())
