"""Frames of video files, and one way of writing them.

With `datasets.video.probe` the only place that opens videos. PyAV probes and writes. decord reads
short videos where it reads as PyAV does (`FrameIndex.plain`), PyAV all the rest, and everything
where decord has no wheel; the pixels are the same.
"""

import bisect
import itertools
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation

from datasets.tools.files import replacing
from datasets.video.probe import VideoError, VideoInfo, decode, open_video, packets, probe

try:
    import decord
except ImportError:  # it has no wheel for this platform
    decord = None
else:
    decord.logging.set_level(decord.logging.QUIET)  # damage is reported by exceptions

# With one thread and exact arithmetic the same frames give the same bytes, however many cores.
# x264's macroblock tree reads memory that nobody has written, so its choices differ between runs.
_X264 = {"preset": "fast", "mbtree": "0"}
_MP4 = {"movflags": "+faststart", "fflags": "+bitexact"}
_EXACT = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
_FASTEST = 1000  # frames per second: mp4 has a clock of milliseconds that would hide faster ones
_DECORD_BYTES = 256 << 20  # of all frames of a file: decord decodes ahead as far as it can


def read_video(path: str | Path, indices: Sequence[int] | None = None) -> np.ndarray:
    """Frames of a video as one array; `read_frames` for videos that are long.

    Args:
        path: the file.
        indices: positions in the order of showing, increasing; all by default.

    Returns:
        (T, height, width, 3) uint8 RGB, upright.

    Raises:
        VideoError: as `read_frames`.
    """
    info = probe(path)
    indices = range(info.num_frames) if indices is None else indices
    frames = np.empty((len(indices), info.height, info.width, 3), np.uint8)
    for row, frame in enumerate(read_frames(path, indices, info=info)):
        frames[row] = frame
    return frames


def read_frames(
    path: str | Path, indices: Sequence[int], *, info: VideoInfo | None = None
) -> Iterator[np.ndarray]:
    """Yield frames of a video, uint8 (height, width, 3) RGB, upright.

    Args:
        path: the file.
        indices: positions in the order of showing, increasing; a frame may be asked for repeatedly.
        info: the result of `probe`, where it is known.

    Raises:
        VideoError: not a video, no such frame, or a damaged one. Frames before it were yielded.
    """
    info = probe(path) if info is None else info
    indices = [int(index) for index in indices]
    if any(a > b for a, b in itertools.pairwise(indices)) or min(indices, default=0) < 0:
        raise ValueError("frames of a video are asked for in increasing order")
    there = indices[: bisect.bisect_left(indices, info.num_frames)]
    done = 0
    short = info.num_frames * info.width * info.height * 3 <= _DECORD_BYTES
    if decord is not None and info.index.plain and short and there:
        for frame in _decord_frames(path, info, there):
            yield frame
            done += 1
    yield from _pyav_frames(path, info, there[done:])
    if len(there) < len(indices):
        raise VideoError(path, f"no frame {indices[len(there)]}: it has {info.num_frames}")


def write_video(
    path: str | Path, frames: Iterable[np.ndarray], *, fps: float | Fraction, crf: int = 18
) -> None:
    """Write an H.264 mp4. The same frames give the same bytes.

    The file appears under its name when it is complete, and not at all if anything fails.

    Args:
        path: of the file to write.
        frames: uint8 (height, width, 3) RGB, one size, width and height even.
        fps: frames per second, up to 1000; kept exactly where it is a fraction with a denominator
            of up to 1001.
        crf: x264's constant rate factor; 18 hardly shows, videos for a page can do with more.

    Raises:
        VideoError: no frames, or frames or a rate that cannot be written.
        OSError: the file cannot be written.
    """
    rate = Fraction(float(fps)).limit_denominator(1001) if math.isfinite(fps) else Fraction(0)
    if not 0 < rate <= _FASTEST:
        raise VideoError(path, f"cannot be written at {fps} frames per second")
    try:
        with replacing(Path(path)) as temporary:
            _encode(path, temporary, frames, rate, crf)
            with temporary.open("rb") as file:
                os.fsync(file.fileno())  # else a power cut may leave the name and not the content
    except av.FFmpegError as error:
        if isinstance(error, OSError):
            raise
        raise VideoError(path, f"cannot be encoded ({error.strerror})") from error


