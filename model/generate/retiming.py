"""Frames of a user's video at a model's rate."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datasets.video.files import read_frames
from datasets.video.frames import VideoFile

NEAR = 0.2  # a rate within this share of the model's is taken as it is: 24 and 25 for 30


@dataclass(frozen=True, kw_only=True, eq=False)
class RetimedVideo:
    """The frames of a video that a model sees, even in time.

    Attributes:
        video: the file.
        rows: (N,) the file's frame of each; one may serve twice.
        fps: frames per second of the rows.
        note: what was done to the rate; empty where nothing.
    """

    video: VideoFile
    rows: np.ndarray
    fps: float
    note: str

    @classmethod
    def of(cls, path: Path, rate: float) -> "RetimedVideo":
        """Return a video for a model of `rate` frames per second.

        Every n-th frame where that comes near the rate; otherwise, and where the video's own rate
        varies, the frame nearest in time to each multiple of ``1 / rate`` seconds.

        Raises:
            VideoError: it cannot be read.
        """
        video = VideoFile.of(path)
        stride = max(1, round(video.fps / rate))
        fps = video.fps / stride
        if video.info.is_constant_rate and abs(fps - rate) <= NEAR * rate + 1e-9:
            note = f"one frame in {stride}" if stride > 1 else ""
            if abs(fps - rate) > 0.01 * rate:
                note += f"{', ' if note else ''}{fps:.4g} frames per second, the model's {rate:g}"
            return cls(video=video, rows=np.arange(0, video.num_frames, stride), fps=fps, note=note)
        times = video.info.times
        wanted = np.arange(int(times[-1] * rate + 1e-6) + 1) / rate
        after = np.searchsorted(times, wanted).clip(1, max(1, len(times) - 1))
        if len(times) == 1:
            rows = np.zeros(len(wanted), np.int64)
        else:
            rows = after - (wanted - times[after - 1] <= times[after] - wanted)
        varies = "" if video.info.is_constant_rate else "a varying rate of about "
        note = f"{varies}{video.fps:.4g} frames per second brought to the model's {rate:g}"
        return cls(video=video, rows=rows, fps=rate, note=note)

    def frames(self) -> Iterator[np.ndarray]:
        """Yield the frames (H, W, 3) uint8, read again at every call: a minute takes 45 GB."""
        return read_frames(self.video.path, self.rows, info=self.video.info)
