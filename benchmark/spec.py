"""The types the harness is built from: what a table, a method, a metric and a profile are.

Nothing here imports more than the standard library, so that ``--help``, ``list`` and ``show``
answer at once; nor does a table file, which may import this module, `benchmark.columns` and the
configurations of the models.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np

    from datasets.body import BodyModel
    from model.tokenizer import TokenizerConfig
    from model.tokenizer.solami_config import SolamiConfig
    from model.training import TrainingConfig


class UserError(Exception):
    """A mistake of the user, told in one line: what, why, how to fix it."""


class Unavailable(Exception):
    """A value that cannot be had here; the message is the reason the report prints."""


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
    unit: str = ""
    better: Literal["lower", "higher"] | None = None
    decimals: int | None = None

    @property
    def heading(self) -> str:
        """The label with the paper's arrow and the unit, e.g. ``MPJPE ↓ (mm)``."""
        arrow = {"lower": " ↓", "higher": " ↑", None: ""}[self.better]
        return f"{self.label}{arrow}" + (f" ({self.unit})" if self.unit else "")

    def format(self, value: float) -> str:
        """The value as text, without the unit."""
        return f"{value:.{self.decimals}f}" if self.decimals is not None else f"{value:g}"


@dataclass(frozen=True)
class Row:
    """A row of a table: the paper's label, the method that fills it, and its parameters.

    `weights` is a trained checkpoint of the user's to evaluate; None trains one.
    """

    label: str
    method: str = ""
    params: Mapping[str, object] = field(default_factory=dict)
    weights: Path | None = None


@dataclass(frozen=True)
class Quoted:
    """A number as the paper prints it, and its value."""

    printed: str
    value: float

    @property
    def exact(self) -> Decimal:
        """The value with every digit printed: that of ``10.7010`` has four decimals."""
        return Decimal(_digits(self.printed))


@dataclass(frozen=True)
class Trend:
    """A figure over a parameter of the rows: `x` on the axis, one marker for each `series`."""

    x: str
    series: str
    x_label: str
    series_label: str


@dataclass(frozen=True)
class TableSpec:
    """One table of the paper.

    Attributes:
        id: file name of the module, e.g. ``table5``.
        title: the caption, shortened.
        columns: in the printed order.
        rows: in the printed order.
        paper: the numbers laid out as printed: a heading line, then one line a row, fields
            separated by two or more spaces, ``-`` where the paper has no number.
        notes: misprints and ambiguities of the printed table, and what we do about them.
        floor: a trivial method whose numbers are told in a note, for scale; no row of the table.
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
    notes: tuple[str, ...] = ()
    floor: Row | None = None
    figure: Trend | None = None
    compute: Callable[[], dict[str, dict[str, float]]] | None = None

    def __post_init__(self):
        self.quoted()  # a block that does not parse is found at import, not in a report

    def quoted(self) -> dict[str, dict[str, Quoted | None]]:
        """The paper's numbers by row label and column key; None where it prints ``-``."""
        heading, *lines = (re.split(r"\s{2,}", line) for line in self.paper.strip().splitlines())
        if [text.rstrip(" ↓↑") for text in heading[1:]] != [
            column.label for column in self.columns
        ]:
            raise ValueError(f"{self.id}: the heading {heading} does not match the columns")
        if [line[0] for line in lines] != [row.label for row in self.rows]:
            raise ValueError(f"{self.id}: the block's rows differ from the table's")
        if any(len(line) != len(heading) for line in lines):
            raise ValueError(f"{self.id}: a line of the block has too few or too many fields")
        keys = [column.key for column in self.columns]
        return {
            line[0]: {key: _quote(text) for key, text in zip(keys, line[1:], strict=True)}
            for line in lines
        }


def _quote(printed: str) -> Quoted | None:
    return None if printed == "-" else Quoted(printed, float(_digits(printed)))


def _digits(printed: str) -> str:
    """A printed number without its unit."""
    return printed.rstrip(" M%")


