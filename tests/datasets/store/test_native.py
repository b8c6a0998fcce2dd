"""A dataset's own labels come back exactly."""

import dataclasses

import numpy as np
import pytest

from datasets.prepare.cut import cut
from datasets.store.reader import ClipStore
from datasets.store.schema import ClipError
from datasets.store.writer import ClipStoreWriter
from tests.datasets.mini.clips import NATIVE, T, clip_at, sequence, write_clips


def test_native_labels_come_back_exactly(tmp_path):
    clips = [clip_at(tmp_path, name, video=False) for name in ("a", "b", "c")]
    per_frame = frozenset(["poses", "trans"])
    clips[1] = dataclasses.replace(clips[1], native=NATIVE, native_frames=per_frame)
    clips[2] = dataclasses.replace(clips[2], native={"poses": NATIVE["poses"] + 1})
    one = write_clips(tmp_path / "one", *clips)
    with ClipStoreWriter(tmp_path / "two", num_frames=T) as writer:
        writer.extend(one)
        writer.close({})
    for store in (one, ClipStore.open(tmp_path / "two")):
        found = store.native(clips[1].clip_id)
        assert found.keys() == NATIVE.keys()
        for name, expected in NATIVE.items():
            assert (found[name].dtype, found[name].shape) == (expected.dtype, expected.shape), name
            assert found[name].tobytes() == expected.tobytes(), name
        assert store.native(clips[0].clip_id) == {}
        np.testing.assert_array_equal(store.native(clips[2].clip_id)["poses"], NATIVE["poses"] + 1)
        with pytest.raises(KeyError):
            store.native("nothing")


def test_native_labels_of_any_row_group(tmp_path):
    clips = list(cut(sequence(frames=100 * T), "test", T))
    for i in (*range(30, 35), 99):  # the first group has few, the third none, the last one
        clips[i] = dataclasses.replace(clips[i], native={"own": np.array([i])})
    store = write_clips(tmp_path / "s", *clips)
    for clip in clips:
        assert store.native(clip.clip_id) == clip.native


@pytest.mark.parametrize(
    "value", [np.array([None]), np.array([b"x"]), np.array([1j]), np.array(["\ud800"])]
)
def test_native_labels_that_cannot_be_kept_are_refused_alone(tmp_path, value):
    good, bad = (clip_at(tmp_path, name, video=False) for name in ("a", "b"))
    with ClipStoreWriter(tmp_path / "s", num_frames=T) as writer:
        writer.add(good)
        with pytest.raises(ClipError, match="native label"):
            writer.add(dataclasses.replace(bad, native={"label": value}))
        writer.add(bad)
        writer.close({})
    assert len(ClipStore.open(tmp_path / "s")) == 2
