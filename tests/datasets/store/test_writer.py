"""Writing a clip store: whole or not at all, and never over anything else."""

import dataclasses
import os

import pytest

from datasets.prepare.cut import cut
from datasets.store.reader import ClipStore
from datasets.store.schema import ClipError, StoreError
from datasets.store.writer import ClipStoreWriter, check
from tests.datasets.mini.clips import NATIVE, T, clip_at, sequence, write, write_clips


def test_the_writer_refuses_what_is_not_a_clip_of_this_store(tmp_path):
    with ClipStoreWriter(tmp_path / "s", num_frames=T) as writer:
        clip = next(cut(sequence(), "test", T))
        writer.add(clip)
        with pytest.raises(StoreError, match="already"):
            writer.add(clip)
        with pytest.raises(StoreError, match="9 frames, not 8"):
            writer.add(next(cut(sequence(), "test", 9)))
        writer.close({})
    assert len(ClipStore.open(tmp_path / "s")) == 1


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(StoreError, match="not empty"):
        ClipStoreWriter(tmp_path, num_frames=T)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]
    write(tmp_path / "s", [sequence()])
    with pytest.raises(StoreError, match="not empty"):
        ClipStoreWriter(tmp_path / "s", num_frames=T)
    assert len(ClipStore.open(tmp_path / "s")) == 2
    with pytest.raises(StoreError, match=r"cannot be written \(File exists\): name another folder"):
        ClipStoreWriter(tmp_path / "notes.txt", num_frames=T)


def test_an_unfinished_store_does_not_open_and_can_be_written_again(tmp_path):
    path = tmp_path / "s"
    writer = ClipStoreWriter(path, num_frames=T)
    for clip in cut(sequence(frames=T * 70), "test", T):
        writer.add(clip)  # more than a row group: part of it is on disk
    assert list(path.glob("*.tmp"))
    with pytest.raises(StoreError, match="manifest"):
        ClipStore.open(path)
    write(path, [sequence()])
    assert len(ClipStore.open(path)) == 2


def test_an_error_or_an_empty_store_leaves_nothing_behind(tmp_path):
    with (
        pytest.raises(RuntimeError, match="half way"),
        ClipStoreWriter(tmp_path / "s", num_frames=T) as writer,
    ):
        writer.add(next(cut(sequence(), "test", T)))
        raise RuntimeError("half way")
    with (
        pytest.raises(StoreError, match="no clip"),
        ClipStoreWriter(tmp_path / "s", num_frames=T) as writer,
    ):
        writer.close({})
    assert not (tmp_path / "s").exists()


def test_motions_that_cannot_both_be_stored_are_refused():
    clip = next(cut(sequence(), "test", T))
    check(clip)
    for name, value in (
        ("body_pose", clip.world_motion.body_pose + 1),
        ("betas", clip.world_motion.betas + 1),
        ("gender", "male"),
    ):
        other = dataclasses.replace(clip.world_motion, **{name: value})
        with pytest.raises(ClipError, match=f"differ in {name}"):
            check(dataclasses.replace(clip, world_motion=other))


def test_clips_are_added_all_or_none(tmp_path):
    with ClipStoreWriter(tmp_path / "s", num_frames=T) as writer:
        first, second = cut(sequence(), "test", T)
        with pytest.raises(ClipError, match="already"):
            writer.add(first, second, first)
        writer.add(second)
        writer.close({})
    assert ClipStore.open(tmp_path / "s").clip_ids == [second.clip_id]


def test_leaving_without_closing_leaves_nothing(tmp_path):
    with ClipStoreWriter(tmp_path / "s", num_frames=T) as writer:
        writer.add(*cut(sequence(), "test", T))
    assert not (tmp_path / "s").exists()


def test_temporary_files_of_others_are_left_alone(tmp_path):
    (tmp_path / "thesis.tmp").write_text("mine")
    with pytest.raises(StoreError, match=r"not empty \(it holds thesis.tmp\)"):
        ClipStoreWriter(tmp_path, num_frames=T)
    assert (tmp_path / "thesis.tmp").read_text() == "mine"


@pytest.mark.parametrize("obstacle", ["index.parquet.tmp", "manifest.json.tmp"])
def test_a_write_error_names_the_store_and_leaves_no_file_of_it(tmp_path, obstacle):
    with (
        pytest.raises(StoreError, match=f"cannot write {tmp_path / 's'}: "),
        ClipStoreWriter(tmp_path / "s", num_frames=T) as writer,
    ):
        writer.add(*cut(sequence(), "test", T))
        (tmp_path / "s" / obstacle).symlink_to("/dev/full")
        writer.close({})
    assert not (tmp_path / "s").exists()


def test_ctrl_c_in_the_last_moment_leaves_no_half_store(tmp_path, monkeypatch):
    """The manifest has its name, and `close` has not returned."""
    rename = os.replace

    def stop(source, target):
        rename(source, target)
        if target.name == "manifest.json":
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "s", [sequence()])
    assert not (tmp_path / "s").exists()


def test_clips_of_other_stores_are_appended_as_they_are(tmp_path):
    whole = write_clips(
        tmp_path / "whole",
        *cut(sequence("a", frames=T * 40), "test", T),
        clip_at(tmp_path / "whole", "b", native=NATIVE),
        clip_at(tmp_path / "whole", "c", body="smpl"),
    )
    ids = whole.clip_ids
    for name, some in (("head", ids[:33]), ("tail", ids[33:])):
        with ClipStoreWriter(tmp_path / name, num_frames=T) as writer:
            writer.extend(whole, some)
            writer.close({})
    with ClipStoreWriter(tmp_path / "joined", num_frames=T) as writer:
        for name in ("head", "tail"):
            writer.extend(ClipStore.open(tmp_path / name))
        with pytest.raises(ClipError, match="already"):
            writer.extend(whole, ids[:1])
        with pytest.raises(KeyError, match="nothing"):
            writer.extend(whole, ["nothing"])
        writer.close({})
    assert ClipStore.open(tmp_path / "joined").sha256 == whole.sha256
    with (
        pytest.raises(StoreError, match="clips of 8 frames, not 9"),
        ClipStoreWriter(tmp_path / "nine", num_frames=9) as writer,
    ):
        writer.extend(whole)


def test_a_video_must_lie_in_the_store(tmp_path):
    with (
        pytest.raises(ValueError, match="subpath"),
        ClipStoreWriter(tmp_path / "s", num_frames=T) as writer,
    ):
        writer.add(clip_at(tmp_path / "elsewhere"))
    assert not (tmp_path / "s").exists()
