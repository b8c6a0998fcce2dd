"""All numbers of the paper, exactly as printed."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from benchmark import discover
from benchmark.api.table import Column, Quoted

TABLES = tuple(f"table{number}" for number in range(1, 12))
# The paper's running text (sections 3.1 and 3.2, equation 1, appendix A).
_TEXT = {
    "frames of a clip": "65",
    "seconds of a clip": "3",
    "pixels of a side": "512",
    "frames to a latent": "8",
    "pixels to a latent": "16",
    "tokens of a frame": "36",
    "special tokens of a sequence": "2",
    "length of a code": "512",
    "parameters that expansion adds, millions": "30",
    "parameters of Cosmos-AR-4B, billions": "4",
    "learning rate of the AR model": "1e-4",
}
# Configuration "4b" of cosmos-predict1, the source of table 4's backbone.
_COSMOS = {
    "Number of Transformer Layers": "16",
    "Model Dimension": "4096",
    "Vocabulary Size": "64000",
    "FFN Hidden Dimension": "14336",
    "Number of Attention Heads": "32",
    "Number of Key / Value Heads": "8",
}

Cells = Mapping[str, Decimal | None]
"""Column key -> number of one row; None where the paper prints ``-``."""


@dataclass(frozen=True)
class Paper:
    """The printed numbers of `TABLES`, of the running ``text`` and of ``cosmos``.

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
        """Return the numbers of the table files, of the text and of Cosmos."""
        specs = {name: discover.load("tables", name) for name in TABLES}
        others = {
            name: {label: {"value": Decimal(number)} for label, number in numbers.items()}
            for name, numbers in (("text", _TEXT), ("cosmos", _COSMOS))
        }
        return cls(
            {name: spec.columns for name, spec in specs.items()},
            {name: _exact(spec.quoted()) for name, spec in specs.items()} | others,
            {name: _exact(spec.published()) for name, spec in specs.items()},
        )

    def values(self, table: str, row: str, *keys: str) -> list[Decimal]:
        """Return printed numbers of one row."""
        return [self.rows[table][row][key] for key in keys]

    def value(self, table: str, row: str, key: str = "value") -> Decimal:
        """Return one printed number."""
        return self.rows[table][row][key]

    def pose_rows(self) -> dict[str, Cells]:
        """Return place -> cells of every row with motion errors."""
        return {
            f"table {table[5:]} {label}": row
            for table in TABLES
            for label, row in self.rows[table].items()
            if row.get("mpjpe") is not None
        }


def _exact(quoted: Mapping[str, Mapping[str, Quoted | None]]) -> dict[str, dict]:
    return {
        label: {key: number and number.exact for key, number in cells.items()}
        for label, cells in quoted.items()
    }
