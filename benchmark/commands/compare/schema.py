"""The JSON file of a comparison as typed records."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from benchmark.api.table import Column
from benchmark.results.origin import Provenance
from benchmark.results.schema import Cell, ResultFile
from datasets.tools.typed_json import Record

SCHEMA_VERSION = 2


@dataclass(frozen=True, kw_only=True)
class ClipChange(Record):
    """A clip and its difference: value of the first system minus that of the other."""

    clip_id: str
    difference: float


@dataclass(frozen=True, kw_only=True)
class Difference(Record):
    """The first system against another, in one column; None where there is nothing.

    Attributes:
        against: label of the other system, or ``paper``.
        column: key of the column.
        value: of the first system, on the clips that both have.
        against_value: of the other, on the same clips, or the paper's.
        difference: value minus against_value.
        relative: difference over against_value.
        low: lower end of the 95 % paired interval of the difference, over groups of clips.
        high: upper end of it.
        n: number of those clips.
        groups: number of groups of clips, which interval and test take as independent.
        improved: number of clips that the first system is better on.
        worsened: number of clips that it is worse on.
        p: of Wilcoxon's signed-rank test on the groups.
        p_holm: the same, corrected after Holm over all columns and opponents.
        verdict: of the first system, where interval and test agree.
        reason: why something is missing.
        best: the clips that improve most.
        worst: the clips that worsen most.
        run_id: the run that value is from.
        against_run_id: the run that against_value is from.
    """

    against: str
    column: str
    value: float | None
    against_value: float | None
    difference: float | None
    relative: float | None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    groups: int | None = None
    improved: int | None = None
    worsened: int | None = None
    p: float | None = None
    p_holm: float | None = None
    verdict: Literal["better", "worse", "undecided"] | None = None
    reason: str | None = None
    best: tuple[ClipChange, ...] = ()
    worst: tuple[ClipChange, ...] = ()
    run_id: str | None = None
    against_run_id: str | None = None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Lower and upper end of the interval, or None without one."""
        return None if self.low is None or self.high is None else (self.low, self.high)


@dataclass(frozen=True, kw_only=True)
class MeasuredSystem(Record):
    """A checkpoint and what was measured of it.

    Attributes:
        path: of its file.
        method: that it is of.
        weights_sha256: of the weights and all that belongs to them.
        file_sha256: of the file alone.
        facts: numbers of the model, such as its parameters.
        cells: key of a column -> cell.
        runs: stage -> run id and the run's record.
    """

    path: str
    method: str
    weights_sha256: str
    file_sha256: str
    facts: Mapping[str, float]
    cells: Mapping[str, Cell]
    runs: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Training(Record):
    """A training of ``--seeds``.

    Attributes:
        seed: of the training.
        path: of its file.
        weights_sha256: of the weights and all that belongs to them.
        file_sha256: of the file alone.
        runs: stage -> run id.
    """

    seed: int
    path: str
    weights_sha256: str
    file_sha256: str
    runs: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class SeedSpread(Record):
    """A column over several trainings.

    Attributes:
        n: number of trainings.
        mean: of their values; None where a training has no value.
        std: their standard deviation (over n - 1).
        values: in the order of the trainings.
        reason: why a training has no value.
    """

    n: int
    mean: float | None
    std: float | None
    values: tuple[float | None, ...]
    reason: str | None


@dataclass(frozen=True, kw_only=True)
class Comparison(ResultFile):
    """A checkpoint compared with others and the paper.

    Attributes:
        schema_version: of this layout.
        task: what the checkpoints do, one of `benchmark.api.table.TASKS`.
        table: whose columns are compared.
        data: the clips, in words.
        body: name and hash of the body model.
        estimator: what says which motion is in a generated video, or why nothing does; None for
            other tasks.
        protocol: metric -> how its values are made.
        columns: in the order of the table.
        systems: label -> what was measured; the first is compared with the others.
        comparisons: opponent by opponent, column by column.
        trainings: label -> what identifies the training, of ``--seeds``.
        seeds: key of a column -> its spread over the trainings.
        notes: what a reader must know.
        provenance: when, where and with what it was made.
    """

    SCHEMA_VERSION: ClassVar[int] = SCHEMA_VERSION

    schema_version: int = SCHEMA_VERSION
    task: str
    table: str
    data: str
    body: str
    estimator: str | None
    protocol: Mapping[str, str]
    columns: tuple[Column, ...]
    systems: Mapping[str, MeasuredSystem]
    comparisons: tuple[Difference, ...]
    trainings: Mapping[str, Training]
    seeds: Mapping[str, SeedSpread]
    notes: tuple[str, ...]
    provenance: Provenance
