"""The folder of a store in the making: whose it is, and what is left of it."""

import errno
import fcntl
import json

import pytest

from datasets.store.schema import FolderError, StoreError
from datasets.store.work_folder import claimed, is_finished, is_store

JOB = {"dataset": "d", "limit": 3, "body": {"name": "b"}}


def finish(path, job=JOB):
    """What a job leaves, as far as its folder is concerned."""
    (path / "index.parquet").write_text("rows")
    (path / "manifest.json").write_text(json.dumps({**job, "content_sha256": "0"}))


def test_a_job_that_fails_at_once_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), claimed(tmp_path / "s", JOB):
        raise RuntimeError
    assert not (tmp_path / "s").exists()


def test_work_that_was_done_stays_for_the_same_job_alone(tmp_path):
    path = tmp_path / "s"
    with pytest.raises(RuntimeError), claimed(path, JOB):
        (path / ".work" / "part").write_text("done")
        raise RuntimeError
    for changes, word in (({"limit": 4}, "limit was 3, now 4"), ({"body": {}}, "body differs")):
        with (
            pytest.raises(FolderError, match=f"unfinished work of another command .{word}"),
            claimed(path, {**JOB, **changes}),
        ):
            pass
    with claimed(path, JOB):
        assert (path / ".work" / "part").read_text() == "done"
        finish(path)
    assert sorted(file.name for file in path.iterdir()) == ["index.parquet", "manifest.json"]
    assert is_finished(path, JOB) and not is_finished(path, {**JOB, "limit": 4})


@pytest.mark.parametrize("name", ["notes.txt", "lock", "videos/a.mp4", ".work/notes.txt"])
def test_files_of_others_are_left_alone(tmp_path, name):
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("mine")
    with pytest.raises(FolderError, match="not empty"), claimed(tmp_path, JOB):
        pass
    assert file.read_text() == "mine"


def test_a_process_that_was_killed_at_once_is_no_obstacle(tmp_path):
    (tmp_path / "s" / ".work").mkdir(parents=True)
    for name in ("lock", "job.json.tmp"):
        (tmp_path / "s" / ".work" / name).write_text("")
    with claimed(tmp_path / "s", JOB):
        finish(tmp_path / "s")
    assert is_finished(tmp_path / "s", JOB)


def test_a_store_that_another_process_finishes_meanwhile_stays_whole(tmp_path, monkeypatch):
    """It was not there when this process looked, and is when it gets the lock."""
    path, lock = tmp_path / "s", fcntl.flock

    def late(*words):
        finish(path)
        lock(*words)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(StoreError, match="finished by another process"), claimed(path, JOB):
        pass
    assert sorted(file.name for file in path.iterdir()) == ["index.parquet", "manifest.json"]


def test_one_process_at_a_time_makes_a_store(tmp_path, monkeypatch):
    path = tmp_path / "s"
    with claimed(path, JOB):
        with pytest.raises(StoreError, match="another process is making this store: wait"):
            claimed(path, JOB).__enter__()
        finish(path)

    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(StoreError, match="on a file system without file locks"):
        claimed(tmp_path / "t", JOB).__enter__()


@pytest.mark.parametrize("text", ["", "[]", "{}", "\udcff", "[" * 200_000])
def test_what_is_no_manifest_makes_no_store(tmp_path, text):
    (tmp_path / "manifest.json").write_bytes(text.encode(errors="surrogateescape"))
    assert not is_store(tmp_path)
    assert not is_finished(tmp_path, {})
