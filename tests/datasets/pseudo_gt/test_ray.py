"""The ray executor: real actors, killed and replaced, and the same bytes as on one machine."""

import os
import signal
import subprocess
import threading
import time

import pytest

from datasets.estimators import EstimatorUnavailable
from datasets.store.reader import ClipStore
from datasets.tools.workers.worker import ExecutorError
from tests.datasets.pseudo_gt.pseudo_estimators import (
    Scripted,
    build_store,
    contents,
    estimate,
    scripted,
)

pytestmark = pytest.mark.slow

COUNT = 70  # clips: three shards


@pytest.fixture(scope="module", autouse=True)
def ray():
    return pytest.importorskip("ray", reason="Ray is not installed (requirements/ray.txt)")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return build_store(tmp_path_factory.mktemp("source") / "in", COUNT)


@pytest.fixture(scope="module")
def expected(source, tmp_path_factory):
    """What the local executor makes of clips that fail in every way."""
    folder = tmp_path_factory.mktemp("local")
    estimator = scripted(folder / "log", {1: "no_person", 40: "kill", 41: "exit"})
    estimate(source, estimator, folder / "out")
    return contents(folder / "out")


def kill_a_worker(estimator: Scripted, killed: list):
    """Kill the process of an actor in the middle of its work."""
    while estimator.estimates().total() < 10:
        time.sleep(0.02)
    killed.append(estimator.pids()[0])
    os.kill(killed[0], signal.SIGKILL)


def test_a_killed_actor_is_replaced_and_the_bytes_are_the_same(ray, source, expected, tmp_path):
    script = {1: "no_person", 40: "kill", 41: "exit"}
    estimator = scripted(tmp_path / "log", script, seconds=0.05)
    killed = []
    killer = threading.Thread(target=kill_a_worker, args=(estimator, killed))
    killer.start()
    estimate(source, estimator, tmp_path / "out", executor="ray", workers=2)
    killer.join()
    assert contents(tmp_path / "out") == expected
    begun = estimator.estimates()
    assert begun[40] == 2
    assert begun.total() <= COUNT + 2  # the second try of clip 40, and the clip in flight
    pids = estimator.pids()
    assert len(set(pids)) == len(pids) == 5  # two workers, and one for each of three deaths
    assert os.getpid() not in pids
    assert not ray.is_initialized()  # what was started was ended


def test_a_job_goes_on_with_another_executor(source, expected, tmp_path):
    script = {1: "no_person", 40: "kill", 41: "exit"}
    estimator = scripted(tmp_path / "log", script)
    with pytest.raises(EstimatorUnavailable, match="no weights"):
        estimate(
            *(source, scripted(tmp_path / "log", start_fails="unavailable"), tmp_path / "out"),
            executor="ray",
        )
    assert not (tmp_path / "out").exists()
    estimate(source, estimator, tmp_path / "out", executor="ray", timeout=60)
    assert contents(tmp_path / "out") == expected


def test_a_cluster_that_is_there_is_joined_and_left_running(ray, source, tmp_path):
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100 * 2**20)
    try:
        estimator = scripted(tmp_path / "log")
        manifest = estimate(
            *(source, estimator, tmp_path / "out"), executor="ray", workers=3, limit=5
        )
        assert manifest["num_clips"] == len(ClipStore.open(tmp_path / "out")) == 5
        assert ray.is_initialized()
    finally:
        ray.shutdown()


def test_a_cluster_that_dies_ends_the_job(source, tmp_path):
    """In one line; or in the store, where the worker is done before Ray notices."""
    estimator = scripted(tmp_path / "log", seconds=0.2)

    def kill_the_machine():
        while not estimator.estimates().total():
            time.sleep(0.02)
        subprocess.run(["pkill", "-KILL", "-P", str(os.getpid()), "-x", "raylet"], check=True)

    killer = threading.Thread(target=kill_the_machine)
    (tmp_path / "log").mkdir(exist_ok=True)
    killer.start()
    try:
        manifest = estimate(source, estimator, tmp_path / "out", executor="ray")
    except ExecutorError as error:
        assert "alive" in str(error) and "\n" not in str(error)
    else:
        assert manifest["num_clips"] == len(source)
    finally:
        killer.join()


@pytest.mark.parametrize("address", ["auto", "127.0.0.1:1", "ray://127.0.0.1:1"])
def test_no_cluster_at_the_address_is_one_line(source, tmp_path, address):
    with pytest.raises(ExecutorError, match="no Ray cluster at"):
        estimate(
            *(source, scripted(tmp_path / "log"), tmp_path / "out"), executor="ray", address=address
        )
    assert not (tmp_path / "out").exists()
