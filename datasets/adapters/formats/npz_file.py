"""Arrays, numbers and words of an ``.npz`` file of a user's."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from datasets.tools.npz import npz_names, read_npz_arrays


def read_npz(
    path: Path, needed: Mapping[str, tuple[str, ...]], optional: Mapping[str, tuple[str, ...]]
) -> dict[str, np.ndarray]:
    """Return the arrays of an ``.npz`` under our names; only these are read.

    Args:
        path: the file.
        needed: our name -> the keys it goes by in files; the first one there is taken.
        optional: as `needed`, left out of the result where the file has none.

    Raises:
        ValueError: unreadable, not an ``.npz``, a damaged one, no key of a needed array, or arrays
            that are pickled or larger than `datasets.tools.npz.MOST_BYTES`.
    """
    there = npz_names(path)
    found = {
        name: next((key for key in keys if key in there), None)
        for name, keys in {**needed, **optional}.items()
    }
    arrays = read_npz_arrays(path, {key for key in found.values() if key is not None})
    for name, keys in needed.items():
        if found[name] is None:
            raise ValueError(f"no array {' or '.join(keys)}")
    return {name: arrays[key] for name, key in found.items() if key is not None}


def scalar(value: np.ndarray, name: str) -> float:
    """Return a number stored as an array of one element.

    Raises:
        ValueError: it is not one number.
    """
    if value.size != 1 or value.dtype.kind not in "fiu":
        raise ValueError(f"{name} is not one number (shape {value.shape}, dtype {value.dtype})")
    return float(value.reshape(()))


def text(value: np.ndarray) -> str:
    """Return a text stored as an array of one (byte) string; '' where it is none."""
    if value.size != 1 or value.dtype.kind not in "US":
        return ""
    found = value.reshape(()).item()
    return (found.decode("utf-8", "replace") if isinstance(found, bytes) else found).strip()


def word(value: np.ndarray) -> str:
    """`text` in lower case."""
    return text(value).lower()


def ten_betas(betas: np.ndarray) -> np.ndarray:
    """Return the first ten shape components, (10,) or (T, 10), of (n,) or (T, n) with n >= 10.

    Axes of length 1 do not count: (1, n), (n, 1) and (T, 1, n) are read as well.

    Raises:
        ValueError: there are fewer components.
    """
    plain = np.squeeze(betas)
    if plain.ndim not in (1, 2) or plain.shape[-1] < 10:
        raise ValueError(f"betas have shape {betas.shape}, expected at least 10 columns")
    return plain[..., :10]
