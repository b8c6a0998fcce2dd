"""Section 1: what everything needs: Python, packages, a device, a body."""

import importlib.util
import os
import platform
import re
import tomllib
from pathlib import Path

from benchmark.api.paths import ROOT, display_path
from benchmark.commands.doctor.page import Group
from benchmark.runs import provenance
from datasets.tools.isolated import REQUIREMENTS

_PINS = REQUIREMENTS / "base.txt"
_CURE = f"pip install -r {display_path(_PINS)}"


def groups() -> list[Group]:
    """Rows (state, what, how it is); the state MISSING is of what nothing runs without."""
    rows = [*_system(), *_packages(), _datasets_package(), ("ok", "device", _device()), _body()]
    return [Group("", rows)]


def _system() -> list[tuple[str, str, str]]:
    cores = len(os.sched_getaffinity(0))
    git = provenance.git_state()
    commit = git["commit"][:12] + (" with uncommitted changes" if git["dirty"] else "")
    return [
        ("ok", "python", platform.python_version()),
        ("ok", "cpu", f"{provenance.cpu_name()}, {cores} cores to use"),
        ("ok", "code", commit),
    ]


def _packages() -> list[tuple[str, str, str]]:
    """Return a row for each pinned package that is missing or differs, and one for the rest."""
    rows, same, developers = [], 0, _of_developers()
    for name, wanted in re.findall(r"^([\w.-]+)==(\S+)", _PINS.read_text("utf-8"), re.MULTILINE):
        found = provenance.package_version(name)
        if found is None and name in developers:
            rows.append(("missing", name, f"not installed, which blocks only the tests: {_CURE}"))
        elif found is None:
            rows.append(("MISSING", name, f"not installed: {_CURE}"))
        elif found.partition("+")[0] != wanted:
            rows.append(("differs", name, f"{found}; tested with {wanted}: {_CURE}"))
        else:
            same += 1
    return [*rows, ("ok", "packages", f"{same} packages as pinned")]


def _of_developers() -> set[str]:
    """Return the packages that only tests and style checks need."""
    file = ROOT / "pyproject.toml"
    if not file.is_file():  # the package is installed
        return set()
    project = tomllib.loads(file.read_text("utf-8"))["project"]
    wanted = project["optional-dependencies"]["dev"]
    return {re.match(r"[\w.-]+", requirement)[0] for requirement in wanted}


def _datasets_package() -> tuple[str, str, str]:
    """Return the row about Hugging Face's package of the same name as ours."""
    installed = provenance.package_version("datasets")
    if installed is None:
        return "ok", "datasets", "this program's own package"
    return (
        "differs",
        "datasets",
        f"Hugging Face datasets {installed} is installed and hides this program's package outside "
        "its folder: pip uninstall datasets, or run from the folder",
    )


def _device() -> str:
    """Return what ``--device auto`` takes; torch is imported only where a driver is present."""
    if not Path("/dev/nvidiactl").exists():
        return "cpu (no NVIDIA driver)"
    if importlib.util.find_spec("torch") is None:
        return "unknown without torch"
    import torch

    if not torch.cuda.is_available():
        return "cpu (an NVIDIA driver is there, but torch finds no GPU: is it a CPU build?)"
    memory = torch.cuda.get_device_properties(0).total_memory / 2**30
    return f"cuda: {torch.cuda.get_device_name()}, {memory:.0f} GB"


def _body() -> tuple[str, str, str]:
    if importlib.util.find_spec("numpy") is None:
        return "MISSING", "body model", "unknown without numpy"
    from datasets.bodies.smplx_file import ENV_BODY, find_body

    try:
        body = find_body()
    except (OSError, ValueError) as error:
        return "MISSING", "body model", str(error)
    text = f"{body.name}, sha256 {body.sha256[:12]}"
    if body.name == "stand-in":
        text += f"; for the real body set ${ENV_BODY} to SMPLX_NEUTRAL.npz (smpl-x.is.tue.mpg.de)"
    return "ok", "body model", text
