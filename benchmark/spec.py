"""The types the harness is built from: what a table, a method, a metric and a profile are.

Nothing here imports more than the standard library, so that ``--help``, ``list`` and ``show``
answer at once; nor does a table file, which may import this module, `benchmark.columns` and the
configurations of the models.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np

    from benchmark.data import Data
    from benchmark.figures.drawn import Drawn, Picture
    from datasets.body_file import BodyFile
    from model.regressor_config import RegressorConfig
    from model.tokenizer import TokenizerConfig
    from model.tokenizer.solami_config import SolamiConfig
    from model.training import TrainingConfig
    from model.transformer import UniMoConfig
    from model.transformer.training import ARTrainingConfig

TASKS = {
    "tokenizer": "motion -> tokens -> motion",
    "v2m": "video -> motion",
    "i2vm": "first picture -> video and motion",
}


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

    Attributes:
        label: as printed.
        method: name of the method.
        params: of the method.
        weights: a trained checkpoint of the user's to evaluate; None trains one.
        dataset: the dataset that the row is about, whose prepared store it needs; empty for a row
            of whatever data the table is run on.
    """

    label: str
    method: str = ""
    params: Mapping[str, object] = field(default_factory=dict)
    weights: Path | None = None
    dataset: str = ""


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
        """The paper's numbers by row label and column key; None where it prints ``-``."""
        return self._parse(self.paper)

    def published(self) -> dict[str, dict[str, Quoted | None]]:
        """The literature's numbers, likewise; empty without any."""
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


