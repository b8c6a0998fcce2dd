"""The JSON files of results as typed records: a table's `Result`, and what every file has.

`from_json` refuses what a result cannot say: a value that is no finite number or lies outside its
interval, a cell that is doubled, missing, or of an unknown row or column.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from benchmark.api.table import Column, Quoted, Trend
from benchmark.results.origin import Provenance
from datasets.tools.files import OWN_SHA256, fits_own_sha256, with_own_sha256, write_json
from datasets.tools.typed_json import Record, decode

SCHEMA_VERSION = 4  # of a table's result
_ROUNDING = 1e-9  # relative, of a mean and its interval that are added up in other orders


@dataclass(frozen=True, kw_only=True)
class Cell(Record):
    """One row in one column.

    Attributes:
        row: label of the row.
        column: key of the column.
        value: the measured value; None where it is not measured.
        n: number of clips behind the value.
        groups: number of independent groups of clips (takes, actors, source videos) among them.
        low: lower end of the 95 % interval over groups of clips, see
            `benchmark.results.statistics.interval_method`.
        high: upper end of it.
        std: standard deviation over trainings with several seeds (over n - 1).
        status: ``measured``, ``unavailable`` (not here), ``failed`` or ``not_applicable``
            (nowhere).
        reason: why there is no value; None where there is one.
        paper: the paper's number; None where it prints none.
        paper_printed: the same as printed.
        literature: the number that the system's own authors publish.
        literature_printed: the same as printed.
        tied: True for the best cell of its column where a paired test does not part it from the
            next; None where no test was made.
        run_id: the run, or the runs of several seeds, that the value is from.
    """

    row: str
    column: str
    value: float | None = None
    n: int | None = None
    groups: int | None = None
    low: float | None = None
    high: float | None = None
    std: float | None = None
    status: Literal["measured", "unavailable", "failed", "not_applicable"]
    reason: str | None = None
    paper: float | None = None
    paper_printed: str | None = None
    literature: float | None = None
    literature_printed: str | None = None
    tied: bool | None = None
    run_id: str | None = None

    @property
    def measured_value(self) -> float:
        """The value of a measured cell."""
        assert self.value is not None
        return self.value

    @property
    def interval(self) -> tuple[float, float] | None:
        """Lower and upper end of the interval, or None without one."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    def check(self) -> None:
        """Refuse a cell whose parts contradict each other.

        Raises:
            ValueError: the message names the cell and the contradiction.
        """
        measured, outside = self.status == "measured", False
        if self.interval is not None:
            low, high = self.interval
            slack = _ROUNDING * max(abs(low), abs(high))
            outside = self.value is None or not low - slack <= self.value <= high + slack
        quotes = ((self.paper, self.paper_printed), (self.literature, self.literature_printed))
        faults = {
            f"is {self.status}, but its value is {self.value}": measured == (self.value is None),
            f"is {self.status}, but its reason is {self.reason!r}": measured
            != (self.reason is None),
            "has one end of an interval without the other": (self.low is None)
            != (self.high is None),
            f"has {self.value} outside its interval {list(self.interval or ())}": outside,
            f"has n = {self.n} and the standard deviation {self.std}": (self.std or 0) < 0
            or (self.n is not None and self.n < 1),
            **{
                f"quotes {value} for what is printed as {printed!r}": not _fits(value, printed)
                for value, printed in quotes
            },
        }
        for fault, found in faults.items():
            if found:
                raise ValueError(f"the cell ({self.row!r}, {self.column!r}) {fault}")


def _fits(value: float | None, printed: str | None) -> bool:
    """Return True if a number is the one that is printed, or there is neither."""
    if value is None or printed is None:
        return value is printed
    try:
        return float(Quoted(printed=printed, value=value).exact) == value
    except ArithmeticError:  # no number is printed
        return False


@dataclass(frozen=True, kw_only=True)
class ResultRow(Record):
    """A row of a result.

    Attributes:
        label: as printed; no other row has it.
        params: of its method.
        dataset: the dataset that it is about; empty for a row of whatever the table is run on.
        beside: True for a row that stands beside the paper's for scale and takes no rank.
    """

    label: str
    params: Mapping[str, Any]
    dataset: str
    beside: bool


