"""Tables of the paper: columns, rows and printed numbers.

This module imports the standard library alone, so that ``--help``, ``list`` and ``show`` answer at
once. A table file may import it, `benchmark.tables.shared` and the configurations of the models.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Literal

TASKS = {
    "tokenizer": "motion -> tokens -> motion",
    "v2m": "video -> motion",
    "i2vm": "first picture -> video and motion",
}

PAPER = "paper"  # the opponent of a comparison that is no checkpoint

# Task -> the table that compares checkpoints of it, whose columns a comparison has.
TABLE_OF_TASK = {"tokenizer": "table1", "v2m": "table3", "i2vm": "table2"}


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        key: name in JSON and CSV, and what a metric calls its values.
        label: the paper's heading.
        unit: of the measured value; the paper leaves some units out.
        better: ``lower``, ``higher``, or None where neither is better.
        decimals: digits printed; None prints the value as it is.
    """

    key: str
    label: str
    _: KW_ONLY
    unit: str = ""
    better: Literal["lower", "higher"] | None = None
    decimals: int | None = None

    @property
    def heading(self) -> str:
        """The label with the paper's arrow and the unit, e.g. ``MPJPE ↓ (mm)``."""
        arrow = {"lower": " ↓", "higher": " ↑", None: ""}[self.better]
        return f"{self.label}{arrow}" + (f" ({self.unit})" if self.unit else "")

    def format(self, value: float) -> str:
        """Return the value as text, without the unit."""
        return f"{value:.{self.decimals}f}" if self.decimals is not None else f"{value:g}"


@dataclass(frozen=True)
class Row:
    """A row of a table: the paper's label, the method that fills it, and its parameters.

    Attributes:
        label: as printed.
        method: name of the method.
        params: of the method.
        weights: a trained checkpoint of the user's to evaluate; None trains one.
        enhanced: True to enhance the generated videos with SeedVR before they are measured.
        start: a trained checkpoint of the user's that the row's training starts from.
        dataset: the dataset that the row is about, whose prepared store it needs; empty for a row
            of whatever data the table is run on.
    """

    label: str
    method: str = ""
    params: Mapping[str, object] = field(default_factory=dict)
    _: KW_ONLY
    weights: Path | None = None
    start: Path | None = None
    enhanced: bool = False
    dataset: str = ""


@dataclass(frozen=True, kw_only=True)
class Quoted:
    """A number as the paper prints it, and its value."""

    printed: str
    value: float

    @property
    def exact(self) -> Decimal:
        """The value with every digit printed: that of ``10.7010`` has four decimals."""
        return Decimal(_digits(self.printed))


@dataclass(frozen=True, kw_only=True)
class Trend:
    """A figure over a parameter of the rows: `x` on the axis, one marker for each `series`."""

    x: str
    series: str
    x_label: str
    series_label: str


@dataclass(frozen=True, kw_only=True)
class TableSpec:
    """One table of the paper.

    Attributes:
        id: file name of the module, e.g. ``table5``.
        title: the caption, shortened.
        columns: in the printed order.
        rows: in the printed order.
        paper: the numbers laid out as printed: a heading line, then one line a row, fields
            separated by two or more spaces, ``-`` where the paper has no number.
        task: what its methods do, one of `TASKS`.
        notes: misprints and ambiguities of the printed table, and what we do about them.
        more_columns: measured beside the paper's columns, which it has no numbers for.
        more_rows: systems measured beside the paper's, for scale: floors, stand-ins. They take no
            part in what is best.
        literature: numbers that the systems' own authors publish, as a block like `paper` of some
            of its rows.
        source: where `literature` is from.
        figure: how the figure is laid out; None draws a dot for each row.
        compute: for a table that is not measured on data: row label -> column key -> value, or
            raises `Unavailable`. None for a table whose rows are methods.

    Raises:
        ValueError: the block does not fit the rows and columns.
    """

    id: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    paper: str
    task: str = "tokenizer"
    notes: tuple[str, ...] = ()
    more_columns: tuple[Column, ...] = ()
    more_rows: tuple[Row, ...] = ()
    literature: str = ""
    source: str = ""
    figure: Trend | None = None
    compute: Callable[[], dict[str, dict[str, float]]] | None = None

    def __post_init__(self):
        # A block that does not parse is found at import, not in a report.
        if list(self.quoted()) != [row.label for row in self.rows]:
            raise ValueError(f"{self.id}: the block's rows differ from the table's")
        if not set(self.published()) <= set(self.quoted()):
            raise ValueError(f"{self.id}: the literature has rows that the table has not")

    def quoted(self) -> dict[str, dict[str, Quoted | None]]:
        """Return the paper's numbers by row label and column key; None where it prints ``-``."""
        return self._parse(self.paper)

    def published(self) -> dict[str, dict[str, Quoted | None]]:
        """Return the literature's numbers, likewise; empty without any."""
        return self._parse(self.literature) if self.literature else {}

    def _parse(self, block: str) -> dict[str, dict[str, Quoted | None]]:
        heading, *lines = (re.split(r"\s{2,}", line) for line in block.strip().splitlines())
        if [text.rstrip(" ↓↑") for text in heading[1:]] != [
            column.label for column in self.columns
        ]:
            raise ValueError(f"{self.id}: the heading {heading} does not match the columns")
        if any(len(line) != len(heading) for line in lines):
            raise ValueError(f"{self.id}: a line of the block has too few or too many fields")
        keys = [column.key for column in self.columns]
        return {
            line[0]: {key: _quote(text) for key, text in zip(keys, line[1:], strict=True)}
            for line in lines
        }


def _quote(printed: str) -> Quoted | None:
    return None if printed == "-" else Quoted(printed=printed, value=float(_digits(printed)))


def _digits(printed: str) -> str:
    """Return a printed number without its unit."""
    return printed.rstrip(" M%")
