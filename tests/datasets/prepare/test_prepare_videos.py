"""`datasets.prepare` with pictures: their videos, and what is skipped."""

import os
from dataclasses import replace

import numpy as np
import pytest

from datasets.prepare.summary import NoClipError
from datasets.store.reader import ClipStore
from datasets.video.files import read_video
from datasets.video.pad_resize import PadResize
from tests.datasets.mini.pictures import FRAMES, Pictures
from tests.datasets.prepare.picture_stores import T, contents, make


def test_every_clip_has_its_pictures_and_the_camera_that_took_them(tmp_path):
    dataset = Pictures()
    manifest = make(dataset, tmp_path / "s")
    store = ClipStore.open(tmp_path / "s")
    assert manifest["num_clips"] == 9
    assert sorted(p.name for p in (tmp_path / "s").iterdir()) == sorted(
        ["gt.parquet", "index.parquet", "manifest.json", "motion.parquet", "videos"]
    )
    resize = PadResize(48, 32, 32)
    for clip in store:
        whole = dataset.sequence(int(clip.sequence[1:]))
        rows = slice(int(clip.frame_ids[0]), int(clip.frame_ids[0]) + T)
        assert clip.resize == resize
        assert clip.video == tmp_path / "s" / "videos" / f"{clip.clip_id}.mp4"
        np.testing.assert_array_equal(clip.view.K, resize.camera(whole.view[rows]).K)
        assert (clip.view.width, clip.view.height) == (32, 32)
        pictures = [resize.image(frame) for frame in whole.source.frames(range(FRAMES)[rows])]
        error = read_video(clip.video).astype(float) - pictures
        assert np.abs(error).mean() < 6
        np.testing.assert_array_equal(
            store.native(clip.clip_id)["poses"], whole.native["poses"][rows]
        )


def test_the_bytes_do_not_depend_on_the_number_of_workers(tmp_path):
    dataset = Pictures(unreadable=((0, 9), (2, 0)))
    make(dataset, tmp_path / "a" / "s", workers=1)
    make(dataset, tmp_path / "b" / "s", workers=2)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    skipped = ClipStore.open(tmp_path / "a" / "s").manifest["skipped"]
    assert [entry["name"] for entry in skipped] == [
        "pictures/test/s0/cam%200/0/000008",
        "left out",
        "pictures/test/s2/cam%200/0/000000",
    ]
    assert [entry["reason"] for entry in skipped][::2] == [
        "picture 9 is cut short",
        "picture 0 is cut short",
    ]
    assert not any("s2/cam%200/0/000000" in name for name in contents(tmp_path / "a"))


@pytest.mark.slow
def test_a_worker_that_dies_loses_only_the_clip_that_kills_it(tmp_path):
    manifest = make(Pictures(deadly=((1, 5),)), tmp_path / "s", workers=2)
    assert manifest["num_clips"] == 8
    assert manifest["skipped"][1:] == [
        {"name": "pictures/test/s1/cam%200/0/000004", "reason": "its worker process died twice"}
    ]


def test_labels_alone(tmp_path):
    manifest = make(Pictures(), tmp_path / "s", video_size=None)
    clip = ClipStore.open(tmp_path / "s")[0]
    assert manifest["num_clips"] == 9
    assert (clip.video, clip.resize, clip.view.width, clip.view.height) == (None, None, 48, 32)
    with pytest.raises(NoClipError, match="no labels, and no videos were asked for") as error:
        make(Pictures(labelled=False), tmp_path / "t", video_size=None)
    assert error.value.by_command
    assert not (tmp_path / "t").exists()


def test_pictures_alone(tmp_path):
    make(Pictures(labelled=False), tmp_path / "s")
    for clip in ClipStore.open(tmp_path / "s"):
        assert (clip.motion, clip.view) == (None, None)
        assert read_video(clip.video).shape == (T, 32, 32, 3)


def test_a_camera_of_other_pictures_is_a_reason_to_skip(tmp_path, monkeypatch):
    whole = Pictures.sequence
    wrong = {0: 47}

    def sequence(self, index):
        found = whole(self, index)
        return replace(found, view=replace(found.view, width=wrong.get(index, 48)))

    monkeypatch.setattr(Pictures, "sequence", sequence)
    manifest = make(Pictures(count=2), tmp_path / "s")
    assert manifest["num_clips"] == 3
    assert manifest["skipped"][0]["name"] == "s0/cam 0/0"
    assert "47x32" in manifest["skipped"][0]["reason"]


def test_labels_that_no_store_can_keep_are_a_reason_to_skip(tmp_path, monkeypatch):
    whole = Pictures.sequence

    def sequence(self, index):
        native = {"pickled": np.array([None])} if index == 0 else {}
        return replace(whole(self, index), native=native, native_frames=frozenset())

    monkeypatch.setattr(Pictures, "sequence", sequence)
    manifest = make(Pictures(count=2), tmp_path / "s")
    assert manifest["num_clips"] == 3
    reasons = [entry["reason"] for entry in manifest["skipped"][:3]]
    assert reasons == ["native label pickled is of object"] * 3
    assert not any("s0" in name for name in contents(tmp_path))


def test_names_that_are_no_file_names(tmp_path):
    names = ("", "..", ".", "a/../b", "q\"' =,;", "ä" * 100, "ä" * 100 + "b", "~", "x\n")
    make(Pictures(count=len(names), names=names), tmp_path / "s")
    store = ClipStore.open(tmp_path / "s")
    videos = [clip.video for clip in store]
    assert len(set(videos)) == len(videos) == 3 * len(names)
    assert [clip.sequence for clip in store][::3] == list(names)
    for video in videos:
        assert video.resolve().is_relative_to((tmp_path / "s" / "videos").resolve())
        assert len(video.relative_to(tmp_path / "s").parts) == 7
        assert max(len(os.fsencode(part)) for part in video.parts) <= 210
        assert read_video(video).shape == (T, 32, 32, 3)
