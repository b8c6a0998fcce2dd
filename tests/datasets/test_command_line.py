"""What command lines share: numbers, how a job ends, and help that comes at once."""

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from datasets.command_line import natural, positive, run_job


@pytest.mark.parametrize("word", ["0", "-1", "1.0", "", " 1", "+1", "²", "1e3", "x"])
def test_what_is_no_positive_number(word):
    with pytest.raises(argparse.ArgumentTypeError, match="not a positive whole number"):
        positive(word)


def test_numbers():
    assert (positive("1"), positive("007")) == (1, 7)
    assert (natural("0"), natural(str(2**32 - 1))) == (0, 2**32 - 1)
    for word in ("-1", str(2**32), "1.5"):
        with pytest.raises(argparse.ArgumentTypeError, match="whole number below"):
            natural(word)


def ending(error):
    def job():
        raise error

    return job


@pytest.mark.parametrize(
    ("job", "code", "out", "err"),
    [
        (lambda: "three clips", 0, "three clips\n", ""),
        (lambda: None, 0, "", ""),
        (ending(ValueError("two\n  lines")), 1, "", "error: two lines\n"),
        (ending(OSError(28, "No space left")), 1, "", "error: [Errno 28] No space left\n"),
        (ending(KeyboardInterrupt()), 130, "", "stopped; the same command goes on"),
    ],
)
def test_a_job_ends_with_a_code_and_a_line(capsys, job, code, out, err):
    assert run_job(job) == code
    shown = capsys.readouterr()
    assert shown.out == out
    assert shown.err.startswith(err) and shown.err.count("\n") == bool(err)


@pytest.mark.parametrize(
    ("module", "words"),
    [("prepare", ()), ("prepare", ("testset",)), ("pseudo_gt", ()), ("render", ())],
)
def test_help_imports_nothing_heavy(module, words):
    code = f"""
import contextlib, sys
from datasets.{module} import main
with contextlib.suppress(SystemExit):
    main([*sys.argv[1:], "--help"])
sys.exit(" ".join({{"numpy", "torch", "pyarrow", "av", "PIL", "ray"}} & sys.modules.keys()))
"""
    command = [sys.executable, "-c", code, *words]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.stderr.strip() == ""
    assert done.stdout.startswith("usage: python -m datasets.")


def test_a_mistake_of_the_program_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        run_job(lambda: 1 / 0)
