"""The verbs and options of the command line. Nothing is done here, and nothing heavy imported."""

import argparse
from pathlib import Path
from typing import NoReturn, TypeAlias

from benchmark.api.table import PAPER, TASKS
from benchmark.runs import STAGES

REPORTS = Path("reports")  # below the working folder
VERBS = (
    *("run", "compare", "list", "show", "audit", "report", "speed", "setup", "doctor", "rehearse"),
)
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
exit codes: 0 done; 1 a row or the machine failed; 2 a mistake in the command or its inputs;
3 a cell was not measured (with --strict); 130 stopped with Ctrl-C
"""


class _Parser(argparse.ArgumentParser):
    """Prints a mistake in one line, like every other error of this program."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message} (see {self.prog} --help)\n")


_Verbs: TypeAlias = "argparse._SubParsersAction[_Parser]"


def parser() -> argparse.ArgumentParser:
    """Return the parser of all verbs."""
    top = _Parser(
        prog="python -m benchmark.run",
        description="Regenerate the tables and figures of the UniMo paper, measured beside "
        "printed. The verb run may be left out.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = top.add_subparsers(dest="verb", metavar="VERB")
    _add_run(verbs)
    _add_compare(verbs)
    _add_list_and_show(verbs)
    _add_audit(verbs)
    _add_report(verbs)
    _add_speed(verbs)
    _add_setup_and_doctor(verbs)
    _add_rehearse(verbs)
    return top


def _add_run(verbs: _Verbs) -> None:
    run = verbs.add_parser(
        "run",
        help="measure tables, draw figures, write their reports",
        parents=[_measuring(), _device(), _out(), _full()],
    )
    run.add_argument("tables", nargs="+", metavar="NAME", help="such as table5 or figure7, or all")
    run.add_argument(
        "--profile", default="embedded", help="size of models, data and training; see list profiles"
    )
    run.add_argument(
        "--data",
        type=Path,
        nargs="+",
        default=[],
        metavar="STORE",
        help="prepared clip stores to train on; one alone is tested on, too, several need --test; "
        "default: built-in data",
    )
    run.add_argument(
        "--test", type=Path, metavar="STORE", help="test on this store's test clips instead"
    )
    run.add_argument(
        "--rows",
        action="append",
        default=[],
        metavar="GLOB",
        help="only rows whose label matches, as 's=1/36*' or 'checkpoint mine'; may be repeated",
    )
    run.add_argument("--steps", type=_positive, metavar="N", help="training steps of every row")
    run.add_argument(
        "--seeds",
        type=_natural,
        nargs="+",
        default=[0],
        metavar="N",
        help="random seeds (default 0); several give mean and standard deviation",
    )
    run.add_argument(
        "--checkpoint",
        type=Path,
        nargs="+",
        default=[],
        metavar="PATH",
        help="trained systems (a training's folder, or its .safetensors): each fills the paper's "
        "row that it was trained to be, or is a further row",
    )
    run.add_argument(
        "--train", action="store_true", help="also train what takes days (profile paper)"
    )
    run.add_argument(
        "--decoder",
        choices=("dv", "diffusion"),
        help="makes the pixels of Cosmos's tokens: its own DV8x16x16, or the paper's diffusion "
        "decoder; default: the profile's",
    )
    run.add_argument(
        "--seedvr",
        action="store_true",
        help="further rows of generated videos after SeedVR (default in profile paper, where it "
        "is installed)",
    )
    output = run.add_mutually_exclusive_group()
    output.add_argument("--dry-run", action="store_true", help="print what would be done")
    output.add_argument(
        "--json", action="store_true", help="print the reports as JSON, one a line, and no text"
    )
    run.add_argument(
        "--always",
        nargs="?",
        choices=STAGES,
        const="predict",
        metavar="STAGE",
        help=f"do again what is cached, from {', '.join(STAGES[:-1])} or {STAGES[-1]} on (default "
        "predict); trainings only with --always train",
    )
    run.add_argument(
        "--retry", action="store_true", help="do again what failed, single clips included"
    )
    run.add_argument("--strict", action="store_true", help="exit 3 if a cell is not measured")


def _add_compare(verbs: _Verbs) -> None:
    compare = verbs.add_parser(
        "compare",
        help="compare a trained checkpoint with others, and with the paper",
        parents=[_measuring(), _device(), _out()],
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
    compare.add_argument(
        "--task", choices=tuple(TASKS), required=True, help="what the checkpoints do"
    )
    compare.add_argument(
        "--data", type=Path, required=True, metavar="STORE", help="a clip store with test clips"
    )
    compare.add_argument(
        "--estimator",
        type=Path,
        metavar="PATH",
        help="for i2vm: a regressor that estimates the motion in generated videos; default: train "
        "one on the store's training clips",
    )
    compare.add_argument(
        "--seeds",
        type=Path,
        nargs="+",
        default=[],
        metavar="PATH",
        help="trainings of --checkpoint with other seeds: mean and standard deviation over all",
    )


def _add_list_and_show(verbs: _Verbs) -> None:
    listing = verbs.add_parser("list", help=f"list {', '.join(LISTED[:-1])} or {LISTED[-1]}")
    listing.add_argument(
        "what", nargs="?", choices=LISTED, metavar="|".join(LISTED), help="default: all"
    )
    show = verbs.add_parser("show", help="print the paper's numbers of a table; nothing runs")
    show.add_argument("table", metavar="NAME", help="such as table5 or figure7")


def _add_audit(verbs: _Verbs) -> None:
    audit = verbs.add_parser("audit", help="check the paper's numbers against each other")
    audit.add_argument(
        "--out",
        type=Path,
        nargs="?",
        const=REPORTS,
        metavar="DIR",
        help="also write audit.json and audit.md to DIR; default of DIR: reports/",
    )


def _add_report(verbs: _Verbs) -> None:
    report = verbs.add_parser(
        "report", help="render the files again from the JSON results", parents=[_out(), _full()]
    )
    report.add_argument("tables", nargs="*", metavar="TABLE", help="default: all that are there")


def _add_speed(verbs: _Verbs) -> None:
    speed = verbs.add_parser(
        "speed", help="measure speed on this machine", parents=[_device(), _out()]
    )
    speed.add_argument(
        "--size",
        choices=("paper", "embedded", "tiny"),
        help="size of the transformer; default: paper on cuda, embedded on cpu",
    )
    speed.add_argument(
        "--weights",
        choices=("bf16", "fp32", "int8", "fp8"),
        help="number format of the weights in generation; default: bf16, but fp32 for the small "
        "sizes on cpu",
    )
    speed.add_argument(
        "--batch",
        type=_positive,
        nargs="+",
        default=[1],
        metavar="N",
        help="clips at once (default 1)",
    )


def _add_setup_and_doctor(verbs: _Verbs) -> None:
    setup = verbs.add_parser("setup", help="install an external tool in an environment of its own")
    setup.add_argument("tool", nargs="?", metavar="TOOL", help="such as gvhmr; default: list them")
    verbs.add_parser("doctor", help="print what is installed and what is missing")


def _add_rehearse(verbs: _Verbs) -> None:
    what = "the paper's run in miniature, with random weights: does everything work here?"
    rehearse = verbs.add_parser("rehearse", help=what, description=what, parents=[_device()])
    out = "folder of all that is made (1 GB); what was stopped goes on there"
    rehearse.add_argument("--out", type=Path, required=True, metavar="DIR", help=out)


def _out() -> _Parser:
    """The option of every verb that writes files."""
    shared = _Parser(add_help=False)
    shared.add_argument(
        "--out", type=Path, default=REPORTS, metavar="DIR", help="output folder (default reports/)"
    )
    return shared


def _full() -> _Parser:
    """The option of every verb that writes tables."""
    shared = _Parser(add_help=False)
    shared.add_argument(
        "--full",
        action="store_true",
        help="LaTeX as a float with caption, intervals and notes; default: a tabular to \\input",
    )
    return shared


def _device() -> _Parser:
    """The option of every verb that computes."""
    shared = _Parser(add_help=False)
    shared.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="default auto: the GPU if there is one",
    )
    return shared


def _measuring() -> _Parser:
    """The options of every verb that measures systems on clips."""
    shared = _Parser(add_help=False)
    shared.add_argument("--limit", type=_positive, metavar="N", help="measure on N test clips only")
    shared.add_argument(
        "--workers",
        type=_positive,
        metavar="N",
        help="number of processes; default: one for each GPU, or CPU core",
    )
    shared.add_argument(
        "--body", type=Path, metavar="PATH", help="an SMPLX_NEUTRAL.npz or its folder"
    )
    shared.add_argument("--quiet", action="store_true", help="print no progress")
    return shared


# As in `datasets.tools.command_line`, which cannot be imported yet: `datasets` may be another
# package of that name, which is for `benchmark.run` to check.
def _positive(word: str) -> int:
    if not word.isdecimal() or int(word) == 0:
        raise argparse.ArgumentTypeError(f"{word!r} is not a positive whole number")
    return int(word)


def _natural(word: str) -> int:
    if not word.isdecimal() or int(word) >= 2**32:
        raise argparse.ArgumentTypeError(f"{word!r} is not a whole number below 2^32")
    return int(word)
