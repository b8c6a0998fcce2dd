"""Files are whole or not there, hashes are of what a file holds now, and locks hold."""

import errno
import fcntl
import hashlib
import json
import os
import random
import stat
import subprocess
import sys
import threading
import time

import pytest
import torch
from safetensors.torch import save_file

from datasets.tools.files import (
    OWNER_FILE,
    BusyError,
    NoLocksError,
    fits_own_sha256,
    hash_lines,
    locked,
    owned,
    read_json,
    replacing,
    sha256_of,
    with_own_sha256,
    write_json,
    write_text,
)
from tests.damage import edit_json


def in_another_process(body, *arguments):
    """A process that runs `body`, which prints a line once it has what it wants."""
    code = "import sys, time\nfrom pathlib import Path\nfrom datasets.tools.files import *\n" + body
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("unique", [False, True])
def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, unique):
    file = tmp_path / "made" / "file"
    for text in ("one", "two"):
        with replacing(file, unique=unique) as temporary:
            assert temporary.parent == file.parent and temporary.suffix == ".tmp"
            temporary.write_text(text[:1])
            assert not file.exists() or file.read_text() == "one"
            temporary.write_text(text)
        assert file.read_text() == text
    with pytest.raises(KeyboardInterrupt), replacing(file, unique=unique) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert file.read_text() == "two"
    assert list(file.parent.iterdir()) == [file]


def test_two_writers_of_one_file_do_not_mix(tmp_path):
    file = tmp_path / "file"
    with replacing(file, unique=True) as first, replacing(file, unique=True) as second:
        first.write_text("one")
        second.write_text("two")
    assert file.read_text() == "one"  # the outer block ends last
    assert list(tmp_path.iterdir()) == [file]


def test_what_a_killed_process_left_is_no_obstacle(tmp_path):
    (tmp_path / "file.tmp").write_text("half of a longer text")
    write_text(tmp_path / "file", "whole")
    assert (tmp_path / "file").read_text() == "whole"
    assert not (tmp_path / "file.tmp").exists()


def test_a_file_that_cannot_be_written_says_why_itself(tmp_path):
    (tmp_path / "file.tmp").mkdir()
    with pytest.raises(IsADirectoryError):
        write_text(tmp_path / "file", "text")
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_permissions_are_those_of_any_new_file(tmp_path, mask):
    """Safetensors alone would leave weights to their owner."""
    before = os.umask(mask)
    try:
        with replacing(tmp_path / "weights") as temporary:
            save_file({"a": torch.zeros(2)}, temporary)
        write_text(tmp_path / "text", "words")
    finally:
        os.umask(before)
    for file in tmp_path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o666 & ~mask


def test_json_comes_back_as_it_was_written(tmp_path):
    value = {"é": [1, 2.5, None, "\udcff", "\n"], "b": {"c": True}}
    write_json(tmp_path / "file", value)
    assert read_json(tmp_path / "file") == value
    with pytest.raises(ValueError):
        write_json(tmp_path / "file", {"a": float("nan")})
    assert read_json(tmp_path / "file") == value


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"1", b'{"a"', b"\xff{}", b"[" * 200_000, b'{"a":' * 200_000]
)
def test_a_damaged_file_holds_no_object(tmp_path, data):
    (tmp_path / "file").write_bytes(data)
    assert read_json(tmp_path / "file") is None
    assert read_json(tmp_path / "other") is None
    assert read_json(tmp_path) is None


def test_a_file_that_changes_has_another_hash(tmp_path):
    file = tmp_path / "weights"
    for data in (b"one", b"longer", b"", b"four"):
        file.write_bytes(data)
        assert sha256_of(file) == hashlib.sha256(data).hexdigest()
    file.unlink()
    with pytest.raises(FileNotFoundError):
        sha256_of(file)


def test_another_file_of_the_same_size_and_time_has_its_own_hash(tmp_path):
    file, other = tmp_path / "weights", tmp_path / "other"
    file.write_bytes(b"one")
    first = sha256_of(file)
    other.write_bytes(b"two")
    os.utime(other, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    os.replace(other, file)
    assert sha256_of(file) == hashlib.sha256(b"two").hexdigest() != first


def test_a_file_rewritten_at_once_in_the_same_size_has_its_own_hash(tmp_path):
    """A file system's clock may not move between the two."""
    file = tmp_path / "weights"
    for number in range(200):
        file.write_bytes(b"%03d" % number)
        assert sha256_of(file) == hashlib.sha256(b"%03d" % number).hexdigest()


def test_a_file_that_stays_is_read_once(tmp_path, monkeypatch):
    file = tmp_path / "weights"
    file.write_bytes(b"one")
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now + 60_000_000_000)
    first = sha256_of(file)
    monkeypatch.setattr(hashlib, "file_digest", None)  # reading it again would fail
    assert sha256_of(file) == first
    file.write_bytes(b"two")
    with pytest.raises(TypeError):
        sha256_of(file)


