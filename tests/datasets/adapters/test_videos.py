"""The adapter for a folder of a user's own videos."""

import dataclasses
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from datasets import adapters
from datasets.adapters.videos import DATASET, VideoOptions
from tests.datasets.mini import reading
from tests.datasets.mini.video import encode, number_of, numbered

CONTAINERS = {
    ".mov": "mov",
    ".avi": "avi",
    ".mkv": "matroska",
    ".webm": "matroska",
    ".ts": "mpegts",
    ".mpg": "mpeg",
    ".flv": "flv",
    ".wmv": "asf",
}


def clip(path, count=6, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    container = CONTAINERS.get(path.suffix.lower(), "mp4")
    frames = [numbered(i) for i in range(count)]
    return encode(path, frames, container=container, **options)


def at_rate(fps):
    return dataclasses.replace(DATASET, options=VideoOptions(fps=fps))


def read_all(root):
    """Sequences by name, and the reason for each file that was skipped."""
    found, skipped = reading.read(DATASET, root)
    return {name: sequence for (name, *_), sequence in found.items()}, skipped


def test_it_is_found_by_name():
    assert adapters.get("videos") is DATASET


def test_every_video_is_a_sequence_without_labels(tmp_path):
    for name in ("b.mp4", "a/z.MOV", "a/y.mkv", "c.AVI"):
        clip(tmp_path / name)
    clip(tmp_path / "d e" / "w.webm", codec="libvpx-vp9")
    (tmp_path / "notes.txt").write_text("no video")
    (tmp_path / "folder.mp4").mkdir()
    found, skipped = read_all(tmp_path)
    assert list(found) == ["a/y", "a/z", "b", "c", "d e/w"]
    assert skipped == {"*.txt": "files of a kind that is not read: 1"}
    for name, sequence in found.items():
        assert (sequence.dataset, sequence.group) == ("videos", name)
        assert (sequence.camera, sequence.person, sequence.split) == ("0", "0", None)
        assert sequence.num_people == 0  # nobody counted
        assert sequence.fps == 30
        assert sequence.motion is None
        assert sequence.view is None
        assert sequence.frame_ids.tolist() == list(range(6))
        assert sequence.valid.all()
        assert not sequence.native
        assert [number_of(frame) for frame in sequence.source.frames([0, 5])] == [0, 5]


def test_source_frames_are_kept_where_the_rate_varies(tmp_path):
    times = np.array([0, 1, 2, 4, 6, 8]) / 30
    clip(tmp_path / "a.mp4", times=times)
    sequence = read_all(tmp_path)[0]["a"]
    shown = sequence.native["source_frame"]
    assert sequence.native_frames == {"source_frame"}
    assert len(shown) == len(sequence)
    frames = sequence.source.frames(range(len(sequence)))
    assert [number_of(frame) for frame in frames] == shown.tolist()


def test_bad_files_are_skipped_with_a_reason(tmp_path):
    clip(tmp_path / "good.mp4")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mov").write_text("no video")
    whole = clip(tmp_path / "short.mp4")
    whole.write_bytes(whole.read_bytes()[:200])
    os.mkfifo(tmp_path / "pipe.mkv")
    (tmp_path / "dangling.mp4").symlink_to("nowhere.mp4")
    (tmp_path / "circle.mp4").symlink_to("circle.mp4")
    found, skipped = read_all(tmp_path)
    assert list(found) == ["good"]
    assert set(skipped) == {"empty", "text", "short", "pipe", "dangling", "circle"}
    assert skipped["empty"] == "zero bytes"
    assert "cut short" in skipped["short"]
    assert all(reason.isprintable() for reason in skipped.values())


def test_links_are_followed_once(tmp_path):
    root = tmp_path / "root"
    clip(root / "inside.mp4")
    clip(tmp_path / "outside.mp4", count=4)
    clip(tmp_path / "far" / "deep" / "other.mp4", count=5)
    (root / "away.mp4").symlink_to("../outside.mp4")
    (root / "near.mp4").symlink_to("inside.mp4")
    (root / "folder").symlink_to("../far")
    (tmp_path / "far" / "back").symlink_to("../root")  # a circle
    found, skipped = read_all(root)
    assert {name: s.group for name, s in found.items()} == {
        "away": "away",
        "folder/deep/other": "folder/deep/other",
        "inside": "inside",
        "near": "inside",
    }
    assert not skipped


@pytest.mark.parametrize("suffix", [".ts", ".mpg", ".flv", ".wmv", ".m4v", ".3gp"])
def test_other_containers_are_read_frame_by_frame(tmp_path, suffix):
    codec = {".mpg": "mpeg2video", ".wmv": "msmpeg4v3"}.get(suffix, "libx264")
    clip(tmp_path / f"a{suffix}", codec=codec)
    sequence = read_all(tmp_path)[0]["a"]
    assert sequence.fps == pytest.approx(30, rel=0.01) and len(sequence) == 6
    assert [number_of(frame) for frame in sequence.source.frames(range(6))] == list(range(6))


def test_a_folder_of_pictures_is_a_sequence_in_the_order_of_its_numbers(tmp_path):
    folder = tmp_path / "shots" / "one"
    folder.mkdir(parents=True)
    for number in range(12):
        Image.fromarray(numbered(number)).save(folder / f"frame_{number}.png")
    found, skipped = read_all(tmp_path)
    assert not found
    assert skipped == {"shots/one": "12 pictures have no rate: give their frames per second, --fps"}
    (sequence,) = at_rate(24.0).sequences(tmp_path)
    assert (sequence.sequence, sequence.fps, len(sequence)) == ("shots/one", 24.0, 12)
    assert [number_of(frame) for frame in sequence.source.frames(range(12))] == list(range(12))


def test_at_a_rate_that_is_given_every_row_shows_the_frame_of_its_time(tmp_path):
    clip(tmp_path / "a.mp4", count=12)  # 30 frames per second
    for fps, rows in ((15.0, 6), (24.0, 9), (60.0, 23)):
        (sequence,) = at_rate(fps).sequences(tmp_path)
        assert (sequence.fps, len(sequence)) == (fps, rows) and sequence.valid.all()
        source = sequence.native["source_frame"]
        assert (np.abs(source / 30 - np.arange(rows) / fps) <= 1 / 60 + 1e-4).all()
        frames = sequence.source.frames(range(len(sequence)))
        assert [number_of(frame) for frame in frames] == source.tolist()


def test_copies_of_a_video_are_one_group(tmp_path):
    original = clip(tmp_path / "b.mp4")
    shutil.copy(original, tmp_path / "c.mp4")
    (tmp_path / "a.mp4").write_bytes(original.read_bytes()[::-1])  # as large, and no video
    clip(tmp_path / "other.mp4", count=5)
    found, skipped = read_all(tmp_path)
    assert {name: s.group for name, s in found.items()} == {"b": "b", "c": "b", "other": "other"}
    assert list(skipped) == ["a"]


@pytest.mark.parametrize("finished", [True, False])
def test_clip_stores_are_passed_over(tmp_path, finished):
    store = tmp_path / "inside"
    clip(store / "videos" / "deep" / "x.mp4")
    if finished:
        (store / "manifest.json").write_text('{"content_sha256": "0"}')
    else:
        (store / ".work").mkdir()
    with pytest.raises(FileNotFoundError, match="clip stores left out"):
        list(DATASET.sequences(tmp_path))
    clip(tmp_path / "own.mp4")
    (tmp_path / "manifest.json").write_text('{"mine": 1}')  # any other program's
    assert list(read_all(tmp_path)[0]) == ["own"]


def test_names_that_differ_in_their_suffix_only(tmp_path):
    clip(tmp_path / "a.mkv")
    clip(tmp_path / "a.mp4")
    found, skipped = read_all(tmp_path)
    assert list(found) == ["a"]
    assert found["a"].source.path.suffix == ".mkv"
    assert skipped == {"a": "another file has the same name but for .mp4"}


@pytest.mark.parametrize("name", ['it\'s "a", b=c', "two\nlines", "50%", "a.b", b"\xff"])
def test_names(tmp_path, name):
    clip(tmp_path / (os.fsdecode(name) + ".mp4"))
    found, skipped = read_all(tmp_path)
    assert not skipped
    (sequence,) = found
    sequence.encode("utf-8")
    assert sequence == (name if isinstance(name, str) else r"\xff")


def test_wrong_roots(tmp_path):
    for root in (None, tmp_path / "missing"):
        with pytest.raises(FileNotFoundError, match="no folder"):
            list(DATASET.sequences(root))
    with pytest.raises(FileNotFoundError, match="no video"):
        list(DATASET.sequences(tmp_path))
    with pytest.raises(ValueError, match="no official splits"):
        list(DATASET.sequences(tmp_path, "test"))
