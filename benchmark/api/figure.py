"""Specifications of figures, what they are drawn from, and drawn pictures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.api.clips import Clips, Prediction
from benchmark.api.errors import Unavailable
from benchmark.api.table import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from benchmark.api.clips import Data


@dataclass(frozen=True, kw_only=True)
class SystemOutput:
    """The output of a system on the test clips.

    Attributes:
        label: of its row.
        task: what it does, one of `benchmark.api.table.TASKS`.
        data: the clips.
        training: folder of its training; None for weights given by the user.
        weights: its weights file.
        read_prediction: reads its prediction of all test clips, without videos.
        videos: files of the videos that it generated, one for each test clip.
        device: ``cpu`` or ``cuda``.
        seed: of its sampling.
    """

    label: str
    task: str
    data: "Data"
    training: Path | None
    weights: Path
    read_prediction: Callable[[], Prediction]
    videos: Sequence[Path]
    device: str
    seed: int

    @property
    def test_ids(self) -> Sequence[str]:
        """The test clips."""
        return self.data.test_ids

    @cached_property
    def clips(self) -> Clips:
        """The test clips with their true motion."""
        return self.data.clips(self.data.test_ids)

    @cached_property
    def prediction(self) -> Prediction:
        """The prediction of all test clips, without videos.

        Raises:
            Unavailable: it is damaged.
        """
        try:
            return self.read_prediction()
        except ValueError as error:
            raise Unavailable(f"{error}: run the same command with --always") from error

    @property
    def is_smpl(self) -> bool:
        """True if its motion is SMPL's, which cannot be drawn on SMPL-X's body."""
        from datasets.motion import NUM_SMPL_CHANNELS

        channels = self.prediction.channels
        return channels is not None and channels.shape[-1] == NUM_SMPL_CHANNELS


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure as drawn.

    Attributes:
        figure: of matplotlib.
        caption: how to read it, and which clips it shows and why these.
        clips: ids of the clips that it shows.
        values: the numbers in it, as JSON values.
    """

    figure: "Figure"
    caption: str
    clips: Sequence[str] = ()
    values: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class FigureSpec:
    """One figure of the paper that shows what systems do.

    Attributes:
        id: file name of the module, e.g. ``figure7``.
        title: the caption, shortened.
        rows: task, one of `TASKS` -> the systems shown; equal to rows of tables where the same is
            meant, so that both share their runs. No label stands twice.
        draw: makes the picture of those that are there.
        notes: facts that a reader needs.
        takes_checkpoint: True if a user's checkpoint may stand beside the rows.
    """

    id: str
    title: str
    rows: Mapping[str, tuple[Row, ...]]
    draw: "Callable[[Sequence[SystemOutput]], Picture]"
    notes: tuple[str, ...] = ()
    takes_checkpoint: bool = True
