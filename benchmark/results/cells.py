"""The cells of a result: what is known of a row in a column, measured, printed or missing."""

import dataclasses
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.api.metric import POOLED, Score
from benchmark.api.paths import redact_paths
from benchmark.api.table import Column, Quoted, Row
from benchmark.results import statistics as stats
from benchmark.results.schema import Cell
from benchmark.runs import chain
from benchmark.runs.work_item import WorkItem


@dataclass(frozen=True, kw_only=True)
class RowOutcome:
    """A row and what the cache knows of it.

    Attributes:
        row: of the table, or a user's checkpoint.
        items: its work, one a seed; none where it cannot be done here at all.
        outcomes: what the cache knows of each item.
        absent: why there is no value, where there is none.
        applies: False if a value makes no sense at this size.
        failed: why its work failed in this run, where it did.
        is_extra: True for a row that stands beside the paper's for scale.
        task: what it does, one of `benchmark.api.table.TASKS`; for figures, which mix them.
    """

    row: Row
    items: Sequence[WorkItem]
    outcomes: Sequence[chain.Outcome]
    absent: str = ""
    applies: bool = True
    failed: str = ""
    is_extra: bool = False
    task: str = ""

    def scores(self, column: Column, training: int = 0) -> list[Score]:
        """Return the scores of one training in a column; none of a row that cannot be done."""
        found = self.outcomes[training].scores.values() if self.outcomes else ()
        return [score for scores in found for score in scores if score.column == column.key]

    def clips(self, column: Column, training: int = 0) -> frozenset[str]:
        """Return the clips behind the value of one training in a column."""
        found = self.outcomes[training].scores if self.outcomes else {}
        for metric, scores in found.items():
            own = {score.clip_id for score in scores if score.column == column.key and score.count}
            if own == {POOLED}:
                left_out = self.outcomes[training].left_out(metric)
                return frozenset(self.items[training].data.test_ids) - left_out
            if own:
                return frozenset(own)
        return frozenset()

    @property
    def has_values(self) -> bool:
        """True if anything of it is measured."""
        return any(outcome.scores or outcome.facts for outcome in self.outcomes)


def make_cell(
    row: RowOutcome, column: Column, quoted: Quoted | None, published: Quoted | None = None
) -> Cell:
    """Return the cell of a row and a column.

    The value of several trainings is their mean, with their standard deviation (over n - 1) and no
    interval. A row that needs no training is measured once, with the first seed.

    Args:
        row: with what is known of it.
        column: of the table.
        quoted: the paper's number.
        published: the number of the system's own authors.
    """
    empty = empty_cell(row.row, column, quoted, published)
    cells = [
        _cell_of_training(empty, row, column, item, outcome)
        for item, outcome in zip(row.items, row.outcomes, strict=True)
    ]
    if not cells:
        status = "unavailable" if row.applies else "not_applicable"
        return without_value(empty, row.absent, status=status)
    # Part of the trainings says nothing of the others: one without a value leaves the row without.
    for cell in cells:
        if cell.status != "measured":
            return cell
    trained = {
        outcome.stages["train"].key if "train" in outcome.stages else "" for outcome in row.outcomes
    }
    if len(cells) == 1 or len(trained) == 1:
        return cells[0]
    values = [cell.measured_value for cell in cells]
    return dataclasses.replace(
        cells[0],
        value=statistics.fmean(values),
        std=statistics.stdev(values),
        low=None,
        high=None,
        run_id=", ".join(filter(None, (cell.run_id for cell in cells))),
    )


def _cell_of_training(
    empty: Cell, row: RowOutcome, column: Column, item: WorkItem, outcome: chain.Outcome
) -> Cell:
    """Return the cell as one training fills it."""
    if column.key in outcome.facts:
        run_id = outcome.stages["predict"].id
        return with_value(empty, value=outcome.facts[column.key], run_id=run_id)
    for metric, scores in outcome.scores.items():
        own = [score for score in scores if score.column == column.key]
        if not any(score.count for score in own):  # clips too short for it, or another's column
            continue
        sums, counts = [score.sum for score in own], [score.count for score in own]
        groups = [item.data.group_of(score.clip_id) for score in own]
        low, high = stats.bootstrap_interval(sums, counts, groups) or (None, None)
        return with_value(
            empty,
            value=stats.pooled_mean(sums, counts),
            n=sum(score.clips for score in own if score.count),
            groups=len({group for group, count in zip(groups, counts, strict=True) if count}),
            low=low,
            high=high,
            run_id=outcome.stages[f"score {metric}"].id,
        )
    if reason := outcome.absent.get(column.key):
        return without_value(empty, reason)
    if outcome.missing:
        failure = outcome.failure(column.key)
        if failure is not None and not failure.unavailable:
            return without_value(empty, failure.reason, status="failed")
        if failure is None and row.failed:
            return without_value(empty, row.failed, status="failed")
        return without_value(empty, failure.reason if failure else row.absent or "not measured yet")
    if item.no_estimator:
        return without_value(empty, item.no_estimator)
    reason = f"the method {item.method} makes nothing that this could be measured on"
    return dataclasses.replace(empty, status="not_applicable", reason=reason)


def empty_cell(
    row: Row, column: Column, quoted: Quoted | None, published: Quoted | None = None
) -> Cell:
    """Return a cell that has only what others print."""
    return Cell(
        row=row.label,
        column=column.key,
        status="unavailable",
        reason="not measured",
        paper=quoted.value if quoted else None,
        paper_printed=quoted.printed if quoted else None,
        literature=published.value if published else None,
        literature_printed=published.printed if published else None,
    )


def without_value(cell: Cell, reason: str, *, status: str = "unavailable") -> Cell:
    """Return the cell with nothing but what others print, the reason and the status."""
    nothing = dict.fromkeys(("value", "n", "groups", "low", "high", "std", "run_id"))
    return dataclasses.replace(
        cell,
        status=status,  # type: ignore[arg-type]
        reason=redact_paths(reason),
        **nothing,  # type: ignore[arg-type]
    )


def with_value(empty: Cell, *, value: float, **facts: object) -> Cell:
    """Return the cell with a value; without one where the value is no finite number.

    Args:
        empty: the cell with what others print.
        value: that was measured or computed.
        facts: further fields of the cell, such as its interval.
    """
    if not math.isfinite(value):
        return without_value(empty, f"its value is {value}, which is no number")
    changes = {"status": "measured", "reason": None, "value": value, **facts}
    return dataclasses.replace(empty, **changes)  # type: ignore[arg-type]
