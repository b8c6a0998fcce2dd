"""The clip store: what goes in comes out, and nothing unfinished or damaged ever opens."""

import dataclasses
import hashlib
import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from datasets.clip_schema import ClipError, StoreError, content_digest
from datasets.clip_store import ClipStore
from datasets.clip_writer import ClipStoreWriter, check
from datasets.motion import Camera, Motion
from datasets.pad_resize import PadResize
from datasets.preparing.cut import cut
from datasets.sequence import Clip, PersonSequence

T = 8


def motion(frames, rng, space, *, moving_betas=False, gender="neutral", fps=25.0):
    return Motion(
        body_pose=rng.normal(size=(frames, 63)),
        global_orient=rng.normal(size=(frames, 3)),
        betas=rng.normal(size=(frames, 10) if moving_betas else 10),
        transl=rng.normal(size=(frames, 3)),
        fps=fps,
        space=space,
        gender=gender,
    )


def sequence(name="walk", frames=20, seed=0, *, cameras="both", valid=None, **fields):
    """A sequence with a camera and both motions, a camera without a world, or a world alone."""
    rng = np.random.default_rng(seed)
    view = None
    if cameras != "none":
        K = np.tile(np.diag([500.0, 510, 1]), (frames, 1, 1))
        T_w2c = np.tile(np.eye(4), (frames, 1, 1)) if cameras == "both" else None
        view = Camera(K, T_w2c, 640, 480)
    moving_betas = fields.pop("moving_betas", False)
    gender = fields.pop("gender", "neutral")
    kind = {"moving_betas": moving_betas, "gender": gender}
    camera_motion = None if cameras == "none" else motion(frames, rng, "camera", **kind)
    world_motion = None if cameras == "camera" else motion(frames, rng, "world", **kind)
    if camera_motion is not None and world_motion is not None:
        world_motion = Motion(
            **{
                **vars(world_motion),
                "body_pose": camera_motion.body_pose,
                "betas": camera_motion.betas,
            }
        )
    return PersonSequence(
        dataset="test",
        sequence=name,
        frame_ids=np.arange(100, 100 + frames),
        valid=np.ones(frames, bool) if valid is None else valid,
        fps=25.0,
        view=view,
        camera_motion=camera_motion,
        world_motion=world_motion,
        **fields,
    )


def write(path, sequences, split="test"):
    """The clips of the sequences, as they were given to the writer."""
    with ClipStoreWriter(path, num_frames=T) as writer:
        clips = [clip for s in sequences for clip in cut(s, split, T)]
        for clip in clips:
            writer.add(clip)
        writer.close({"split_rule": "none"})
    return clips


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
    with pytest.raises(KeyError):
        store["nothing"]
    with pytest.raises(IndexError):
        store[len(store)]


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


def test_cut_takes_runs_of_valid_frames_from_their_first_frame():
    valid = np.ones(40, bool)
    valid[[3, 21]] = False  # runs: 0-2, 4-20 (17 frames), 22-39 (18 frames)
    starts = [clip.frame_ids[0] - 100 for clip in cut(sequence(frames=40, valid=valid), "test", T)]
    assert starts == [4, 12, 22, 30]
    assert not list(cut(sequence(frames=T - 1), "test", T))
    assert not list(cut(sequence(valid=np.zeros(20, bool)), "test", T))
    assert len(list(cut(sequence(frames=T), "test", T))) == 1


def test_ids_are_ascii_and_quoted(tmp_path):
    names = ["tanz ä/ö", "a/b", 'it\'s "so"', "100%", "50%2F", "..", "日本\n"]
    clips = write(tmp_path / "s", [sequence(name, frames=T, cameras="none") for name in names])
    store = ClipStore.open(tmp_path / "s")
    for clip, name in zip(clips, names, strict=True):
        assert clip.clip_id.isascii() and clip.clip_id.isprintable()
        assert len(clip.clip_id.split("/")) == 6
        assert store[clip.clip_id].sequence == name


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
    with pytest.raises(StoreError, match="cannot write"):
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


