"""The sha256 of a file is that of what it holds now."""

import hashlib
import os

import pytest

from datasets.tools.files import sha256_of


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
