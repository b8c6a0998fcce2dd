"""Probing, reading and writing videos: good ones and awkward ones."""

import ctypes
import os
from fractions import Fraction

import av
import numpy as np
import pytest

from datasets.video import files
from datasets.video.files import VideoError, probe, read_frames, read_video, write_video
from tests.datasets.mini.video import add_sound, encode, hide_first, number_of, numbered

N = 40
M_PERTURB = -6  # of mallopt: fill new memory with a byte


def pictures(count=N, **size):
    return [numbered(i, **size) for i in range(count)]


def numbers(frames):
    return [number_of(frame) for frame in frames]


# Writing


@pytest.mark.parametrize(
    ("fps", "kept"),
    [
        (25, 25),
        (15.0, 15),
        (29.8, Fraction(149, 5)),
        (30000 / 1001, Fraction(30000, 1001)),
        (np.float32(30000 / 1001), Fraction(30000, 1001)),  # as clip stores keep it
        (Fraction(24000, 1001), Fraction(24000, 1001)),
        (0.5, Fraction(1, 2)),
    ],
)
def test_what_is_written_comes_back(tmp_path, fps, kept):
    write_video(tmp_path / "a.mp4", pictures(), fps=fps)
    info = probe(tmp_path / "a.mp4")
    assert info.fps == kept
    assert info.is_constant_rate
    assert (info.width, info.height, info.rotation, info.num_frames) == (96, 64, 0, N)
    assert np.allclose(info.times, np.arange(N) / float(info.fps), atol=1e-9)
    assert numbers(read_video(tmp_path / "a.mp4")) == list(range(N))


def test_colours_come_back(tmp_path, reader):
    """Every patch of a chart within four levels, which is what limited range and swscale cost."""
    levels = (0, 64, 128, 255)
    colours = np.array([(r, g, b) for r in levels for g in levels for b in levels], np.uint8)
    chart = colours.reshape(8, 8, 3).repeat(32, axis=0).repeat(32, axis=1)
    write_video(tmp_path / "a.mp4", [chart] * 3, fps=25)
    found = read_video(tmp_path / "a.mp4")[:, 16::32, 16::32].astype(int)
    assert np.abs(found - chart[16::32, 16::32]).max() <= 4


def test_colours_are_declared_as_they_are_stored(tmp_path):
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 255
    write_video(tmp_path / "a.mp4", [red], fps=25)
    with av.open(str(tmp_path / "a.mp4")) as file:
        frame = next(file.decode(video=0))
    assert (frame.colorspace, frame.color_range) == (1, 1)  # BT.709, limited
    assert (frame.color_primaries, frame.color_trc) == (1, 1)
    # Luma and chroma of red by ITU-R BT.709: 16 + 219 * 0.2126, 128 - 224 * 0.1146, 240
    stored = [bytes(plane)[0] for plane in frame.planes]
    assert np.abs(np.array(stored) - (63, 102, 240)).max() <= 1