@dataclass(frozen=True)
class FigureSpec:
    """One figure of the paper that shows what systems do.

    Attributes:
        id: file name of the module, e.g. ``figure7``.
        title: the caption, shortened.
        rows: task, one of `TASKS` -> the systems shown; equal to rows of tables where the same is
            meant, so that both share their runs. No label stands twice.
        draw: makes the picture of those that are there.
        notes: what the reader must know of it.
        takes_checkpoint: whether a user's checkpoint may stand beside the rows.
    """

    id: str
    title: str
    rows: Mapping[str, tuple[Row, ...]]
    draw: "Callable[[Sequence[Drawn]], Picture]"
    notes: tuple[str, ...] = ()
    takes_checkpoint: bool = True


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
        train_sequences: sequences of the built-in training split, for tokenizers.
        test_sequences: sequences of the built-in test split.
        train_shots: sequences that the built-in shots for video tasks are cut from, for training.
        test_shots: the same for the test.
        tokenizer: ``tokenizer(tokens_per_frame=…, codebook_size=…, rotation=…)`` makes a config of
            this profile's size.
        solami: the baseline at this profile's size.
        training: of every tokenizer.
        unimo: ``unimo(unified=…)`` makes a transformer of this profile's size.
        unimo_training: ``unimo_training(tasks=…, seed=…)``: of every transformer.
        regressor: the built-in estimator at this profile's size.
        regressor_training: its training.
        codec: ``built-in``, the codec and motion tokenizer that ship with the package, or
            ``cosmos``: Cosmos's video tokenizer, and a motion tokenizer trained here.
        estimator: the method that says what motion is in a generated video.
        notes: how its settings differ from the paper's, by task, for the reader of a table.
    """

    name: str
    train_sequences: int
    test_sequences: int
    train_shots: int
    test_shots: int
    tokenizer: "Callable[..., TokenizerConfig]"
    solami: "SolamiConfig"
    training: "TrainingConfig"
    unimo: "Callable[..., UniMoConfig]"
    unimo_training: "Callable[..., ARTrainingConfig]"
    regressor: "RegressorConfig"
    regressor_training: "TrainingConfig"
    codec: Literal["built-in", "cosmos"]
    estimator: str
    notes: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class Clips:
    """The clips of one split, as a method or a metric sees them.

    Attributes:
        ids: N clip ids.
        channels: (N, T, 79) float32 true motion, `datasets.motion.CHANNELS`.
        fps: (N,) frames per second.
        spaces: frame of reference of each motion, ``camera`` or ``world``.
        genders: the body that each motion's betas belong to, ``neutral``, ``female`` or ``male``.
        store: folder of the clip store that they are from.
        videos: the mp4 of each clip; empty where the task is about motion alone.
        K: (N, T, 3, 3) intrinsics of the videos in pixels, or None without videos.
        K_sources: where each of them is from, see `datasets.estimators.ClipVideo`.
    """

    ids: Sequence[str]
    channels: "np.ndarray"
    fps: "np.ndarray"
    spaces: Sequence[str]
    genders: Sequence[str]
    store: Path
    videos: Sequence[Path] = ()
    K: "np.ndarray | None" = None
    K_sources: Sequence[str] = ()

    def __getitem__(self, piece: "slice | np.ndarray") -> "Clips":
        """Some of the clips: a slice, or indices."""
        rows = range(len(self.ids))[piece] if isinstance(piece, slice) else piece
        return Clips(
            [self.ids[row] for row in rows],
            self.channels[piece],
            self.fps[piece],
            [self.spaces[row] for row in rows],
            [self.genders[row] for row in rows],
            self.store,
            [self.videos[row] for row in rows] if len(self.videos) else (),
            None if self.K is None else self.K[piece],
            [self.K_sources[row] for row in rows] if len(self.K_sources) else (),
        )


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a method makes of N clips.

    Attributes:
        channels: (N, T, 79) float32 SMPL-X motion in the order of the clips given, (N, T, 85) of an
            SMPL motion (the same order with 69 numbers of body pose); None from a system that makes
            videos alone. Rows of clips in `failed` are not looked at.
        tokens: (N, L) integer codes, or None for a method without tokens.
        videos: the N videos (T, H, W, 3) uint8, one after the other, or None.
        failed: clip id -> why there is nothing, of the clips that could not be done.
    """

    channels: "np.ndarray | None"
    tokens: "np.ndarray | None" = None
    videos: "Iterable[np.ndarray] | None" = None
    failed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Setting:
    """What a metric may need to know before there is anything to score.

    Attributes:
        task: one of `TASKS`.
        body: file of the body model of the evaluation.
        seed: of whatever is drawn at random.
        dataset: what all clips are from, such as ``threedpw``; empty for a mixture.
        cache: a folder where it may keep what is costly.
    """

    task: str
    body: "BodyFile"
    seed: int
    dataset: str
    cache: Path

    @property
    def body_id(self) -> str:
        """Name and hash of the body, as protocols quote it."""
        return f"{self.body.name} {self.body.sha256[:12]}"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a metric is given: N clips and what a system made of them.

    Attributes:
        setting: see `Setting`.
        clips: the clips with their true motion.
        motion: the system's motion, as `Prediction.channels`; where it makes videos alone, what the
            estimator sees in them. None where there is neither.
        truth: (N, T, 79) what `motion` should be: the true motion, or, of generated videos, what
            the estimator sees in them. None where there is nothing that it should be.
        tokens: (N, L) integer codes, or None.
        videos: the mp4 files that the system made, in the order of the clips; empty for others.
        codebook_size: number of codes, or None for a method without tokens.
    """

    setting: Setting
    clips: Clips
    motion: "np.ndarray | None"
    truth: "np.ndarray | None"
    tokens: "np.ndarray | None" = None
    videos: Sequence[Path] = ()
    codebook_size: int | None = None


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

    def protocol(self, setting: Setting) -> str:
        """How the numbers are made, in one line; numbers of different protocols never mix."""
        ...

    def missing(self, setting: Setting) -> dict[str, str]:
        """Column -> why it cannot be had here: a file or a tool is not there. Quick."""
        ...

    def score(self, evaluation: Evaluation, *, progress: Progress) -> list[Score]:
        """Scores of every clip, or pooled ones; no rows for a column that does not apply.

        Columns that are `missing` are left out.

        Raises:
            Unavailable: it is not defined on these clips.
        """
        ...

    def absent(self, evaluation: Evaluation) -> dict[str, str]:
        """Column -> why these clips have no value of it, though nothing is missing here."""
        ...

    def notes(self, scores: Sequence[Score]) -> list[str]:
        """What the reader of a row with these scores must know, such as what was left out."""
        ...


class Method(Protocol):
    """A system that does one task.

    The module attribute ``METHOD`` of a file in ``methods/`` has one for each of the `TASKS` that
    the system does, by name.

    Attributes:
        version: to be raised when training or prediction changes its results.
        note: what a reader of its row must know, or an empty string.
        checkpoint_class: the class that the sidecars of its weights name; None where a user has
            no checkpoints of it.
        uses_body: whether training and prediction depend on the body model.
    """

    version: int
    note: str
    checkpoint_class: str | None
    uses_body: bool

    def settings(self, params: Mapping[str, object], profile: Profile, *, seed: int) -> dict:
        """All that training depends on besides the clips, as JSON values; no heavy import.

        Raises:
            Unavailable: it needs a file or a tool that is not here.
        """
        ...

    def train(
        self, settings: dict, data: "Data", out: Path, *, device: str, progress: Progress
    ) -> Path:
        """Train in the folder `out`, going on from what a killed run left there.

        Returns:
            The weights file; of a system with nothing to train, a file that says what it is.
        """
        ...

    def facts(self, weights: Path) -> dict[str, float]:
        """Numbers of the trained model: ``codebook_size``, and columns such as ``params_m``."""
        ...

    def predict(self, weights: Path, clips: Clips, *, device: str, seed: int) -> Prediction:
        """Do the task on some clips.

        What becomes of a clip depends neither on the clips beside it nor on how many there are. Of
        the true motion a method may use only what its task gives it.
        """
        ...
