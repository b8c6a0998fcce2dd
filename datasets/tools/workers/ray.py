"""Workers on a Ray cluster: one actor each. All machines must share the tasks' file system."""

import contextlib
import logging
import os
import pickle
import shutil
import socket
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from datasets.tools.workers import worker
from datasets.tools.workers.worker import ExecutorError, ExecutorUnavailable, WorkerContext

_OBJECT_STORE = 100 * 2**20  # bytes: results go through the file system, not through Ray
_CONNECT = 10.0  # seconds; Ray itself tries for minutes, then ends the process


@contextlib.contextmanager
def cluster(address: str | None, workers: int, gpus: bool) -> Iterator["Cluster"]:
    """Hold a connection to a cluster: the one that is open, the one at `address`, or a new one.

    The address is ``auto`` or ``host:port``; None starts a cluster on this machine. Where they need
    GPUs, `workers` actors share those of the cluster.

    Raises:
        ExecutorUnavailable: Ray is not installed, or a GPU is needed and there is none.
        ExecutorError: the cluster cannot be joined.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address is None:
        # Our own cluster is for this process alone; without this Ray keeps a token in $HOME.
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    try:
        import ray.util.queue
    except ImportError as error:
        hint = "pip install -r requirements/ray.txt"
        raise ExecutorUnavailable(f"the ray executor needs Ray ({error}): {hint}") from error
    with contextlib.ExitStack() as stack:
        if not ray.is_initialized():  # else it is the caller's, to be left as it is
            options: dict[str, Any] = {"address": address}
            if address is None:
                # Unix sockets below it allow about 100 characters.
                own = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
                stack.callback(shutil.rmtree, own, ignore_errors=True)
                options = {"_temp_dir": own, "object_store_memory": _OBJECT_STORE}
                options["include_dashboard"] = False
            stack.callback(ray.shutdown)
            try:
                if address is not None:
                    _require_answer(address)
                ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
            except (ray.exceptions.RayError, RuntimeError, ValueError, OSError) as error:
                where = "here" if address is None else f"at {address}"
                raise ExecutorError(f"no Ray cluster {where}: {error}") from error
        found = Cluster(ray, workers, gpus)
        stack.callback(found.mailbox.shutdown, force=True)
        yield found


def _require_answer(address: str) -> None:
    """Raise OSError where nobody listens at ``host:port``."""
    host, _, port = address.rpartition(":")
    if port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT).close()


class Cluster:
    """Starts workers and waits for them."""

    def __init__(self, ray: Any, workers: int, gpus: bool):
        share = ray.cluster_resources().get("GPU", 0) / workers if gpus else 0
        if gpus and not share:
            raise ExecutorUnavailable("the Ray cluster has no GPU")
        self.ray, self.gpus = ray, gpus
        self.actor = ray.remote(num_gpus=min(1, share), max_restarts=0)(_Actor)
        self.mailbox = ray.util.queue.Queue(actor_options={"num_cpus": 0})

    def launch(
        self, index: int, device: str, start: bytes, environment: dict[str, str]
    ) -> "Worker":
        """Start an actor; of GPUs it sees the one that Ray gave it."""
        imports = {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
        actor = self.actor.options(runtime_env={"env_vars": environment | imports}).remote()
        return Worker(self, actor, index, "cuda:0" if self.gpus else device, start)

    def wait(self, workers: Sequence["Worker"], seconds: float) -> list["Worker"]:
        """Return the workers that have something to say or are dead; wait for one until then.

        Raises:
            ExecutorError: the cluster is gone; Ray itself would wait for ever.
        """
        done, _ = self.ray.wait([w.call for w in workers], num_returns=1, timeout=seconds)
        if not done and not any(node["Alive"] for node in self.ray.nodes()):
            raise ExecutorError("no machine of the Ray cluster is alive any more")
        by_index = {worker.index: worker for worker in workers}
        with contextlib.suppress(self.ray.exceptions.RayError):  # only progress is lost with it
            for index, content in self.mailbox.get_nowait_batch(self.mailbox.qsize()):
                if index in by_index:
                    by_index[index].messages.append(content)
        return [worker for worker in workers if worker.call in done or worker.messages]


class Worker:
    """A worker, which is an actor, and the call that it is working on."""

    def __init__(self, cluster: Cluster, actor: Any, index: int, device: str, start: bytes):
        self.index = index
        self.messages: deque[Any] = deque()
        self._ray, self._actor = cluster.ray, actor
        self.call = self._actor.begin.remote(start, index, device, cluster.mailbox)

    def receive(self) -> tuple[str, Any]:
        """Return the next answer of a `Server`, a ``message``, or ``died`` with the reason."""
        if self.messages:
            return "message", self.messages.popleft()
        try:
            return pickle.loads(self._ray.get(self.call))
        except self._ray.exceptions.RayError as error:
            return "died", f"a worker did not stay alive: {' '.join(str(error).split())}"

    def run(self, task: bytes) -> None:
        """Begin a task."""
        self.call = self._actor.run.remote(task)

    def leave(self, seconds: float) -> None:
        """Wait so long for an idle worker to free what it holds."""
        self._ray.wait([self._actor.close.remote()], timeout=seconds)

    def kill(self) -> None:
        """End the actor's process."""
        self._ray.kill(self._actor)


class _Actor(worker.Server):
    """Has no constructor arguments: Ray would keep them as objects of the cluster."""

    def begin(self, start: bytes, index: int, device: str, mailbox: Any) -> bytes:
        from ray.exceptions import RayError

        def send(content: Any) -> None:
            with contextlib.suppress(RayError):
                mailbox.put((index, content))  # returns when it is there: before the task's value

        return self.start(start, WorkerContext(index, device, send))
