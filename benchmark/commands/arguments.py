"""What the command line understands; nothing is done here, and nothing heavy imported."""

import argparse
from pathlib import Path

from benchmark.api.paths import ROOT
from benchmark.api.table import PAPER, TASKS

REPORTS = ROOT / "reports"
VERBS = ("run", "compare", "list", "show", "audit", "report", "speed", "setup", "doctor")
LISTED = ("tables", "figures", "datasets", "methods", "metrics", "profiles")
_EPILOG = """\
examples:
  python -m benchmark.run table5                       nine rows on the built-in data
  python -m benchmark.run table5 --profile smoke       the same in half a minute, tiny models
  python -m benchmark.run table5 --data data/cmu       on a store made by datasets.prepare
  python -m benchmark.run figure7                      a figure, from the runs of tables 7 and 8
  python -m benchmark.run all --steps 20000            every table and figure, trained longer
  python -m benchmark.run table1 --checkpoint my.safetensors
  python -m benchmark.run compare --checkpoint my.safetensors --against old.safetensors paper \\
      --task tokenizer --data data/cmu
exit codes: 0 done, 1 a row or the system failed, 2 a mistake in the command or its inputs,
3 with --strict: a cell was not measured, 130 stopped with Ctrl-C
"""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, like every other error of this program."""

    def error(self, message: str):
        self.exit(2, f"error: {message} (see {self.prog} --help)\n")


def parser() -> argparse.ArgumentParser:
    """The parser of all verbs."""
    top = _Parser(
        prog="python -m benchmark.run",
        description="Regenerate the tables and figures of the UniMo paper, measured beside "
        "printed. The verb run may be left out.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    out, device, measuring, full = _out(), _device(), _measuring(), _full()
    verbs = top.add_subparsers(dest="verb", metavar="VERB")
    run = verbs.add_parser(
        "run",
        help="measure tables, draw figures, write their reports",
        parents=[measuring, device, out, full],
    )
    run.add_argument("tables", nargs="+", metavar="NAME", help="such as table5 or figure7, or all")
    run.add_argument("--profile", default="embedded", help="size of everything: see list profiles")
    run.add_argument("--data", type=Path, metavar="STORE", help="a prepared clip store")
    run.add_argument("--rows", metavar="GLOB", help="only rows whose label matches, as 's=1/36*'")
    run.add_argument("--steps", type=_positive, metavar="N", help="training steps of every row")
    run.add_argument(
        "--seeds",
        type=_natural,
        nargs="+",
        default=[0],
        metavar="N",
        help="of training and sampling (0); of several: mean and standard deviation",
    )
    run.add_argument(
        "--checkpoint",
        type=Path,
        nargs="+",
        default=[],
        metavar="PATH",
        help="trained tokenizers or transformers (.safetensors), each as one more row",
    )
    run.add_argument("--dry-run", action="store_true", help="say what would be done")
    run.add_argument("--always", action="store_true", help="redo what the cache holds")
    run.add_argument("--strict", action="store_true", help="exit 3 if a cell is not measured")
    compare = verbs.add_parser(
        "compare",
        help="a trained checkpoint against others, and the paper",
        parents=[measuring, device, out],
    )
    compare.add_argument(
        "--checkpoint", type=Path, required=True, metavar="PATH", help="a .safetensors file"
    )
    compare.add_argument(
        "--against",
        nargs="+",
        required=True,
        metavar="PATH",
        help=f"other .safetensors files; {PAPER} for the paper's numbers",
    )
    compare.add_argument("--task", choices=tuple(TASKS), required=True, help="what they do")
    compare.add_argument(
        "--data", type=Path, required=True, metavar="STORE", help="a clip store with test clips"
    )
    compare.add_argument(
        "--estimator",
        type=Path,
        metavar="PATH",
        help="of i2vm: a regressor that sees the motion in generated videos; default: one is "
        "trained on the store's training clips",
    )
    compare.add_argument(
        "--seeds",
        type=Path,
        nargs="+",
        default=[],
        metavar="PATH",
        help="trainings of --checkpoint with other seeds: mean and standard deviation over all",
    )
    listing = verbs.add_parser("list", help="what there is")
    listing.add_argument("what", nargs="?", choices=LISTED, metavar="|".join(LISTED))
    show = verbs.add_parser("show", help="what a table or figure shows; nothing runs")
    show.add_argument("table", metavar="NAME")
    audit = verbs.add_parser("audit", help="check the paper's numbers against each other")
    audit.add_argument(
        "--out",
        type=Path,
        nargs="?",
        const=REPORTS,
        metavar="DIR",
        help="also write audit.json and audit.md there, without DIR in reports/",
    )
    report = verbs.add_parser(
        "report", help="render the files again from the JSON results", parents=[out, full]
    )
    report.add_argument("tables", nargs="*", metavar="TABLE")
    speed = verbs.add_parser(
        "speed", help="how fast everything is on this machine", parents=[device, out]
    )
    speed.add_argument(
        "--size",
        choices=("paper", "embedded", "tiny"),
        help="of the transformer; default: paper on cuda, embedded on cpu",
    )
    speed.add_argument(
        "--weights",
        choices=("bf16", "fp32", "int8", "fp8"),
        help="of generation; default: bf16, for the small sizes on cpu fp32",
    )
    speed.add_argument(
        "--batch", type=_positive, nargs="+", default=[1], metavar="N", help="clips at once (1)"
    )
    setup = verbs.add_parser("setup", help="install an external tool in an environment of its own")
    setup.add_argument(
        "tool", nargs="?", metavar="TOOL", help="such as gvhmr; without it: list them"
    )
    verbs.add_parser("doctor", help="what is installed and what is missing")
    return top


def _out() -> argparse.ArgumentParser:
    """The option of every verb that writes files."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--out", type=Path, default=REPORTS, metavar="DIR", help="of all that is written"
    )
    return shared


def _full() -> argparse.ArgumentParser:
    """The option of every verb that writes tables."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--full",
        action="store_true",
        help="LaTeX as a float with caption, intervals and notes; default: a tabular to \\input",
    )
    return shared


def _device() -> argparse.ArgumentParser:
    """The option of every verb that computes."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    return shared


def _measuring() -> argparse.ArgumentParser:
    """The options of every verb that measures systems on clips."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--limit", type=_positive, metavar="N", help="measure on N test clips")
    shared.add_argument(
        "--workers", type=_positive, metavar="N", help="processes; default: CPU cores"
    )
    shared.add_argument(
        "--body", type=Path, metavar="PATH", help="an SMPLX_NEUTRAL.npz or its folder"
    )
    shared.add_argument("--quiet", action="store_true", help="no progress on stderr")
    return shared


# As in `datasets.tools.command_line`, which cannot be imported yet: a package of another's may have
# the name `datasets`, and `benchmark.run` is about to say so.
def _positive(word: str) -> int:
    if not word.isdecimal() or int(word) == 0:
        raise argparse.ArgumentTypeError(f"{word!r} is not a positive whole number")
    return int(word)


def _natural(word: str) -> int:
    if not word.isdecimal() or int(word) >= 2**32:
        raise argparse.ArgumentTypeError(f"{word!r} is not a whole number below 2^32")
    return int(word)
