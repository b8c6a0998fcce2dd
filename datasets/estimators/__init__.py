"""Motion estimators: video of one person in, SMPL-X (or SMPL) motion out.

An estimator is a module of this folder, or of `model` where the networks are our own, with a
top-level ``ESTIMATOR``: a class that is called with the options of its constructor. External tools
run in environments of their own (`datasets.tools.isolated`); nothing of theirs is imported here.
"""

import importlib
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from datasets.tools.discovery import find_modules, unknown

if TYPE_CHECKING:  # command lines ask for the names alone
    import numpy as np

    from datasets.motion import Motion

# Our own networks live one layer up and are found by name at run time, never imported from here.
_OF_CLIP = ("no_person", "too_short", "decode_error", "multi_person", "nan")
_OUR_NETWORKS = {"regressor": "model.regressor.estimator"}


TIMEOUT = 7200.0  # seconds for one clip; estimators may have shorter limits of their own


@dataclass(frozen=True, eq=False)
class ClipVideo:
    """The input of an estimator for a clip; never its labels.

    Attributes:
        clip_id: of the clip.
        video: the clip's mp4, T square pictures.
        K: (T, 3, 3) intrinsics of the video in pixels.
        K_source: ``dataset``, or ``diagonal`` where the dataset gives none and the focal length is
            the diagonal of the dataset's picture (GVHMR's own default, 53 degrees across).
        fps: frames per second of the video.
        static_camera: whether the camera stands still; None where nobody knows.
    """

    clip_id: str
    video: Path
    K: "np.ndarray"
    K_source: Literal["dataset", "diagonal"]
    fps: float
    static_camera: bool | None


@dataclass(frozen=True, eq=False)
class Estimate:
    """The output of an estimator for a clip.

    Attributes:
        camera_motion: T frames in the frame of the camera with intrinsics `ClipVideo.K`.
        world_motion: the same motion in a y-up world of the estimator's own, or None.
        diagnostics: numbers worth keeping beside it, such as the mean keypoint confidence.
    """

    camera_motion: "Motion"
    world_motion: "Motion | None" = None
    diagnostics: dict[str, float] = field(default_factory=dict)


class EstimateError(Exception):
    """One clip cannot be estimated; the others go on.

    Attributes:
        status: one word for counting: ``no_person``, ``too_short``, ``decode_error``,
            ``multi_person``, ``nan``, ``out_of_memory``, ``timeout`` or ``error``.
        reason: a line for the user.
    """

    def __init__(self, status: str, reason: str):
        super().__init__(f"{status}: {reason}")
        self.status, self.reason = status, reason

    @property
    def is_about_clip(self) -> bool:
        """True if the clip is the cause; else it is the tool or the machine, and may pass."""
        return self.status in _OF_CLIP


class EstimatorUnavailable(Exception):
    """The estimator cannot run at all here; the message says what is missing and how to get it."""


class Session(Protocol):
    """A running estimator: models loaded, on one device."""

    def estimate(self, clip: ClipVideo) -> Estimate:
        """Estimate one clip; deterministic, whatever was estimated before.

        Raises:
            EstimateError: this clip cannot be estimated.
        """
        ...


class Estimator(Protocol):
    """An estimator and its options; small and picklable, so that workers can start it.

    Attributes:
        name: the module's.
        note: one line for reports: what it is and what its numbers mean.
    """

    name: str
    note: str

    def identity(self) -> dict[str, str]:
        """Return all that its output depends on, part of resume keys: version, weights, settings.

        Raises:
            EstimatorUnavailable: something it needs is missing or is not what it should be.
        """
        ...

    def start(self, device: str) -> AbstractContextManager[Session]:
        """Load the models on a device (``cpu``, ``cuda``, ``cuda:1``); leaving frees them."""
        ...


def names() -> list[str]:
    """Names of all estimators, sorted; the modules are read, not imported."""
    return sorted(_modules())


def get(name: str, **options) -> Estimator:
    """Return the estimator called `name`, with options for its constructor.

    Raises:
        ValueError: there is none; the message names the nearest one and all known ones.
    """
    modules = _modules()
    if name not in modules:
        raise ValueError(unknown("estimator", name, sorted(modules)))
    return importlib.import_module(modules[name]).ESTIMATOR(**options)


def _modules() -> dict[str, str]:
    external = find_modules(Path(__file__).parent, "ESTIMATOR")
    return {name: f"{__name__}.{name}" for name in external} | _OUR_NETWORKS
