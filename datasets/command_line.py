"""What command lines share: kinds of arguments, and how a job ends. Standard library only."""

import argparse
import sys
from collections.abc import Callable


def positive(word: str) -> int:
    """A whole number of at least 1, for argparse."""
    if not word.isdecimal() or int(word) == 0:
        raise argparse.ArgumentTypeError(f"{word!r} is not a positive whole number")
    return int(word)


def natural(word: str) -> int:
    """A whole number that seeds take, for argparse."""
    if not word.isdecimal() or int(word) >= 2**32:
        raise argparse.ArgumentTypeError(f"{word!r} is not a whole number below 2^32")
    return int(word)


def run_job(job: Callable[[], object]) -> int:
    """Do a job that can be stopped and goes on when it is started again.

    Prints what it returns, where it is not None; an error becomes one line on stderr.

    Returns:
        The exit code: 0 done, 1 failure, 130 stopped with Ctrl-C.
    """
    try:
        result = job()
    except (ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; the same command goes on where this one was", file=sys.stderr)
        return 130
    if result is not None:
        print(result)
    return 0
