"""Several stores read as one: what one store with all their clips would give."""

import numpy as np
import pytest

from datasets.prepare.cut import cut
from datasets.store.joined import JoinedStore, open_stores, stores_of
from datasets.store.reader import ClipStore
from datasets.store.schema import StoreError
from datasets.store.writer import ClipStoreWriter
from tests.datasets.mini.clips import T, clip_at, sequence, write_clips

SEQUENCES = [
    sequence("a", frames=T * 3, seed=1),
    sequence("b", frames=T * 2, seed=2, cameras="none", moving_betas=True),
    sequence("c", frames=T * 2, seed=3, cameras="camera", gender="female"),
]
SPLITS = {"a": "train", "b": "test", "c": "train"}
BODY = {"name": "one", "sha256": "1"}


def store_of(path, sequences, *, length=T, **manifest):
    with ClipStoreWriter(path, num_frames=length) as writer:
        for one in sequences:
            for clip in cut(one, SPLITS[one.sequence], length):
                writer.add(clip)
        writer.close(manifest)
    return path


def test_readings_are_those_of_one_store_with_all_clips(tmp_path):
    one = open_stores([store_of(tmp_path / "one", SEQUENCES)])
    paths = [
        store_of(tmp_path / name, s) for name, s in (("x", SEQUENCES[:2]), ("y", SEQUENCES[2:]))
    ]
    both = open_stores(paths)
    assert isinstance(both, JoinedStore) and len(both) == len(one) == 7
    ids = [one.clip_ids[row] for row in (6, 0, 4, 3, 1)]  # from one store and the other by turns
    for read in ("spaces", "genders", "video_sha256"):
        assert getattr(both, read)(ids) == getattr(one, read)(ids)
    np.testing.assert_array_equal(both.fps(ids), one.fps(ids))
    np.testing.assert_array_equal(both.channels(ids), one.channels(ids))
    assert both.channels([]).shape == (0, T, 79)
    assert sorted(clip.clip_id for clip in both.some(ids)) == sorted(ids)
    assert both[ids[0]].clip_id == ids[0]
    assert sorted(both.index.column("clip_id").to_pylist()) == sorted(one.clip_ids)
    assert (both.num_frames, both.dataset) == (T, "test")
    splits = {split: set(both.ids(split)) for split in ("train", "test")}
    assert splits["test"] == {name for name in one.clip_ids if "/b/" in name}
    assert both.manifest["splits"] == {split: len(ids) for split, ids in splits.items()}
    with pytest.raises(KeyError):
        both["nowhere"]


def test_videos_are_found_in_their_own_store(tmp_path):
    for name in ("x", "y"):
        write_clips(tmp_path / name, clip_at(tmp_path / name, f"walk-{name}"))
    both = open_stores([tmp_path / "x", tmp_path / "y"])
    bare = [name for name in both.clip_ids if not both.has_video(name) or both.video_fault(name)]
    assert bare == []
    (path,) = [clip.video for clip in both.some(["test/test/walk-y/c/p/000000"])]
    path.write_bytes(b"other")
    assert both.video_fault("test/test/walk-y/c/p/000000")
    assert not both.video_fault("test/test/walk-x/c/p/000000")


def test_the_order_of_the_names_does_not_matter(tmp_path):
    paths = [store_of(tmp_path / name, [one]) for name, one in zip("xyz", SEQUENCES, strict=True)]
    first, second = open_stores(paths), open_stores(paths[::-1])
    assert (first.sha256, first.clip_ids) == (second.sha256, second.clip_ids)
    assert first.sha256 != open_stores(paths[:2]).sha256


def test_a_single_store_is_itself(tmp_path):
    store = open_stores([store_of(tmp_path / "x", SEQUENCES)])
    assert isinstance(store, ClipStore) and stores_of(store) == (store,)


def test_stores_that_cannot_be_joined_are_refused_in_a_line(tmp_path):
    first = store_of(tmp_path / "first", SEQUENCES[:2], body=BODY)
    common = store_of(tmp_path / "common", SEQUENCES[1:])
    longer = store_of(tmp_path / "longer", SEQUENCES[2:], length=2 * T)
    other = store_of(tmp_path / "other", SEQUENCES[2:], body={**BODY, "sha256": "2"})
    for second, message in (
        (common, "clip test/test/b/.* is in .* and in .*: name stores without a clip in common"),
        (longer, f"clips of {2 * T} frames|clips of {T} frames"),
        (other, "different bodies"),
        (first, "is in .*first and in .*first"),
    ):
        with pytest.raises(StoreError, match=message) as caught:
            open_stores([first, second])
        assert "\n" not in str(caught.value)
    assert len(open_stores([first, store_of(tmp_path / "unknown", SEQUENCES[2:])])) == 7
