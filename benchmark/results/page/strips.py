"""Draws the clips of the gallery: small videos of what goes in and what systems make of it.

Heavy: imports what draws bodies.
"""

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmark.api.clips import Data, Prediction
from benchmark.api.figure import SystemOutput
from benchmark.figures.drawing.bodies import SIZE, TRUTH, View, draw_bodies, enlarged, times
from benchmark.figures.drawing.style import COLORS
from benchmark.results.page.drawing_cache import Systems
from benchmark.results.page.plots import clip_errors
from benchmark.runs import artifacts
from datasets.bodies.smplx import load_body
from datasets.motion import NUM_CHANNELS, Camera, Motion
from datasets.video.files import read_video, write_video

COLUMNS = 3  # pictures side by side in a strip
_CLIPS = 12  # of a large split
_FRAMES = 33  # shown of a clip at most
_SECONDS = 3.0  # that a strip takes
_CRF = 26  # some 40 kB a strip
_EMPTY = 70  # grey of a picture that is not there
_PAPER = 244  # grey behind the body that turns
_DISTANCE, _FOCAL, _TILT = 3.7, 1.5, np.radians(12)  # metres, picture widths, camera from above
_SEEN = "#009E73"  # colour of the motion seen in a generated video


@dataclasses.dataclass(frozen=True)
class Panel:
    """A picture of the strip: its name, and its frames (n, SIZE, SIZE, 3) of a test clip."""

    name: str
    pictures: Callable[[int], np.ndarray]


