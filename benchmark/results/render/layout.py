"""Shared by the renderers: the rows of a table as text, their ranks, the facts below the table."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from benchmark.api.profile import REHEARSAL
from benchmark.api.table import Column
from benchmark.results.schema import Cell, Result

NO_NUMBER = "-"  # where the paper prints none
TIE = "≈"  # after a best value that a test does not part from the next


class Field(NamedTuple):
    """A field of a rendered table.

    Attributes:
        text: what is marked, if the field is.
        spread: `TIE` of a best value, `` ± …`` of several trainings; it follows unmarked.
        interval: `` [low, high]``, which follows unmarked.
        rank: 0 for the best measured value of a column, 1 for the second, else None.
        quoted: True for a number of the paper or the literature, not measured here.
    """

    text: str
    spread: str = ""
    interval: str = ""
    rank: int | None = None
    quoted: bool = False


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of a result as text, with a field for each column.

    Attributes:
        label: as printed.
        beside: True for a row beside the paper's.
        cells: that the texts are of.
        measured: the value, or ``unavailable (a)`` or ``failed (a)`` with the letter of its reason.
        paper: the paper's number and, in parentheses, measured minus paper; `NO_NUMBER` without.
        literature: what the system's own authors publish; `NO_NUMBER` without.
    """

    label: str
    beside: bool
    cells: Sequence[Cell]
    measured: Sequence[Field]
    paper: Sequence[str]
    literature: Sequence[str]

    @property
    def has_paper(self) -> bool:
        """True if the paper prints a number of the row."""
        return any(cell.paper is not None for cell in self.cells)

    @property
    def has_literature(self) -> bool:
        """True if the system's own authors publish a number of the row."""
        return any(cell.literature is not None for cell in self.cells)


def rows(result: Result) -> list[Row]:
    """Return the rows of a result as text."""
    ranks, letters = _ranks(result), reasons(result.cells)
    found = []
    for row in result.rows:
        cells = result.cells_of(row)
        pairs = list(zip(result.columns, cells, strict=True))
        found.append(
            Row(
                label=row.label,
                beside=row.beside,
                cells=cells,
                measured=[
                    _measured(column, cell, letters, ranks.get((row.label, column.key)))
                    for column, cell in pairs
                ],
                paper=[_paper(column, cell) for column, cell in pairs],
                literature=[cell.literature_printed or NO_NUMBER for cell in cells],
            )
        )
    return found


def grid(result: Result, *, brief: bool = False) -> list[list[Field]]:
    """Return the table as printed: a heading, then for each row measured and quoted numbers.

    The paper's numbers stand below the measured ones, or beside them in a table of one column;
    those of the literature stand below the paper's.

    Args:
        result: of a table.
        brief: leave out intervals and differences to the paper.
    """
    beside = len(result.columns) == 1
    difference = "" if brief else " (difference)"
    heading = [Field(row_heading(result))]
    heading += [Field(column.heading) for column in result.columns]
    lines = [heading + ([Field(f"Paper{difference}", quoted=True)] if beside else [])]
    for row in rows(result):
        paper = row.paper
        if brief:
            paper = [cell.paper_printed or NO_NUMBER for cell in row.cells]
        measured = [field._replace(interval="") if brief else field for field in row.measured]
        quoted = [Field(text, quoted=True) for text in paper]
        lines.append([Field(row.label), *measured, *(quoted if beside else [])])
        if not beside and row.has_paper:
            lines.append([Field(f"paper{difference}", quoted=True), *quoted])
        if row.has_literature:
            texts = [Field(text, quoted=True) for text in row.literature]
            texts += [Field("", quoted=True)] if beside else []
            lines.append([Field("published elsewhere", quoted=True), *texts])
    return lines


def row_heading(result: Result) -> str:
    """Return the heading of the column with the labels of the rows."""
    if result.profile is None:
        return "Setting"
    # Here too: a tabular that is taken into a text has no title.
    return "Method (rehearsal)" if result.title.startswith(REHEARSAL) else "Method"


def _ranks(result: Result) -> dict[tuple[str, str], int]:
    """(row, column key) -> 0 for the best measured cell of a column and 1 for the second.

    Cells that print alike share a rank. A column with fewer than two measured cells has none, and
    rows beside the paper's take none. Rows about several datasets are ranked dataset by dataset.
    """
    ranks = {}
    for column, labels in itertools.product(result.columns, result.rivals()):
        cells = [result.cell(label, column.key) for label in labels]
        measured = {
            cell.row: float(column.format(cell.value)) for cell in cells if cell.value is not None
        }
        if column.better is None or len(measured) < 2:
            continue
        leading = sorted(set(measured.values()), reverse=column.better == "higher")[:2]
        for label, value in measured.items():
            if value in leading:
                ranks[label, column.key] = leading.index(value)
    return ranks


