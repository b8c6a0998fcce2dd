"""From the options of ``compare`` to its files."""

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark import discover
from benchmark.compare import files, systems
from benchmark.compare.result import make_result
from benchmark.compare.tasks import PAPER, TASKS
from benchmark.data import open_data
from benchmark.execute import default_workers
from benchmark.options import (
    body_chosen,
    body_file,
    device_named,
    file_name,
    require_writable,
    shown,
)
from benchmark.spec import UserError
from benchmark.stages import Setup

_MAX_NAME = 120


@dataclass(frozen=True)
class Options:
    """The options of ``compare``, as given; see ``python -m benchmark.run compare --help``."""

    checkpoint: Path
    against: Sequence[str]
    task: str
    data: Path
    limit: int | None
    device: str
    workers: int | None
    body: Path | None
    out: Path
    quiet: bool


def compare(options: Options) -> int:
    """Measure what the cache lacks, compare and write the files; returns the exit code.

    Raises:
        UserError: an option that cannot be followed.
    """
    with body_chosen(options.body):
        return _compare(options)


def _compare(options: Options) -> int:
    task = TASKS[options.task]
    table = discover.load("tables", task.table)
    if options.against.count(PAPER) > 1:
        raise UserError(f"--against names {PAPER} twice: name each once")
    opponents = [Path(word) for word in options.against if word != PAPER]
    found = systems.find_systems(task, table, options.checkpoint, opponents)
    with_paper = PAPER in options.against
    if with_paper and found[0].paper is None:
        raise UserError(f"--against {PAPER}: {table.id} has no row of {found[0].row.method}")
    setup = Setup(
        cache=options.out / "runs",
        data=open_data(options.data, limit=options.limit, splits=("test",)),
        body=body_file(options.body),
        device=device_named(options.device),
        seed=0,
    )
    require_writable(options.out)
    workers = options.workers or default_workers(setup.device)
    failures = systems.measure(setup, found, workers=workers, quiet=options.quiet)
    for label, reason in failures.items():
        print(f"error: {label}: {reason}", file=sys.stderr)
    if failures:
        return 1
    resolved = vars(options) | {"device": setup.device, "workers": workers}
    resolved |= {name: shown(path) for name, path in resolved.items() if isinstance(path, Path)}
    result = make_result(table, found, setup, with_paper=with_paper, options=resolved)
    paths = files.write(result, options.out / "compare" / _name(result))
    print(files.to_markdown(result))
    print("\n".join(f"wrote {shown(path)}" for path in paths))
    return 0


def _name(result: dict) -> str:
    """``mine-against-other-paper-on-cmu``, cut where it gets too long for a file's name."""
    own = next(iter(result["systems"]))
    others = dict.fromkeys(line["against"] for line in result["comparisons"])
    store = result["data"].partition(": ")[0]
    name = file_name(f"{own}-against-{'-'.join(others)}-on-{store}")
    if len(name) > _MAX_NAME:
        name = f"{name[:_MAX_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return name
