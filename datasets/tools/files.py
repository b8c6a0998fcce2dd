"""Files: replaced whole or not at all, read as JSON, hashed, and locked. Standard library only."""

import contextlib
import errno
import fcntl
import functools
import hashlib
import json
import os
import secrets
import shlex
import socket
import stat
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

OWNER_FILE = ".owner"
OWN_SHA256 = "own_sha256"  # member of a record, see `with_own_sha256`

# What `flock` fails with on a file system that has no locks.
_NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}

# The clock of a file system may stand still for longer than it takes to write a file again.
_CLOCK_STEP_NS = 2_000_000_000


class BusyError(Exception):
    """Another process works there; the message is one line."""


class NoLocksError(OSError):
    """The file system has no locks; the message is one line."""


@contextlib.contextmanager
def replacing(path: Path, *, unique: bool = False) -> Iterator[Path]:
    """Yield a temporary file beside `path` that takes its place when the block ends.

    If the block raises, the temporary file is removed and `path` stays as it was. The file gets
    the permissions of any new file, however the block writes it.

    Args:
        path: of the file to write; its folder is made if needed.
        unique: use a name that no other process uses, where two may write the same file at once.
            A killed process then leaves a hidden file behind that no later one writes over.

    Raises:
        OSError: the file cannot be written.
    """
    name = f".{path.name}.{secrets.token_hex(8)}.tmp" if unique else f"{path.name}.tmp"
    temporary = path.with_name(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        temporary.touch()
        mode = temporary.stat().st_mode
        yield temporary
        if stat.S_ISREG(mode):  # safetensors puts a file of mode 0600 in its place
            temporary.chmod(stat.S_IMODE(mode))
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):  # the first error is the one that counts
            temporary.unlink()
        raise


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Write a file atomically, creating its folder."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write a text file (UTF-8) atomically, creating its folder."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON file atomically, creating its folder.

    Raises:
        ValueError: a number that is not finite.
        TypeError: a value that JSON has no form for.
        OSError: the file cannot be written.
    """
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    # Half a surrogate pair, from a file name that is not UTF-8, gets JSON's own escape.
    write_bytes(path, text.encode(errors="backslashreplace"))


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the object in a JSON file, or None where there is none that can be read."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def sha256_of(path: Path) -> str:
    """The sha256 of a file's bytes in hex, computed once for as long as the file stays the same.

    Weights have gigabytes. A file counts as the same by its inode, size and times; one that was
    written within the last two seconds is always read.

    Raises:
        OSError: the file cannot be read.
    """
    found = path.stat()
    changed = max(found.st_mtime_ns, found.st_ctime_ns)
    if time.time_ns() - changed < _CLOCK_STEP_NS:
        return _sha256(path)
    return _remembered_sha256(path, found.st_ino, found.st_size, found.st_mtime_ns, changed)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@functools.lru_cache(maxsize=65536)
def _remembered_sha256(path: Path, *version: int) -> str:
    return _sha256(path)


def with_own_sha256(value: dict[str, Any]) -> dict[str, Any]:
    """`value` with a member ``own_sha256``, the sha256 of its others: see `fits_own_sha256`.

    Raises:
        TypeError: a value that JSON has no form for.
    """
    rest = {name: member for name, member in value.items() if name != OWN_SHA256}
    plain = json.loads(json.dumps(rest))  # as it is read again
    text = json.dumps(plain, sort_keys=True)
    return {**rest, OWN_SHA256: hashlib.sha256(text.encode()).hexdigest()}


def fits_own_sha256(value: dict[str, Any]) -> bool:
    """Return True unless an object of a JSON file was changed after `with_own_sha256`.

    An object without a sha256 of its own, written by an older version, fits.
    """
    return OWN_SHA256 not in value or value[OWN_SHA256] == with_own_sha256(value)[OWN_SHA256]


def hash_lines(lines: Sequence[str]) -> str:
    """The sha256 in hex of a list of names, such as the clip ids of a split; the order counts."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@contextlib.contextmanager
def locked(file: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a lock file, made if needed, against other processes.

    The kernel releases the lock however the process ends. The file stays.

    Args:
        file: the lock file; its content stays as it is.
        wait: wait for a process that holds the lock.

    Raises:
        BusyError: another process holds the lock, and `wait` is False.
        NoLocksError: the file system has no locks.
        OSError: the file cannot be opened.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as lock:
        _lock(lock, file, wait=wait)
        yield


@contextlib.contextmanager
def owned(folder: Path, what: str) -> Iterator[None]:
    """Own an output folder, made if needed, while a job writes to it.

    A file ``.owner`` in the folder, removed at the end, names the process for the others. One that
    a killed process left is no obstacle.

    Args:
        folder: where the job writes.
        what: the job in a word or two, such as ``training``.

    Raises:
        BusyError: another process owns the folder; the message says which, since when.
        NoLocksError: the file system has no locks.
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / OWNER_FILE
    with contextlib.ExitStack() as stack:
        while True:
            lock = stack.enter_context(file.open("a"))
            try:
                _lock(lock, file, wait=False)
            except BusyError:
                raise BusyError(_owner_line(folder, read_json(file) or {})) from None
            if _is_open_as(lock, file):
                break  # else the owner before removed it after it was opened here
        lock.truncate(0)
        json.dump(_this_process(what), lock)
        lock.flush()
        try:
            yield
        finally:
            file.unlink(missing_ok=True)  # before the lock is released


def _lock(lock: IO[str], file: Path, *, wait: bool) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BusyError(f"{file} is locked: another process works here") from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        raise NoLocksError(
            f"{file.parent} is on a file system without file locks ({error.strerror}), which keep "
            "two processes from writing the same files: use a folder on a local disk, or have "
            "locks switched on where this one is mounted (Lustre: -o flock)"
        ) from error


def _is_open_as(lock: IO[str], file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(lock.fileno()), file.stat())
    except FileNotFoundError:
        return False


def _this_process(what: str) -> dict[str, Any]:
    return {
        "what": what,
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "command": shlex.join(["python", *sys.orig_argv[1:]]),
    }


def _owner_line(folder: Path, owner: dict[str, Any]) -> str:
    words = {name: " ".join(str(value).split())[:200] for name, value in owner.items()}
    who = ""
    if words.keys() >= {"what", "pid", "host", "since", "command"}:
        who = " ({what}, process {pid} on {host}, since {since}: `{command}`)".format(**words)
    return (
        f"another process works in {folder}{who}: wait until it ends, or name another folder with "
        "--out"
    )
