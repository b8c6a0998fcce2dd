"""Workers on a Ray cluster: one actor each. All machines must share the stores' file system."""

import contextlib
import os
import pickle
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Any

from datasets.pseudo_gt.executors import (
    ENVIRONMENT,
    TICK,
    ExecutorError,
    ExecutorUnavailable,
    Start,
)

_OBJECT_STORE = 100 * 2**20  # bytes: results go through the file system, not through Ray
_CONNECT = 10.0  # seconds; Ray itself tries for minutes, then ends the process


def run(
    tasks: Iterable,
    start: Start,
    *,
    workers: int,
    retries: int,
    address: str | None = None,
    gpus: bool = False,
) -> Iterator[Any]:
    """Run tasks in `workers` Ray actors; see `datasets.pseudo_gt.executors`.

    Args:
        tasks: picklable, taken one at a time.
        start: makes a worker; imported by name on every machine.
        workers: number of actors.
        retries: how often a task is tried again after its actor died.
        address: of the cluster to join (``auto``, ``host:port``); None starts one on this
            machine and ends it afterwards.
        gpus: share the cluster's GPUs evenly among the actors, at most one each.

    Yields:
        Results as they finish, None where nothing happened for a second.

    Raises:
        ExecutorUnavailable: Ray is not installed.
        ExecutorError: the cluster cannot be joined or all its machines are gone, or a task's
            actors died more than `retries` times.
        Exception: whatever `start` or a task raised.
    """
    ray = _import_ray(address)
    queue = iter(tasks)
    payload = pickle.dumps(start)
    with _cluster(ray, address):
        share = ray.cluster_resources().get("GPU", 0) / workers if gpus else 0
        remote = ray.remote(
            num_gpus=min(1, share),
            max_restarts=-1,
            max_task_retries=retries,
            runtime_env={"env_vars": _environment()},
        )(_Actor)
        actors = {}  # by the call that each one is working on
        try:
            for index, task in zip(range(workers), queue, strict=False):
                actor = remote.remote()
                actors[actor.run.remote(payload, index, task)] = actor, index
            while actors:
                done, _ = ray.wait(list(actors), num_returns=1, timeout=TICK)
                if not done:
                    if not any(node["Alive"] for node in ray.nodes()):  # Ray would wait for one
                        raise ExecutorError("no machine of the Ray cluster is alive any more")
                    yield None
                    continue
                yield _result(ray, done[0])
                actor, index = actors.pop(done[0])
                task = next(queue, None)
                if task is None:
                    ray.kill(actor)
                else:
                    actors[actor.run.remote(payload, index, task)] = actor, index
        finally:
            for actor, _ in actors.values():
                ray.kill(actor)


class _Actor:
    """A worker process. It has no constructor arguments: Ray would pin them for restarts."""

    def __init__(self):
        self._open = ExitStack()
        self._work = None

    def run(self, payload: bytes, index: int, task: Any) -> Any:
        # Started with the first task, so that an exception reaches the caller as it is.
        if self._work is None:
            self._work = self._open.enter_context(pickle.loads(payload)(index))
        return self._work(task)


def _import_ray(address: str | None):
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address is None:
        # Our own cluster is for this process alone; without this Ray keeps a token in $HOME.
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    try:
        import ray
    except ImportError as error:
        raise ExecutorUnavailable(
            f"the ray executor needs Ray ({error}): pip install -r requirements/ray.txt"
        ) from error
    return ray


@contextlib.contextmanager
def _cluster(ray, address: str | None) -> Iterator[None]:
    """A connection to a cluster: the one at `address`, else one of our own."""
    if ray.is_initialized():
        yield  # the caller's, to be left as it is
        return
    options = {"log_to_driver": False, "logging_level": "error"}
    own = None
    if address is not None:
        options["address"] = address
    else:
        # Unix sockets below it allow about 100 characters.
        own = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
        options |= {
            "include_dashboard": False,
            "object_store_memory": _OBJECT_STORE,
            "_temp_dir": own,
        }
    try:
        try:
            if address is not None:
                _require_answer(address)
            ray.init(**options)
        except (ray.exceptions.RayError, RuntimeError, ValueError, OSError) as error:
            where = "here" if address is None else f"at {address}"
            raise ExecutorError(f"no Ray cluster {where}: {error}") from error
        yield
    finally:
        ray.shutdown()
        if own is not None:
            shutil.rmtree(own, ignore_errors=True)


def _require_answer(address: str) -> None:
    """Raise OSError where nobody listens at ``host:port``."""
    host, _, port = address.rpartition(":")
    if port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT).close()


def _environment() -> dict[str, str]:
    """Variables of the actors, which import what this process can, wherever it was found."""
    variables = {name: os.environ.get(name, value) for name, value in ENVIRONMENT.items()}
    variables["PYTHONPATH"] = os.pathsep.join(os.path.abspath(path) for path in sys.path)
    return variables


def _result(ray, call) -> Any:
    try:
        return ray.get(call)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error
    except ray.exceptions.RayActorError as error:
        raise ExecutorError(
            f"a worker did not stay alive: {' '.join(str(error).split())}"
        ) from error
