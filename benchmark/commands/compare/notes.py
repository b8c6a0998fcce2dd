"""Notes for the reader of a comparison."""

from collections.abc import Iterator, Sequence

from benchmark.api.paths import display_path
from benchmark.api.table import Column, TableSpec
from benchmark.commands.compare.schema import Difference
from benchmark.commands.compare.systems import Estimator, System
from benchmark.results.cells import RowOutcome
from benchmark.runs import chain
from benchmark.runs.checkpoints import Checkpoint
from benchmark.runs.work_item import RunContext
from datasets.tools.files import sha256_of

_ALPHA = 0.05


def of_tests(own: System, comparisons: Sequence[Difference]) -> Iterator[str]:
    """Yield how differences are tested, and what a test does not see."""
    yield (
        "Means are over the frames of all clips, their intervals a bootstrap over groups of "
        "clips (clips of one take, actor or source video are one group). A difference is "
        f"{own.row.label}'s mean minus the other's; its interval is a paired bootstrap over "
        "groups, not corrected for being one of several. p is Wilcoxon's signed-rank test on the "
        "groups' differences, corrected after Holm over all columns and opponents. A verdict "
        "needs an interval without zero and p (Holm) below 0.05, else it is undecided."
    )
    yield (
        "What the checkpoints were trained on is not known here: one that saw these clips, or "
        "others of the same recordings, has an advantage."
    )
    sizes = [line.groups for line in comparisons if line.groups is not None and line.p is not None]
    # All n groups of one sign, the strongest evidence there is, has p = 2 / 2^n.
    if sizes and len(sizes) * 2.0 ** (1 - max(sizes)) >= _ALPHA:
        yield (
            f"{max(sizes)} groups are too few for a verdict: corrected for {len(sizes)} tests, p "
            "stays above 0.05 even where every clip improves."
        )


def of_clips(
    comparisons: Sequence[Difference], rows: Sequence[RowOutcome], columns: Sequence[Column]
) -> Iterator[str]:
    """Yield which differences are over fewer clips than a system has values of."""
    outcomes, own = {row.row.label: row for row in rows}, rows[0]
    labels = {column.key: column for column in columns}
    found: dict[str, list[str]] = {}
    for line in comparisons:
        if line.n is None:
            continue
        column, other = labels[line.column], outcomes[line.against]
        sizes = len(own.clips(column)), len(other.clips(column))
        if line.n < max(sizes):
            text = (
                f"Against {line.against}: on the {line.n} clips that both have; {own.row.label} "
                f"has {sizes[0]}, {line.against} {sizes[1]}"
            )
            found.setdefault(text, []).append(column.label)
    for text, names in found.items():
        yield f"{text} ({', '.join(names)})."


def of_seeds(own: System, number: int) -> Iterator[str]:
    """Yield what the spread over trainings is, and what it is not used for."""
    yield (
        f"Mean ± standard deviation (over n - 1) and range are over {number} trainings that differ "
        f"in their seed alone. Differences, intervals, tests and verdicts are of {own.row.label} "
        "alone: they say nothing of another training of it, and an opponent has one training."
    )


def of_task(task: str) -> Iterator[str]:
    """Yield what the columns of a task are."""
    sampled = "Tokens are sampled once a clip, from the same seed for all checkpoints."
    if task == "v2m":
        yield sampled
    if task == "i2vm":
        yield (
            f"{sampled} A clip's video and motion are one sample of what a checkpoint makes of its "
            "first picture."
        )
        yield (
            "MPJPE to Accel compare the motion that a checkpoint makes with the motion that the "
            "estimator sees in the video that it makes, not with the true motion."
        )
        yield (
            "FID and DIV are values of all clips together, so there is nothing of them to pair; "
            "App. and Mot. are means over clips."
        )


def of_paper(table: TableSpec, own: System) -> Iterator[str]:
    """Yield why a difference to the paper tests nothing."""
    estimator = " and with another estimator" if table.task == "i2vm" else ""
    yield (
        f"The paper's numbers are {table.id}'s, row {own.paper.label}, measured on other data and "
        f"another body{estimator}: a difference to them tests nothing."
    )
    config = Checkpoint.read(own.row.weights).config or {}
    settings = [
        f"{name} {printed} (here {config[name]})"
        for name, printed in own.paper.params.items()
        if name in config and config[name] != printed
    ]
    if settings:
        yield f"That row is of another configuration: {', '.join(settings)}."


def of_methods(systems: Sequence[System]) -> Iterator[str]:
    """Yield the methods' own notes."""
    labels: dict[str, list[str]] = {}
    for system in systems:
        labels.setdefault(system.item.implementation.note, []).append(system.row.label)
    return (f"{', '.join(own)}: {note}" for note, own in labels.items() if note)


def estimator_text(estimator: Estimator, context: RunContext) -> str:
    """Return the estimator in words, or why there is none."""
    if estimator.item is None:
        return estimator.absent
    weights = estimator.item.weights
    if weights is not None:
        return f"{display_path(weights)}, weights sha256 {sha256_of(weights)}"
    run = chain.train_stage(context, estimator.item)
    clips = len(estimator.item.data.train_ids)
    return f"{estimator.item.method}, trained here on the store's {clips} training clips ({run.id})"
