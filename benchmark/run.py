"""The command line: ``python -m benchmark.run table5`` regenerates a table or a figure.

Nothing heavy is imported before there is work to do, so that ``--help``, ``list`` and ``show``
answer at once.
"""

import argparse
import dataclasses
import fnmatch
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmark import discover
from benchmark.compare.tasks import PAPER, TASKS
from benchmark.spec import FigureSpec, TableSpec, UserError

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
  python -m benchmark.run compare --checkpoint my.safetensors --against old.safetensors paper \
      --task tokenizer --data data/cmu
exit codes: 0 done, 1 a row or the system failed, 2 a mistake in the command or its inputs,
3 with --strict: a cell was not measured, 130 stopped with Ctrl-C
"""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, like every other error of this program."""

    def error(self, message: str):
        self.exit(2, f"error: {message} (see {self.prog} --help)\n")


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    argv = sys.argv[1:] if argv is None else argv
    if argv and argv[0] not in VERBS and not argv[0].startswith("-"):
        argv = ["run", *argv]
    parser = _parser()
    args = parser.parse_args(argv)
    if args.verb is None:
        parser.print_help()
        return 2
    try:
        _require_own_datasets()
        return {
            "run": _run,
            "compare": _compare,
            "list": _list,
            "show": _show,
            "audit": _audit,
            "report": _report,
            "speed": _speed,
            "setup": _setup,
            "doctor": _doctor,
        }[args.verb](args)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on where this one was", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read stdout has gone, as in `… | head`
        sys.stderr.close()
        return 0
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m benchmark.run",
        description="Regenerate the tables and figures of the UniMo paper, measured beside "
        "printed. The verb run may be left out.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB")
    run = verbs.add_parser("run", help="measure tables, draw figures, write their reports")
    run.add_argument("tables", nargs="+", metavar="NAME", help="such as table5 or figure7, or all")
    run.add_argument("--profile", default="embedded", help="size of everything: see list profiles")
    run.add_argument("--data", type=Path, metavar="STORE", help="a prepared clip store")
    run.add_argument("--rows", metavar="GLOB", help="only rows whose label matches, as 's=1/36*'")
    run.add_argument("--limit", type=_positive, metavar="N", help="evaluate on N test clips")
    run.add_argument("--steps", type=_positive, metavar="N", help="training steps of every row")
    run.add_argument(
        "--seeds",
        type=_natural,
        nargs="+",
        default=[0],
        metavar="N",
        help="of training and sampling (0); of several: mean and standard deviation",
    )
    run.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    run.add_argument("--workers", type=_positive, metavar="N", help="processes; default: CPU cores")
    run.add_argument("--body", type=Path, metavar="PATH", help="an SMPLX_NEUTRAL.npz or its folder")
    run.add_argument(
        "--checkpoint",
        type=Path,
        metavar="PATH",
        help="a trained tokenizer or transformer (.safetensors) as one more row",
    )
    run.add_argument("--out", type=Path, default=discover.ROOT / "reports", metavar="DIR")
    run.add_argument("--dry-run", action="store_true", help="say what would be done")
    run.add_argument("--always", action="store_true", help="redo what the cache holds")
    run.add_argument("--strict", action="store_true", help="exit 3 if a cell is not measured")
    run.add_argument("--quiet", action="store_true", help="no progress on stderr")
    compare = verbs.add_parser("compare", help="a trained checkpoint against others, and the paper")
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
    compare.add_argument("--limit", type=_positive, metavar="N", help="compare on N test clips")
    compare.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    compare.add_argument(
        "--workers", type=_positive, metavar="N", help="processes; default: CPU cores"
    )
    compare.add_argument(
        "--body", type=Path, metavar="PATH", help="an SMPLX_NEUTRAL.npz or its folder"
    )
    compare.add_argument("--out", type=Path, default=discover.ROOT / "reports", metavar="DIR")
    compare.add_argument("--quiet", action="store_true", help="no progress on stderr")
    listing = verbs.add_parser("list", help="what there is")
    listing.add_argument("what", nargs="?", choices=LISTED, metavar="|".join(LISTED))
    show = verbs.add_parser("show", help="what a table or figure shows; nothing runs")
    show.add_argument("table", metavar="NAME")
    audit = verbs.add_parser("audit", help="check the paper's numbers against each other")
    audit.add_argument(
        "--out",
        type=Path,
        nargs="?",
        const=discover.ROOT / "reports",
        metavar="DIR",
        help="also write audit.json and audit.md there, without DIR in reports/",
    )
    report = verbs.add_parser("report", help="render the files again from the JSON results")
    report.add_argument("tables", nargs="*", metavar="TABLE")
    report.add_argument("--out", type=Path, default=discover.ROOT / "reports", metavar="DIR")
    speed = verbs.add_parser("speed", help="how fast everything is on this machine")
    speed.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
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
    speed.add_argument("--out", type=Path, default=discover.ROOT / "reports", metavar="DIR")
    setup = verbs.add_parser("setup", help="install an external tool in an environment of its own")
    setup.add_argument(
        "tool", nargs="?", metavar="TOOL", help="such as gvhmr; without it: list them"
    )
    verbs.add_parser("doctor", help="what is installed and what is missing")
    return parser


