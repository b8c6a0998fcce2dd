"""What systems and metrics have to offer, and what they are given.

A method makes a prediction of clips; a metric makes scores of an evaluation. Nothing here imports
more than the standard library.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from benchmark.spec import Profile

if TYPE_CHECKING:
    import numpy as np

    from benchmark.data import Data
    from datasets.body_file import BodyFile


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
