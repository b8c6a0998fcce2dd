"""The base class of methods: the systems that do a task."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmark.api.clips import Clips, Data, Prediction
from benchmark.api.errors import Unavailable
from benchmark.api.profile import Profile

Progress = Callable[[str, int, int], None]
"""Called as ``progress(what, done, total)``; an implementation may ignore calls."""

_UNTRAINED = "it is not trained here: give its weights with --checkpoint"


class Method(ABC):
    """A system that does one task. Only `predict` has no default.

    The module attribute ``METHOD`` of a file in ``methods/`` is a dictionary: task, one of
    `benchmark.api.table.TASKS` -> the method that does it.

    Attributes:
        version: raise it when training or prediction gives other results than before.
        note: what a reader of its row must know, or an empty string.
        checkpoint_class: the class that the sidecars of its weights name; None if users have no
            checkpoints of it.
        uses_body: True if training or prediction depends on the body model.
        files: further files that the results depend on, as paths from its own. A change of them, of
            its file, or of what that imports from its folder makes its results anew.
    """

    version: int = 1
    note: str = ""
    checkpoint_class: str | None = None
    uses_body: bool = False
    files: tuple[str, ...] = ()

    def training_spec(self, params: Mapping[str, object], profile: Profile, *, seed: int) -> dict:
        """Return all that training depends on besides the clips, as JSON values.

        It is part of the cache key of a training. It imports nothing heavy.

        Args:
            params: of the row, see `benchmark.api.table.Row`.
            profile: the sizes and the budget.
            seed: of the training.

        Raises:
            Unavailable: a file or a tool is missing, or, by default, there is no training.
        """
        raise Unavailable(_UNTRAINED)

    def train(self, spec: dict, data: Data, out: Path, *, device: str, progress: Progress) -> Path:
        """Train in the folder `out` and resume what a killed run left there.

        Args:
            spec: what `training_spec` returned.
            data: with the training clips.
            out: folder of the training.
            device: ``cpu`` or ``cuda``.
            progress: see `Progress`.

        Returns:
            The weights file. If there is nothing to train, a file that says what the system is.
        """
        raise Unavailable(_UNTRAINED)

    def facts(self, weights: Path) -> dict[str, float]:
        """Return numbers of the trained model: ``codebook_size``, columns such as ``params_m``."""
        return {}

    @abstractmethod
    def predict(self, weights: Path, clips: Clips, *, device: str, seed: int) -> Prediction:
        """Do the task on some clips.

        The result for a clip must not depend on the other clips or on their number. A method may
        use only that part of the true motion that its task gives it.
        """