def test_the_hash_of_lines_is_that_of_their_text_and_knows_the_order():
    assert hash_lines(["a", "b"]) == hashlib.sha256(b"a\nb").hexdigest()
    assert hash_lines(["b", "a"]) != hash_lines(["a", "b"])


def test_a_lock_holds_against_another_process_until_that_one_ends(tmp_path):
    file = tmp_path / "made" / "lock"
    body = "with locked(Path(sys.argv[1])):\n    print('mine', flush=True)\n    time.sleep(600)"
    with in_another_process(body, file) as other:
        assert other.stdout.readline() == "mine\n"
        with pytest.raises(BusyError, match="another process"), locked(file, wait=False):
            pass
        threading.Timer(0.2, other.kill).start()
        with locked(file):
            assert other.wait() < 0  # no sooner
    with locked(file, wait=False):
        pass


@pytest.mark.parametrize(
    "number", [errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EIO]
)
def test_a_file_system_without_locks_is_said_to_be_one(tmp_path, monkeypatch, number):
    def flock(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    for lock in (
        locked(tmp_path / "lock"),
        locked(tmp_path / "lock", wait=False),
        owned(tmp_path, "training"),
    ):
        with pytest.raises(OSError) as caught, lock:
            pass
        line = str(caught.value)
        if number == errno.EIO:  # a fault, which says so itself
            assert caught.type is OSError
        else:
            assert caught.type is NoLocksError and "\n" not in line
            assert line.startswith(f"{tmp_path} is on a file system without file locks")
            assert os.strerror(number) in line and "use a folder on a local disk" in line


OWNER = "with owned(Path(sys.argv[1]), 'training'):\n    print('mine', flush=True)\n    input()"


def test_a_folder_has_one_owner_at_a_time_who_is_named(tmp_path):
    folder = tmp_path / "out"
    with in_another_process(OWNER, folder) as other:
        other.stdout.readline()
        with pytest.raises(BusyError) as caught, owned(folder, "training"):
            pass
        line = str(caught.value)
        assert line.startswith(f"another process works in {folder} (training, process {other.pid} ")
        assert " UTC: `python -c " in line and "name another folder" in line
        assert "\n" not in line
        other.communicate("\n")
    assert list(folder.iterdir()) == []
    with owned(folder, "training"):
        assert json.loads((folder / OWNER_FILE).read_text())["pid"] == os.getpid()


def test_the_owner_that_was_killed_is_no_obstacle(tmp_path):
    with in_another_process(OWNER, tmp_path) as other:
        other.stdout.readline()
        other.kill()
    assert read_json(tmp_path / OWNER_FILE)["pid"] == other.pid
    with owned(tmp_path, "training"):
        assert read_json(tmp_path / OWNER_FILE)["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_an_owner_that_has_not_said_who_it_is_is_one(tmp_path):
    with (
        locked(tmp_path / OWNER_FILE),
        pytest.raises(BusyError, match=r"works in [^(]*: wait until it ends"),
        owned(tmp_path, "training"),
    ):
        pass


def test_a_folder_taken_over_while_its_owner_leaves_has_one_owner(tmp_path, monkeypatch):
    """The file that was opened is removed before it is locked: it is no longer the folder's."""
    flock, first = fcntl.flock, [True]

    def late(*words):
        if first.pop() if first else False:
            (tmp_path / OWNER_FILE).unlink()
        flock(*words)

    monkeypatch.setattr(fcntl, "flock", late)
    with owned(tmp_path, "training"):
        with pytest.raises(BusyError), owned(tmp_path, "training"):
            pass
        assert (tmp_path / OWNER_FILE).exists()


def test_the_folder_is_free_after_an_error(tmp_path):
    with pytest.raises(RuntimeError), owned(tmp_path, "training"):
        raise RuntimeError
    with owned(tmp_path, "training"):
        pass


def test_an_object_with_a_sha256_of_its_own_tells_every_change(tmp_path):
    value = {"b": [1, 2.5, None, "ü"], "a": {"x": (True,), "": -0.0}}
    sealed = with_own_sha256(value)
    assert {**value, "own_sha256": sealed["own_sha256"]} == sealed == with_own_sha256(sealed)
    write_json(tmp_path / "file.json", dict(reversed(sealed.items())))
    whole = read_json(tmp_path / "file.json")
    assert fits_own_sha256(whole) and fits_own_sha256(value)
    rng = random.Random(0)
    for _ in range(60):
        write_json(tmp_path / "file.json", sealed)
        done = edit_json(tmp_path / "file.json", rng)
        assert not fits_own_sha256(read_json(tmp_path / "file.json")), done
    assert not fits_own_sha256({**whole, "more": 1})
    assert not fits_own_sha256({**whole, "own_sha256": None})
