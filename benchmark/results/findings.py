"""What the measured numbers say beside the paper's, as sentences computed from a result."""

import statistics
from collections.abc import Sequence


def findings(columns: Sequence[dict], cells: Sequence[dict]) -> list[str]:
    """Notes on order and best rows, for columns that have a better direction.

    Args:
        columns: as in a result (`benchmark.results.table`).
        cells: of a result; only rows with a measured value and the paper's count.
    """
    agreement, moved, kept = [], [], []
    for column in columns:
        both = [
            cell
            for cell in cells
            if cell["column"] == column["key"]
            and cell["status"] == "measured"
            and cell["paper"] is not None
        ]
        if column["better"] is None or len(both) < 2:
            continue
        best = min if column["better"] == "lower" else max
        first = best(cell["value"] for cell in both)
        ours = [cell["row"] for cell in both if cell["value"] == first]
        theirs = best(both, key=lambda cell: cell["paper"])["row"]
        if theirs in ours:
            kept.append(f"{column['label']} ({theirs})")
        else:
            moved.append(f"{column['label']}: {ours[0]} here, {theirs} in the paper")
        rank = spearman([cell["value"] for cell in both], [cell["paper"] for cell in both])
        if len(both) >= 4 and rank is not None:
            agreement.append(f"{column['label']} {rank:+.2f}")
    notes = []
    if kept:
        notes.append(f"The best row is the paper's in {', '.join(kept)}.")
    if moved:
        notes.append(f"The best row differs from the paper's. {'; '.join(moved)}.")
    if agreement:
        notes.append(
            "Order of the rows, measured against printed (Spearman's rank correlation, 1 is the "
            f"same order): {', '.join(agreement)}."
        )
    return notes + _codebook_use(cells)


def _codebook_use(cells: Sequence[dict]) -> list[str]:
    """What the use of the codebooks says about the effect of their size."""
    used = [cell for cell in cells if cell["column"] == "codebook_util_pct"]
    ours = [cell["value"] for cell in used if cell["status"] == "measured"]
    theirs = [cell["paper"] for cell in used if cell["paper"] is not None]
    if not ours or not theirs:
        return []
    return [
        f"Codebooks are used to {_range(ours)} % here, to {_range(theirs)} % in the paper. Where "
        "every code is in use, more codes or more tokens only add information; the paper's "
        "optimum at B=512 comes with larger codebooks that are used less."
    ]


def _range(values: Sequence[float]) -> str:
    return "-".join(dict.fromkeys((f"{min(values):.0f}", f"{max(values):.0f}")))


def spearman(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Rank correlation, ties sharing their mean rank; None where one side is constant."""
    try:
        return statistics.correlation(_ranks(first), _ranks(second))
    except statistics.StatisticsError:
        return None


def _ranks(values: Sequence[float]) -> list[float]:
    return [
        sum(other < value for other in values) + (sum(other == value for other in values) - 1) / 2
        for value in values
    ]
