"""Size, rate and times of a video file, from its packets; frames: `datasets.video.files`."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

# Play lists, which FFmpeg would follow to other files or hosts, are no videos, whatever their name.
_TRUSTED = {
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,asf,gif",
    "protocol_whitelist": "file",
}

FORMATS = "mp4, mov, mkv, webm, avi, ts, mpg, flv, wmv, 3gp, gif"
_MOST_STRETCH = 4  # of a pixel; anything beyond is damage
_PAUSED = 0.1  # share of intervals that may be pauses of a recording at a constant rate


class VideoError(ValueError):
    """A video that cannot be read or written; the message is one line that names the file."""

    def __init__(self, path: str | Path, why: str):
        super().__init__(path, why)  # both: other processes unpickle it

    @property
    def why(self) -> str:
        """The message without the file."""
        return self.args[1]

    def __str__(self) -> str:
        text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(self.args[0]))
        return f"{text}: {self.why}"


@dataclass(frozen=True, eq=False)
class VideoInfo:
    """Size, rate and frames of a video file; of a file cut short, those before the cut.

    Attributes:
        width: of the upright picture in square pixels.
        height: of the upright picture in square pixels.
        rotation: degrees clockwise (0, 90, 180, 270) from the stored picture to the upright one.
        fps: frame rate: that of nearly all intervals where the rest are pauses, else the average.
        times: (N,) float64 seconds after the first frame at which each is shown, increasing.
        is_constant_rate: every interval of `times` is ``1 / fps``, to 10 % or a tick of the clock.
        index: where the frames are, for `datasets.video.files`.
    """

    width: int
    height: int
    rotation: int
    fps: Fraction
    times: np.ndarray
    is_constant_rate: bool
    index: "FrameIndex" = field(repr=False)

    @property
    def num_frames(self) -> int:
        """N."""
        return len(self.times)


@dataclass(frozen=True, eq=False)
class FrameIndex:
    """Index for reading single frames.

    Attributes:
        keys: (N,) int64 that identify a decoded frame: its time in ticks of the stream's clock, or
            its position where not every frame has a time of its own (as in avi).
        by_time: True if the keys are times.
        starts: (presentation time, decoding time) in ticks of the key frames, in order.
        plain: True if decord reads this file as PyAV does.
        stored: width and height of the stored pictures, whose pixels may not be square.
    """

    keys: np.ndarray
    by_time: bool
    starts: list[tuple[int, int]]
    plain: bool
    stored: tuple[int, int]


def probe(path: str | Path) -> VideoInfo:
    """Size, rate and frames of a video file. Reads all packets, decodes only the first frame.

    Raises:
        VideoError: no such file, not a video, or nothing of it can be decoded.
    """
    facts = []
    first = None
    with open_video(path) as (container, stream):
        for packet in packets(container, stream):
            facts.append((packet.pts, packet.dts, packet.is_keyframe, packet.is_discard))
            if first is None:
                first = next(decode(stream, [packet]), None)
        first = first or next(decode(stream, [None]), None)
        clock = stream.time_base
        rates = (stream.average_rate, stream.guessed_rate)
        timed = container.format.name != "avi"  # FFmpeg guesses, otherwise after a jump
        aspect = stream.sample_aspect_ratio or Fraction(1)
        plain = _is_plain(container, stream)
    visible = [dts if pts is None else pts for pts, dts, _, discard in facts if not discard]
    if first is None or not visible:
        raise VideoError(path, "no frame of it can be decoded: it is empty or cut short")
    if None in visible or clock is None:
        raise VideoError(path, "its frames have no times")
    ticks = np.sort(np.array(visible, np.int64))
    timed = timed and all(pts is not None for pts, *_ in facts) and bool(np.diff(ticks).all())
    starts = [
        (pts, dts)
        for pts, dts, key, _ in facts
        if timed and key and pts is not None and dts is not None
    ]
    times = (ticks - ticks[0]) * float(clock)
    fps = _frame_rate(path, times, rates)
    steady = bool(np.all(np.abs(np.diff(times) - float(1 / fps)) <= max(0.1 / fps, clock)))
    rotation = round(-first.rotation / 90) * 90 % 360  # FFmpeg counts counter-clockwise
    size = _square_pixels(path, first.width, first.height, aspect)
    return VideoInfo(
        width=size[rotation % 180 != 0],
        height=size[rotation % 180 == 0],
        rotation=rotation,
        fps=fps,
        times=times,
        is_constant_rate=steady,
        index=FrameIndex(
            keys=ticks if timed else np.arange(len(ticks)),
            by_time=timed,
            starts=sorted(starts),
            plain=plain and timed and steady and rotation == 0 and aspect == 1,
            stored=(first.width, first.height),
        ),
    )


@contextmanager
def open_video(path: str | Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Yield the container and its first stream of moving pictures.

    Raises:
        VideoError: there is no such file or stream.
    """
    path = Path(path)
    if not path.is_file():  # a pipe would keep us waiting for ever
        raise VideoError(path, "is no file" if path.exists() else "no such file")
    if path.stat().st_size == 0:
        raise VideoError(path, "zero bytes")
    try:
        # FFmpeg would take "a:b.mp4" for file b.mp4 of protocol a, an absolute path never.
        container = av.open(str(path.absolute()), options=_TRUSTED)
    except (av.FFmpegError, ValueError) as error:
        raise VideoError(path, f"not a video ({FORMATS}), or cut short") from error
    with container:
        stream = next(
            (s for s in container.streams.video if Disposition.attached_pic not in s.disposition),
            None,
        )
        if stream is None or stream.codec_context is None:
            raise VideoError(path, "no video in it")
        stream.codec_context.thread_count = 1  # frame threads lose more frames at a damaged one
        yield container, stream