@pytest.mark.parametrize("file", ["index.parquet", "motion.parquet", "gt.parquet"])
@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "gone"])
def test_damage_is_found(tmp_path, file, damage):
    """On opening, but for changed bytes of what few need: when it is first used."""
    write(tmp_path / "s", [sequence()])
    path = tmp_path / "s" / file
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
    path.write_bytes({"flip": data, "cut": data[:-10]}.get(damage, b""))
    if damage == "gone":
        path.unlink()
    if (file, damage) == ("gt.parquet", "flip"):
        store = ClipStore.open(tmp_path / "s")
        for use in (lambda: store.native(store.clip_ids[0]), lambda: list(store.rows())):
            with pytest.raises(StoreError, match=r"gt\.parquet is damaged: its sha256 differs"):
                use()
        return
    with pytest.raises(StoreError, match=file):
        ClipStore.open(tmp_path / "s")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '"store"',
        "{}",
        '{"schema_version": 1}',
        '{"schema_version": 2, "files": {}, "num_clips": 1, "num_frames": 8, "content_sha256": ""}',
        '{"schema_version": 1, "files": {"../x": {}}, "num_clips": 1, "num_frames": 8, '
        '"content_sha256": ""}',
    ],
)
def test_a_broken_manifest_is_refused_in_words(tmp_path, text):
    write(tmp_path / "s", [sequence()])
    (tmp_path / "s" / "manifest.json").write_text(text)
    with pytest.raises(StoreError):
        ClipStore.open(tmp_path / "s")


def test_a_missing_manifest_or_folder_is_refused(tmp_path):
    write(tmp_path / "s", [sequence()])
    (tmp_path / "s" / "manifest.json").unlink()
    with pytest.raises(StoreError, match="no manifest"):
        ClipStore.open(tmp_path / "s")
    with pytest.raises(StoreError, match="no clip store"):
        ClipStore.open(tmp_path / "elsewhere")


def test_the_manifest_describes_the_files(tmp_path):
    clips = write(tmp_path / "s", [sequence()])
    manifest = json.loads((tmp_path / "s" / "manifest.json").read_text())
    assert manifest["num_clips"] == len(clips)
    assert manifest["num_frames"] == T
    assert manifest["split_rule"] == "none"
    for name, facts in manifest["files"].items():
        assert (tmp_path / "s" / name).stat().st_size == facts["bytes"]


@pytest.mark.parametrize("name", ["take.npz", "manifest.json", None])
def test_a_folder_that_is_no_store_is_never_to_be_deleted(tmp_path, name):
    if name:
        (tmp_path / name).write_text("{}")
    with pytest.raises(StoreError, match="is not a clip store") as error:
        ClipStore.open(tmp_path)
    assert "elete" not in str(error.value)
    assert f"python -m datasets.prepare NAME --root {tmp_path} --out NEW" in str(error.value)


def test_an_unfinished_store_may_be_deleted(tmp_path):
    (tmp_path / "motion.parquet.tmp").write_text("")
    with pytest.raises(StoreError, match=r"not a finished store\. Delete"):
        ClipStore.open(tmp_path)


def _edit_manifest(path, **changes):
    file = path / "manifest.json"
    manifest = {**json.loads(file.read_text()), **changes}
    file.write_text(json.dumps(manifest))
    return manifest


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"files": None}, "incomplete"),
        ({"files": ["index.parquet", "motion.parquet"]}, "incomplete"),
        ({"files": {"index.parquet": {}, "motion.parquet": {}}}, "incomplete"),
        ({"files": {"index.parquet": "0", "motion.parquet": {"sha256": 1}}}, "incomplete"),
        ({"num_frames": str(T)}, "incomplete"),
        ({"num_frames": True}, "incomplete"),
        ({"num_clips": None}, "incomplete"),
        ({"content_sha256": None}, "content_sha256"),
        ({"content_sha256": "0" * 64}, "content_sha256"),
        ({"num_frames": T + 1}, "num_frames 9, the files 8"),
        ({"num_clips": 3}, "num_clips 3, the files 2"),
    ],
)
def test_a_manifest_that_does_not_describe_the_files_is_refused(tmp_path, changes, word):
    write(tmp_path / "s", [sequence()])
    _edit_manifest(tmp_path / "s", **changes)
    with pytest.raises(StoreError, match=word) as error:
        ClipStore.open(tmp_path / "s")
    assert "\n" not in str(error.value)


