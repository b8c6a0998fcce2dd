"""Provenance of a report: time, command, code, packages and machine."""

import functools
import importlib.metadata
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmark.api.paths import ROOT

PACKAGES = (
    "torch",
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "smplx",
    "safetensors",
    "matplotlib",
)


def collect() -> dict:
    """Return time, command, code and machine as JSON values."""
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "argv": sys.argv[1:],
        "platform": platform.platform(),
        "cpu_cores": os.cpu_count(),
        **software(),
    }


def arithmetic(device: str) -> dict:
    """Return how models compute on a device: what decides on the last bits of their values."""
    if device != "cuda":
        return {"precision": "fp32"}
    from torch import backends

    return {
        "precision": "bf16",
        "matmul_tf32": backends.cuda.matmul.allow_tf32,
        "cudnn_tf32": backends.cudnn.allow_tf32,
        "cudnn_deterministic": backends.cudnn.deterministic,
        "cudnn_benchmark": backends.cudnn.benchmark,
    }


@functools.cache
def software() -> dict:
    """Return the versions of code, interpreter and packages, and the processor."""
    return {
        "git": git_state(),
        "python": platform.python_version(),
        "packages": {name: package_version(name) for name in PACKAGES},
        "cpu": cpu_name(),
    }


def package_version(name: str) -> str | None:
    """Installed version of a distribution, without importing it; None where it is absent."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def cpu_name() -> str:
    """Model name of the processor, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def git_state() -> dict:
    """Commit of this program and whether tracked files differ from it; ``unknown`` outside git."""

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(ROOT), *arguments],
                capture_output=True,
                text=True,
                timeout=10,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    commit = git("rev-parse", "HEAD")
    if commit is None:
        return {"commit": "unknown", "dirty": None}
    # Reports are what runs write: they do not make the code another.
    changed = git("status", "--porcelain", "-uno", "--", ".", ":(exclude)reports")
    return {"commit": commit, "dirty": bool(changed)}
