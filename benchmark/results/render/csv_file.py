"""A result as tidy CSV: one line a cell.

The file is UTF-8. Only where a text is not plain ASCII does it begin with a byte order mark,
without which Excel reads such texts wrongly: pandas skips the mark, while Python's csv module takes
it for part of the first name unless the file is opened as ``utf-8-sig``.
"""

import csv
import dataclasses
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmark.results.schema import Cell, Result
from datasets.tools.files import write_text

_NUMBER = re.compile(r"[+-]?\d[\d.,]*(e[+-]?\d+)?[ %M]*|-")
_FORMULA = tuple("=+-@\t")  # begins what spreadsheets compute


def render(result: Result, path: Path) -> None:
    """Write the CSV file."""
    names = [field.name for field in dataclasses.fields(Cell)]
    units = {column.key: column.unit for column in result.columns}
    where = (result.table, result.profile, result.data, result.body)
    lines = (
        [*where, units[cell.column], *(getattr(cell, name) for name in names)]
        for cell in result.cells
    )
    text = to_csv(["table", "profile", "data", "body", "unit", *names], lines)
    write_text(path, text if text.isascii() else f"\ufeff{text}")


def to_csv(heading: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    """Return CSV whose texts no spreadsheet takes for a formula: an apostrophe stands before such.

    Args:
        heading: names of the columns.
        lines: texts, numbers and None.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heading)
    writer.writerows([_literal(value) for value in line] for line in lines)
    return text.getvalue()


def _literal(value: object) -> object:
    if not isinstance(value, str) or not value.startswith(_FORMULA):
        return value
    return value if _NUMBER.fullmatch(value) else f"'{value}"
