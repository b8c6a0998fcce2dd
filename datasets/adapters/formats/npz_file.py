"""Arrays, numbers and words of an ``.npz`` file, without executing anything in it."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

# An array of more bytes is not read: half an hour of AMASS at 120 frames a second has 290 MB.
_LARGEST = 300_000_000


def npz_keys(path: Path) -> set[str]:
    """Names of the arrays of an ``.npz`` file; none of them is read.

    Raises:
        ValueError: not an ``.npz``, or a damaged one.
    """
    if not zipfile.is_zipfile(path):
        raise ValueError("not an .npz file, or one cut short")
    try:
        with zipfile.ZipFile(path) as file:
            return {name.removesuffix(".npy") for name in file.namelist()}
    except Exception as error:  # zipfile raises many kinds, as the damage will have it
        raise ValueError(f"not a readable .npz file: {_words(error)}") from error


def read_npz(
    path: Path, needed: Mapping[str, tuple[str, ...]], optional: Mapping[str, tuple[str, ...]]
) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz`` under our names.

    Only the entries asked for are read, and pickled ones (dtype object) are never opened.

    Args:
        path: the file.
        needed: our name -> the keys it goes by in files; the first one there is taken.
        optional: as `needed`, left out of the result where the file has none.

    Raises:
        ValueError: not an ``.npz``, a damaged one, no key of a needed array, or an array that is
            pickled or larger than 300 MB.
    """
    there = npz_keys(path)
    found = {}
    entry = ""
    try:
        with zipfile.ZipFile(path) as sizes, np.load(path, allow_pickle=False) as file:
            for name, keys in {**needed, **optional}.items():
                key = next((key for key in keys if key in there), None)
                if key is not None:
                    entry = f" (array {key})"
                    stored = f"{key}.npy" if f"{key}.npy" in sizes.NameToInfo else key
                    size = sizes.getinfo(stored).file_size
                    if size > _LARGEST:
                        raise ValueError(
                            f"it would take {size / 1e6:,.0f} MB, more than the "
                            f"{_LARGEST / 1e6:.0f} MB that are read of an array"
                        )
                    found[name] = file[key]
    except Exception as error:  # zip, zlib, header parser: each has its own exceptions
        raise ValueError(f"not a readable .npz file{entry}: {_words(error)}") from error
    for name, keys in needed.items():
        if name not in found:
            raise ValueError(f"no array {' or '.join(keys)}")
    return found


def _words(error: Exception) -> str:
    """The message of an error, or its kind where it has none or one that names an object."""
    text = str(error)
    return text if text and " at 0x" not in text else type(error).__name__


def scalar(value: np.ndarray, name: str) -> float:
    """A number stored as an array of one element.

    Raises:
        ValueError: it is not one number.
    """
    if value.size != 1 or value.dtype.kind not in "fiu":
        raise ValueError(f"{name} is not one number (shape {value.shape}, dtype {value.dtype})")
    return float(value.reshape(()))


def text(value: np.ndarray) -> str:
    """A text stored as an array of one (byte) string; '' where it is none."""
    if value.size != 1 or value.dtype.kind not in "US":
        return ""
    found = value.reshape(()).item()
    return (found.decode("utf-8", "replace") if isinstance(found, bytes) else found).strip()


def word(value: np.ndarray) -> str:
    """`text` in lower case."""
    return text(value).lower()


def ten_betas(betas: np.ndarray) -> np.ndarray:
    """The first ten shape components, (10,) or (T, 10), of (n,) or (T, n) with n >= 10.

    Axes of length 1 do not count: (1, n), (n, 1) and (T, 1, n) are read as well.

    Raises:
        ValueError: there are fewer components.
    """
    plain = np.squeeze(betas)
    if plain.ndim not in (1, 2) or plain.shape[-1] < 10:
        raise ValueError(f"betas have shape {betas.shape}, expected at least 10 columns")
    return plain[..., :10]
