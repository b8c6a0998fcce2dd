"""What the renderers share: the grid of a table, who is best, the facts below it."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from benchmark.api.table import Column


def columns_of(result: dict) -> list[Column]:
    """The columns of a result."""
    return [Column(**column) for column in result["columns"]]


def cell_of(result: dict, row: str, column: Column) -> dict:
    """The cell of a row and a column."""
    return next(
        cell for cell in result["cells"] if (cell["row"], cell["column"]) == (row, column.key)
    )


class Field(NamedTuple):
    """A field of the rendered grid.

    Attributes:
        text: what is marked, if the field is.
        rest: what follows it unmarked, such as an interval.
        rank: 0 for the best measured value of a column, 1 for the second, else None.
        quoted: it is the paper's, not measured here.
    """

    text: str
    rest: str = ""
    rank: int | None = None
    quoted: bool = False


def grid(result: dict) -> list[list[Field]]:
    """The table as printed: a heading, then for each row what was measured and the paper's numbers.

    The paper's stand below the measured, or beside them in a table of a single column; those that
    a system's own authors publish, where a table has them, below the paper's.
    """
    columns = columns_of(result)
    places, letters = _ranks(result), reasons(result)
    beside = len(columns) == 1
    heading = [Field("Method" if result["profile"] else "Setting")]
    heading += [Field(column.heading) for column in columns]
    lines = [heading + ([Field("Paper (difference)", quoted=True)] if beside else [])]
    for row in result["rows"]:
        label = row["label"]
        cells = [cell_of(result, label, column) for column in columns]
        measured = [
            _measured(column, cell, letters, places.get((label, column.key)))
            for column, cell in zip(columns, cells, strict=True)
        ]
        printed = [
            Field(_printed(column, cell), quoted=True)
            for column, cell in zip(columns, cells, strict=True)
        ]
        lines.append([Field(label), *measured, *(printed if beside else [])])
        if not beside and any(cell["paper"] is not None for cell in cells):
            lines.append([Field("paper (difference)", quoted=True), *printed])
        published = [cell["literature_printed"] for cell in cells]
        if any(published):
            texts = [Field(text or "-", quoted=True) for text in published]
            lines.append([Field("published elsewhere", quoted=True), *texts])
    return lines


def _ranks(result: dict) -> dict[tuple[str, str], int]:
    """(row, column key) -> 0 for the best measured cell of a column and 1 for the second.

    Cells that print alike share a place. A column with fewer than two measured cells has none, and
    rows that are shown beside the paper's for scale take none. Rows about several datasets are
    ranked dataset by dataset.
    """
    places = {}
    rivals: dict[str, set[str]] = {}
    for row in result["rows"]:
        if not row["beside"]:
            rivals.setdefault(row["dataset"], set()).add(row["label"])
    for column, labels in itertools.product(columns_of(result), rivals.values()):
        measured = {
            cell["row"]: float(column.format(cell["value"]))
            for cell in result["cells"]
            if cell["column"] == column.key
            and cell["status"] == "measured"
            and cell["row"] in labels
        }
        if column.better is None or len(measured) < 2:
            continue
        leading = sorted(set(measured.values()), reverse=column.better == "higher")[:2]
        for row, value in measured.items():
            if value in leading:
                places[row, column.key] = leading.index(value)
    return places


def reasons(result: dict) -> dict[str, str]:
    """Reason -> letter, of all cells that have no value, in the order of the table."""
    found = dict.fromkeys(
        cell["reason"] for cell in result["cells"] if cell["status"] != "measured"
    )
    return {reason: _letter(number) for number, reason in enumerate(found)}


def _letter(number: int) -> str:
    """a, b, ... z, aa, ab, ..."""
    before, last = divmod(number, 26)
    return (_letter(before - 1) if before else "") + chr(ord("a") + last)


def _measured(column: Column, cell: dict, letters: dict[str, str], rank: int | None) -> Field:
    """A value with its interval, or the letter of the reason why there is none."""
    if cell["status"] != "measured":
        kind = "n/a" if cell["status"] == "not_applicable" else "unavailable"
        return Field(f"{kind} ({letters[cell['reason']]})")
    interval = ""
    if cell["low"] is not None:
        interval = f" [{column.format(cell['low'])}, {column.format(cell['high'])}]"
    if cell["std"] is not None:
        interval = f" ± {column.format(cell['std'])}"
    return Field(column.format(cell["value"]), interval, rank)


def _printed(column: Column, cell: dict) -> str:
    """The paper's number as printed and, where there is one, measured minus printed."""
    if cell["paper"] is None:
        return "-"
    if cell["status"] != "measured":
        return cell["paper_printed"]
    difference = cell["value"] - cell["paper"]
    digits = "+g" if column.decimals is None else f"+.{column.decimals}f"
    return f"{cell['paper_printed']} ({difference:{digits}})"


def signed(column: Column, value: float) -> str:
    """A difference with its sign, but a zero without."""
    text = column.format(value)
    if float(text) == 0:
        return text.removeprefix("-")
    return text if value < 0 else f"+{text}"


def has_beside(result: dict) -> bool:
    """Whether there are rows beside the paper's, such as floors, which take no rank."""
    return any(row["beside"] for row in result["rows"])


def facts(result: dict) -> list[tuple[str, str]]:
    """What a reader must know of the numbers: name -> text, in the order shown."""
    explained = [(f"({letter})", reason) for reason, letter in reasons(result).items()]
    if result["profile"] is None:
        return explained
    counts = sorted({cell["n"] for cell in result["cells"] if cell["n"]})
    return [
        *explained,
        ("Profile", result["profile"]),
        ("Data", result["data"]),
        ("Body", result["body"]),
        ("n", f"{' or '.join(map(str, counts))} test clips" if counts else "nothing measured"),
        ("Training", f"{result['training']}, {_seeds(result['provenance']['seeds'])}"),
        *((f"Protocol ({name})", text) for name, text in result["protocol"].items()),
        *_spread(result),
        *([("Published elsewhere", result["source"])] if result["source"] else []),
    ]


def _seeds(seeds: Sequence[int]) -> str:
    return f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}"


def _spread(result: dict) -> list[tuple[str, str]]:
    """What stands behind the values."""
    seeds = len(result["provenance"]["seeds"])
    if seeds > 1:
        text = f"mean ± standard deviation over {seeds} trainings that differ in their seed"
        return [("Spread", text)]
    return [("Intervals", "95 % bootstrap over groups (clips of one take, actor or source video)")]
