"""Sources of the pictures of a `PersonSequence`: image files or a video file."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from datasets.video.files import VideoError, VideoInfo, probe, read_frames

_FORMATS = ("JPEG", "PNG", "BMP")
_SAME_RATE = 1e-3  # relative: 29.97 and 30 frames per second differ by a frame in half a minute
_MOST_ROWS = 1000  # for each frame of a file; more are damage, and would fill the memory
_PAUSE = 0.25  # seconds from a frame beyond which nobody knows what there was to see
_MOST_PIXELS = 80_000_000  # of a picture; more are a mistake or an attack, and not decoded


@dataclass(frozen=True)
class ImageFiles:
    """One image file (jpg, png, bmp) a row.

    EXIF orientation is ignored: pictures of datasets have none; `rotated` says how they lie.

    Attributes:
        files: of the rows, in order.
        width: of the upright pictures, in pixels.
        height: of the upright pictures, in pixels.
        rotated: the files lie on their side; turning them 90 degrees clockwise makes them upright.
    """

    files: tuple[Path, ...]
    width: int
    height: int
    rotated: bool = False

    @classmethod
    def of(cls, files: Sequence[Path], *, rotated: bool = False) -> "ImageFiles":
        """Files that all have the size of the first one.

        Raises:
            ValueError: there is no file, or the first is no picture.
        """
        if not files:
            raise ValueError("no image files")
        with _opened(files[0]) as image:
            width, height = reversed(image.size) if rotated else image.size
        return cls(tuple(files), width, height, rotated)

    def frames(self, rows: Sequence[int]) -> Iterator[np.ndarray]:
        """See `datasets.sequence.FrameSource`."""
        for row in rows:
            file = self.files[row]
            with _opened(file) as image:
                frame = _rgb(image)
            if self.rotated:
                frame = np.ascontiguousarray(np.rot90(frame, -1))
            height, width = frame.shape[:2]
            if (width, height) != (self.width, self.height):
                raise ValueError(
                    f"{file}: a picture of {width}x{height} among those of "
                    f"{self.width}x{self.height}"
                )
            yield frame

    def paths(self, rows: Sequence[int]) -> list[Path]:
        """See `datasets.sequence.FrameSource`."""
        return [self.files[row] for row in rows]


@dataclass(frozen=True, eq=False)
class VideoFile:
    """The frames of a video, one every ``1 / fps`` seconds.

    Row j is frame j where that is the file's own constant rate. Otherwise row j is the frame that
    is shown nearest to ``j / fps`` seconds, so that the rows are even in time and a motion has the
    speed that it had: a frame may serve two rows, or none.

    Attributes:
        path: the file.
        info: its size, rate and frames.
        fps: rows per second.
    """

    path: Path
    info: VideoInfo
    fps: float

    @classmethod
    def of(cls, path: Path, *, fps: float | None = None) -> "VideoFile":
        """Return the video in a file, with `fps` rows per second; the file's own rate by default.

        Raises:
            VideoError: it cannot be read (see `datasets.video.files.probe`).
        """
        info = probe(path)
        rate = float(info.fps if fps is None else fps)
        if info.times[-1] * rate > _MOST_ROWS * info.num_frames:
            raise VideoError(path, f"{info.num_frames} frames over {info.times[-1]:.0f} seconds")
        return cls(Path(path), info, rate)

    @property
    def width(self) -> int:
        """Width of the upright pictures in pixels."""
        return self.info.width

    @property
    def height(self) -> int:
        """Height of the upright pictures in pixels."""
        return self.info.height

    @property
    def num_frames(self) -> int:
        """Number of rows."""
        return len(self.source_frames)

    @property
    def keeps_frames(self) -> bool:
        """True if row j is frame j: the rows have the file's own, constant rate."""
        own_rate = abs(self.fps / float(self.info.fps) - 1) < _SAME_RATE
        return self.info.num_frames == 1 or (self.info.is_constant_rate and own_rate)

    @cached_property
    def source_frames(self) -> np.ndarray:
        """(num_frames,) int64: the file's frame of every row."""
        times, rows = self.info.times, self._row_times
        if self.keeps_frames:
            return np.arange(len(times))
        right = np.searchsorted(times, rows).clip(1, len(times) - 1)
        return right - (rows - times[right - 1] <= times[right] - rows)

    @cached_property
    def valid(self) -> np.ndarray:
        """(num_frames,) bool: False within a pause, whose rows show a frame of another time."""
        if self.keeps_frames:
            return np.ones(self.num_frames, dtype=bool)
        return np.abs(self.info.times[self.source_frames] - self._row_times) <= _PAUSE

    @property
    def _row_times(self) -> np.ndarray:
        """(num_frames,) seconds after the first frame."""
        # No row after the last frame, but for rounding.
        return np.arange(int(self.info.times[-1] * self.fps + 0.1) + 1) / self.fps

    def frames(self, rows: Sequence[int]) -> Iterator[np.ndarray]:
        """See `datasets.sequence.FrameSource`."""
        return read_frames(self.path, self.source_frames[list(rows)].tolist(), info=self.info)

    def paths(self, rows: Sequence[int]) -> list[Path]:
        """See `datasets.sequence.FrameSource`."""
        return [self.path]


@contextmanager
def _opened(file: Path) -> Iterator[Image.Image]:
    """Yield a picture whose header was read; whatever goes wrong with it inside is a ValueError."""
    try:
        with Image.open(file, formats=_FORMATS) as image:
            if image.width * image.height > _MOST_PIXELS:
                raise ValueError(f"{image.width}x{image.height} pixels are too many")
            yield image
    except FileNotFoundError as error:
        raise ValueError(f"{file}: no such image") from error
    except Image.UnidentifiedImageError as error:
        raise ValueError(f"{file}: no jpg, png or bmp image, or cut short") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{file}: {error}") from error


def _rgb(image: Image.Image) -> np.ndarray:
    """(height, width, 3) uint8; an alpha channel is dropped."""
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow would clip at 255
        grey = (np.asarray(image) >> 8).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    return np.asarray(image.convert("RGB"))
