"""What command lines share: numbers, how a job ends, and help that comes at once."""

import argparse
import errno
import subprocess
import sys
from pathlib import Path

import pytest

from datasets.tools.command_line import cannot_write, natural, positive, run_job


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
    assert run_job(job, "out") == code
    shown = capsys.readouterr()
    assert shown.out == out
    assert shown.err.startswith(err) and shown.err.count("\n") == bool(err)


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("prepare.__main__", ()),
        ("prepare.__main__", ("testset",)),
        ("pseudo_gt.__main__", ()),
        ("render", ()),
    ],
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
    root = Path(__file__).parents[3]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.stderr.strip() == ""
    assert done.stdout.startswith("usage: python -m datasets.")


def test_a_mistake_of_the_program_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        run_job(lambda: 1 / 0, "out")


def test_a_folder_that_is_closed_is_named_with_its_remedy(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    for out in (Path("file"), Path("file/below"), tmp_path / "file" / "far" / "below"):
        assert run_job(lambda out=out: out.mkdir(parents=True, exist_ok=True), out) == 1
        line = capsys.readouterr().err
        assert line.startswith(f"error: {out} cannot be written (")
        assert line.endswith("): name another folder with --out\n")


def test_only_what_lies_on_the_way_to_a_folder_keeps_it_from_being_written():
    def said(filename, number=errno.EACCES):
        return cannot_write(OSError(number, "Permission denied", filename), "runs/mine")

    line = "runs/mine cannot be written (Permission denied): name another folder with --out"
    for filename in ("runs", "runs/mine", "runs/mine/resume.pt.tmp", str(Path("runs").absolute())):
        assert said(filename) == line
    for filename in ("data/clips", "runs/other", "runs/mine2", 3, None):
        assert said(filename) is None
    assert said("runs/mine", errno.ENOSPC) is None
    assert cannot_write(ValueError("no"), "runs/mine") is None