def packets(container: InputContainer, stream: VideoStream) -> Iterator[av.Packet]:
    """Yield the packets of the stream up to the first that is damaged."""
    try:
        for packet in container.demux(stream):
            if packet.is_corrupt:
                return
            if packet.size:
                yield packet
    except av.FFmpegError:
        return


def decode(stream: VideoStream, sound: Iterable[av.Packet | None]) -> Iterator[av.VideoFrame]:
    """The frames of packets (None: those held back) up to the first that cannot be decoded."""
    try:
        for packet in sound:
            yield from stream.decode(packet)
    except av.FFmpegError:
        return


def _frame_rate(path: str | Path, times: np.ndarray, stated: Sequence[Fraction | None]) -> Fraction:
    """Return the first rate `stated` that the times (N,), in seconds, agree with, else their own.

    Raises:
        VideoError: there is neither.
    """
    rates = [rate for rate in stated if rate]
    rate = rates[0] if rates else Fraction(0)
    if times[-1] > 0:
        steps = np.diff(times)
        usual = np.median(steps)
        # A pause lowers the average and is no part of the rate.
        constant = np.mean(np.abs(steps - usual) <= 0.1 * usual) >= 1 - _PAUSED
        measured = 1 / usual if constant else len(steps) / times[-1]
        close = (rate for rate in rates if 0.9 < rate / measured < 1.1)
        rate = next(close, Fraction(measured).limit_denominator(1001))
    if not rate:
        raise VideoError(path, "it has no frame rate")
    return rate


def _square_pixels(path: str | Path, width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """Width and height with square pixels of a picture whose pixels are `aspect` as wide as high.

    What is too small is stretched, so that nothing is lost.

    Raises:
        VideoError: the pixels are stretched beyond belief.
    """
    if not 1 / _MOST_STRETCH <= aspect <= _MOST_STRETCH:
        raise VideoError(path, f"its pixels are {aspect} as wide as high: damaged")
    if aspect > 1:
        return round(width * aspect), height
    return width, round(height / aspect)


def _is_plain(container: InputContainer, stream: VideoStream) -> bool:
    """Return True if decord (0.6.0) reads the file right, if it is upright and of constant rate.

    It leaves mkv files turned, passes on damaged frames of MPEG-4 part 2 and those behind a gap in
    damaged mkv files, rounds the colours of odd sizes in its own way and cannot choose a stream.
    """
    codec = stream.codec_context
    return (
        codec.name == "h264"
        and codec.pix_fmt == "yuv420p"
        and codec.width % 2 == codec.height % 2 == 0
        and len(container.streams.video) == 1
    )