def _encode(
    path: str | Path, out: Path, frames: Iterable[np.ndarray], rate: Fraction, crf: int
) -> None:
    with av.open(str(out.absolute()), "w", format="mp4", options=_MP4) as container:
        stream = None
        for position, frame in enumerate(frames):
            if stream is None:
                stream = _x264_stream(path, container, rate, frame, crf)
            container.mux(stream.encode(_yuv(path, stream, frame, position)))
        if stream is None:
            raise VideoError(path, "no frames to write")
        container.mux(stream.encode(None))


def _decord_frames(path: str | Path, info: VideoInfo, indices: list[int]) -> Iterator[np.ndarray]:
    """Yield the frames that decord can read: all, unless the file is damaged."""
    try:
        reader = decord.VideoReader(str(Path(path).absolute()), num_threads=1)
        if len(reader) != info.num_frames:  # it counts frames that an edit list hides
            return
        yield from reader.get_batch(indices).asnumpy()
    except (decord.DECORDError, RuntimeError, UnicodeEncodeError):  # or a name that is not UTF-8
        return


def _pyav_frames(path: str | Path, info: VideoInfo, indices: list[int]) -> Iterator[np.ndarray]:
    """Frames in increasing order.

    Raises:
        VideoError: a frame cannot be decoded.
    """
    if not indices:
        return
    keys = info.index.keys
    with open_video(path) as (container, stream):
        before = bisect.bisect_right(info.index.starts, (keys[indices[0]], math.inf))
        if before > 1:  # else from the beginning
            container.seek(min(info.index.starts[before - 1]), stream=stream)
        frames = enumerate(
            itertools.chain(decode(stream, packets(container, stream)), decode(stream, [None]))
        )
        key = picture = None
        for index in indices:
            while key is None or key < keys[index]:
                position, frame = next(frames, (None, None))
                if frame is None:
                    break
                key = frame.pts if info.index.by_time else position
                picture = None
            if frame is None or key != keys[index] or frame.is_corrupt:
                raise VideoError(path, f"damaged: frame {index} cannot be decoded")
            if picture is None:
                picture = _rgb(path, info, frame)
            yield picture


def _rgb(path: str | Path, info: VideoInfo, frame: av.VideoFrame) -> np.ndarray:
    if (frame.width, frame.height) != info.index.stored:
        raise VideoError(path, "its pictures change size")
    width, height = (info.width, info.height)[:: 1 if info.rotation % 180 == 0 else -1]
    scale: dict[str, Any] = {}
    if (width, height) != info.index.stored:
        scale = {"width": width, "height": height, "interpolation": _EXACT}
    pixels = frame.to_ndarray(format="rgb24", threads=1, **scale)
    return np.ascontiguousarray(np.rot90(pixels, -info.rotation // 90))


def _x264_stream(path: str | Path, container, rate: Fraction, frame: np.ndarray, crf: int):
    """Return the stream for pictures like `frame`: limited range BT.709, and said to be so."""
    if frame.ndim != 3 or not frame.size or frame.shape[0] % 2 or frame.shape[1] % 2:
        raise VideoError(path, f"frames of shape {frame.shape}: width and height must be even")
    options = {**_X264, "crf": str(crf)}
    stream = container.add_stream("libx264", rate=rate, options=options)
    stream.height, stream.width = frame.shape[:2]
    stream.pix_fmt = "yuv420p"
    codec = stream.codec_context
    codec.thread_count = 1
    codec.colorspace = Colorspace.ITU709
    codec.color_range = ColorRange.MPEG
    codec.color_primaries = ColorPrimaries.BT709
    codec.color_trc = ColorTrc.BT709
    return stream


def _yuv(path: str | Path, stream, frame: np.ndarray, position: int) -> av.VideoFrame:
    if frame.dtype != np.uint8 or frame.shape != (stream.height, stream.width, 3):
        raise VideoError(
            path,
            f"frame {position} is {frame.dtype} {frame.shape}, "
            f"not uint8 {(stream.height, stream.width, 3)}",
        )
    converted = av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(
        format="yuv420p",
        interpolation=_EXACT,
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=ColorRange.MPEG,
        threads=1,
    )
    converted.pts = position
    converted.time_base = 1 / stream.codec_context.framerate
    return converted
