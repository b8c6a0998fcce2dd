"""All numbers of the paper, exactly as printed."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from benchmark import discover
from benchmark.api.table import Column, Quoted
from benchmark.commands.audit import blocks

TABLES = tuple(f"table{number}" for number in range(1, 12))

Cells = Mapping[str, Decimal | None]
"""Column key -> number of one row; None where the paper prints ``-``."""


@dataclass(frozen=True)
class Paper:
    """The printed numbers of `TABLES` and of the blocks ``text`` and ``cosmos``.

    Attributes:
        columns: table -> its columns.
        rows: table -> row label -> cells.
        published: table -> row label -> cells that the systems' own authors publish.
    """

    columns: Mapping[str, tuple[Column, ...]]
    rows: Mapping[str, Mapping[str, Cells]]
    published: Mapping[str, Mapping[str, Cells]]

    @classmethod
    def load(cls) -> "Paper":
        """The numbers of the table files and of the blocks beside them."""
        specs = [discover.load("tables", name) for name in TABLES]
        specs += [blocks.TEXT, blocks.COSMOS]
        return cls(
            {spec.id: spec.columns for spec in specs},
            {spec.id: _exact(spec.quoted()) for spec in specs},
            {spec.id: _exact(spec.published()) for spec in specs},
        )

    def values(self, table: str, row: str, *keys: str) -> list[Decimal]:
        """Printed numbers of one row."""
        return [self.rows[table][row][key] for key in keys]

    def value(self, table: str, row: str, key: str = "value") -> Decimal:
        """One printed number."""
        return self.rows[table][row][key]


def _exact(quoted: Mapping[str, Mapping[str, Quoted | None]]) -> dict[str, dict]:
    return {
        label: {key: number and number.exact for key, number in cells.items()}
        for label, cells in quoted.items()
    }
