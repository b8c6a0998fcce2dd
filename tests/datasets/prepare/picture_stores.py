"""Shared by tests of stores with pictures: making one or half of one, here or in a process."""

import subprocess
import sys
from pathlib import Path

import pytest

from datasets.prepare.prepare_store import prepare
from tests.datasets.mini.pictures import Pictures

ROOT = Path(__file__).parents[3]
T = 4  # frames of a clip


def make(dataset, out, **options):
    options = {"num_frames": T, "video_size": 32, "progress": False, **options}
    return prepare(dataset, None, out, **options)


def contents(path):
    """Every file below a folder, by name."""
    return {p.relative_to(path).as_posix(): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def script(out, *, dataset="Pictures()", before="", words=()):
    """A process that prepares a dataset of `tests.datasets.mini.pictures` by the command line."""
    words = ["pictures", "--out", str(out), "--frames", str(T), "--size", "32", *words]
    code = f"""
import sys
sys.path[:0] = [{str(ROOT)!r}]
from datasets import adapters
from tests.datasets.mini.pictures import *
from datasets.prepare.__main__ import main
from datasets.tools.command_line import run_command
adapters.get = lambda name: {dataset}
{before}
run_command(lambda: main({words!r}))
"""
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def stopped(out):
    """Leave a store half made."""

    def stop(self, index):
        if index == 1:
            raise KeyboardInterrupt
        return whole(self, index)

    whole = Pictures.sequence
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Pictures, "sequence", stop)
        make(Pictures(), out)
    assert sorted(p.name for p in out.iterdir()) == [".work", "videos"]
