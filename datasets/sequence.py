"""The types of adapters and clip stores: `PersonSequence`, `Clip`, `FrameSource`, `Dataset`."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import numpy as np

from datasets.motion import Camera, Motion, checked_array, require
from datasets.video.pad_resize import PadResize


class FrameSource(Protocol):
    """The pictures of a `PersonSequence`, upright and without lens distortion.

    Objects are small and can be pickled (paths, not open files): other processes read them.

    Attributes:
        width: of every picture, in pixels.
        height: of every picture, in pixels.
    """

    @property
    def width(self) -> int: ...  # noqa: D102

    @property
    def height(self) -> int: ...  # noqa: D102

    def frames(self, rows: Sequence[int]) -> Iterator[np.ndarray]:
        """Yield the pictures of some rows of the sequence, uint8 (height, width, 3) RGB, in order.

        Args:
            rows: indices into the sequence's `frame_ids`, increasing.

        Raises:
            ValueError: a picture is missing, damaged or has another size.
        """
        ...

    def paths(self, rows: Sequence[int]) -> list[Path]:
        """Return the files that the pictures of some rows are read from; none of what is drawn."""
        ...


@dataclass(frozen=True, eq=False, kw_only=True)
class PersonFrames:
    """M frames of one person seen by one camera (or by none), with labels.

    Attributes:
        dataset: the adapter's name.
        sequence: native name of the sequence.
        frame_ids: (M,) int32 native frame numbers.
        valid: (M,) bool, label usable (and image present).
        fps: frames per second.
        camera: native name of the camera, ``none`` for motion without images.
        person: native name or index of the person.
        group: recordings that share a moment (partners, cameras of one take) share a group and
            never stand on two sides of a split; the sequence itself by default.
        num_people: people annotated in these pictures, this one included; 0 where nobody counted.
        view: intrinsics and pose of the camera, or None.
        camera_motion: labels in the camera frame, or None.
        world_motion: labels in the world frame, or None.
        native: the labels exactly as stored by the dataset, name -> array (numbers or text).
        native_frames: names of the native arrays with one row a frame (M, ...).
        pelvis_rest: (3,) metres, J0(betas) of the labels' own body, or None.
    """

    dataset: str
    sequence: str
    frame_ids: np.ndarray
    valid: np.ndarray
    fps: float
    camera: str = "none"
    person: str = "0"
    group: str = ""
    num_people: int = 1
    view: Camera | None = None
    camera_motion: Motion | None = None
    world_motion: Motion | None = None
    native: dict[str, np.ndarray] = field(default_factory=dict)
    native_frames: frozenset[str] = frozenset()
    pelvis_rest: np.ndarray | None = None

    @property
    def motion(self) -> Motion | None:
        """The motion that is evaluated: in the camera frame where a camera is known."""
        return self.camera_motion if self.camera_motion is not None else self.world_motion

    def native_rows(self, rows: slice | np.ndarray) -> dict[str, np.ndarray]:
        """Return the native labels of some frames; what is not of a frame stays whole."""
        return {
            name: value[rows] if name in self.native_frames else value
            for name, value in self.native.items()
        }


@dataclass(frozen=True, eq=False, kw_only=True)
class PersonSequence(PersonFrames):
    """All frames of a sequence, as a dataset adapter yields it, at the native frame rate.

    Attributes:
        split: ``train``, ``val`` or ``test`` where the dataset has official splits, else None and
            `datasets.store.splits` decides.
        source: the pictures that show the person, or None.
        files: that it was read from, but for those of its pictures.
        assumed: what the adapter assumed because the files do not say it, each in a few words.

    Raises:
        ValueError: parts that differ in length, a motion in the wrong space or of another frame
            rate, or frame numbers that are not whole or do not fit int32.
    """

    split: str | None = None
    source: FrameSource | None = None
    files: tuple[Path, ...] = ()
    assumed: tuple[str, ...] = ()

    def __post_init__(self):
        frames = len(self.frame_ids)
        object.__setattr__(
            self, "frame_ids", checked_array("frame_ids", self.frame_ids, (frames,), int)
        )
        object.__setattr__(self, "valid", checked_array("valid", self.valid, (frames,), bool))
        object.__setattr__(self, "group", self.group or self.sequence)
        for space, motion in (("camera", self.camera_motion), ("world", self.world_motion)):
            if motion is None:
                continue
            require(
                len(motion) == frames, f"{self.sequence}: a motion and frame_ids differ in length"
            )
            require(
                motion.space == space,
                f"{self.sequence}: the {space} motion is in {motion.space} space",
            )
            require(  # a store keeps one rate for both
                motion.fps == self.fps,
                f"{self.sequence}: the {space} motion has {motion.fps:g} frames per second, "
                f"not {self.fps:g}",
            )
        require(
            self.view is None or len(self.view) == frames,
            f"{self.sequence}: camera and frame_ids differ in length",
        )
        for name in self.native_frames:
            require(
                name in self.native and np.shape(self.native[name])[:1] == (frames,),
                f"{self.sequence}: native {name} and frame_ids differ in length",
            )
        if self.pelvis_rest is not None:
            rest = checked_array("pelvis_rest", self.pelvis_rest, (3,))
            object.__setattr__(self, "pelvis_rest", rest)

    def __len__(self) -> int:
        return len(self.frame_ids)


@dataclass(frozen=True, eq=False, kw_only=True)
class Clip(PersonFrames):
    """A piece of a `PersonSequence` with a fixed number of frames, as a clip store holds it.

    `view` is of the clip's own video where there is one, else of the dataset's pictures. `native`
    is for writing only; of a clip in a store, ask `ClipStore.native`.

    Attributes:
        clip_id: ``dataset/split/sequence/camera/person/start``.
        split: ``train``, ``val`` or ``test``.
        motion_source: ``dataset`` for the dataset's labels, else the estimator's name.
        resize: from the dataset's upright pictures to the clip's video; None without a video.
        video: the clip's mp4 file, T square pictures at `fps`; None without a video.
    """

    clip_id: str
    split: str
    motion_source: str = "dataset"
    resize: PadResize | None = None
    video: Path | None = None


def finite_rows(*arrays: np.ndarray) -> np.ndarray:
    """(M,) bool: rows in which every one of the arrays (M, ...) is finite."""
    rows = [np.isfinite(array).all(axis=tuple(range(1, np.ndim(array)))) for array in arrays]
    return np.logical_and.reduce(rows)


def hold(array: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """`array` (M, ...) with the rows that are not valid replaced by the nearest valid one.

    `Motion` and `Camera` hold finite numbers only; frames without a usable label get those of a
    neighbour and stay marked as not valid.

    Raises:
        ValueError: no row is valid.
    """
    usable = np.flatnonzero(valid)
    require(len(usable) > 0, "no frame has a usable label")
    rows = np.arange(len(array))
    right = np.searchsorted(usable, rows).clip(max=len(usable) - 1)
    left = (right - 1).clip(min=0)
    nearer_left = np.abs(usable[left] - rows) <= np.abs(usable[right] - rows)
    return np.asarray(array)[usable[np.where(nearer_left, left, right)]]


def rows_at(array: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Rows (M, ...) of `array` (float) by number, NaN where it has none of that number."""
    found = np.full((len(rows), *array.shape[1:]), np.nan, array.dtype)
    there = (rows >= 0) & (rows < len(array))
    found[there] = array[rows[there]]
    return found


