"""Steps run in processes of their own, and what came of them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmark.api.paths import ROOT, file_name, redact_paths
from benchmark.commands.rehearse.steps import Step
from datasets.tools import isolated
from datasets.tools.typed_json import Record

_REASONS = 3  # lines of a log that say why


@dataclass(frozen=True, kw_only=True)
class Stage(Record):
    """The outcome of a step.

    Attributes:
        name: of the step.
        command: as given to a shell.
        status: ``ran``, ``failed``, or ``not here``: something that it needs is not there.
        reason: why it did not run to its end; empty where it did.
        seconds: that it took.
        peak_memory_mb: of the largest of its processes; None where none ran.
        unseen: what it does not show, in words.
    """

    name: str
    command: tuple[str, ...] = ()
    status: Literal["ran", "failed", "not here"]
    reason: str = ""
    seconds: float = 0.0
    peak_memory_mb: int | None = None
    unseen: str = ""


def follow(
    steps: Iterable[Step],
    folder: Path,
    environment: Mapping[str, str],
    known: Mapping[str, Stage],
) -> Iterator[Stage]:
    """Run steps one after the other; yield the stage of each.

    One that fails does not stop those that do not need it.

    Args:
        steps: in their order.
        folder: where they run.
        environment: of their processes, beside ours.
        known: name -> stage of a call before; what ran to its end then is not run again.

    Raises:
        KeyboardInterrupt: the user stopped it.
    """
    done: dict[str, Stage] = {}
    for step in steps:
        before, words = known.get(step.name), ("python", *_words(step, folder))
        if before is not None and before.status == "ran" and before.command == words:
            stage = before
        else:
            stage = _absent(step, done) or _run(step, folder, environment)
        done[step.name] = stage
        yield stage


def _absent(step: Step, before: Mapping[str, Stage]) -> Stage | None:
    """Return the stage of a step that cannot run after those before; None if it can."""
    for name in step.after:
        status = before[name].status
        if status != "ran":
            word: Literal["failed", "not here"] = "failed" if status == "failed" else "not here"
            return Stage(name=step.name, status=word, reason=f"it needs {name}", unseen=step.unseen)
    try:
        if step.tool:
            isolated.python(step.tool)
    except isolated.ToolMissing as error:
        return Stage(name=step.name, status="not here", reason=str(error), unseen=step.unseen)
    return None


def _run(step: Step, folder: Path, environment: Mapping[str, str]) -> Stage:
    """Run a step; its output goes to ``logs`` in the folder."""
    words = _words(step, folder)
    log = folder / "logs" / f"{file_name(step.name)}.txt"
    log.parent.mkdir(exist_ok=True)
    started = time.monotonic()
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, *words],
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            # As `wait` does not say how much memory it held.
            _, ended, usage = os.wait4(process.pid, 0)
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            process.wait()
            raise
    process.returncode = os.waitstatus_to_exitcode(ended)
    code = process.returncode
    return Stage(
        name=step.name,
        command=("python", *words),
        status="failed" if code else "ran",
        reason=f"exit code {code}: {_reason(log)}" if code else "",
        seconds=round(time.monotonic() - started, 1),
        peak_memory_mb=round(usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)),
        unseen=step.unseen,
    )


def _words(step: Step, folder: Path) -> tuple[str, ...]:
    """Return the words after the interpreter's, with the files that patterns stand for."""
    options = [_file(word, folder) if "*" in word else word for word in step.options]
    torchrun = ("torch.distributed.run", "--standalone", "--nproc-per-node", str(step.processes))
    before = (*torchrun, "-m") if step.processes else ()
    return ("-m", *before, step.module, *options)


def environment_of(assets: Mapping[str, str]) -> dict[str, str]:
    """Return what a step's process has in its environment beside ours.

    Args:
        assets: the variables that name the files of the rehearsal.
    """
    # Steps run in the folder of the rehearsal, and so does not what is relative to ours.
    tools = isolated.folder("vbench").parent
    paths = filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
    return {**assets, isolated.ENV_TOOLS: str(tools), "PYTHONPATH": os.pathsep.join(paths)}


def _file(pattern: str, folder: Path) -> str:
    """Return the first file that matches; the pattern where none does, so that it is named."""
    found = sorted(folder.glob(pattern))
    return str(found[0].relative_to(folder)) if found else pattern


def _reason(log: Path) -> str:
    """Return the lines of a log that say why a command failed, else its last."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith("error:") or "FAILED" in line]
    return redact_paths("; ".join((telling or lines or ["it said nothing"])[-_REASONS:]))
