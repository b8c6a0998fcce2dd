"""What a figure is drawn from, and what drawing it gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.contracts import Clips, Prediction
from benchmark.spec import Unavailable
from datasets.motion import NUM_SMPL_CHANNELS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from benchmark.data import Data


@dataclass(frozen=True)
class Drawn:
    """A system whose predictions are there.

    Attributes:
        label: of its row.
        task: what it does, one of `benchmark.spec.TASKS`.
        data: the clips.
        training: folder of its training; None for weights given by the user.
        weights: its weights file.
        predicted: folder of its predictions.
        device: ``cpu`` or ``cuda``.
        seed: of its sampling.
    """

    label: str
    task: str
    data: "Data"
    training: Path | None
    weights: Path
    predicted: Path
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
        """Of all test clips, without videos.

        Raises:
            Unavailable: it is damaged.
        """
        from benchmark import parts

        try:
            return parts.read_predictions(self.predicted, self.test_ids)
        except ValueError as error:
            raise Unavailable(f"{error}: run the same command with --always") from error

    @property
    def is_smpl(self) -> bool:
        """Whether its motion is SMPL's, which is not drawn on SMPL-X's body."""
        channels = self.prediction.channels
        return channels is not None and channels.shape[-1] == NUM_SMPL_CHANNELS

    def video(self, row: int) -> Path:
        """The video that it generated for a test clip."""
        from benchmark import parts

        return parts.videos(self.predicted, row + 1)[row]


@dataclass(frozen=True)
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