def test_same_frames_same_bytes(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / name, iter(pictures()), fps=30)
    data = (tmp_path / "a.mp4").read_bytes()
    assert data == (tmp_path / "b.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(str(tmp_path / "a.mp4")) as file:
        assert "creation_time" not in {**file.metadata, **file.streams.video[0].metadata}


def test_what_memory_held_before_does_not_show(tmp_path):
    set_malloc = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_malloc is None:
        pytest.skip("this C library does not fill memory")
    noise = np.random.default_rng(0).integers(0, 255, (66, 34, 3), np.uint8)
    found = set()
    try:
        for fill in range(1, 256, 36):
            set_malloc(M_PERTURB, fill)
            write_video(tmp_path / "a.mp4", [np.roll(noise, i, 1) for i in range(8)], fps=25)
            found.add((tmp_path / "a.mp4").read_bytes())
    finally:
        set_malloc(M_PERTURB, 0)
    assert len(found) == 1


@pytest.mark.parametrize(
    ("frames", "fps"),
    [
        ([], 30),
        ([np.zeros((63, 64, 3), np.uint8)], 30),
        ([np.zeros((64, 63, 3), np.uint8)], 30),
        ([np.zeros((0, 0, 3), np.uint8)], 30),
        ([np.zeros((64, 64), np.uint8)], 30),
        ([np.zeros((64, 64, 4), np.uint8)], 30),
        ([np.zeros((64, 64, 3), np.float32)], 30),
        ([np.zeros((64, 64, 3), np.uint8), np.zeros((64, 66, 3), np.uint8)], 30),
        ([numbered(0)], 0),
        ([numbered(0)], -1.0),
        ([numbered(0)], float("nan")),
        ([numbered(0)], float("inf")),
        ([numbered(0)], 1e-9),
        ([numbered(0)] * 3, 1001),  # at 8000, not one of three could be read again
        ([numbered(0)], 1e12),
        ([np.zeros((16, 20_000, 3), np.uint8)], 30),  # more than the encoder takes
    ],
)
def test_what_cannot_be_written_leaves_what_was_there(tmp_path, frames, fps):
    (tmp_path / "a.mp4").write_text("before")
    with pytest.raises(VideoError):
        write_video(tmp_path / "a.mp4", frames, fps=fps)
    assert (tmp_path / "a.mp4").read_text() == "before"
    assert os.listdir(tmp_path) == ["a.mp4"]


def test_an_error_in_the_making_of_frames_is_passed_on(tmp_path):
    def frames():
        yield from pictures()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_video(tmp_path / "a.mp4", frames(), fps=30)
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_is_an_os_error_and_leaves_nothing(tmp_path):
    (tmp_path / "a.mp4.tmp").symlink_to("/dev/full")
    noise = np.random.default_rng(0).integers(0, 255, (10, 64, 64, 3), np.uint8)
    with pytest.raises(OSError, match="No space left"):
        write_video(tmp_path / "a.mp4", noise, fps=30)
    assert os.listdir(tmp_path) == []


# Reading what is sound


def test_any_frames_in_increasing_order(tmp_path, reader):
    """Frames stored out of order, several key frames, repeats, and starts behind a key frame."""
    path = encode(tmp_path / "a.mp4", pictures(100), gop=12, b_frames=3)
    for wanted in ([0], [99], [11, 12, 13], [35, 36, 36, 36, 80], [24], list(range(50, 100)), []):
        assert numbers(read_video(path, wanted)) == wanted
        assert numbers(read_frames(path, wanted, info=probe(path))) == wanted


@pytest.mark.parametrize("name", ["a.mkv", "a.mov", "a.webm", "a.avi"])
def test_containers(tmp_path, reader, name):
    codec = {"a.webm": "libvpx-vp9", "a.avi": "mpeg4"}.get(name, "libx264")
    path = encode(tmp_path / name, pictures(), codec=codec, gop=10)
    info = probe(path)
    assert (info.fps, info.is_constant_rate, info.num_frames) == (30, True, N)
    for wanted in (list(range(N)), [9, 10, 11, 25]):
        assert numbers(read_video(path, wanted)) == wanted


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_frames_of_avi_are_counted(tmp_path, reader, codec):
    """It stores no times; with frames out of order, guessed ones are wrong."""
    path = encode(tmp_path / "a.avi", pictures(), codec=codec, b_frames=2, gop=10)
    for wanted in (list(range(N)), [0, 7, 23, 24, N - 1], [15, 33]):
        assert numbers(read_video(path, wanted)) == wanted


def test_frames_that_share_a_time_are_counted(tmp_path):
    times = [0, 0, 0.1, 0.1, 0.1, *(0.2 + np.arange(N - 5) / 30)]
    frames = pictures()
    path = encode(tmp_path / "a.mkv", frames, codec="ffv1", pix_fmt="bgr0", times=times)
    assert not probe(path).is_constant_rate
    assert numbers(read_video(path, [1, 3, 4, 33])) == [1, 3, 4, 33]


def test_both_readers_give_the_same_pixels(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (20, 48, 80, 3), np.uint8)
    path = encode(tmp_path / "a.mp4", noise, gop=7)
    first = read_video(path)
    monkeypatch.setattr(files, "decord", None)
    assert np.array_equal(read_video(path), first)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov"])
@pytest.mark.parametrize("turned", [90, -90, 180])
def test_rotation_is_undone(tmp_path, reader, name, turned):
    stored = [np.rot90(frame, -turned // 90) for frame in pictures(5)]
    path = encode(tmp_path / name, stored, rotation=turned)
    info = probe(path)
    assert (info.width, info.height) == (96, 64)
    assert info.rotation == -turned % 360  # clockwise
    assert numbers(read_video(path)) == list(range(5))


def test_variable_rate(tmp_path, reader):
    times = np.cumsum([0, 1, 1, 3, 1, 2, 1, 1]) / 30
    path = encode(tmp_path / "a.mp4", pictures(8), times=times)
    info = probe(path)
    assert not info.is_constant_rate
    assert np.allclose(info.times, times, atol=1e-4)
    assert float(info.fps) == pytest.approx(7 / times[-1], rel=0.1)
    assert numbers(read_video(path)) == list(range(8))


def test_a_pause_does_not_lower_the_rate(tmp_path):
    times = np.arange(40) / 30 + 3.0 * (np.arange(40) >= 20)
    info = probe(encode(tmp_path / "a.mp4", pictures(40), times=times))
    assert float(info.fps) == pytest.approx(30, rel=1e-3)
    assert not info.is_constant_rate


@pytest.mark.parametrize(
    ("aspect", "size"), [("2", (96, 64)), ("1/2", (48, 128)), ("16/11", (70, 64)), ("1", (48, 64))]
)
@pytest.mark.parametrize("turned", [0, 90])
def test_pixels_become_square(tmp_path, aspect, size, turned):
    """A circle in the world is a circle in the picture, whatever way the file stores it."""
    stored = [numbered(n, width=48) for n in range(3)]
    path = encode(tmp_path / "a.mp4", stored, aspect=Fraction(aspect), rotation=turned)
    info = probe(path)
    assert (info.width, info.height)[:: -1 if turned else 1] == size
    frames = np.rot90(read_video(path), -turned // 90, axes=(1, 2))
    assert frames.shape == (3, size[1], size[0], 3)
    assert numbers(frames) == [0, 1, 2]


def test_pixels_stretched_beyond_belief_are_damage(tmp_path):
    path = encode(tmp_path / "a.mp4", pictures(3), aspect=Fraction(50))
    with pytest.raises(VideoError, match="50 as wide as high"):
        probe(path)


def test_a_coarse_clock_is_no_variable_rate(tmp_path):
    """Matroska counts milliseconds: intervals at 240 frames a second are 4 or 5."""
    path = encode(tmp_path / "a.mkv", pictures(), rate=240)
    assert probe(path).is_constant_rate


def test_odd_sizes(tmp_path):
    frames = pictures(5, width=95, height=63)
    path = encode(tmp_path / "a.mkv", frames, codec="ffv1", pix_fmt="bgr0")
    assert (probe(path).width, probe(path).height) == (95, 63)
    assert np.array_equal(read_video(path), frames)  # lossless
    path = encode(tmp_path / "a.avi", frames, codec="mpeg4")
    assert numbers(read_video(path)) == list(range(5))


def test_one_frame(tmp_path, reader):
    path = encode(tmp_path / "a.mp4", pictures(1))
    info = probe(path)
    assert (info.num_frames, info.fps, info.is_constant_rate) == (1, 30, True)
    assert numbers(read_video(path)) == [0]


def test_frames_hidden_by_an_edit_list_do_not_count(tmp_path, reader):
    whole = encode(tmp_path / "whole.mp4", pictures(), gop=12)
    path = hide_first(whole, tmp_path / "a.mp4", 5)
    assert numbers(read_video(path)) == list(range(5, N))
    assert numbers(read_video(path, [10, 20])) == [15, 25]


def test_sound_is_passed_over(tmp_path, reader):
    path = add_sound(tmp_path / "a.mp4", video=pictures(10))
    assert numbers(read_video(path)) == list(range(10))


@pytest.mark.parametrize(
    "name", ['it\'s "a", b=c.mp4', "a:b.mp4", "%d.mp4", "-i.mp4", "two\nlines.mp4", b"\xff.mp4"]
)
def test_names(tmp_path, reader, monkeypatch, name):
    path = tmp_path / os.fsdecode(name)
    write_video(path, pictures(3), fps=30)
    assert numbers(read_video(path)) == [0, 1, 2]
    monkeypatch.chdir(tmp_path)
    assert numbers(read_video(path.name)) == [0, 1, 2]
    with pytest.raises(VideoError) as caught:
        read_video(path, [3])
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("wanted", [[1, 0], [-1], [0, 5, 4]])
def test_frames_are_asked_for_in_order(tmp_path, wanted):
    path = encode(tmp_path / "a.mp4", pictures(10))
    with pytest.raises(ValueError, match="increasing"):
        read_video(path, wanted)


def test_a_frame_behind_the_last(tmp_path, reader):
    path = encode(tmp_path / "a.mp4", pictures(10))
    frames = read_frames(path, [8, 9, 10])
    assert [number_of(next(frames)), number_of(next(frames))] == [8, 9]
    with pytest.raises(VideoError, match=r"a\.mp4: no frame 10: it has 10"):
        next(frames)
