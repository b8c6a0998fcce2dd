"""Worker processes on this machine."""

import contextlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from multiprocessing import Pipe, connection
from multiprocessing.connection import Connection
from typing import Any

from datasets.tools.workers.worker import Server, WorkerContext


class Worker:
    """A worker process, which ends with this one, however that is killed."""

    def __init__(self, index: int, device: str, start: bytes, environment: dict[str, str]):
        self.pipe, theirs = Pipe()
        code = (
            f"import sys; sys.path[:] = {sys.path!r}; "
            f"from datasets.tools.workers.local import main; main({theirs.fileno()})"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=2,  # what foreign code prints is not the command's output
            pass_fds=[theirs.fileno()],
            process_group=0,  # Ctrl-C is for this process, which ends the whole group
        )
        theirs.close()  # so that the pipe ends when the process does
        self.run((index, device, start))

    def run(self, task: Any) -> None:
        """Begin a task."""
        with contextlib.suppress(OSError):  # it died just now: `receive` finds out
            self.pipe.send(task)

    def receive(self) -> tuple[str, Any]:
        """Return the next answer of `Server`, a ``message``, or ``died`` with the reason."""
        try:
            if self.pipe.poll():
                return pickle.loads(self.pipe.recv_bytes())
        except (EOFError, OSError):
            pass
        self.kill()
        code = self.process.returncode
        why = f"the worker process ended with exit code {code}"
        if code == -signal.SIGKILL:
            why += ": killed, perhaps for want of memory; fewer --workers need less"
        return "died", why

    def leave(self, seconds: float) -> None:
        """Wait so long for an idle worker to free what it holds and end."""
        self.run(None)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)

    def kill(self) -> None:
        """End the process and all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.pipe.close()


launch = Worker


def wait(workers: Sequence[Worker], seconds: float) -> list[Worker]:
    """Return the workers that have something to say or are dead; wait for one until then."""
    ready = connection.wait([worker.pipe for worker in workers], seconds)
    # A process that the worker forked may hold the pipe open after the worker's death.
    return [w for w in workers if w.pipe in ready or w.process.poll() is not None]


def main(descriptor: int) -> None:
    """Run a worker process, which talks to its parent through a pipe."""
    os.set_inheritable(descriptor, False)
    pipe = Connection(descriptor)
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(pipe, inbox), daemon=True).start()
    server = Server()
    index, device, start = inbox.get()

    def send(content: Any) -> None:
        pipe.send(("message", content))

    pipe.send_bytes(server.start(start, WorkerContext(index, device, send)))
    while (task := inbox.get()) is not None:
        pipe.send_bytes(server.run(task))
    server.close()


def _listen(pipe: Connection, inbox: queue.SimpleQueue) -> None:
    """Pass on what the parent sends; where the parent is gone, end this process and its group."""
    try:
        while True:
            inbox.put(pipe.recv())
    finally:
        os.killpg(0, signal.SIGKILL)