@dataclass(frozen=True)
class Skipped:
    """A sequence (or clip) that was left out, and why, in words for the user."""

    name: str
    reason: str


@dataclass
class SkipLog:
    """Collects what an adapter could not use while it iterates."""

    entries: list[Skipped] = field(default_factory=list)

    def add(self, name: str, reason: str) -> None:
        """Record that `name` was left out because of `reason`."""
        self.entries.append(Skipped(name, reason))


class Dataset(Protocol):
    """A dataset adapter: the module attribute ``DATASET`` of a file in `datasets.adapters`.

    One that knows options of its own has them in ``options``, a frozen dataclass, and the names of
    those in ``takes`` (see `datasets.prepare.options`).
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]
    name: str
    version: int
    needs_root: bool

    def sequences(
        self, root: Path | None, split: str | None = None, *, skipped: SkipLog | None = None
    ) -> Iterator[PersonSequence]:
        """Yield person-sequences lazily, in a deterministic order; record what was left out."""
        ...


def camera_of(clip: Clip) -> tuple[Camera, Literal["dataset", "diagonal"]]:
    """Return the camera of a clip's video by `K_RULE`, without a world, and where it comes from.

    The diagonal as focal length, 53 degrees from corner to corner, is GVHMR's own default.
    """
    if clip.view is not None:
        return dataclasses.replace(clip.view, T_w2c=None), "dataset"
    assert clip.resize is not None, "a clip with a video has it"
    width, height = clip.resize.width, clip.resize.height
    focal = math.hypot(width, height)
    K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    camera = Camera(np.tile(K, (len(clip.frame_ids), 1, 1)), None, width, height, "corner")
    return clip.resize.camera(camera), "diagonal"
