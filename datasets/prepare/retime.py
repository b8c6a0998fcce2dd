"""A sequence at another frame rate."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datasets import rotation
from datasets.motion import Camera, Motion
from datasets.sequence import FrameSource, PersonSequence

_SAME = 1e-6  # relative difference of two rates that are one


def retimed(sequence: PersonSequence, fps: float) -> PersonSequence:
    """Return a sequence with `fps` frames per second; everything happens when it did.

    Frame j is at j / `fps` seconds after native frame 0. Rotations between two native frames are
    by slerp (rotations about a constant axis), translations, shapes and intrinsics linear; pictures
    and native labels are those of the nearest frame, whose native number is the native array
    ``source_frame``. A frame counts where both native frames around it do.
    """
    if abs(sequence.fps / fps - 1) < _SAME:
        return sequence
    grid = _Grid.of(sequence.frame_ids, sequence.fps / fps)
    valid = sequence.valid[grid.before] & sequence.valid[grid.after] & grid.joined
    rows = grid.nearest
    native = sequence.native_rows(rows)
    if "source_frame" not in native:  # a video of variable rate has one of its own
        native["source_frame"] = sequence.frame_ids[rows]
    view, source = sequence.view, sequence.source
    return dataclasses.replace(
        sequence,
        frame_ids=grid.frame_ids,
        valid=valid,
        fps=fps,
        view=None if view is None else _camera(view, grid),
        camera_motion=_motion(sequence.camera_motion, grid, fps),
        world_motion=_motion(sequence.world_motion, grid, fps),
        native=native,
        native_frames=sequence.native_frames | {"source_frame"},
        source=None if source is None else RetimedFrames(source, rows),
    )


@dataclass(frozen=True, eq=False)
class RetimedFrames:
    """A `datasets.sequence.FrameSource`: pictures of another one, some repeated or left out."""

    source: FrameSource  # the other one
    rows: np.ndarray  # (N,) its row for each of ours, increasing

    @property
    def width(self) -> int:
        """Width of every picture in pixels."""
        return self.source.width

    @property
    def height(self) -> int:
        """Height of every picture in pixels."""
        return self.source.height

    def frames(self, rows: Sequence[int]) -> Iterator[np.ndarray]:
        """See `datasets.sequence.FrameSource`."""
        wanted, counts = np.unique(self.rows[list(rows)], return_counts=True)
        for picture, count in zip(self.source.frames(wanted.tolist()), counts, strict=True):
            for _ in range(count):
                yield picture

    def paths(self, rows: Sequence[int]) -> list[Path]:
        """See `datasets.sequence.FrameSource`."""
        return self.source.paths(self.rows[list(rows)].tolist())


@dataclass(frozen=True, eq=False)
class _Grid:
    """New frames between native ones."""

    frame_ids: np.ndarray  # (N,) numbers of the new frames
    before: np.ndarray  # (N,) native row at or before each
    after: np.ndarray  # (N,) native row at or after each
    weight: np.ndarray  # (N,) in [0, 1], how far each is from `before` to `after`
    joined: np.ndarray  # (N,) bool, no native frame is missing between the two

    @classmethod
    def of(cls, native_ids: np.ndarray, step: float) -> "_Grid":
        """Return the grid of a sequence; `step` is native frames a new frame."""
        ids = native_ids.astype(np.int64)
        # The small excess keeps a frame that falls on the end exactly.
        first, last = np.ceil(ids[0] / step - 1e-6), np.floor(ids[-1] / step + 1e-6)
        numbers = np.arange(int(first), max(int(last), int(first)) + 1)
        at = (numbers * step).clip(ids[0], ids[-1])
        whole = np.round(at)
        at = np.where(np.abs(at - whole) < 1e-6, whole, at)
        before = np.searchsorted(ids, at, side="right") - 1
        exact = ids[before] == at
        after = np.where(exact, before, np.minimum(before + 1, len(ids) - 1))
        gap = ids[after] - ids[before]
        weight = np.where(exact, 0.0, (at - ids[before]) / np.maximum(gap, 1))
        return cls(numbers, before, after, weight, gap <= 1)

    @property
    def nearest(self) -> np.ndarray:
        """(N,) native row."""
        return np.where(self.weight <= 0.5, self.before, self.after)

    def linear(self, array: np.ndarray) -> np.ndarray:
        """Rows (M, ...) of the native frames as rows (N, ...) of the new ones."""
        weight = self.weight.reshape(-1, *[1] * (array.ndim - 1))
        start, end = (array[rows].astype(np.float64) for rows in (self.before, self.after))
        return start + weight * (end - start)

    def turned(self, matrices: np.ndarray) -> np.ndarray:
        """Rotations (M, ..., 3, 3) of the native frames as those (N, ..., 3, 3) of the new ones."""
        start, end = matrices[self.before], matrices[self.after]
        weight = np.broadcast_to(self.weight.reshape(-1, *[1] * (start.ndim - 3)), start.shape[:-2])
        return rotation.slerp(start, end, weight)


def retimed_motion(motion: Motion, fps: float) -> Motion:
    """Return a motion with `fps` frames per second, as `retimed` does for a sequence."""
    found = _motion(motion, _Grid.of(np.arange(len(motion)), motion.fps / fps), fps)
    assert found is not None
    return found


def _motion(motion: Motion | None, grid: _Grid, fps: float) -> Motion | None:
    if motion is None:
        return None
    pose = np.concatenate([motion.global_orient, motion.body_pose], axis=1).astype(np.float64)
    matrices = rotation.axis_angle_to_matrix(pose.reshape(len(pose), -1, 3))
    turned = rotation.matrix_to_axis_angle(grid.turned(matrices))
    return dataclasses.replace(
        motion,
        global_orient=turned[:, 0],
        body_pose=turned[:, 1:].reshape(len(turned), -1),
        betas=motion.betas if motion.betas.ndim == 1 else grid.linear(motion.betas),
        transl=grid.linear(motion.transl),
        fps=fps,
    )


def _camera(camera: Camera, grid: _Grid) -> Camera:
    T_w2c = camera.T_w2c
    if T_w2c is not None:
        # The way of the camera's centre is linear, not that of the world's origin before it.
        turn = grid.turned(T_w2c[:, :3, :3].astype(np.float64))
        centre = -np.einsum("tji,tj->ti", T_w2c[:, :3, :3].astype(np.float64), T_w2c[:, :3, 3])
        T_w2c = np.tile(np.eye(4), (len(turn), 1, 1))
        T_w2c[:, :3, :3] = turn
        T_w2c[:, :3, 3] = -np.einsum("tij,tj->ti", turn, grid.linear(centre))
    return dataclasses.replace(camera, K=grid.linear(camera.K), T_w2c=T_w2c)
