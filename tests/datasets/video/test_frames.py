"""Frame sources: image files and video files as rows of upright pictures."""

import pickle
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from datasets.video.files import VideoError
from datasets.video.frames import ImageFiles, VideoFile
from tests.datasets.mini.video import encode, number_of, numbered


def save(folder, count=4, suffix="png", **size):
    files = []
    for number in range(count):
        files.append(folder / f"{number:03d}.{suffix}")
        Image.fromarray(numbered(number, **size)).save(files[-1], quality=95)
    return files


# Image files


@pytest.mark.parametrize("suffix", ["png", "jpg", "jpeg", "bmp"])
def test_rows_are_files(tmp_path, suffix):
    source = ImageFiles.of(save(tmp_path, suffix=suffix))
    assert (source.width, source.height) == (96, 64)
    assert [number_of(frame) for frame in source.frames([0, 2, 3])] == [0, 2, 3]
    for frame in source.frames(range(4)):
        assert (frame.shape, frame.dtype) == ((64, 96, 3), np.uint8)


def test_pictures_on_their_side_are_turned_clockwise(tmp_path):
    upright = numbered(5)
    Image.fromarray(np.rot90(upright)).save(tmp_path / "a.png")  # counter-clockwise
    source = ImageFiles.of([tmp_path / "a.png"], rotated=True)
    assert (source.width, source.height) == (96, 64)
    assert np.array_equal(next(source.frames([0])), upright)


def test_orientation_in_exif_is_ignored(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(numbered(5)).save(tmp_path / "a.jpg", exif=exif, quality=95)
    assert number_of(next(ImageFiles.of([tmp_path / "a.jpg"]).frames([0]))) == 5


@pytest.mark.parametrize("kind", ["grey", "grey16", "palette", "alpha", "rgb16"])
def test_every_kind_of_png_becomes_rgb(tmp_path, kind):
    ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))
    expected = np.repeat(ramp[:, :, None], 3, axis=2)
    file = tmp_path / "a.png"
    if kind == "grey":
        Image.fromarray(ramp).save(file)
    elif kind == "grey16":
        Image.fromarray(ramp.astype(np.uint16) * 257).save(file)
    elif kind == "palette":
        Image.fromarray(expected).quantize(64).save(file)
    elif kind == "alpha":  # transparent everywhere: the colours count
        Image.fromarray(np.dstack([expected, np.zeros_like(ramp)])).save(file)
    else:
        file.write_bytes(png_header(64, 64, depth=16, colour=2, rows=wide_rows(expected)))
    assert np.abs(next(ImageFiles.of([file]).frames([0])).astype(int) - expected).max() <= 1


def wide_rows(picture):
    """The rows of a PNG with 16 bits a channel."""
    return b"".join(b"\0" + row.tobytes() for row in (picture.astype(">u2") * 257))


