"""Isolated environments of external tools, which cannot share ours: ``.tools/<tool>/``.

An environment is built from ``requirements/<tool>.txt`` by the verb ``setup`` of `benchmark.run`.
That file is an ordinary requirements file of pip but for its headings: a comment ``# pip install
[OPTIONS]`` starts a step, and the lines below it are installed together with those options, one
step after the other. A tool is added by writing such a file.

`datasets.tools.isolated.worker` talks to the tools.
"""

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from datasets.tools.files import locked, write_text

ENV_TOOLS = "UNIMO_TOOLS"  # a folder for the environments instead of .tools
_INSTALLED = Path(__file__).parent / "requirements"
REQUIREMENTS = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[3] / "requirements"
_STAMP = "built.sha256"  # written last: its presence means complete
_STEP = re.compile(r"^# pip install\b(.*)$", re.MULTILINE)


class ToolMissing(Exception):
    """A tool's environment is not built, or not as it should be; the message says what to do."""


class BuildError(Exception):
    """An environment could not be built; the message names the step that failed."""


def names() -> list[str]:
    """Return the tools that have an environment of their own, sorted."""
    tools = (file.stem for file in REQUIREMENTS.glob("*.txt"))
    return sorted(tool for tool in tools if _STEP.search(_text(tool)))


def folder(tool: str) -> Path:
    """Return the folder of a tool's environment, built or not."""
    return Path(os.environ.get(ENV_TOOLS) or ".tools").absolute() / tool


def env_python(tool: str) -> str:
    """Return the environment variable that names the user's own interpreter with the tool."""
    return f"{tool.upper()}_PYTHON"


def python(tool: str) -> Path:
    """The interpreter that has a tool installed: the user's own, or that of the environment built.

    Raises:
        ToolMissing: there is none.
    """
    variable = env_python(tool)
    if own := os.environ.get(variable):
        if not os.access(own, os.X_OK) or Path(own).is_dir():
            raise ToolMissing(
                f"${variable} is {own}, which is not a Python interpreter: correct it"
            )
        return Path(own).absolute()
    stamp, interpreter = folder(tool) / _STAMP, _interpreter(folder(tool))
    cure = f"run `python -m benchmark.run setup {tool}`, or set ${variable}"
    if not stamp.is_file() or not interpreter.exists():
        raise ToolMissing(f"{tool} is not installed: {cure}")
    if stamp.read_text() != _fingerprint(tool):
        raise ToolMissing(f"{tool} was built from other requirements than today's: {cure}")
    return interpreter


def build(tool: str) -> Path:
    """Build a tool's environment, and return its interpreter; one that is complete is left alone.

    pip's output goes to stderr. A build that was stopped anywhere is begun again by the next.

    Raises:
        BuildError: a step failed.
        OSError: the folder cannot be written.
    """
    place = folder(tool)
    interpreter, stamp = _interpreter(place), place / _STAMP
    fingerprint = _fingerprint(tool)
    # One process at a time builds; the others wait and find it built.
    with locked(place.parent / f".{place.name}.lock"):
        if stamp.is_file() and stamp.read_text() == fingerprint and interpreter.exists():
            return interpreter
        shutil.rmtree(place, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(place)], f"{tool}: making the environment failed")
        steps = _steps(tool)
        for number, (options, packages) in enumerate(steps, 1):
            what = f"{tool}: step {number} of {len(steps)} failed, pip install"
            failure = " ".join([what, *options, packages[0], "…" if len(packages) > 1 else ""])
            pip = [str(interpreter), "-m", "pip", "install", "--disable-pip-version-check"]
            _run([*pip, *options, *packages], failure.rstrip())
        write_text(stamp, fingerprint)
    return interpreter


def _steps(tool: str) -> list[tuple[list[str], list[str]]]:
    """Options and packages of each call of pip, in order."""
    steps: list[tuple[list[str], list[str]]] = []
    for line in _text(tool).splitlines():
        if heading := _STEP.fullmatch(line):
            steps.append((shlex.split(heading[1]), []))
        elif requirement := line.partition("#")[0].strip():
            steps[-1][1].append(requirement)
    return steps


def _text(tool: str) -> str:
    return (REQUIREMENTS / f"{tool}.txt").read_text(encoding="utf-8")


def _fingerprint(tool: str) -> str:
    """Return the sha256 of the steps that build an environment; comments are not part of them."""
    return hashlib.sha256(repr(_steps(tool)).encode()).hexdigest()


def _interpreter(place: Path) -> Path:
    return place / "bin" / "python"


def _run(command: list[str], failed: str) -> None:
    """Run a command, its output on our stderr: stdout is for results."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    code = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=2, env=environment).returncode
    if code:
        raise BuildError(f"{failed} (exit code {code}; its output above says why)")


# No account, token or proxy is among it.
_INHERITED = (
    *("PATH", "LD_LIBRARY_PATH", "LANG", "OMP_NUM_THREADS"),
    *("CUDA_VISIBLE_DEVICES", "CUDA_HOME"),
)


def tool_environment(folder: Path) -> dict[str, str]:
    """The environment of a tool that keeps what it writes in `folder` and fetches nothing."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return inherited | {"HOME": str(folder), "TMPDIR": str(folder), "HF_HUB_OFFLINE": "1"}
