"""Commands run in a folder that always has the same path, each in a fork of this process.

A fork has all heavy packages imported, so that a small command takes a second.
"""

import contextlib
import hashlib
import importlib
import json
import os
import pickle
import re
import shutil
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from datasets.bodies.smplx import load_body
from datasets.tools.workers import local
from datasets.tools.workers.worker import Server, WorkerContext

ROOT = Path(__file__).parents[2]
_MARK = "UNIMO_CAMPAIGN"  # in the environment of a command and of its workers
_HEAVY = (
    "benchmark.run",
    "benchmark.commands.regenerate",
    "benchmark.commands.report",
    "benchmark.commands.compare.command",
    "datasets.prepare.__main__",
    "datasets.prepare.prepare_store",
    "datasets.pseudo_gt.__main__",
    "datasets.rendering",
    "model.generate.__main__",
    "model.generate.samples",
    "model.regressor.network",
    "model.regressor.train",
    "model.tokenizer.train",
    "model.transformer.train.__main__",
    "matplotlib.figure",
)
# Of JSON files: when, where, how long, in how much memory; and hashes over those.
_PROVENANCE = {"provenance", "seconds", "started", "finished", "peak_memory_mb", "own_sha256"}
_LOCKS = re.compile(r"(^|/)(\.?lock$|locks/)")


@dataclass(frozen=True, kw_only=True)
class Ran:
    """The end of a command: its exit code and what it printed."""

    code: int
    out: str
    err: str


class Inline:
    """Stands for a worker process: does its tasks at once, in this one."""

    def __init__(self, index: int, device: str, start: bytes, environment: dict[str, str]):
        self._heard: deque = deque()
        self._server = Server()
        context = WorkerContext(index, device, lambda x: self._heard.append(("message", x)))
        self._heard.append(pickle.loads(self._server.start(start, context)))

    def run(self, task: bytes) -> None:
        self._heard.append(pickle.loads(self._server.run(task)))

    def receive(self) -> tuple:
        return self._heard.popleft()

    def leave(self, seconds: float) -> None:
        self._server.close()

    def kill(self) -> None:
        pass

    @staticmethod
    def wait(workers: Sequence["Inline"], seconds: float) -> list["Inline"]:
        return [worker for worker in workers if worker._heard]


class Started:
    """A command on its way, which leads a process group."""

    def __init__(self, home: "Home", words: Sequence[str], name: str, *, inline: bool, before):
        self.log = home.folder.parent / name
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if not self.pid:
            with contextlib.suppress(BaseException):
                _become(home.folder, words, self.log, inline, before)
            os._exit(71)
        with contextlib.suppress(OSError):  # the child does it, too
            os.setpgid(self.pid, self.pid)

    def kill(self) -> None:
        """Kill it and its process group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def end(self) -> Ran:
        """Wait for its end."""
        try:
            _, status = os.waitpid(self.pid, 0)
        except BaseException:
            self.kill()
            raise
        out, err = (self.log.with_suffix(s).read_text(errors="replace") for s in (".out", ".err"))
        return Ran(code=os.waitstatus_to_exitcode(status), out=out, err=err)

    def orphans(self, seconds: float = 15.0) -> list[int]:
        """The processes that it started and that live on after so many seconds."""
        end = time.monotonic() + seconds
        while (found := list(_marked(self.pid))) and time.monotonic() < end:
            time.sleep(0.1)
        return found


class Home:
    """The folder in which commands run; its path, which some records hold, never changes."""

    def __init__(self, temporary: Path):
        self.folder = temporary / "home"
        for name in _HEAVY:
            importlib.import_module(name)
        for name in ("methods", "metrics", "tables"):
            for file in sorted((ROOT / "benchmark" / name).glob("*.py")):
                importlib.import_module(f"benchmark.{name}.{file.stem}")
        load_body()  # it is kept, too

    def restore(self, state: Path | None) -> None:
        """Make the folder equal to a state; None for an empty one."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if state is None:
            self.folder.mkdir()
        else:
            shutil.copytree(state, self.folder)

    def start(self, command: str, name: str = "log", *, inline: bool, before=None) -> Started:
        """Start a command: words of ``python -m``. `before` is called in its process."""
        return Started(self, command.split(), name, inline=inline, before=before)

    def run(self, command: str, *, inline: bool, before: Callable | None = None) -> Ran:
        """Run a command to its end."""
        return self.start(command, inline=inline, before=before).end()

    def results(self, globs: Sequence[str]) -> dict[str, str]:
        """File -> hash of what must be equal in it."""
        files = (file for glob in globs for file in sorted(self.folder.glob(glob)))
        return {str(file.relative_to(self.folder)): _digest(file) for file in files}

    def listing(self) -> set[str]:
        """All files but locks."""
        found = (Path(at, name) for at, _, names in os.walk(self.folder) for name in names)
        paths = {str(path.relative_to(self.folder)) for path in found}
        return {path for path in paths if not _LOCKS.search(path)}


def _become(folder: Path, words: Sequence[str], log: Path, inline: bool, before) -> None:
    """Be the command; never returns."""
    from model.transformer.train import token_set

    os.setpgid(0, 0)
    for suffix, descriptor in ((".out", 1), (".err", 2)):
        target = os.open(log.with_suffix(suffix), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(target, descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    os.environ[_MARK] = str(os.getpid())
    token_set.CACHE = folder / "data" / "tokens"  # it was found when it was imported
    if inline:
        local.launch, local.wait = Inline, Inline.wait
    try:
        if before is not None:
            before()
        code = importlib.import_module(_main(words[0])).main(list(words[1:]))
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 70
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0)


def _main(module: str) -> str:
    return f"{module}.__main__" if (ROOT / module.replace(".", "/")).is_dir() else module


def _marked(pid: int) -> Iterator[int]:
    """Processes with a command's mark in their environment, other than zombies."""
    mark = f"{_MARK}={pid}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                yield int(folder.name)


def _digest(file: Path) -> str:
    data = file.read_bytes()
    if file.suffix == ".json":
        with contextlib.suppress(ValueError):
            data = json.dumps(_without_provenance(json.loads(data)), sort_keys=True).encode()
    return hashlib.sha256(data).hexdigest()


def _without_provenance(value):
    if isinstance(value, dict):
        left = {name: member for name, member in value.items() if name not in _PROVENANCE}
        return {name: _without_provenance(member) for name, member in left.items()}
    return [_without_provenance(member) for member in value] if isinstance(value, list) else value
