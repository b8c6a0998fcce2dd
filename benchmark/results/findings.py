"""Notes on what the measured numbers say beside the paper's, computed from a result."""

from collections.abc import Sequence

from scipy.stats import spearmanr

from benchmark.api.table import Column
from benchmark.results.cells import RowOutcome
from benchmark.results.schema import Cell


def findings(columns: Sequence[Column], cells: Sequence[Cell]) -> list[str]:
    """Return notes on best rows and on the order of rows, for columns with a better direction.

    Args:
        columns: of a result.
        cells: of a result; only rows with a measured value and the paper's count.
    """
    agreement, moved, same = [], [], []
    both_of: dict[str, list[tuple[str, float, float]]] = {column.key: [] for column in columns}
    for cell in cells:
        if cell.value is not None and cell.paper is not None:
            both_of[cell.column].append((cell.row, cell.value, cell.paper))
    for column in columns:
        both = both_of[column.key]
        if column.better is None or len(both) < 2:
            continue
        best = min if column.better == "lower" else max
        labels, values, printed = zip(*both, strict=True)
        ours = [label for label, value in zip(labels, values, strict=True) if value == best(values)]
        theirs = labels[printed.index(best(printed))]
        if theirs in ours:
            same.append(f"{column.label} ({theirs})")
        else:
            moved.append(f"{column.label}: {ours[0]} here, {theirs} in the paper")
        # A constant side has no order.
        if len(both) >= 4 and len({*values}) > 1 and len({*printed}) > 1:
            agreement.append(f"{column.label} {spearmanr(values, printed).statistic:+.2f}")
    notes = []
    if same:
        notes.append(f"The best row is the paper's in {', '.join(same)}.")
    if moved:
        notes.append(f"The best row differs from the paper's. {'; '.join(moved)}.")
    if agreement:
        notes.append(
            "Order of the rows, measured against printed (Spearman's rank correlation, 1 is the "
            f"same order): {', '.join(agreement)}."
        )
    return notes + _codebook_use(cells)


def uneven_clips(columns: Sequence[Column], rows: Sequence[RowOutcome]) -> list[str]:
    """Return notes on the columns whose rows are not all on the same clips, with the n of each.

    Args:
        columns: of a table.
        rows: of it, about the same data.
    """
    found: dict[str, list[str]] = {}
    for column in columns:
        clips = {row.row.label: row.clips(column) for row in rows}
        clips = {label: own for label, own in clips.items() if own}
        if len(set(clips.values())) > 1:
            text = ", ".join(f"{len(own)} in {label}" for label, own in clips.items())
            found.setdefault(text, []).append(column.label)
    return [
        f"Not all rows are on the same clips: n of {', '.join(labels)} is {text}."
        for text, labels in found.items()
    ]


def _codebook_use(cells: Sequence[Cell]) -> list[str]:
    """Return a note on the use of the codebooks and the effect of their size."""
    used = [cell for cell in cells if cell.column == "codebook_util_pct"]
    ours = [cell.value for cell in used if cell.value is not None]
    theirs = [cell.paper for cell in used if cell.paper is not None]
    if not ours or not theirs:
        return []
    return [
        f"Codebooks are used to {_range(ours)} % here, to {_range(theirs)} % in the paper. Where "
        "every code is in use, more codes or more tokens only add information; the paper's "
        "optimum at B=512 comes with larger codebooks that are used less."
    ]


def _range(values: Sequence[float]) -> str:
    return "-".join(dict.fromkeys((f"{min(values):.0f}", f"{max(values):.0f}")))
