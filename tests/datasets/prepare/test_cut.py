"""Clips out of sequences: where they begin, and what they are called."""

import dataclasses

import numpy as np

from datasets.prepare.cut import cut
from datasets.store.reader import ClipStore
from tests.datasets.mini.clips import T, sequence, write


def test_cut_takes_runs_of_valid_frames_from_their_first_frame():
    valid = np.ones(40, bool)
    valid[[3, 21]] = False  # runs: 0-2, 4-20 (17 frames), 22-39 (18 frames)
    starts = [clip.frame_ids[0] - 100 for clip in cut(sequence(frames=40, valid=valid), "test", T)]
    assert starts == [4, 12, 22, 30]
    assert not list(cut(sequence(frames=T - 1), "test", T))
    assert not list(cut(sequence(valid=np.zeros(20, bool)), "test", T))
    assert len(list(cut(sequence(frames=T), "test", T))) == 1


def starts(frame_ids):
    whole = dataclasses.replace(sequence(frames=len(frame_ids)), frame_ids=np.array(frame_ids))
    return [int(clip.frame_ids[0]) for clip in cut(whole, "test", T)]


def test_cut_never_crosses_a_gap_in_the_frame_numbers():
    assert starts([*range(10), *range(50, 60)]) == [0, 50]
    assert starts(range(0, 6 * T, 2)) == []  # every other frame: fps is not that of these rows
    assert starts([*range(0, 30, 3), *range(33, 43)]) == [33]
    assert starts([*range(T), *range(T)]) == [0, 0]
    assert starts([5] * 20) == []


def test_ids_are_ascii_and_quoted(tmp_path):
    names = ["tanz ä/ö", "a/b", 'it\'s "so"', "100%", "50%2F", "..", "日本\n"]
    clips = write(tmp_path / "s", [sequence(name, frames=T, cameras="none") for name in names])
    store = ClipStore.open(tmp_path / "s")
    for clip, name in zip(clips, names, strict=True):
        assert clip.clip_id.isascii() and clip.clip_id.isprintable()
        assert len(clip.clip_id.split("/")) == 6
        assert store[clip.clip_id].sequence == name
