"""The command line: ``python -m benchmark.run table5`` regenerates a table or a figure.

Nothing heavy is imported before there is work to do, so that ``--help``, ``list`` and ``show``
answer at once.
"""

import argparse
import dataclasses
import importlib.util
import sys
from pathlib import Path

from benchmark import discover
from benchmark.api.errors import UserError, one_line
from benchmark.api.paths import ROOT
from benchmark.api.table import TableSpec
from benchmark.commands import arguments
from benchmark.commands.arguments import LISTED, VERBS


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    argv = sys.argv[1:] if argv is None else argv
    if argv and argv[0] not in VERBS and not argv[0].startswith("-"):
        argv = ["run", *argv]
    parser = arguments.parser()
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
            "rehearse": _rehearse,
        }[args.verb](args)
    except UserError as error:
        _say(f"error: {error}")
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on from what it last saved", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read stdout has gone, as in `… | head`
        sys.stderr.close()
        return 0
    except OSError as error:
        _say(f"error: {error}")
        return 1
    except Exception as error:
        place = discover.place_of(error)
        if not place:
            raise
        _say(f"error: {place}: {one_line(error)}: fix or remove this file")
        return 2


def _run(args: argparse.Namespace) -> int:
    tables, figures = discover.exhibits(args.tables)
    profile = discover.load("profiles", args.profile)
    from benchmark.commands.regenerate import regenerate
    from benchmark.commands.request import Options

    chosen = {field.name: getattr(args, field.name) for field in dataclasses.fields(Options)}
    chosen["seeds"] = list(dict.fromkeys(args.seeds))  # a seed named twice counts once
    return regenerate(tables, profile, Options(**chosen), figures)


def _compare(args: argparse.Namespace) -> int:
    from benchmark.commands.compare.command import Options, compare

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
    from benchmark.commands.audit import report
    from benchmark.commands.audit.paper import Paper
    from benchmark.commands.output import with_paths

    result = report.examine(Paper.load())
    paths = report.write(result, args.out) if args.out else []
    print(with_paths(report.to_markdown(result), paths))
    return 0


def _report(args: argparse.Namespace) -> int:
    for table in args.tables:
        discover.check("tables", table)
    from benchmark.commands.report import render_again

    return render_again(args.out, args.tables, full=args.full)


def _speed(args: argparse.Namespace) -> int:
    from benchmark.commands.output import with_paths
    from benchmark.commands.speed import report

    try:
        result = report.measure(args.device, args.size, args.weights, args.batch)
    except KeyboardInterrupt:
        print("stopped; nothing was written", file=sys.stderr)
        return 130
    print(with_paths(report.to_markdown(result), report.write(result, args.out)))
    return 0


def _setup(args: argparse.Namespace) -> int:
    from benchmark.commands.setup import install, list_tools

    return list_tools() if args.tool is None else install(args.tool)


def _doctor(args: argparse.Namespace) -> int:
    from benchmark.commands.doctor import examine

    return examine()


def _rehearse(args: argparse.Namespace) -> int:
    from benchmark.commands.rehearse.command import rehearse

    return rehearse(args.out, args.device)


def _say(line: str) -> None:
    """Print a line on stderr, without what a terminal would obey."""
    print("".join(one if one.isprintable() else "\ufffd" for one in line), file=sys.stderr)


def _require_own_datasets() -> None:
    """Refuse to run where ``datasets`` is another package."""
    spec = importlib.util.find_spec("datasets")
    if spec is None or Path(spec.origin or "").parent != ROOT / "datasets":
        found = spec.origin if spec else "none"
        raise UserError(
            f"`import datasets` finds another package ({found}): run from {ROOT} as "
            "`python -m benchmark.run`, or uninstall Hugging Face datasets in this environment"
        )


if __name__ == "__main__":
    sys.exit(main())
