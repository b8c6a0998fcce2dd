"""A result as tidy CSV: one line a cell."""

import csv
import io
from pathlib import Path

from datasets.tools.files import write_text

_CELL = (
    "row",
    "column",
    "value",
    "n",
    "low",
    "high",
    "std",
    "status",
    "reason",
    "paper",
    "paper_printed",
    "literature",
    "literature_printed",
    "run_id",
)


def render(result: dict, path: Path) -> None:
    """Write the CSV file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["table", "profile", "data", "body", "unit", *_CELL])
    units = {column["key"]: column["unit"] for column in result["columns"]}
    for cell in result["cells"]:
        where = [result[name] for name in ("table", "profile", "data", "body")]
        writer.writerow([*where, units[cell["column"]], *(cell[name] for name in _CELL)])
    write_text(path, text.getvalue())