def test_files_of_two_stores_do_not_make_one(tmp_path):
    write(tmp_path / "one", [sequence()])
    write(tmp_path / "two", [sequence(frames=3 * T)])
    theirs = json.loads((tmp_path / "two" / "manifest.json").read_text())["files"]
    shutil.copy(tmp_path / "two" / "motion.parquet", tmp_path / "one")
    ours = json.loads((tmp_path / "one" / "manifest.json").read_text())["files"]
    files = {**ours, "motion.parquet": theirs["motion.parquet"]}
    _edit_manifest(tmp_path / "one", files=files, content_sha256=content_digest(files))
    with pytest.raises(StoreError, match="num_clips 2, the files 3"):
        ClipStore.open(tmp_path / "one")


def starts(frame_ids):
    whole = dataclasses.replace(sequence(frames=len(frame_ids)), frame_ids=np.array(frame_ids))
    return [int(clip.frame_ids[0]) for clip in cut(whole, "test", T)]


def test_cut_never_crosses_a_gap_in_the_frame_numbers():
    assert starts([*range(10), *range(50, 60)]) == [0, 50]
    assert starts(range(0, 6 * T, 2)) == []  # every other frame: fps is not that of these rows
    assert starts([*range(0, 30, 3), *range(33, 43)]) == [33]
    assert starts([*range(T), *range(T)]) == [0, 0]
    assert starts([5] * 20) == []


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


def clip_at(root, name="walk", *, body="smplx", video=True, **fields):
    """A clip whose video, if any, lies below `root`."""
    rng = np.random.default_rng(len(name))
    motions = {}
    if body is not None:
        joints = {"smplx": 63, "smpl": 69}[body]
        motions["camera_motion"] = dataclasses.replace(
            motion(T, rng, "camera", gender="female"),
            body=body,
            body_pose=rng.normal(size=(T, joints)),
        )
    view = Camera(np.tile(np.diag([300.0, 300, 1]), (T, 1, 1)), None, 64, 64, "centre")
    clip = Clip(
        clip_id=f"test/test/{name}/c/p/000000",
        dataset="test",
        sequence=name,
        split="test",
        frame_ids=np.arange(T, dtype=np.int32),
        valid=np.ones(T, bool),
        fps=30000 / 1001,
        view=view,
        **motions,
        **fields,
    )
    if not video:
        return clip
    file = root / "videos" / f"{name}.mp4"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(name.encode())
    return dataclasses.replace(clip, video=file, resize=PadResize(1920, 1080, 64))


def write_clips(path, *clips):
    with ClipStoreWriter(path, num_frames=T) as writer:
        writer.add(*clips)
        writer.close({})
    return ClipStore.open(path)


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


NATIVE = {
    "poses": np.linspace(0, 1, T * 72).reshape(T, 72),
    "trans": np.float32([[0.1, np.nan, -np.inf]] * T),
    "half": np.arange(T, dtype=np.float16),
    "ids": np.arange(T, dtype=np.uint16),
    "big": np.array([2**63 - 1, -(2**63), 2**53 + 1]),
    "bigger": np.array([2**64 - 1], np.uint64),
    "flags": np.array([[True], [False]]),
    "scale": np.array(1.23456789012345678),
    "gender": np.array("weiblich, ä"),
    "names": np.array(["left", "", "right hand"]),
    "no rows": np.zeros((0, 3), np.int8),
    "no text": np.array([], "<U4"),
    'a,b=c "d"': np.array([-0.0]),
}


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


@pytest.mark.parametrize("name", ["../x.mp4", "/etc/passwd", "videos/../../x.mp4", "videos/\0"])
def test_an_index_that_leads_out_of_the_store_is_refused(tmp_path, name):
    root = tmp_path / "s"
    write_clips(root, clip_at(root))
    index = pq.read_table(root / "index.parquet")
    position = index.schema.get_field_index("video_path")
    pq.write_table(index.set_column(position, "video_path", [[name]]), root / "index.parquet")
    files = json.loads((root / "manifest.json").read_text())["files"]
    data = (root / "index.parquet").read_bytes()
    files["index.parquet"] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    _edit_manifest(root, files=files, content_sha256=content_digest(files))
    store = ClipStore.open(root)
    with pytest.raises(StoreError, match="outside the store"):
        store[0]
    with pytest.raises(StoreError, match="outside the store"):
        list(store)


def test_a_video_must_lie_in_the_store(tmp_path):
    with (
        pytest.raises(ValueError, match="subpath"),
        ClipStoreWriter(tmp_path / "s", num_frames=T) as writer,
    ):
        writer.add(clip_at(tmp_path / "elsewhere"))
    assert not (tmp_path / "s").exists()
