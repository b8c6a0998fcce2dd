"""The base class of methods: the systems that do a task."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmark.api.clips import Clips, Data, Prediction
from benchmark.api.errors import Unavailable
from benchmark.api.profile import Profile
from benchmark.api.table import Row

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
        checkpoint_task: what the sidecars call the task that it does with them, where that is not
            its own name; empty where it is.
        uses_body: True if training or prediction depends on the body model.
        files: further files that the results depend on, as paths from its own. A change of them, of
            its file, or of what that imports from its folder makes its results anew.
    """

    version: int = 1
    note: str = ""
    checkpoint_class: str | None = None
    checkpoint_task: str = ""
    uses_body: bool = False
    files: tuple[str, ...] = ()

    def learns(self, profile: Profile) -> bool:
        """Return False if it needs no training clips."""
        return True

    def training_spec(self, params: Mapping[str, object], profile: Profile, *, seed: int) -> dict:
        """Return all that training depends on besides the clips, as JSON values.

        It is part of the cache key of a training. It imports nothing heavy.

        Args:
            params: of the row, see `benchmark.api.table.Row`.
            profile: the sizes and the budget.
            seed: of the training.

        Raises:
            Unavailable: a file or a tool is missing, or, by default, there is no training.
            NotApplicable: it makes no sense at this size.
        """
        raise Unavailable(_UNTRAINED)

    def training_command(self, row: Row, profile: Profile) -> str:
        """Return how a user trains a row's system, for one that takes more than an hour here.

        Where it is not empty, the row is trained with ``--train`` alone.
        """
        return ""

    def use_of(self, sidecar: Mapping[str, Any], row: Row, profile: Profile) -> str:
        """Return how a user's checkpoint serves a row.

        Args:
            sidecar: its ``config`` and its ``training``, see `benchmark.runs.checkpoints`.
            row: of a table, that the method fills.
            profile: the sizes and the budget.

        Returns:
            ``weights`` if it is what the row is trained to be, ``start`` if the row's training
            starts from it, else an empty string: it has a row of its own.
        """
        return ""

    def builds_on(self, row: Row, profile: Profile) -> tuple[str, Row] | None:
        """Return task and row of another training whose weights `train` gets as `base`, or None.

        Raises:
            Unavailable: there is none, and `train` cannot do without.
        """
        return None

    def require_room(self, spec: dict, out: Path, *, device: str) -> None:
        """Check that a training fits on its device and disk, before its clips are made.

        Args:
            spec: what `training_spec` returned.
            out: folder of the training; it need not be there.
            device: ``cpu`` or ``cuda``.

        Raises:
            UserError: it does not fit; the message says what is needed and what is free.
        """
        return

    def train(
        self,
        spec: dict,
        data: Data,
        out: Path,
        *,
        device: str,
        progress: Progress,
        base: Path | None = None,
    ) -> Path:
        """Train in the folder `out` and resume what a killed run left there.

        Args:
            spec: what `training_spec` returned.
            data: with the training clips.
            out: folder of the training.
            device: ``cpu`` or ``cuda``.
            progress: see `Progress`.
            base: the weights of what `builds_on` returned; not passed where that is None.

        Returns:
            The weights file. If there is nothing to train, a file that says what the system is.
        """
        raise Unavailable(_UNTRAINED)

    def pixels(self, profile: Profile) -> dict[str, str]:
        """Return the identity of what makes the pixels of its tokens, other than their codec.

        Empty where the codec makes them. Else `predict` gets it as `pixels`.

        Raises:
            Unavailable: it is not installed.
        """
        return {}

    def release(self) -> None:  # noqa: B027 (most methods keep nothing)
        """Free what `predict` keeps between calls, such as a model on a GPU."""

    def facts(self, weights: Path) -> dict[str, float]:
        """Return numbers of the trained model: ``codebook_size``, columns such as ``params_m``."""
        return {}

    @abstractmethod
    def predict(self, weights: Path, clips: Clips, *, device: str, seed: int) -> Prediction:
        """Do the task on some clips.

        The result for a clip must not depend on the other clips or on their number. A method may
        use only that part of the true motion that its task gives it.
        """