def png_header(width, height, *, depth=8, colour=2, rows=b""):
    """A PNG written by hand: Pillow writes neither 16-bit colours nor pictures without pixels."""

    def chunk(name, data):
        check = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + check

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [9_500, 60_000])
def test_a_picture_that_would_fill_the_memory_is_refused(tmp_path, side):
    (tmp_path / "a.png").write_bytes(png_header(side, side))
    with pytest.raises(ValueError, match=r"a\.png: .*pixels"):
        ImageFiles.of([tmp_path / "a.png"])


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp"])
def test_damaged_pictures(tmp_path, suffix):
    files = save(tmp_path, suffix=suffix)
    source = ImageFiles.of(files)
    whole = files[1].read_bytes()
    for keep in (0, 1, 10, len(whole) // 2):
        files[1].write_bytes(whole[:keep])
        frames = source.frames([0, 1])
        assert number_of(next(frames)) == 0
        with pytest.raises(ValueError, match=f"{files[1].name}: "):
            next(frames)
    files[1].unlink()
    with pytest.raises(ValueError, match="no such image"):
        list(source.frames([1]))


def test_what_is_no_picture(tmp_path):
    (tmp_path / "a.png").write_text("text")
    Image.fromarray(numbered(0)).save(tmp_path / "b.png", format="gif")
    for name in ("a.png", "b.png"):
        with pytest.raises(ValueError, match=f"{name}: no jpg, png or bmp image"):
            ImageFiles.of([tmp_path / name])
    with pytest.raises(ValueError, match="no image files"):
        ImageFiles.of([])


def test_a_picture_of_another_size(tmp_path):
    files = save(tmp_path)
    Image.fromarray(numbered(2, width=64, height=96)).save(files[2])
    with pytest.raises(ValueError, match=r"002\.png: a picture of 64x96 among those of 96x64"):
        list(ImageFiles.of(files).frames(range(4)))


def test_sources_go_to_other_processes(tmp_path):
    images = ImageFiles.of(save(tmp_path))
    video = VideoFile.of(encode(tmp_path / "a.mp4", [numbered(i) for i in range(4)]))
    for source in (images, video):
        copy = pickle.loads(pickle.dumps(source))
        assert [number_of(frame) for frame in copy.frames([1, 3])] == [1, 3]


# Video files


def test_rows_are_frames_at_constant_rate(tmp_path):
    source = VideoFile.of(encode(tmp_path / "a.mp4", [numbered(i) for i in range(30)], rate=25))
    assert (source.width, source.height, source.fps, source.num_frames) == (96, 64, 25.0, 30)
    assert np.array_equal(source.source_frames, np.arange(30))
    assert [number_of(frame) for frame in source.frames(range(10, 20))] == list(range(10, 20))


def test_rows_are_upright(tmp_path):
    stored = [np.rot90(numbered(i), -1) for i in range(4)]
    source = VideoFile.of(encode(tmp_path / "a.mp4", stored, rotation=90))
    assert (source.width, source.height) == (96, 64)
    assert [number_of(frame) for frame in source.frames(range(4))] == [0, 1, 2, 3]


def test_rows_are_even_in_time_at_variable_rate(tmp_path):
    """Pictures that carry the time at which they are shown carry the time of their row."""
    rng = np.random.default_rng(0)
    ticks = np.append(0, np.cumsum(rng.choice([1, 2, 4], 80)))  # of 1/60 s
    source = VideoFile.of(
        encode(tmp_path / "a.mp4", [numbered(t % 256) for t in ticks], times=ticks / 60)
    )
    assert source.num_frames == round(ticks[-1] / 60 * source.fps) + 1
    expected = np.arange(source.num_frames) / source.fps * 60
    shown = ticks[source.source_frames]
    assert np.abs(shown - expected).max() <= 2 + 1e-3  # half the longest interval
    # No other frame is nearer.
    assert np.allclose(
        np.abs(shown - expected), np.abs(ticks[:, None] - expected).min(axis=0), atol=1e-3
    )
    frames = [number_of(frame) for frame in source.frames(range(source.num_frames))]
    assert frames == (shown % 256).tolist()


def test_a_pause_shows_nothing_valid(tmp_path):
    times = np.arange(20) / 20 + 2.0 * (np.arange(20) >= 10)
    source = VideoFile.of(encode(tmp_path / "a.mp4", map(numbered, range(20)), times=times))
    assert source.fps == pytest.approx(20, rel=1e-3) and source.num_frames == 60
    seconds = np.arange(60) / 20
    shown = seconds[:, None] - times
    far = np.abs(shown).min(axis=1) > 0.25
    assert (source.valid == ~far).all() and far.sum() > 25


def test_a_file_that_would_fill_the_memory_is_refused(tmp_path):
    path = encode(tmp_path / "a.mp4", map(numbered, range(2)), times=[0, 1000])
    assert VideoFile.of(path).num_frames == 2
    with pytest.raises(VideoError, match="2 frames over 1000 seconds"):
        VideoFile.of(path, fps=30.0)


def test_one_frame(tmp_path):
    source = VideoFile.of(encode(tmp_path / "a.mp4", [numbered(7)]))
    assert source.num_frames == 1
    assert [number_of(frame) for frame in source.frames([0])] == [7]