def draw(systems: Systems, data: Data, cache: Path, folder: Path, name: str) -> dict:
    """Write the strips ``<name>-<rank>.mp4`` into a folder.

    The clips are evenly spaced over the ranks of our own error, the best and the worst among them:
    12 clips, or a third of the split if it is small (at least 3).

    Returns:
        ``files``, ``panels``, ``columns``, ``slower`` and ``clips`` as `gallery` reads them.

    Raises:
        Unavailable: a run is not in the cache.
        ValueError: a prediction or a video is damaged.
    """
    errors = clip_errors(cache, systems.runs[f"{systems.ours}: score pose"])
    known = {clip: row for row, clip in enumerate(data.test_ids)}
    order = sorted((clip for clip in errors if clip in known), key=lambda clip: errors[clip])
    ranks = times(len(order), min(_CLIPS, max(3, len(order) // 3)))
    scene = Scene(systems, data, cache, times(data.num_frames, _FRAMES))
    panels = scene.panels()
    fps = max(1, round(len(scene.frames) / _SECONDS))
    clips = []
    for rank in tqdm(ranks, desc=f"gallery {name}", unit=" clips", leave=False, disable=None):
        clip = order[rank]
        file = f"{name}-{rank + 1:04d}.mp4"
        strip = _laid_out([panel.pictures(known[clip]) for panel in panels])
        write_video(folder / file, strip, fps=fps, crf=_CRF)
        place = {"rank": rank + 1, "of": len(order), "error": round(errors[clip], 4)}
        clips.append({"id": clip, "file": file, **place})
    life = data.num_frames / float(scene.ours.clips.fps[0])
    return {
        "files": [clip["file"] for clip in clips],
        "panels": [panel.name for panel in panels],
        "columns": COLUMNS,
        "slower": round(len(scene.frames) / fps / life, 4),
        "clips": clips,
    }


class Scene:
    """The drawings of the clips of a table.

    Args:
        systems: the rows.
        data: the clips.
        cache: of the runs.
        frames: that are shown.

    Raises:
        Unavailable: a run is not in the cache.
    """

    def __init__(self, systems: Systems, data: Data, cache: Path, frames: Sequence[int]):
        self._systems, self._data, self._cache = systems, data, cache
        self.frames = frames
        self.ours = self._drawn(systems.ours)

    def panels(self) -> list[Panel]:
        """Return the pictures of a strip, row by row."""
        generated = self._systems.task == "i2vm"
        others = [self._drawn(label) for label in self._systems.others]
        return [
            *(self._of_pictures(others) if generated else self._of_videos(others)),
            Panel(f"{self.ours.label}, from all sides", self._turning),
        ]

    def _of_videos(self, others: Sequence[SystemOutput]) -> list[Panel]:
        def over_video(row: int, one: SystemOutput, colour: str) -> np.ndarray:
            return self._over(row, self._video(row), one.prediction, colour)

        motions = [
            Panel(one.label, partial(over_video, one=one, colour=colour))
            for one, colour in zip((self.ours, *others), COLORS, strict=False)
            if one.prediction.channels is not None
            and one.prediction.channels.shape[-1] == NUM_CHANNELS
        ]
        return [Panel("input video", self._video), Panel("reference body", self._true), *motions]

    def _of_pictures(self, others: Sequence[SystemOutput]) -> list[Panel]:
        folder = self._systems.folder(self._cache, self.ours.label, "estimate")
        failed = self.ours.prediction.failed
        done = [clip for clip in self._data.test_ids if clip not in failed]
        seen = artifacts.read_predictions(folder, done)
        places = {clip: place for place, clip in enumerate(done)}

        def seen_in_it(row: int) -> np.ndarray:
            clip = self._data.test_ids[row]
            if clip not in places or clip in seen.failed:
                return self._nothing()
            channels = _channels(seen)[places[clip]]
            video = self._generated(row, self.ours)
            return View.of(self.ours, row).over(video, channels, self.frames, _SEEN)

        def ours_over_it(row: int) -> np.ndarray:
            video = self._generated(row, self.ours)
            return self._over(row, video, self.ours.prediction, COLORS[0])

        label = self.ours.label
        return [
            Panel("first picture", self._first),
            Panel(f"{label}: video", partial(self._generated, one=self.ours)),
            Panel(f"{label}: motion over it", ours_over_it),
            Panel("motion seen in it", seen_in_it),
            *(Panel(f"{one.label}: video", partial(self._generated, one=one)) for one in others),
        ]

    def _drawn(self, label: str) -> SystemOutput:
        folder = self._systems.folder(self._cache, label)
        return artifacts.system_output(
            folder,
            self._data,
            label=label,
            task=self._systems.task,
            training=None,
            weights=folder,
            device="cpu",
            seed=0,
        )

    def _video(self, row: int) -> np.ndarray:
        return enlarged(read_video(self.ours.clips.videos[row], self.frames))

    def _generated(self, row: int, one: SystemOutput) -> np.ndarray:
        if self._data.test_ids[row] in one.prediction.failed:
            return self._nothing()
        return enlarged(read_video(one.videos[row], self.frames))

    def _first(self, row: int) -> np.ndarray:
        first = enlarged(read_video(self.ours.clips.videos[row], [0]))
        return np.repeat(first, len(self.frames), axis=0)

    def _true(self, row: int) -> np.ndarray:
        if self.ours.clips.spaces[row] != "camera":  # not where the video's camera sees it
            return self._nothing()
        channels = self.ours.clips.channels[row]
        return View.of(self.ours, row).over(self._video(row), channels, self.frames, TRUTH)

    def _over(
        self, row: int, pictures: np.ndarray, prediction: Prediction, colour: str
    ) -> np.ndarray:
        if self._data.test_ids[row] in prediction.failed:
            return self._nothing()
        channels = _channels(prediction)[row]
        return View.of(self.ours, row).over(pictures, channels, self.frames, colour)

    def _nothing(self) -> np.ndarray:
        return np.full((len(self.frames), SIZE, SIZE, 3), _EMPTY, np.uint8)

    def _turning(self, row: int) -> np.ndarray:
        """Our body, seen by a camera that goes round it once."""
        body, count = load_body(), len(self.frames)
        channels = _channels(self.ours.prediction)[row][self.frames]
        motion = Motion.from_channels(channels, fps=float(self.ours.clips.fps[row]), space="camera")
        pelvis = body.joints(channels)[:, 0].astype(np.float64)
        angle = 2 * np.pi * np.arange(count) / count
        turn = np.tile(np.eye(3), (count, 1, 1))
        turn[:, 0, 0] = turn[:, 2, 2] = np.cos(angle)
        turn[:, 0, 2], turn[:, 2, 0] = np.sin(angle), -np.sin(angle)
        tilt = np.eye(3)
        tilt[1:, 1:] = [[np.cos(_TILT), -np.sin(_TILT)], [np.sin(_TILT), np.cos(_TILT)]]
        T = np.tile(np.eye(4), (count, 1, 1))
        T[:, :3, :3] = tilt @ turn
        T[:, :3, 3] = [0, 0, _DISTANCE] - np.einsum("tij,tj->ti", T[:, :3, :3], pelvis)
        rest = body.rest_joints(motion.betas)[..., 0, :]
        turned = motion.transformed(T, rest, space="camera").to_channels()
        K = np.array([[_FOCAL * SIZE, 0, SIZE / 2], [0, _FOCAL * SIZE, SIZE / 2], [0, 0, 1]])
        view = Camera(np.tile(K, (count, 1, 1)), None, SIZE, SIZE)
        empty = np.full((count, SIZE, SIZE, 3), _PAPER, np.uint8)
        return draw_bodies(turned, view, COLORS[0], empty)


def _channels(prediction: Prediction) -> np.ndarray:
    """Return (N, T, 79) the motion of a prediction that has one."""
    assert prediction.channels is not None
    return prediction.channels


def _laid_out(panels: Sequence[np.ndarray]) -> np.ndarray:
    """Pictures (n, SIZE, SIZE, 3) beside and below each other: (n, H, W, 3)."""
    blank = np.full_like(panels[0], _EMPTY)
    panels = [*panels, *[blank] * (-len(panels) % COLUMNS)]
    lines = [
        np.concatenate(panels[start : start + COLUMNS], axis=2)
        for start in range(0, len(panels), COLUMNS)
    ]
    return np.concatenate(lines, axis=1)
