"""The clip store: what goes in comes out, in whatever order it is asked for."""

import hashlib

import numpy as np
import pytest

from datasets.prepare.cut import cut
from datasets.store.reader import ClipStore
from datasets.store.schema import StoreError
from datasets.store.writer import ClipStoreWriter
from tests.datasets.mini.clips import T, clip_at, sequence, write, write_clips


def assert_same(got, expected):
    for name in ("clip_id", "dataset", "sequence", "split", "fps", "camera", "person"):
        assert getattr(got, name) == getattr(expected, name), name
    np.testing.assert_array_equal(got.frame_ids, expected.frame_ids)
    np.testing.assert_array_equal(got.valid, expected.valid)
    for space in ("camera_motion", "world_motion"):
        ours, theirs = getattr(got, space), getattr(expected, space)
        assert (ours is None) == (theirs is None), space
        if ours is not None:
            for name in ("body_pose", "global_orient", "betas", "transl"):
                np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
            assert (ours.fps, ours.space, ours.gender) == (theirs.fps, theirs.space, theirs.gender)
    assert (got.view is None) == (expected.view is None)
    if got.view is not None:
        np.testing.assert_array_equal(got.view.K, expected.view.K)
        assert (got.view.T_w2c is None) == (expected.view.T_w2c is None)
        if got.view.T_w2c is not None:
            np.testing.assert_array_equal(got.view.T_w2c, expected.view.T_w2c)
        assert (got.view.width, got.view.height) == (640, 480)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"cameras": "none"},
        {"cameras": "camera"},
        {"moving_betas": True, "gender": "female"},
        {"camera": "cam 3", "person": "left"},
    ],
)
def test_a_clip_comes_back_as_it_went_in(tmp_path, fields):
    clips = write(tmp_path / "s", [sequence(**fields)])
    store = ClipStore.open(tmp_path / "s")
    assert len(store) == len(clips) == 2
    for got, expected in zip(store, clips, strict=True):
        assert_same(got, expected)


def test_random_access_equals_iteration_across_row_groups(tmp_path):
    mixed = [
        sequence("a", frames=T * 70, seed=1),
        sequence("b", frames=T * 3, seed=2, cameras="none", moving_betas=True),
        sequence("c", frames=T * 60, seed=3, cameras="camera"),
    ]
    clips = write(tmp_path / "s", mixed)
    store = ClipStore.open(tmp_path / "s")
    assert store.clip_ids == [clip.clip_id for clip in clips]
    for position, clip in enumerate(store):
        if position % 13 == 0 or position in (63, 64, 127, 128):
            assert_same(store[position], clip)
            assert_same(store[clip.clip_id], clip)
    assert_same(store[-1], clips[-1])
    some = [store.clip_ids[i] for i in (130, 2, 71, 72)]
    expected = np.stack([store[name].motion.to_channels() for name in some])
    np.testing.assert_array_equal(store.channels(some), expected)
    np.testing.assert_array_equal(store.fps(some), [25.0] * 4)
    for part in (slice(0, 3), slice(-2, None), slice(131, 60, -35), slice(9, 9)):
        for got, expected in zip(store[part], clips[part], strict=True):
            assert_same(got, expected)
    with pytest.raises(KeyError):
        store["nothing"]
    with pytest.raises(IndexError):
        store[len(store)]


def test_reading_in_any_order_reads_each_row_group_once(tmp_path, monkeypatch):
    write(tmp_path / "s", [sequence(frames=T * 100)])
    store, read = ClipStore.open(tmp_path / "s"), []
    inner = store._motion.read_row_group
    monkeypatch.setattr(store._motion, "read_row_group", lambda n: read.append(n) or inner(n))
    for position in np.random.default_rng(0).permutation(100):
        store[int(position)]
    assert sorted(read) == [0, 1, 2, 3]


def test_the_same_input_gives_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        write(tmp_path / name, [sequence(frames=T * 70)])
    files = sorted(p.name for p in (tmp_path / "one").iterdir())
    assert files == ["gt.parquet", "index.parquet", "manifest.json", "motion.parquet"]
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_one_changed_number_changes_the_identity(tmp_path):
    write(tmp_path / "one", [sequence(seed=0)])
    write(tmp_path / "two", [sequence(seed=1)])
    identities = {ClipStore.open(tmp_path / name).sha256 for name in ("one", "two")}
    assert len(identities) == 2


def test_ids_of_a_split(tmp_path):
    with ClipStoreWriter(tmp_path / "s", num_frames=T) as writer:
        for name, split in (("a", "train"), ("b", "test"), ("c", "train")):
            for clip in cut(sequence(name, frames=T), split, T):
                writer.add(clip)
        writer.close({})
    store = ClipStore.open(tmp_path / "s")
    assert [store[name].sequence for name in store.ids("train")] == ["a", "c"]
    assert store.ids("val") == []
    assert store.manifest["splits"] == {"train": 2, "test": 1}
    assert store.manifest["groups"] == {"train": 2, "test": 1}
    assert store.manifest["rates"] == [{"fps": 25.0, "clips": 3}]


def test_every_kind_of_clip_comes_back_whole(tmp_path):
    root = tmp_path / "s"
    clips = [
        clip_at(root, "smplx", group="take 7", num_people=2, pelvis_rest=np.float32([1, 2, 3])),
        clip_at(root, "smpl", body="smpl", motion_source="gvhmr"),
        clip_at(root, "pictures alone", body=None),
        clip_at(root, "labels alone", video=False),
    ]
    store = write_clips(root, *clips)
    for got, expected in zip(store, clips, strict=True):
        for name in ("clip_id", "fps", "num_people", "resize", "video"):
            assert getattr(got, name) == getattr(expected, name), name
        assert got.group == (expected.group or expected.sequence)
        assert (got.view.width, got.view.pixel_origin) == (64, "centre")
        assert (got.pelvis_rest is None) == (expected.pelvis_rest is None)
        if expected.motion is None:
            assert got.motion is None
            continue
        assert (got.motion.body, got.motion.gender) == (expected.motion.body, "female")
        assert got.motion.fps == 30000 / 1001
        np.testing.assert_array_equal(got.motion.body_pose, expected.motion.body_pose)
    np.testing.assert_array_equal(store[0].pelvis_rest, [1, 2, 3])
    assert [clip.motion_source for clip in store][:2] == ["dataset", "gvhmr"]
    hashes = store.index.column("video_sha256").to_pylist()
    assert hashes[:3] == [hashlib.sha256(c.video.read_bytes()).hexdigest() for c in clips[:3]]
    assert hashes[3] == ""


def test_channels_are_of_smplx_motions_alone(tmp_path):
    root = tmp_path / "s"
    varying = next(cut(sequence("b", frames=T, moving_betas=True), "test", T))
    constant = next(cut(sequence("a", frames=T, seed=4), "test", T))
    others = clip_at(root, "c", body="smpl"), clip_at(root, "d", body=None)
    store = write_clips(root, others[0], varying, others[1], constant)
    expected = np.stack([constant.motion.to_channels(), varying.motion.to_channels()])
    ids = [constant.clip_id, varying.clip_id]
    np.testing.assert_array_equal(store.channels(ids), expected)
    for clip in others:
        with pytest.raises(StoreError, match=f"{clip.clip_id} has no SMPL-X motion") as error:
            store.channels([varying.clip_id, clip.clip_id])
        assert "datasets.pseudo_gt" in str(error.value)
