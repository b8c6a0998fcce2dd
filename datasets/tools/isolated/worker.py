"""A long-lived process of an external tool that answers requests: JSON lines over its pipes.

One object a line each way, every answer with the ``id`` of its request. Messages are small: arrays
travel as files. The tool's side is `datasets.tools.isolated.worker_main`.
"""

import json
import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, cast

_MAIN = Path(__file__).parent / "worker_main.py"
_GRACE = 3  # seconds to leave by itself once its stdin is closed
_TAIL = 2000  # characters of the tool's last words in an error


class WorkerError(Exception):
    """A request was not answered; the message ends in what the tool wrote last."""


class WorkerFailed(WorkerError):
    """The tool raised an error for this request; it is ready for the next one."""


class WorkerGone(WorkerError):
    """The process is no more: it died, or its answer was late or garbled and it was ended."""


class WorkerTimeout(WorkerGone):
    """The answer did not come in time; the process was ended."""


class Worker:
    """A tool's process; a context manager that starts it and ends it, whatever happens.

    The process and its children also end with ours, however that ends.

    Args:
        python: the interpreter of the tool's environment.
        script: the tool's script, see `datasets.tools.isolated.worker_main`.
        env: its whole environment; nothing is inherited.
        options: the first message, which makes it load what it needs.
        timeout: seconds for that.

    Attributes:
        hello: the answer to `options`, such as versions.
    """

    def __init__(
        self, python: Path, script: Path, *, env: Mapping[str, str], options: dict, timeout: float
    ):
        # Isolated: neither the script's folder, whose files have names like motion.py, nor the
        # user's own packages are imported by the tool.
        self._command = [str(python), "-I", str(_MAIN), str(script)]
        self._env, self._options, self._timeout = dict(env), options, timeout
        self._requests = 0
        self._unread = b""

    def __enter__(self) -> "Worker":
        self._stderr = tempfile.TemporaryFile()
        try:
            self._process = subprocess.Popen(
                self._command,
                env=self._env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                bufsize=0,
                start_new_session=True,  # its group ends with it, and Ctrl-C is ours
            )
        except OSError as error:
            self._stderr.close()
            raise WorkerGone(f"cannot start {self._command[0]}: {error.strerror}") from error
        self._stdin = cast(IO[bytes], self._process.stdin)
        self._stdout = cast(IO[bytes], self._process.stdout)
        try:
            self.hello = self.request(self._options, timeout=self._timeout)
        except BaseException:
            self._end(0)
            self._stderr.close()
            raise
        return self

    def __exit__(self, kind, error, trace) -> None:
        self._end(_GRACE if kind is None else 0)
        self._stderr.close()

    def request(self, message: Mapping, *, timeout: float) -> dict:
        """Send a message and wait for its answer.

        Args:
            message: JSON values by name.
            timeout: seconds.

        Raises:
            WorkerFailed: the tool raised an error.
            WorkerTimeout: no answer in time. The process is ended.
            WorkerGone: the process died, or answered something else. It is ended.
        """
        self._requests += 1
        deadline = time.monotonic() + timeout
        line = json.dumps({**message, "id": self._requests}) + "\n"
        try:
            self._stdin.write(line.encode())
            answer = json.loads(self._read_line(deadline))
            number = answer.pop("id")
        except OSError:  # a broken pipe
            raise self._gone() from None
        except (ValueError, KeyError, AttributeError, TypeError):
            raise self._gone("answered something that is not its protocol") from None
        if number != self._requests:
            raise self._gone(f"answered request {number} instead of {self._requests}")
        if "error" in answer:
            raise WorkerFailed(answer["error"])
        return answer

    def _read_line(self, deadline: float) -> bytes:
        with selectors.DefaultSelector() as selector:
            selector.register(self._stdout, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                if not selector.select(max(0, deadline - time.monotonic())):
                    raise self._gone("did not answer in time", WorkerTimeout)
                piece = os.read(self._stdout.fileno(), 1 << 16)
                if not piece:
                    raise self._gone()
                self._unread += piece
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _gone(self, why: str = "", kind: type[WorkerGone] = WorkerGone) -> WorkerGone:
        """End the process; the error to raise for it."""
        # One that closed its pipes is about to exit by itself, and its exit code tells how.
        self._end(0 if why else 1)
        code = self._process.returncode
        died = f"was ended by signal {-code}" if code < 0 else f"exited with code {code}"
        end = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, end - _TAIL))
        output = " ".join(self._stderr.read().decode(errors="replace").split())
        return kind(f"the process {why or died}" + (f"; it said: … {output}" if output else ""))

    def _end(self, grace: float) -> None:
        """Let the process leave within `grace` seconds, then kill it and its children; reap it."""
        if self._process.returncode is not None:
            return  # its number may be another process's by now
        with suppress(OSError):
            self._stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(grace)
        with suppress(ProcessLookupError):  # children outlive a process that crashed
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._stdout.close()


class LastingWorker:
    """A worker that is started when it is first asked, and again after it was gone.

    A context manager that ends the process.

    Args:
        make: makes the worker.
    """

    def __init__(self, make: Callable[[], Worker]):
        self._make = make
        self._worker: Worker | None = None
        self._running = ExitStack()  # ends the worker

    def __enter__(self) -> "LastingWorker":
        return self

    def __exit__(self, kind, error, trace) -> None:
        self._running.close()

    def hello(self) -> dict:
        """Return the process's answer to its options, once it runs.

        Raises:
            WorkerError: it does not start.
        """
        return self._started().hello

    def request(self, message: Mapping, *, timeout: float) -> dict:
        """Send a message and wait for its answer; arguments and errors as of `Worker.request`.

        Raises:
            WorkerError: also where it does not start.
        """
        worker = self._started()
        try:
            return worker.request(message, timeout=timeout)
        except WorkerGone:
            self._worker = None
            self._running.close()
            raise

    def _started(self) -> Worker:
        if self._worker is None:
            self._worker = self._running.enter_context(self._make())
        return self._worker
