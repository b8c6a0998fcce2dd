"""`python -m datasets.pseudo_gt` killed, interrupted, on a full disk: the same store comes out."""

import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from datasets.estimators import EstimatorUnavailable
from datasets.store.reader import ClipStore
from datasets.store.schema import StoreError
from datasets.tools.workers.worker import ExecutorError
from tests.datasets.pseudo_gt.pseudo_estimators import build_store, contents, estimate, scripted
from tests.datasets.tools.process_ends import is_gone

ROOT = Path(__file__).parents[3]
COUNT = 40  # clips: a full shard and a part of one

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return build_store(tmp_path_factory.mktemp("source") / "in", COUNT)


@pytest.fixture(scope="module")
def quiet_times(source, tmp_path_factory):
    """What comes out where nothing goes wrong."""
    folder = tmp_path_factory.mktemp("quiet")
    estimate(source, scripted(folder / "log"), folder / "out")
    return contents(folder / "out")


def test_two_workers_give_the_same_bytes_as_one(source, quiet_times, tmp_path):
    estimate(source, scripted(tmp_path / "log"), tmp_path / "out", workers=2)
    assert contents(tmp_path / "out") == quiet_times


def command(source, folder, *words, seconds=0.0, before=None):
    """The command as a process of its own, as a user starts it."""
    code = f"""
import sys
sys.path[:0] = [{str(ROOT)!r}]
from pathlib import Path
import datasets.estimators
from tests.datasets.pseudo_gt import pseudo_estimators
log = Path({str(folder / "log")!r})
log.mkdir(exist_ok=True)
datasets.estimators.get = lambda name: pseudo_estimators.Scripted(log, seconds={seconds})
from datasets.pseudo_gt.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
    options = ["--store", source.path, "--estimator", "scripted", "--out", folder / "out"]
    words = [str(word) for word in (*options, "--device", "cpu", *words)]
    return subprocess.Popen(
        [sys.executable, "-c", code, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=before,
    )


def wait_for(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_ctrl_c_ends_the_workers_and_the_same_command_goes_on(source, quiet_times, tmp_path):
    estimator = scripted(tmp_path / "log")
    stopped = command(source, tmp_path, "--workers", 2, seconds=0.05)
    wait_for(lambda: estimator.estimates().total() > 10)
    stopped.send_signal(signal.SIGINT)
    _, err = stopped.communicate(timeout=60)
    assert stopped.returncode == 130
    assert err.splitlines()[-1] == "interrupted: the same command goes on where it was"
    assert all(is_gone(pid) for pid in estimator.pids())
    estimate(source, estimator, tmp_path / "out")
    assert contents(tmp_path / "out") == quiet_times
    assert estimator.estimates().total() <= COUNT + 2


def test_kill_9_at_any_moment_loses_at_most_the_clips_in_flight(source, quiet_times, tmp_path):
    rng = random.Random(0)
    estimator = scripted(tmp_path / "log")
    kills = 0
    while True:
        begun = estimator.estimates().total()
        job = command(source, tmp_path, "--workers", 1 + kills % 2, "--quiet", seconds=0.03)
        if kills < 8:
            wait_for(
                lambda begun=begun, job=job: (
                    job.poll() is not None or begun < estimator.estimates().total()
                )
            )
            time.sleep(rng.uniform(0, 0.4))
        else:
            job.wait()
        finished = job.poll() is not None
        job.kill()
        job.communicate()
        wait_for(lambda: all(is_gone(pid) for pid in estimator.pids()))
        if finished:
            break
        kills += 1
        assert not (tmp_path / "out" / "manifest.json").exists()
    assert job.returncode == 0
    assert kills >= 3
    assert contents(tmp_path / "out") == quiet_times
    assert estimator.estimates().total() <= COUNT + 2 * kills


def run_on_full_disk(source, folder, limit):
    """The command where no file of more than `limit` bytes can be written: a clip, or a shard."""
    full = command(
        *(source, folder, "--quiet"),
        before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    out, err = full.communicate(timeout=60)
    assert (full.returncode, out) == (1, "")
    assert err.count("\n") == 1, err
    assert "File too large" in err and "the same command goes on" in err


def test_kill_9_or_a_full_disk_while_the_store_is_put_together(source, quiet_times, tmp_path):
    estimator = scripted(tmp_path / "log")
    code = f"""
import os, sys
sys.path[:0] = [{str(ROOT)!r}]
from tests.datasets.pseudo_gt import pseudo_estimators as t
from pathlib import Path
rename, left = os.replace, int(sys.argv[1])
def replace(source, target):
    global left
    if Path(target).parent == Path({str(tmp_path / "out")!r}):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), 9)
    rename(source, target)
os.replace = replace
source = t.ClipStore.open({str(source.path)!r})
t.estimate(source, t.scripted(Path({str(tmp_path / "log")!r})), {str(tmp_path / "out")!r})
"""
    for renames in range(5):  # before the status file, three Parquet files, the manifest
        done = subprocess.run([sys.executable, "-c", code, str(renames)])
        assert done.returncode == -signal.SIGKILL
        with pytest.raises(StoreError, match="not finished"):
            ClipStore.open(tmp_path / "out")
    run_on_full_disk(source, tmp_path, 20_000)
    subprocess.run([sys.executable, "-c", code, "6"], check=True)
    assert contents(tmp_path / "out") == quiet_times
    assert estimator.estimates() == dict.fromkeys(range(COUNT), 1)


@pytest.mark.parametrize("limit", [500, 20_000])
def test_a_full_disk_stops_the_job_and_leaves_nothing_torn(source, quiet_times, tmp_path, limit):
    run_on_full_disk(source, tmp_path, limit)
    estimate(source, scripted(tmp_path / "log"), tmp_path / "out")
    assert contents(tmp_path / "out") == quiet_times
    assert max(scripted(tmp_path / "log").estimates().values()) == (2 if limit == 500 else 1)


def test_a_worker_that_dies_while_starting_stops_the_job(source, tmp_path):
    estimator = scripted(tmp_path / "log", start_fails="killed")
    with pytest.raises(ExecutorError, match="died 3 times while starting"):
        estimate(source, estimator, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(EstimatorUnavailable, match="no weights"):
        estimate(
            *(source, scripted(tmp_path / "log", start_fails="unavailable"), tmp_path / "out"),
            workers=2,
        )


def test_killed_workers_are_replaced(source, quiet_times, tmp_path):
    estimator = scripted(tmp_path / "log")
    job = command(source, tmp_path, "--workers", 2, "--quiet", seconds=0.05)
    wait_for(lambda: estimator.estimates().total() > 3 and len(estimator.pids()) == 2)
    for pid in estimator.pids():  # each once: a clip that loses two workers is given up
        if not is_gone(pid):
            os.kill(pid, signal.SIGKILL)
    job.communicate(timeout=60)
    assert job.returncode == 0
    assert contents(tmp_path / "out") == quiet_times
    assert len(estimator.pids()) > 2
    assert estimator.estimates().total() <= COUNT + 2
