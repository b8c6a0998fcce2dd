"""From the options of ``compare`` to its files."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark import discover
from benchmark.api.errors import UserError
from benchmark.api.paths import file_name
from benchmark.api.table import PAPER, TABLE_OF_TASK
from benchmark.commands.compare import files, fitting, systems
from benchmark.commands.compare.result import make_result
from benchmark.commands.compare.schema import Comparison
from benchmark.commands.compare.trainings import require_only_seed_differs
from benchmark.commands.options import (
    as_json,
    body_chosen,
    body_file,
    device_named,
    require_writable,
)
from benchmark.commands.output import with_paths
from benchmark.runs.checkpoints import labels_of
from benchmark.runs.data import open_data, require_body
from benchmark.runs.work_item import RunContext
from benchmark.runs.workers import default_workers
from datasets.tools.files import hash_lines
from datasets.tools.typed_json import printable

_MAX_NAME = 120


@dataclass(frozen=True)
class Options:
    """The options of ``compare``, as given; see ``python -m benchmark.run compare --help``."""

    checkpoint: Path
    against: Sequence[str]
    task: str
    data: Path
    estimator: Path | None
    seeds: Sequence[Path]
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
    table = discover.load("tables", TABLE_OF_TASK[options.task])
    if options.against.count(PAPER) > 1:
        raise UserError(f"--against names {PAPER} twice: name each once")
    opponents = [("--against", Path(word)) for word in options.against if word != PAPER]
    further = [("--seeds", path) for path in options.seeds]
    own = ("--checkpoint", options.checkpoint)
    data = open_data(options.data, task=options.task, limit=options.limit, splits=("test",))
    estimator = systems.find_estimator(options.task, data, options.estimator)
    labels = labels_of([path for _, path in [own, *opponents, *further]])
    found = systems.find_systems(table, data, estimator, [own, *opponents], labels)
    trainings = []
    if further:
        trainings = systems.find_systems(table, data, estimator, [own, *further], labels)
        require_only_seed_differs(trainings)
    with_paper = PAPER in options.against
    if with_paper and found[0].paper is None:
        raise UserError(f"--against {PAPER}: {table.id} has no row of {found[0].row.method}")
    body = body_file(options.body)
    require_body(data.path, body)
    fitting.require_fitting([system.item for system in (*found, *trainings)])
    context = RunContext(cache=options.out / "runs", body=body, device=device_named(options.device))
    require_writable(options.out)
    workers = options.workers or default_workers(context.device)
    measured = [*found, *trainings]
    outcomes = systems.measure(context, measured, workers=workers, quiet=options.quiet)
    for system in measured:
        if reason := outcomes.failures.get(system.item.identity):
            print(printable(f"error: {system.item.label}: {reason}"), file=sys.stderr)
    if outcomes.failures:
        return 1
    result = make_result(
        table,
        found,
        trainings,
        estimator,
        outcomes,
        context,
        with_paper=with_paper,
        options=as_json(options, device=context.device, workers=workers),
    )
    paths = files.write(result, options.out / "compare" / _name(result))
    print(with_paths(files.to_markdown(result), paths))
    return 0


def _name(result: Comparison) -> str:
    """Return ``mine-against-other-paper-on-cmu-v2m-1f0e55d2``, cut where it gets too long.

    The digits at its end are a hash of what is compared: trainings are all called ``model``.
    """
    own = next(iter(result.systems))
    others = dict.fromkeys(line.against for line in result.comparisons)
    store = result.data.partition(": ")[0]
    # A tokenizer does one task, a transformer several.
    task = "" if result.task == "tokenizer" else f"-{result.task}"
    name = file_name(f"{own}-against-{'-'.join(others)}-on-{store}{task}")
    compared = [system.weights_sha256 for system in result.systems.values()]
    digest = hash_lines([name, result.data, *compared])[:8]
    return f"{name[:_MAX_NAME]}-{digest}"
