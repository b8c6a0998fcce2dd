"""Nothing unfinished, damaged or made up ever opens as a clip store."""

import hashlib
import json
import random
import shutil
from itertools import product

import pyarrow.parquet as pq
import pytest

from datasets.store.reader import ClipStore
from datasets.store.schema import FILES, StoreError, content_digest
from tests.damage import cut, edit_json, flip_bit, rewrite_json
from tests.datasets.mini.clips import T, clip_at, sequence, write, write_clips


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
        "[" * 200_000,
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
    rewrite_json(file, manifest)
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


@pytest.mark.parametrize(
    "name",
    [
        *("../x.mp4", "/etc/passwd", "videos/../../x.mp4", "videos/\0", "/videos/x.mp4"),
        *("gt.parquet.tmp", ".work/job.json"),  # whoever copies the video would write there
    ],
)
def test_an_index_that_leads_out_of_the_videos_is_refused(tmp_path, name):
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


def content(path):
    """Everything that the files of a store give."""
    store = ClipStore.open(path)
    rows = [
        [facts, *(repr(row[name]) for row in (arrays, *native) for name in row)]
        for facts, arrays, native in store.rows()
    ]
    return rows, {k: v for k, v in store.manifest.items() if k != "own_sha256"}


@pytest.mark.parametrize(
    ("file", "damage"),
    [*product([*FILES, "manifest.json"], [flip_bit, cut]), ("manifest.json", edit_json)],
)
def test_damage_is_refused_in_one_line_or_harmless(tmp_path, file, damage):
    """Harmless: white space of the manifest, or the name of the member with its own hash."""
    write(tmp_path / "s", [sequence()])
    target, rng = tmp_path / "s" / file, random.Random(0)
    whole, (rows, manifest) = target.read_bytes(), content(tmp_path / "s")
    found = 0
    for _ in range(60):
        target.write_bytes(whole)
        done = damage(target, rng)
        try:
            found_rows, found_manifest = content(tmp_path / "s")
        except StoreError as error:
            assert "\n" not in str(error), done
            found += 1
            continue
        assert (found_rows, manifest.items() <= found_manifest.items()) == (rows, True), done
    assert found == 60 if file != "manifest.json" or damage is edit_json else found >= 50


@pytest.mark.parametrize("damage", [flip_bit, cut])
def test_every_damaged_video_is_told(tmp_path, damage):
    root = tmp_path / "s"
    write_clips(root, clip_at(root))
    store = ClipStore.open(root)
    (name,) = store.clip_ids
    assert store.video_fault(name) == ""
    video, rng = store[0].video, random.Random(0)
    whole = video.read_bytes()
    for _ in range(60):
        video.write_bytes(whole)
        done = damage(video, rng)
        assert "not the one that the store was made with" in store.video_fault(name), done
    video.unlink()
    assert store.video_fault(name) == "its video cannot be read: No such file or directory"
