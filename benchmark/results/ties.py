"""Ties: a best value that a paired test does not part from the next."""

import dataclasses
from collections.abc import Sequence

from scipy.stats import ttest_ind

from benchmark.api.metric import POOLED
from benchmark.api.table import Column
from benchmark.results.cells import RowOutcome
from benchmark.results.paired import parts
from benchmark.results.schema import Result

_LEVEL = 0.05


def with_ties(result: Result, rows: Sequence[RowOutcome]) -> Result:
    """Return the result with `Cell.tied` set in the best cells that were tested against the next.

    One training each is tested by the paired interval over groups of clips; several trainings by
    Welch's t over their values. Rows beside the paper's take no part, and rows about several
    datasets are compared dataset by dataset.

    Args:
        result: of a table.
        rows: what the cache knows of its rows, in their order.
    """
    outcomes = {row.row.label: row for row in rows}
    tied: dict[tuple[str, str], bool] = {}
    for column in result.columns:
        for rivals in result.rivals():
            cells = [result.cell(label, column.key) for label in rivals]
            cells = [cell for cell in cells if cell.value is not None]
            if column.better is None or len(cells) < 2:
                continue
            cells.sort(key=lambda cell: cell.measured_value, reverse=column.better == "higher")
            best, following = cells[0].row, cells[1].row
            apart = _apart(column, outcomes[best], outcomes[following])
            if apart is not None:
                tied[best, column.key] = not apart
    cells = [
        dataclasses.replace(cell, tied=tied.get((cell.row, cell.column))) for cell in result.cells
    ]
    return dataclasses.replace(result, cells=tuple(cells))


def _apart(column: Column, first: RowOutcome, second: RowOutcome) -> bool | None:
    """Return True if two rows differ in a column, None where that cannot be tested."""
    values, others = (_values(column, row) for row in (first, second))
    if min(len(values), len(others)) > 1:
        return bool(ttest_ind(values, others, equal_var=False).pvalue < _LEVEL)
    own, theirs = (row.scores(column) for row in (first, second))
    if not (own and theirs) or any(score.clip_id == POOLED for score in [*own, *theirs]):
        return None
    try:
        return parts(own, theirs, first.items[0].data.group_of)
    except ValueError:
        return None


def _values(column: Column, row: RowOutcome) -> list[float]:
    """Return the value of each training that is one of several."""
    keys = {outcome.stages["train"].key for outcome in row.outcomes if "train" in outcome.stages}
    if len(keys) < 2:
        return []
    found = []
    for training in range(len(row.outcomes)):
        scores = row.scores(column, training)
        count = sum(score.count for score in scores)
        if count:
            found.append(sum(score.sum for score in scores) / count)
    return found
