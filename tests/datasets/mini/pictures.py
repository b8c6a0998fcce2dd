"""A dataset of painted pictures: quick to make, deterministic, with all that can go wrong."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datasets.motion import Camera, Motion
from datasets.sequence import PersonSequence

FRAMES = 12  # of a sequence: three clips of four


@dataclass(frozen=True)
class Painted:
    """Pictures 48 x 32 with a white square that moves; `log` counts the pictures painted."""

    seed: int
    unreadable: tuple[int, ...] = ()
    deadly: tuple[int, ...] = ()
    log: Path | None = None
    width: int = 48
    height: int = 32

    def frames(self, rows):
        rng = np.random.default_rng(self.seed)
        grey = rng.integers(0, 120, (self.height, self.width, 1), dtype=np.uint8)
        background = np.repeat(grey, 3, axis=2)
        for row in rows:
            if row in self.unreadable:
                raise ValueError(f"picture {row} is cut short")
            if row in self.deadly:
                os.kill(os.getpid(), signal.SIGKILL)
            if self.log is not None:
                with self.log.open("a") as file:
                    file.write(".")
            picture = background.copy()
            picture[8:16, 2 * row : 2 * row + 8] = 255
            yield picture

    def paths(self, rows):
        return []


@dataclass(frozen=True)
class Pictures:
    """Sequences s0, s1, … of the test split, each with a camera, a motion and pictures."""

    count: int = 3
    unreadable: tuple[tuple[int, int], ...] = ()  # (sequence, row)
    deadly: tuple[tuple[int, int], ...] = ()
    names: tuple[str, ...] = ()
    labelled: bool = True
    log: Path | None = None
    name: str = "pictures"
    version: int = 1
    needs_root: bool = False

    def sequences(self, root, split=None, *, skipped=None):
        if split not in (None, "test"):
            return
        for index in range(self.count):
            if skipped is not None and index == 1:
                skipped.add("left out", "for the test")
            yield self.sequence(index)

    def sequence(self, index):
        K = np.tile([[40.0, 0, 24], [0, 40, 16], [0, 0, 1]], (FRAMES, 1, 1))
        motion = Motion(
            body_pose=np.full((FRAMES, 63), 0.01 * index),
            global_orient=np.zeros((FRAMES, 3)),
            betas=np.zeros(10),
            transl=np.tile([0, 0, 3.0 + index], (FRAMES, 1)),
            fps=25,
            space="camera",
        )
        return PersonSequence(
            dataset=self.name,
            sequence=self.names[index] if self.names else f"s{index}",
            camera="cam 0",
            frame_ids=np.arange(FRAMES),
            valid=np.ones(FRAMES, bool),
            fps=25,
            split="test",
            view=Camera(K, None, 48, 32) if self.labelled else None,
            camera_motion=motion if self.labelled else None,
            native={"poses": np.full((FRAMES, 2), index, np.float32), "gender": np.array("male")},
            native_frames=frozenset(["poses"]),
            source=Painted(
                index,
                tuple(row for which, row in self.unreadable if which == index),
                tuple(row for which, row in self.deadly if which == index),
                self.log,
            ),
        )
