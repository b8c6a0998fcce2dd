"""The verb ``doctor``: what is installed, what is found, what is missing."""

import contextlib
import importlib.util
import os
import platform
import re
from pathlib import Path

from benchmark import discover, provenance
from benchmark.setup import tool_state
from datasets import isolated

_PINS = discover.ROOT / "requirements" / "base.txt"


def examine() -> int:
    """Print a table of the environment; returns 1 if something needed is missing, else 0."""
    checks = [
        *_system(),
        *_packages(),
        *_datasets_package(),
        _torch(),
        _body(),
        *_tools(),
        *_files(),
    ]
    width = max(len(name) for _, name, _ in checks)
    for state, name, text in checks:
        print(f"{state:<7} {name:<{width}}  {text}")
    return int(any(state == "MISSING" for state, _, _ in checks))


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
    """Every pinned package against what is installed."""
    checks = []
    for line in _PINS.read_text(encoding="utf-8").splitlines():
        pin = re.match(r"([A-Za-z0-9_.-]+)==(\S+)", line)
        if pin is None:
            continue
        name, wanted = pin.groups()
        found = provenance.package_version(name)
        if found is None:
            text = f"not installed: pip install -r {_PINS.relative_to(discover.ROOT)}"
            checks.append(("MISSING", name, text))
        elif found.partition("+")[0] != wanted:
            checks.append(("differs", name, f"{found}; tested with {wanted}"))
        else:
            checks.append(("ok", name, found))
    return checks


def _datasets_package() -> list[tuple[str, str, str]]:
    """Whether Hugging Face's package of the same name is about."""
    installed = provenance.package_version("datasets")
    if installed is None:
        return [("ok", "datasets", "this program's own package")]
    text = (
        f"Hugging Face datasets {installed} is installed and hides this program's package outside "
        "its folder: uninstall it, or run from the folder"
    )
    return [("differs", "datasets", text)]


def _torch() -> tuple[str, str, str]:
    """The device that ``--device auto`` takes; torch is imported, as only that tells."""
    if importlib.util.find_spec("torch") is None:
        return "MISSING", "device", "torch is not installed"
    import torch

    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / 2**30
        return "ok", "device", f"cuda: {torch.cuda.get_device_name()}, {memory:.0f} GB"
    return "ok", "device", "cpu (torch finds no GPU)"


def _body() -> tuple[str, str, str]:
    from datasets.body_file import ENV_BODY, find_body

    try:
        body = find_body()
    except (OSError, ValueError) as error:
        return "MISSING", "body model", str(error)
    text = f"{body.name}, sha256 {body.sha256[:12]}"
    if body.name == "stand-in":
        text += f"; for the real body set ${ENV_BODY} to SMPLX_NEUTRAL.npz (smpl-x.is.tue.mpg.de)"
    return "ok", "body model", text


def _tools() -> list[tuple[str, str, str]]:
    """External tools, which only some tables and commands need: environments and weights."""
    checks = []
    for tool in isolated.names():
        installed, text = tool_state(tool)
        checks.append(("ok" if installed else "absent", f"tool {tool}", text))
    with contextlib.suppress(ImportError):  # what is missing is told above
        from datasets import estimators

        for name in ("gvhmr", "phalp"):
            try:
                estimators.get(name).preflight()
                checks.append(("ok", f"estimator {name}", "all its files are there"))
            except estimators.EstimatorUnavailable as error:
                checks.append(("absent", f"estimator {name}", str(error)))
    return checks


def _files() -> list[tuple[str, str, str]]:
    """Built-in data and cached runs."""
    checks = []
    with contextlib.suppress(ImportError, OSError, ValueError):  # what is missing is told above
        from benchmark.data import built_in_path

        for name in discover.summaries("profiles"):
            for kind, task in (("motion", "tokenizer"), ("video", "v2m")):
                path = built_in_path(discover.load("profiles", name), task)
                made = (path / "manifest.json").exists()
                text = str(path.relative_to(discover.ROOT)) if made else "made when first needed"
                checks.append(("ok", f"{kind} data ({name})", text))
    return [*checks, ("ok", "cache", _cache_text(discover.ROOT / "reports" / "runs"))]


def _cache_text(folder: Path) -> str:
    runs = sum(1 for _ in folder.glob("*/*/run.json"))
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return f"{runs} finished runs, {size / 2**20:.0f} MB in {folder.relative_to(discover.ROOT)}"
