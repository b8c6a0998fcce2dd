"""Shared by command lines: kinds of arguments, and how a job ends. Standard library only."""

import argparse
import contextlib
import errno
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from datasets.tools.files import BusyError, owned

# A folder that something else stands in the way of, or that is closed to the user.
_CLOSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR}


def positive(word: str) -> int:
    """Return a whole number of at least 1, for argparse."""
    if not word.isdecimal() or int(word) == 0:
        raise argparse.ArgumentTypeError(f"{word!r} is not a positive whole number")
    return int(word)


def natural(word: str) -> int:
    """Return a whole number that seeds take, for argparse."""
    if not word.isdecimal() or int(word) >= 2**32:
        raise argparse.ArgumentTypeError(f"{word!r} is not a whole number below 2^32")
    return int(word)


def number(
    kind: Callable[[str], Any], fits: Callable[[Any], bool], wanted: str
) -> Callable[[str], Any]:
    """Return a type for argparse: numbers of a kind (float, Fraction) that fit.

    `wanted` ends the message for others, as in ``'9' is not between 0 and 1``.
    """

    def parse(word: str) -> Any:
        try:
            value = kind(word)
        except (ValueError, ZeroDivisionError):
            value = None
        if value is None or not fits(value):
            raise argparse.ArgumentTypeError(f"{word!r} {wanted}")
        return value

    return parse


def command_parser(command: str, description: str, epilog: str = "") -> argparse.ArgumentParser:
    """Return a parser for ``python -m COMMAND``; the lines of `epilog` stay as they are."""
    return argparse.ArgumentParser(
        prog=f"python -m {command}",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def and_more(names: Sequence[str]) -> str:
    """Return ``a`` or ``a and 3 more``: the first of some names, and how many follow."""
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def counted(number: int, noun: str) -> str:
    """``1 clip`` or ``2 clips``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def cannot_write(error: Exception, out: str | Path) -> str | None:
    """Return the line for an error that means that nothing can be written to ``--out``, a folder.

    None for any other error, such as one from reading a file elsewhere.
    """
    if not isinstance(error, OSError) or error.errno not in _CLOSED or error.filename is None:
        return None
    folder = Path(out).absolute()
    try:
        there = Path(error.filename).absolute()
    except TypeError:  # a file descriptor
        return None
    if not (there.is_relative_to(folder) or folder.is_relative_to(there)):
        return None
    return f"{out} cannot be written ({error.strerror}): name another folder with --out"


def run_job(job: Callable[[], object], out: str | Path, *, owner: str = "") -> int:
    """Run a job that goes on where it was when it is started again after a stop.

    Prints the job's result unless it is None; an error becomes one line on stderr. Where the job
    must be alone in the folder `out`, `owner` says in a word or two what it is.

    Returns:
        The exit code: 0 done, 1 failure, 130 stopped with Ctrl-C.
    """
    try:
        with owned(Path(out), owner) if owner else contextlib.nullcontext():
            result = job()
    except (ValueError, OSError, BusyError) as error:
        line = cannot_write(error, out) or error
        print(f"error: {' '.join(str(line).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; the same command goes on from what it last saved", file=sys.stderr)
        return 130
    if result is not None:
        print(result)
    return 0


def run_command(main: Callable[[], int]) -> NoReturn:
    """Run a command's main function and end the process with its exit code.

    After Ctrl-C that is 130, however often it is pressed.
    """
    try:
        code = main()
    except KeyboardInterrupt:  # a second one, while `main` dealt with the first
        code = 130
    if code == 130:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(code)
