"""Videos that are damaged, cut short, or none: what can be read is, the rest is one line."""

import os
import pickle
import random

import numpy as np
import pytest

from datasets.video.files import VideoError, probe, read_frames, read_video
from tests.datasets.mini.video import add_sound, encode, number_of, numbered


def moving_noise(count=60):
    """Pictures that compress badly, so that every frame has bytes to damage, and their numbers."""
    noise = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    return [np.vstack([numbered(i), np.roll(noise, 2 * i, axis=1)]) for i in range(count)]


def damage_number(frame):
    return number_of(frame[:64])


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "libx264"),
        ("a.mov", "libx264"),
        ("a.mkv", "libx264"),
        ("a.webm", "libvpx-vp9"),
        ("a.avi", "mpeg4"),
    ],
)
def test_a_file_cut_short_has_the_frames_before_the_cut(tmp_path, reader, name, codec):
    path = encode(tmp_path / name, moving_noise(), codec=codec, gop=10, front=name != "a.mkv")
    data = path.read_bytes()
    found = []
    for percent in (1, 5, 30, 50, 75, 99):
        path.write_bytes(data[: len(data) * percent // 100])
        try:
            frames = read_video(path)
        except VideoError:
            found.append(0)
            continue
        assert [damage_number(frame) for frame in frames] == list(range(len(frames)))
        with pytest.raises(VideoError, match="no frame"):
            read_video(path, [len(frames)])
        found.append(len(frames))
    assert found == sorted(found)
    assert 0 < found[3] < 60  # half the file


def test_an_mp4_that_lost_its_index(tmp_path):
    path = encode(tmp_path / "a.mp4", [numbered(i) for i in range(40)])
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"moov")])
    with pytest.raises(VideoError, match="cut short"):
        probe(path)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_frames_before_damage_can_be_read(tmp_path, reader, name):
    path = encode(tmp_path / name, moving_noise(), gop=10, front=name == "a.mp4")
    data = bytearray(path.read_bytes())
    half = len(data) // 2
    data[half : half + 3000] = bytes(3000)
    path.write_bytes(data)
    found = []
    with pytest.raises(VideoError, match="damaged: frame"):
        for frame in read_frames(path, range(probe(path).num_frames)):
            found.append(damage_number(frame))
    assert found == list(range(len(found)))
    assert 20 <= len(found) < 40


def test_random_damage_neither_stops_nor_crashes(tmp_path, reader):
    seeds = [
        encode(tmp_path / f"seed.{suffix}", moving_noise(12), codec=codec).read_bytes()
        for suffix, codec in (("mp4", "libx264"), ("mkv", "libx264"), ("avi", "mpeg4"))
    ]
    chance = random.Random(0)
    readable = 0
    for _ in range(40):
        data = bytearray(chance.choice(seeds))
        end = chance.choice((len(data), 3000))
        for _ in range(chance.choice((1, 5, 50))):
            data[chance.randrange(end)] = chance.randrange(256)
        (tmp_path / "a.mp4").write_bytes(data)
        try:
            readable += len(read_video(tmp_path / "a.mp4")) > 0
        except VideoError as error:
            assert str(error).isprintable()
    assert 0 < readable < 40


def zero_bytes(path):
    path.touch()


def text(path):
    path.write_text("not a video\n" * 100)


def picture(path):
    from PIL import Image

    Image.fromarray(numbered(0)).save(path, format="png")


def folder(path):
    path.mkdir()


def pipe(path):
    os.mkfifo(path)


def circle(path):
    path.symlink_to(path)


def play_list(path):
    encode(path.with_name("other.mp4"), [numbered(i) for i in range(3)])
    path.write_text("ffconcat version 1.0\nfile other.mp4\n")


def missing(path):
    pass


@pytest.mark.parametrize(
    "make", [zero_bytes, text, picture, folder, pipe, circle, play_list, missing, add_sound]
)
def test_what_is_no_video(tmp_path, make):
    path = tmp_path / "no video.mp4"
    make(path)
    for use in (probe, read_video):
        with pytest.raises(VideoError, match=r"no video\.mp4: ") as caught:
            use(path)
        assert str(caught.value).isprintable()


def test_errors_cross_to_other_processes():
    error = pickle.loads(pickle.dumps(VideoError("a.mp4", "zero bytes")))
    assert (str(error), error.why) == ("a.mp4: zero bytes", "zero bytes")
