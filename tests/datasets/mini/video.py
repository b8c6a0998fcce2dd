"""Small videos for tests: frames that carry their number, and files of every awkward kind."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

_BITS = 8


def numbered(number: int, *, width: int = 96, height: int = 64) -> np.ndarray:
    """A picture with `number` as bars in its upper half; red below left, blue below right."""
    frame = np.zeros((height, width, 3), np.uint8)
    for bit in range(_BITS):
        left, right = bit * width // _BITS, (bit + 1) * width // _BITS
        frame[: height // 2, left:right] = 255 * (number >> bit & 1)
    frame[height // 2 :, : width // 2, 0] = 255
    frame[height // 2 :, width // 2 :, 2] = 255
    return frame


def number_of(frame: np.ndarray) -> int:
    """The number on an upright picture; an AssertionError where the picture is not upright."""
    height, width = frame.shape[:2]
    red, blue = frame[3 * height // 4, [width // 4, 3 * width // 4]]
    assert red[0] > 150 > red[2], "no red below left"
    assert blue[2] > 150 > blue[0], "no blue below right"
    middles = [(2 * bit + 1) * width // (2 * _BITS) for bit in range(_BITS)]
    return sum(int(frame[height // 4, x, 1] > 127) << bit for bit, x in enumerate(middles))


def encode(
    path: Path | str,
    frames: Iterable[np.ndarray],
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    rate: int | Fraction = 30,
    times: Sequence[float] | None = None,
    rotation: int = 0,
    gop: int | None = None,
    b_frames: int | None = None,
    front: bool = False,
    container: str | None = None,
    aspect: Fraction | None = None,
) -> Path:
    """Write a video with PyAV.

    Args:
        path: of the file.
        frames: stored pictures, uint8 RGB.
        codec: name of the encoder.
        pix_fmt: its pixel format.
        rate: frames per second, where `times` are not given.
        times: seconds at which the frames are shown.
        rotation: degrees counter-clockwise by which a player is to turn them.
        gop: frames from one key frame to the next.
        b_frames: frames that may be stored out of order.
        front: the index of an mp4 stands before the frames.
        container: format, by the suffix by default.
        aspect: width of a pixel over its height, where the file is to say it.
    """
    options = {"movflags": "+faststart"} if front else {}
    with av.open(str(path), "w", format=container, options=options) as file:
        stream = file.add_stream(codec, rate=rate)
        for position, frame in enumerate(frames):
            if position == 0:
                stream.height, stream.width = frame.shape[:2]
                stream.pix_fmt = pix_fmt
                if times is not None:
                    stream.codec_context.time_base = Fraction(1, 90000)
                if aspect is not None:
                    stream.codec_context.sample_aspect_ratio = aspect
                if gop is not None:
                    stream.codec_context.gop_size = gop
                if b_frames is not None:
                    stream.codec_context.max_b_frames = b_frames
                if rotation:
                    stream.set_display_rotation(rotation)
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            if times is not None:
                picture.time_base = Fraction(1, 90000)
                picture.pts = round(times[position] * 90000)
            file.mux(stream.encode(picture))
        file.mux(stream.encode(None))
    return Path(path)


def add_sound(path: Path | str, *, video: Iterable[np.ndarray] = ()) -> Path:
    """Write an mp4 with one second of silence, and pictures if there are any."""
    with av.open(str(path), "w") as file:
        sound = file.add_stream("aac", rate=16000, layout="mono")
        pictures = None
        for frame in video:
            if pictures is None:
                pictures = file.add_stream("libx264", rate=30)
                pictures.height, pictures.width = frame.shape[:2]
                pictures.pix_fmt = "yuv420p"
            file.mux(pictures.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        if pictures is not None:
            file.mux(pictures.encode(None))
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), "fltp", "mono")
        silence.sample_rate = 16000
        file.mux(sound.encode(silence))
        file.mux(sound.encode(None))
    return Path(path)


def hide_first(source: Path, path: Path, hidden: int) -> Path:
    """Copy an mp4 of 30 frames a second with an edit list that skips its first frames."""
    options = {"avoid_negative_ts": "disabled"}
    with av.open(str(source)) as old, av.open(str(path), "w", options=options) as new:
        stream = old.streams.video[0]
        copy = new.add_stream_from_template(stream)
        ticks = round(hidden / 30 / stream.time_base)
        for packet in old.demux(stream):
            if packet.dts is not None:
                packet.stream = copy
                packet.pts -= ticks
                packet.dts -= ticks
                new.mux(packet)
    return path