def reasons(cells: Iterable[Cell]) -> dict[str, str]:
    """Return reason -> letter of all cells without a value, in their order."""
    return letters_of(cell.reason for cell in cells if cell.reason is not None)


def letters_of(texts: Iterable[str]) -> dict[str, str]:
    """Return text -> a, b, ... z, aa, ab, ..., each text once."""
    return {text: _letter(number) for number, text in enumerate(dict.fromkeys(texts))}


def _letter(number: int) -> str:
    before, last = divmod(number, 26)
    return (_letter(before - 1) if before else "") + chr(ord("a") + last)


def _measured(column: Column, cell: Cell, letters: dict[str, str], rank: int | None) -> Field:
    """Return a value with its interval or spread, or the letter of the reason without one."""
    if cell.value is None:
        word = "n/a" if cell.status == "not_applicable" else cell.status
        return Field(f"{word} ({letters[cell.reason or '']})")
    interval = ""
    if cell.interval is not None:
        low, high = map(column.format, cell.interval)
        interval = f" [{low}, {high}]"
    spread = f" {TIE}" if cell.tied else ""
    spread += "" if cell.std is None else f" ± {column.format(cell.std)}"
    return Field(column.format(cell.value), spread, interval, rank)


def _paper(column: Column, cell: Cell) -> str:
    """Return the paper's number as printed and, where both are there, measured minus printed."""
    if cell.paper is None:
        return NO_NUMBER
    if cell.value is None:
        return str(cell.paper_printed)
    digits = "+g" if column.decimals is None else f"+.{column.decimals}f"
    return f"{cell.paper_printed} ({cell.value - cell.paper:{digits}})"


def signed(column: Column, value: float) -> str:
    """Return a difference with its sign; a zero has none."""
    text = column.format(value)
    if float(text) == 0:
        return text.removeprefix("-")
    return text if value < 0 else f"+{text}"


def facts(result: Result) -> list[tuple[str, str]]:
    """Return what a reader must know of the numbers: (name, text); none of a computed table."""
    if result.profile is None:
        return []
    counts = sorted({cell.n for cell in result.cells if cell.n})
    seeds = result.provenance.seeds
    spread = ("Intervals", _interval_text(result))
    if len(seeds) > 1:
        text = f"mean ± standard deviation over {len(seeds)} trainings that differ in their seed"
        spread = ("Spread", text)
    return [
        ("Profile", result.profile),
        ("Data", result.data or ""),
        ("Body", result.body or ""),
        ("n", f"{' or '.join(map(str, counts))} test clips" if counts else "nothing measured"),
        (
            "Training",
            f"{result.training}, seed{'s' * (len(seeds) != 1)} {', '.join(map(str, seeds))}",
        ),
        *((f"Protocol ({name})", text) for name, text in result.protocol.items()),
        spread,
        *([("Ties", _TIES)] if any(cell.tied for cell in result.cells) else []),
        *([("Published elsewhere", result.source)] if result.source else []),
    ]


_TIES = (
    f"{TIE} after a best value: a paired test at 95 % (over groups of clips; over trainings where "
    "there are several) does not part it from the next"
)


def _interval_text(result: Result) -> str:
    """Return how the intervals of the cells are made, and over how many groups."""
    from benchmark.results.statistics import interval_method  # needs scipy, which `audit` does not

    kinds: dict[str, list[int]] = {}
    for cell in result.cells:
        if cell.interval is not None and cell.groups is not None:
            kinds.setdefault(interval_method(cell.groups), []).append(cell.groups)
    words = []
    if "t" in kinds:
        words.append(f"Student's t over the means of {_range(kinds['t'])} groups")
    if "bootstrap" in kinds:
        words.append(f"bootstrap over {_range(kinds['bootstrap'])} groups")
    if not words and any(cell.interval for cell in result.cells):
        return "95 %, over groups (clips of one take, actor or source video)"
    if not words:
        return "none: fewer than two groups of clips (of one take, actor or source video)"
    return f"95 %, {' or '.join(words)} (clips of one take, actor or source video)"


def _range(numbers: Sequence[int]) -> str:
    least, most = min(numbers), max(numbers)
    return str(least) if least == most else f"{least} to {most}"


def footnotes(result: Result) -> list[tuple[str, str]]:
    """Return the letters with their reasons, then the facts: (name, text)."""
    lettered = [(f"({letter})", reason) for reason, letter in reasons(result.cells).items()]
    return [*lettered, *facts(result)]
