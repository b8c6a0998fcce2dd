"""Reads ``.npz`` files that may be hostile: no memory is taken before their sizes are known.

An ``.npz`` is a zip of ``.npy`` files: a header, which numpy reads as a Python literal, and numbers
(https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html). A megabyte of it can claim
any size and hold gigabytes.
"""

import io
import math
import warnings
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

# Bytes of all arrays that are read of a file: half an hour of AMASS at 120 frames a second has 290
# MB, SMPL-X 240 MB.
MOST_BYTES = 300_000_000
_MOST_RATIO = 50  # of the arrays to the file: motions compress to a half, zeros to a thousandth
_SMALL = 50_000_000  # bytes that may be read of any file
_MOST_HEADER = 10_000  # bytes: numpy's own limit, which it checks after reading
_MOST_DIRECTORY = 1_000_000  # bytes of the list of members, about 10,000 of them
_CHUNK = 1 << 20


def npz_names(path: Path) -> set[str]:
    """Names of the arrays of an ``.npz`` file; none of them is read.

    Raises:
        ValueError: unreadable, not an ``.npz``, or a damaged one.
    """
    with _open(path) as archive:
        return {name.removesuffix(".npy") for name in archive.namelist()}


def read_npz_arrays(
    path: Path, names: Iterable[str], *, most_bytes: int = MOST_BYTES
) -> dict[str, np.ndarray]:
    """Arrays of an ``.npz`` file by name: numbers, truth values and texts, never objects.

    All of them together have at most `most_bytes`; the limit of a small file is lower.

    Raises:
        KeyError: there is no array of that name.
        ValueError: unreadable, not an ``.npz``, a damaged one, arrays of objects or of more than
            `most_bytes`.
    """
    names = list(names)
    with _open(path) as archive:
        there = archive.NameToInfo
        entries = [there[f"{name}.npy" if f"{name}.npy" in there else name] for name in names]
        size = sum(entry.file_size for entry in entries)
        most_bytes = min(most_bytes, max(_SMALL, _MOST_RATIO * path.stat().st_size))
        if size > most_bytes:
            largest = max(entries, key=lambda entry: entry.file_size).filename
            raise ValueError(
                f"its arrays would take {size / 1e6:,.0f} MB ({largest.removesuffix('.npy')} the "
                f"most), more than the {most_bytes / 1e6:,.0f} MB that are read of such a file"
            )
        found = {}
        for name, entry in zip(names, entries, strict=True):
            try:
                found[name] = _array(archive, entry)
            except Exception as error:  # zip, zlib, header parser: each has its own exceptions
                where = f"not a readable .npz file (array {name})"
                raise ValueError(f"{where}: {_words(error)}") from error
    return found


def _open(path: Path) -> zipfile.ZipFile:
    try:
        with path.open("rb") as file:
            size = _directory_bytes(file)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from error
    if size is None:
        raise ValueError("not an .npz file, or one cut short")
    if size > _MOST_DIRECTORY:
        raise ValueError(
            f"not a readable .npz file: its list of members has {size / 1e6:,.0f} MB, more than "
            f"the {_MOST_DIRECTORY / 1e6:,.0f} MB that are read"
        )
    try:
        return zipfile.ZipFile(path)
    except Exception as error:  # zipfile raises many kinds, as the damage will have it
        raise ValueError(f"not a readable .npz file: {_words(error)}") from error


def _directory_bytes(file: io.BufferedIOBase) -> int | None:
    """Return the size of a zip's list of members, which zipfile reads whole; None if it is no zip.

    From the end record and, where there is one, the zip64 record (PKWARE's APPNOTE 4.3.14 to 16).
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - (1 << 16) - 200))
    tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) < end + 22:
        return None
    if tail[max(0, end - 20) : end].startswith(b"PK\x06\x07"):
        return int.from_bytes(tail[max(0, end - 36) : end - 28], "little")
    return int.from_bytes(tail[end + 12 : end + 16], "little")


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError("it is compressed in another way than .npz files are")
    with archive.open(entry) as file:
        magic = file.read(8)
        if magic not in (b"\x93NUMPY\x01\x00", b"\x93NUMPY\x02\x00"):
            raise ValueError("it is no array of numbers or texts")
        length_bytes = file.read(2 if magic[6] == 1 else 4)
        length = int.from_bytes(length_bytes, "little")
        if length > _MOST_HEADER:
            raise ValueError(f"its header claims {length} bytes")
        header = io.BytesIO(length_bytes + file.read(length))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd literals: they are refused or harmless
            read_header = getattr(np.lib.format, f"read_array_header_{magic[6]}_0")
            shape, by_column, dtype = read_header(header)
        if dtype.kind not in "biufcUS":
            raise ValueError(f"it holds {dtype.name}s, and numbers or texts are read")
        size = math.prod(shape) * dtype.itemsize
        held = entry.file_size - len(magic) - len(length_bytes) - length
        if min(shape, default=0) < 0 or size != held:
            raise ValueError(f"its header claims {size:,} bytes of numbers, and {held:,} are there")
        numbers = np.empty(size, np.uint8)
        for start in range(0, size, _CHUNK):
            part = file.read(min(_CHUNK, size - start))
            numbers[start : start + len(part)] = np.frombuffer(part, np.uint8)  # raises if short
            if len(part) < min(_CHUNK, size - start):
                raise EOFError("it is cut short")
        file.read(1)  # at the end zipfile checks the checksum
    if not size:
        return np.zeros(shape, dtype)
    return numbers.view(dtype).reshape(shape, order="F" if by_column else "C")


def _words(error: Exception) -> str:
    """Return the message of an error, or its kind where it has none or one that names an object."""
    text = " ".join(str(error).split())
    return text if text and " at 0x" not in text else type(error).__name__
