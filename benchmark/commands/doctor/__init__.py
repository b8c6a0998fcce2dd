"""The verb ``doctor``: lists what is installed, what is missing, what that blocks, and the cure."""

import importlib

from benchmark.commands.doctor.page import Group, render

# Title -> module whose `groups` says what is under it; imported one by one, as a package that one
# of them needs may be missing.
_SECTIONS = {
    "Environment": "environment",
    "Tools in environments of their own": "tools",
    "Weights and body models (files below 50 MB are compared by their hash)": "weights",
    "Data": "data",
    "What is blocked in profiles embedded and paper, and why (this reads the weights)": "blocked",
}


def examine() -> int:
    """Print all sections, each as soon as it is known; return 1 if a required item is missing."""
    missing = 0
    for number, (title, module) in enumerate(_SECTIONS.items(), 1):
        print(f"{number}. {title}", flush=True)
        groups = _groups(module)
        missing += sum(row[0] == "MISSING" for group in groups for row in group.rows)
        print(render(groups))
    if missing:
        print(f"MISSING in section 1: {missing}. Nothing runs without them: install them first.")
    else:
        print("What section 5 does not name can be measured now: python -m benchmark.run all")
    return int(missing > 0)


def _groups(module: str) -> list[Group]:
    """Return a section's groups; if it fails, a group that says why."""
    try:
        return importlib.import_module(f"benchmark.commands.doctor.{module}").groups()
    except ImportError as error:
        return [Group(f"left out: it needs the package {error.name}, see section 1")]
    except Exception as error:  # of whatever file is damaged: the other sections go on
        return [Group(f"left out: {type(error).__name__} {error}")]
