"""The cells of a result: what is known of a row in a column, measured, printed or missing."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.api.paths import redact_paths
from benchmark.api.table import Column, Quoted, Row
from benchmark.results import statistics as stats
from benchmark.runs import chain
from benchmark.runs.work_item import WorkItem


@dataclass(frozen=True)
class RowOutcome:
    """A row and what is known of it, of one training a seed.

    Attributes:
        row: of the table, or a user's checkpoint.
        items: its work, one a seed; none where it cannot be done here at all.
        outcomes: what the cache knows of them.
        absent: why there is nothing, in case there is nothing.
        is_extra: True for a row that the paper's table does not have.
        task: what its method does, one of `benchmark.api.table.TASKS`.
    """

    row: Row
    items: Sequence[WorkItem]
    outcomes: Sequence[chain.Outcome]
    absent: str = ""
    is_extra: bool = False
    task: str = ""


def cell(
    row: RowOutcome, column: Column, quoted: Quoted | None, published: Quoted | None = None
) -> dict:
    """The cell of a row and a column, as in a result.

    Of several trainings it has the mean, their standard deviation (over n - 1), and no interval;
    of a row with nothing to train, what the first seed gives.

    Args:
        row: with what is known of it.
        column: of the table.
        quoted: the paper's number.
        published: the one of the system's authors.
    """
    found = [
        _one(row, column, item, outcome)
        for item, outcome in zip(row.items, row.outcomes, strict=True)
    ]
    values = [one["value"] for one in found if one["status"] == "measured"]
    if not found:
        facts = {"status": "unavailable", "reason": row.absent}
    elif len(values) < len(found):  # nothing is said of a part of the trainings
        facts = next(one for one in found if one["status"] != "measured")
    else:
        facts = found[0]
    trained = {
        outcome.stages["train"].key if "train" in outcome.stages else "" for outcome in row.outcomes
    }
    if len(values) == len(found) > 1 and len(trained) > 1:
        facts = facts | {
            "value": statistics.fmean(values),
            "std": statistics.stdev(values),
            "low": None,
            "high": None,
            "run_id": ", ".join(one["run_id"] for one in found),
        }
    return make_cell(row.row, column, quoted, published, **facts)


def _one(row: RowOutcome, column: Column, item: WorkItem, outcome: chain.Outcome) -> dict:
    """Status and value of one training."""
    if column.key in outcome.facts:
        run = outcome.stages["predict"]
        return {"status": "measured", "value": outcome.facts[column.key], "run_id": run.id}
    for metric, scores in outcome.scores.items():
        own = [score for score in scores if score.column == column.key]
        if not any(score.count for score in own):  # clips too short for it, or not its business
            continue
        sums, counts = [score.sum for score in own], [score.count for score in own]
        groups = [item.data.group_of(score.clip_id) for score in own]
        interval = stats.bootstrap_interval(sums, counts, groups) or (None, None)
        return {
            "status": "measured",
            "value": stats.pooled_mean(sums, counts),
            "n": sum(score.clips for score in own),
            "low": interval[0],
            "high": interval[1],
            "run_id": outcome.stages[f"score {metric}"].id,
        }
    if reason := outcome.absent.get(column.key):
        return {"status": "unavailable", "reason": reason}
    if outcome.missing:
        reason = row.absent or outcome.failure or "not measured yet"
        return {"status": "unavailable", "reason": reason}
    if item.no_estimator:
        return {"status": "unavailable", "reason": item.no_estimator}
    reason = f"the method {item.method} makes nothing that this could be measured on"
    return {"status": "not_applicable", "reason": reason}


def make_cell(
    row: Row,
    column: Column,
    quoted: Quoted | None,
    published: Quoted | None = None,
    *,
    status: str,
    **facts,
) -> dict:
    """A cell as the JSON of a result has it.

    Args:
        row: it is of.
        column: it is of.
        quoted: the paper's number.
        published: the one of the system's authors.
        status: ``measured``, ``unavailable`` or ``not_applicable``.
        facts: value, interval, reason and the like, where there are any.
    """
    return {
        "row": row.label,
        "column": column.key,
        "value": None,
        "n": None,
        "low": None,
        "high": None,
        "std": None,
        "status": status,
        "reason": None,
        "paper": quoted and quoted.value,
        "paper_printed": quoted and quoted.printed,
        "literature": published and published.value,
        "literature_printed": published and published.printed,
        "run_id": None,
    } | {
        name: redact_paths(fact) if name == "reason" and fact else fact
        for name, fact in facts.items()
    }
