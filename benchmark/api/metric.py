"""The base class of metrics, what they are given, and the scores they make.

Nothing here imports more than the standard library.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.api.clips import Clips
from benchmark.api.method import Progress

if TYPE_CHECKING:
    import numpy as np

    from datasets.bodies.smplx_file import BodyFile


@dataclass(frozen=True, kw_only=True)
class MetricContext:
    """The circumstances of an evaluation, known before there is anything to score.

    Attributes:
        task: one of `TASKS`.
        body: file of the body model of the evaluation.
        seed: of random draws.
        dataset: what all clips are from, such as ``threedpw``; empty for a mixture.
        cache: a folder where it may store costly values.
        rates: frames per second -> number of test clips; empty where that is not known.
    """

    task: str
    body: "BodyFile"
    seed: int
    dataset: str
    cache: Path
    rates: Mapping[float, int] = field(default_factory=dict, hash=False)

    @property
    def body_id(self) -> str:
        """Name and hash of the body, as protocols quote it."""
        return f"{self.body.name} {self.body.sha256[:12]}"


@dataclass(frozen=True, eq=False, kw_only=True)
class Evaluation:
    """The input of a metric: N clips and the output of a system on them.

    Attributes:
        context: see `MetricContext`.
        clips: the clips with their true motion.
        motion: the system's motion, as `Prediction.channels`; where it makes videos alone, what the
            estimator sees in them. None where there is neither.
        truth: (N, T, 79) what `motion` should be: the true motion, or, of generated videos, what
            the estimator sees in them. None where there is nothing that it should be.
        tokens: (N, L) integer codes, or None.
        videos: the mp4 files that the system made, in the order of the clips; empty for others.
        codebook_size: number of codes, or None for a method without tokens.
    """

    context: MetricContext
    clips: Clips
    motion: "np.ndarray | None"
    truth: "np.ndarray | None"
    tokens: "np.ndarray | None" = None
    videos: Sequence[Path] = ()
    codebook_size: int | None = None


POOLED = "pooled"  # in place of a clip's id, of a score that only a set of clips has


@dataclass(frozen=True)
class Score:
    """One stored score: the mean of a column over rows is sum(sum) / sum(count).

    Attributes:
        clip_id: of the clip, or `POOLED`.
        column: key of the column.
        sum: of the values, for example over the frames of the clip.
        count: of the values.
        clips: number of clips behind it.
    """

    clip_id: str
    column: str
    _: KW_ONLY
    sum: float
    count: float
    clips: int = 1


class Metric(ABC):
    """A family of metrics: the module attribute ``METRIC`` of a file in ``metrics/``.

    Only `columns`, `protocol` and `score` have no default.

    Attributes:
        version: raise it when stored scores are no longer what `score` would compute.
        files: see `benchmark.api.method.Method`.
    """

    version: int = 1
    files: tuple[str, ...] = ()

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """The keys of the columns it fills; a subclass sets a class attribute."""

    @abstractmethod
    def protocol(self, context: MetricContext) -> str:
        """Say in one line how the numbers are made; numbers of different protocols never mix."""

    def missing(self, context: MetricContext) -> dict[str, str]:
        """Return column -> which file or tool is missing here. It must be quick."""
        return {}

    @abstractmethod
    def score(self, evaluation: Evaluation, *, progress: Progress) -> list[Score]:
        """Score every clip, or all together; no scores for a column that does not apply.

        Columns that are `missing` are left out.

        Raises:
            Unavailable: the metric is not defined on these clips.
        """

    def needs_estimate(self, *, has_motion: bool) -> bool:
        """Return True if scores of generated videos take the motion that the estimator sees.

        Clips in which it sees none are left out of these scores alone.

        Args:
            has_motion: the system makes motion itself.
        """
        return True

    def absent(self, evaluation: Evaluation) -> dict[str, str]:
        """Return column -> why these clips have no value of it, though nothing is missing."""
        return {}

    def notes(self, scores: Sequence[Score]) -> list[str]:
        """Say what the reader of a row with these scores must know, such as what was left out."""
        return []
