"""Notes for the reader of a comparison."""

from collections.abc import Sequence

from benchmark.api.paths import display_path
from benchmark.api.table import TableSpec
from benchmark.commands.compare.schema import Difference
from benchmark.commands.compare.systems import Estimator, System
from benchmark.runs import chain
from benchmark.runs.checkpoints import Checkpoint
from benchmark.runs.work_item import RunContext
from datasets.tools.files import sha256_of

_ALPHA = 0.05


def of_tests(own: System, comparisons: Sequence[Difference]) -> list[str]:
    """Return how differences are tested, and what a test does not see."""
    notes = [
        "Means are over the frames of all clips, their intervals a bootstrap over groups of "
        "clips (clips of one take, actor or source video are one group). A difference is "
        f"{own.row.label}'s mean minus the other's; its interval is a paired bootstrap over "
        "groups, not corrected for being one of several. p is Wilcoxon's signed-rank test on the "
        "groups' differences, corrected after Holm over all columns and opponents. A verdict "
        "needs an interval without zero and p (Holm) below 0.05, else it is undecided.",
        "What the checkpoints were trained on is not known here: one that saw these clips, or "
        "others of the same recordings, has an advantage.",
    ]
    sizes = [line.groups for line in comparisons if line.groups is not None and line.p is not None]
    # All n groups of one sign, the strongest evidence there is, has p = 2 / 2^n.
    if sizes and len(sizes) * 2.0 ** (1 - max(sizes)) >= _ALPHA:
        notes.append(
            f"{max(sizes)} groups are too few for a verdict: corrected for {len(sizes)} tests, p "
            "stays above 0.05 even where every clip improves."
        )
    return notes


def of_seeds(own: System, number: int) -> list[str]:
    """Return what the spread over trainings is, and what it is not used for."""
    return [
        f"Mean ± standard deviation (over n - 1) and range are over {number} trainings that differ "
        f"in their seed alone. Differences, intervals, tests and verdicts are of {own.row.label} "
        "alone: they say nothing of another training of it, and an opponent has one training."
    ]


def of_task(table: TableSpec) -> list[str]:
    """Return what the columns of a task are."""
    if table.task == "tokenizer":
        return []
    sampled = "Tokens are sampled once a clip, from the same seed for all checkpoints."
    if table.task == "v2m":
        return [sampled]
    return [
        f"{sampled} A clip's video and motion are one sample of what a checkpoint makes of its "
        "first picture.",
        "MPJPE to Accel compare the motion that a checkpoint makes with the motion that the "
        "estimator sees in the video that it makes, not with the true motion.",
        "FID and DIV are values of all clips together, so there is nothing of them to pair; App. "
        "and Mot. are means over clips.",
    ]


def of_paper(table: TableSpec, own: System) -> list[str]:
    """Return why a difference to the paper tests nothing."""
    estimator = " and with another estimator" if table.task == "i2vm" else ""
    notes = [
        f"The paper's numbers are {table.id}'s, row {own.paper.label}, measured on other data and "
        f"another body{estimator}: a difference to them tests nothing."
    ]
    if settings := _other_settings(own):
        notes.append(f"That row is of another configuration: {settings}.")
    return notes


def of_methods(systems: Sequence[System]) -> list[str]:
    """Return the methods' own notes."""
    notes = []
    for method in dict.fromkeys(system.item.method for system in systems):
        own = [system for system in systems if system.item.method == method]
        if note := own[0].item.implementation.note:
            notes.append(f"{', '.join(system.row.label for system in own)}: {note}")
    return notes


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


def _other_settings(system: System) -> str:
    """Return the parameters in which the paper's row differs from the checkpoint."""
    config = Checkpoint.read(system.row.weights).config or {}
    return ", ".join(
        f"{name} {printed} (here {config[name]})"
        for name, printed in system.paper.params.items()
        if name in config and config[name] != printed
    )