def _run(args: argparse.Namespace) -> int:
    tables, figures = discover.exhibits(args.tables)
    labels = _labels(tables, figures)
    if args.rows is not None and not fnmatch.filter(labels, args.rows):
        known = ", ".join(labels)
        raise UserError(f"--rows {args.rows!r} matches no row. Rows: {known}.")
    profile = discover.load("profiles", args.profile)
    from benchmark.regenerate import Options, regenerate

    chosen = {field.name: getattr(args, field.name) for field in dataclasses.fields(Options)}
    return regenerate(tables, profile, Options(**chosen), figures)


def _compare(args: argparse.Namespace) -> int:
    from benchmark.compare.command import Options, compare

    return compare(Options(**{f.name: getattr(args, f.name) for f in dataclasses.fields(Options)}))


def _list(args: argparse.Namespace) -> int:
    for kind in [args.what] if args.what else LISTED:
        if not args.what:
            print(f"{kind}:")
        for name, summary in discover.summaries(kind).items():
            print(f"  {name:<12} {summary}")
    return 0


def _show(args: argparse.Namespace) -> int:
    (tables, figures) = discover.exhibits([args.table])
    for figure in figures:
        print(f"{figure.id}: {figure.title}")
        for kind, rows in figure.rows.items():
            print(f"{kind}: {', '.join(row.label for row in rows)}")
        for note in figure.notes:
            print(f"- {note}")
        print(f"\nDraw it: python -m benchmark.run {figure.id}")
    for table in tables:
        _show_table(table)
    return 0


def _show_table(table: TableSpec) -> None:
    print(f"{table.id}: {table.title} (the paper's numbers)\n{table.paper}")
    for note in table.notes:
        print(f"- {note}")
    print(f"\nMeasure it: python -m benchmark.run {table.id}")


def _audit(args: argparse.Namespace) -> int:
    from benchmark.audit import report
    from benchmark.audit.paper import Paper

    result = report.examine(Paper.load())
    print(report.to_markdown(result))
    for path in report.write(result, args.out) if args.out else ():
        print(path)
    return 0


def _report(args: argparse.Namespace) -> int:
    for table in args.tables:
        discover.check("tables", table)
    from benchmark.regenerate import render_again

    return render_again(args.out, args.tables)


def _speed(args: argparse.Namespace) -> int:
    from benchmark.speed import report

    try:
        result = report.measure(args.device, args.size, args.weights, args.batch)
    except KeyboardInterrupt:
        print("stopped; nothing was written", file=sys.stderr)
        return 130
    paths = report.write(result, args.out)
    print(report.to_markdown(result))
    for path in paths:
        print(path)
    return 0


def _setup(args: argparse.Namespace) -> int:
    from benchmark.setup import install, list_tools

    return list_tools() if args.tool is None else install(args.tool)


def _doctor(args: argparse.Namespace) -> int:
    from benchmark.doctor import examine

    return examine()


def _labels(tables: Sequence[TableSpec], figures: Sequence[FigureSpec]) -> list[str]:
    rows = [row for table in tables for row in table.rows]
    rows += [row for figure in figures for own in figure.rows.values() for row in own]
    return list(dict.fromkeys(row.label for row in rows))


def _require_own_datasets() -> None:
    """Refuse to run where ``datasets`` is another package."""
    spec = importlib.util.find_spec("datasets")
    if spec is None or Path(spec.origin or "").parent != discover.ROOT / "datasets":
        found = spec.origin if spec else "none"
        raise UserError(
            f"`import datasets` finds another package ({found}): run from {discover.ROOT} as "
            "`python -m benchmark.run`, or uninstall Hugging Face datasets in this environment"
        )


def _positive(word: str) -> int:
    if not word.isdecimal() or int(word) == 0:
        raise argparse.ArgumentTypeError(f"{word!r} is not a positive whole number")
    return int(word)


def _natural(word: str) -> int:
    if not word.isdecimal() or int(word) >= 2**32:
        raise argparse.ArgumentTypeError(f"{word!r} is not a whole number below 2^32")
    return int(word)


if __name__ == "__main__":
    sys.exit(main())
