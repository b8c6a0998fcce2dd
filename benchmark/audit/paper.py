"""All numbers of the paper, exactly as printed."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from benchmark import discover
from benchmark.audit import blocks
from benchmark.spec import Column

TABLES = tuple(f"table{number}" for number in range(1, 12))

Cells = Mapping[str, Decimal | None]
"""Column key -> number of one row; None where the paper prints ``-``."""


@dataclass(frozen=True)
class Paper:
    """The printed numbers of `TABLES`, and of the blocks ``text``, ``cosmos`` and ``gvhmr``.

    Attributes:
        columns: table -> its columns.
        rows: table -> row label -> cells.
    """

    columns: Mapping[str, tuple[Column, ...]]
    rows: Mapping[str, Mapping[str, Cells]]

    @classmethod
    def load(cls) -> "Paper":
        """The numbers of the table files and, where a table has no file yet, of its block."""
        files = discover.summaries("tables")
        named = {block.id: block for block in blocks.TABLES}
        specs = [discover.load("tables", name) if name in files else named[name] for name in TABLES]
        specs += [blocks.TEXT, blocks.COSMOS, blocks.GVHMR]
        rows = {
            spec.id: {
                label: {key: quoted and quoted.exact for key, quoted in cells.items()}
                for label, cells in spec.quoted().items()
            }
            for spec in specs
        }
        return cls({spec.id: spec.columns for spec in specs}, rows)

    def values(self, table: str, row: str, *keys: str) -> list[Decimal]:
        """Printed numbers of one row."""
        return [self.rows[table][row][key] for key in keys]

    def value(self, table: str, row: str, key: str = "value") -> Decimal:
        """One printed number."""
        return self.rows[table][row][key]
