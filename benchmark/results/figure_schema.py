"""The JSON file of a figure as typed records."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from benchmark.results.origin import Provenance
from benchmark.results.schema import ResultFile, require_distinct
from datasets.tools.typed_json import Record


@dataclass(frozen=True, kw_only=True)
class FigureRow(Record):
    """A system of a figure.

    Attributes:
        label: as printed.
        task: what it does, one of `benchmark.api.table.TASKS`.
        status: ``measured`` (it is drawn) or ``unavailable``.
        reason: why it is not drawn; None where it is.
        run_id: the prediction that is drawn.
    """

    label: str
    task: str
    status: Literal["measured", "unavailable"]
    reason: str | None = None
    run_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class FigureResult(ResultFile):
    """A figure as drawn.

    Attributes:
        schema_version: of this layout.
        figure: name of the figure, such as ``figure7``.
        title: its caption, shortened.
        profile: the size of everything.
        data: the clips, in words.
        body: name and hash of the body model.
        status: ``drawn``, ``unavailable`` (nothing to draw) or ``failed``.
        reason: why there is no picture; None where there is one.
        caption: how to read the picture.
        clips: ids of the clips in it.
        rows: the systems asked for.
        values: the numbers in the picture.
        notes: what a reader must know.
        drawn_from: hash of all that the picture depends on.
        provenance: when, where and with what it was made.
    """

    SCHEMA_VERSION: ClassVar[int] = 1

    schema_version: int = 1
    figure: str
    title: str
    profile: str
    data: str
    body: str
    status: Literal["drawn", "unavailable", "failed"]
    reason: str | None
    caption: str = ""
    clips: tuple[str, ...] = ()
    rows: tuple[FigureRow, ...]
    values: Mapping[str, Any]
    notes: tuple[str, ...]
    drawn_from: str
    provenance: Provenance

    def check(self) -> None:
        """Refuse a name that is no figure's, and doubled rows; raises ValueError."""
        if not re.fullmatch(r"\w+", self.figure, re.ASCII):
            raise ValueError(f"{self.figure!r} is no name of a figure")
        require_distinct("row", ((row.label, row.task) for row in self.rows))
        _ = self.provenance.run_facts