@dataclass(frozen=True)
class Profile:
    """A size of the whole benchmark: the built-in data, the models, the budget.

    Attributes:
        name: ``smoke``, ``embedded`` or ``paper``.
        train_sequences: sequences of the built-in training split.
        test_sequences: sequences of the built-in test split.
        tokenizer: ``tokenizer(tokens_per_frame=…, codebook_size=…, rotation=…)`` makes a config of
            this profile's size.
        solami: the baseline at this profile's size.
        training: the same for all rows.
        notes: how its settings differ from the paper's, for the reader of a table.
    """

    name: str
    train_sequences: int
    test_sequences: int
    tokenizer: "Callable[..., TokenizerConfig]"
    solami: "SolamiConfig"
    training: "TrainingConfig"
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Clips:
    """The clips of one split, as a method or a metric sees them.

    Attributes:
        ids: N clip ids.
        channels: (N, T, 79) float32, `datasets.motion.CHANNELS`.
        fps: (N,) frames per second.
    """

    ids: Sequence[str]
    channels: "np.ndarray"
    fps: "np.ndarray"

    def __getitem__(self, piece: slice) -> "Clips":
        return Clips(self.ids[piece], self.channels[piece], self.fps[piece])


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """What a method makes of clips.

    Attributes:
        channels: (N, T, 79) float32, in the order of the clips given.
        tokens: (N, L) integer codes, or None for a method without tokens.
    """

    channels: "np.ndarray"
    tokens: "np.ndarray | None" = None


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a metric is given: true and reconstructed clips on one body.

    Attributes:
        clips: the true clips.
        reconstruction: of the same clips, in the same order.
        codebook_size: number of codes, or None for a method without tokens.
        body: the body that turns channels into joints and vertices.
        seed: of whatever a metric draws at random.
    """

    clips: Clips
    reconstruction: Reconstruction
    codebook_size: int | None
    body: "BodyModel"
    seed: int


class Score(NamedTuple):
    """One stored score: the mean of a column over rows is sum(sum) / sum(count).

    `clip_id` names the clip, or is ``pooled`` for a value that only a set of clips has; `clips`
    is the number of clips behind it.
    """

    clip_id: str
    column: str
    sum: float
    count: float
    clips: int = 1


Progress = Callable[[str, int, int], None]
"""Called as ``progress(what, done, total)``; an implementation may ignore calls."""


class Metric(Protocol):
    """A family of metrics: the module attribute ``METRIC`` of a file in ``metrics/``.

    Attributes:
        version: to be raised when stored scores are no longer what `score` would compute.
        columns: the column keys it fills.
    """

    version: int
    columns: tuple[str, ...]

    def protocol(self, *, body: str, seed: int) -> str:
        """How the numbers are made, in one line; numbers of different protocols never mix."""
        ...

    def score(self, evaluation: Evaluation, *, progress: Progress) -> list[Score]:
        """Scores of every clip, or pooled ones; no rows for a column that does not apply."""
        ...


class Method(Protocol):
    """A system that fills rows: the module attribute ``METHOD`` of a file in ``methods/``.

    Attributes:
        version: to be raised when training or reconstruction changes its results.
        note: what a reader of its row must know, or an empty string.
        checkpoint_class: the class that the sidecars of its weights name; None where a user has
            no checkpoints of it.
        uses_body: whether training and reconstruction depend on the body model.
    """

    version: int
    note: str
    checkpoint_class: str | None
    uses_body: bool

    def settings(self, params: Mapping[str, object], profile: Profile, *, seed: int) -> dict:
        """All that training depends on besides the clips, as JSON values; no heavy import."""
        ...

    def train(
        self, settings: dict, clips: Clips, out: Path, *, device: str, progress: Progress
    ) -> Path:
        """Train in the folder `out`, going on from what a killed run left there.

        Returns:
            The weights file.
        """
        ...

    def facts(self, weights: Path) -> dict[str, float]:
        """Numbers of the trained model: ``codebook_size``, and columns such as ``params_m``."""
        ...

    def reconstruct(self, weights: Path, clips: Clips, *, device: str) -> Reconstruction:
        """Encode and decode the clips."""
        ...
