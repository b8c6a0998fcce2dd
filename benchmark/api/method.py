"""Methods: the systems that do a task."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from benchmark.api.profile import Profile

if TYPE_CHECKING:
    from benchmark.api.clips import Data
from benchmark.api.clips import Clips, Prediction

Progress = Callable[[str, int, int], None]
"""Called as ``progress(what, done, total)``; an implementation may ignore calls."""


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