class ResultFile(Record):
    """A record that is a whole file, with the version of its schema."""

    SCHEMA_VERSION: ClassVar[int]
    EARLIER: ClassVar[tuple[int, ...]] = ()  # versions that are read too: they only lack parts

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Return the record of a JSON object whose parts fit each other.

        Raises:
            ValueError: another schema, or a part that does not fit; the message names it.
        """
        parts = dict(value) if isinstance(value, dict) else {}
        if not fits_own_sha256(parts):
            raise ValueError("is damaged or was edited: its own_sha256 is that of others")
        parts.pop(OWN_SHA256, None)
        version = parts.get("schema_version")
        if version not in (cls.SCHEMA_VERSION, *cls.EARLIER):
            raise ValueError(
                f"is of the schema version {version}, and this program reads {cls.SCHEMA_VERSION}"
            )
        found = decode(cls, parts | {"schema_version": cls.SCHEMA_VERSION})
        found.check()
        return found

    def write(self, path: Path) -> None:
        """Write the file, with the sha256 of its own; raises OSError."""
        write_json(path, with_own_sha256(self.to_json()))

    def check(self) -> None:
        """Refuse parts that do not fit each other; raises ValueError."""


@dataclass(frozen=True, kw_only=True)
class Result(ResultFile):
    """A table as measured.

    Attributes:
        schema_version: of this layout.
        table: name of the table, such as ``table5``.
        title: its caption, shortened.
        profile: the size of everything; None for a table that is computed, as are the next three.
        data: the clips, in words.
        body: name and hash of the body model.
        training: the trainings, in words.
        protocol: metric -> how its values are made.
        figure: how the picture is laid out; None for a dot a row.
        columns: in the printed order.
        rows: in the printed order, then those beside the paper's.
        cells: one for each row and column, row by row.
        notes: what a reader must know.
        source: where the numbers of the literature are from; empty without any.
        provenance: when, where and with what it was made.
    """

    SCHEMA_VERSION: ClassVar[int] = SCHEMA_VERSION
    EARLIER: ClassVar[tuple[int, ...]] = (3,)  # without `Cell.groups` and `Cell.tied`

    schema_version: int = SCHEMA_VERSION
    table: str
    title: str
    profile: str | None = None
    data: str | None = None
    body: str | None = None
    training: str | None = None
    protocol: Mapping[str, str]
    figure: Trend | None
    columns: tuple[Column, ...]
    rows: tuple[ResultRow, ...]
    cells: tuple[Cell, ...]
    notes: tuple[str, ...]
    source: str = ""
    provenance: Provenance

    def cell(self, row: str, column: str) -> Cell:
        """Return the cell of a row's label and a column's key."""
        return self._cells[row, column]

    def cells_of(self, row: ResultRow) -> list[Cell]:
        """Return the cells of a row, in the order of the columns."""
        return [self._cells[row.label, column.key] for column in self.columns]

    def rivals(self) -> list[list[str]]:
        """Return the labels of the paper's rows that are ranked together: dataset by dataset."""
        found: dict[str, list[str]] = {}
        for row in self.rows:
            if not row.beside:
                found.setdefault(row.dataset, []).append(row.label)
        return list(found.values())

    @cached_property
    def _cells(self) -> dict[tuple[str, str], Cell]:
        return {(cell.row, cell.column): cell for cell in self.cells}

    def check(self) -> None:
        """Refuse rows, columns and cells that do not fit each other.

        Raises:
            ValueError: the message names what does not fit.
        """
        if not re.fullmatch(r"\w+", self.table, re.ASCII):
            raise ValueError(f"{self.table!r} is no name of a table")
        labels, keys = [row.label for row in self.rows], [column.key for column in self.columns]
        require_distinct("row", labels)
        require_distinct("column", keys)
        require_distinct("cell", ((cell.row, cell.column) for cell in self.cells))
        wanted = [(label, key) for label in labels for key in keys]
        for place in self._cells.keys() - set(wanted):
            raise ValueError(f"the cell {place} is of an unknown row or column")
        for place in wanted:
            if place not in self._cells:
                raise ValueError(f"the cell {place} is missing")
        for cell in self.cells:
            cell.check()
        _ = self.provenance.run_facts


def require_distinct(what: str, names: Iterable[object]) -> None:
    """Refuse names that stand several times; raises ValueError."""
    for name, number in Counter(names).items():
        if number > 1:
            raise ValueError(f"the {what} {name!r} stands {number} times")
