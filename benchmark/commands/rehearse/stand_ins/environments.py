"""Environments of tools that differ from the installed ones in a few modules."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from datasets.tools.isolated import BuildError, tool_environment


def site_packages(python: Path) -> Path:
    """Return the folder of an environment's packages."""
    (found,) = python.parents[1].glob("lib/python*/site-packages")
    return found


def run(
    python: Path, words: Sequence[str | Path], folder: Path, env: Mapping[str, str] | None = None
) -> None:
    """Run an environment's interpreter in a folder, with nothing of ours but `env`.

    Raises:
        BuildError: it failed; the message has the last line of what it said.
    """
    found = subprocess.run(
        [python, "-I", *words],
        env={**tool_environment(folder), **(env or {})},
        cwd=folder,
        capture_output=True,
        text=True,
    )
    if found.returncode:
        said = found.stderr.strip().splitlines() or [f"exit code {found.returncode}"]
        raise BuildError(f"{python} failed: {said[-1]}")


def with_modules(python: Path, folder: Path, modules: Mapping[str, str]) -> None:
    """Write an environment in which some modules are others; all else are links to a tool's own.

    Its interpreter is ``bin/python``.

    Args:
        python: of the tool's environment.
        folder: of the new one.
        modules: file below the folder of packages -> its text.
    """
    own = site_packages(python)
    site = folder / own.relative_to(python.parents[1])
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(python.resolve())
    shutil.copy(python.parents[1] / "pyvenv.cfg", folder)
    changed = {Path(name): text for name, text in modules.items()}
    opened = {parent for name in changed for parent in name.parents[:-1]}
    for package in opened:
        (site / package).mkdir(parents=True, exist_ok=True)
        for entry in (own / package).iterdir():
            name = package / entry.name
            if name not in opened | changed.keys() and entry.name != "__pycache__":
                (site / name).symlink_to(entry)
    for name, text in changed.items():
        (site / name).write_text(text)
    (site / "tool.pth").write_text(f"{own}\n")
