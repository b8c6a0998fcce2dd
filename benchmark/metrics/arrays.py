"""Arrays as metrics are given them: numpy's, lists, or tensors of torch, which is not imported."""

from typing import Any

import numpy as np

from datasets.motion import require


def to_numpy(value: Any) -> np.ndarray:
    """Return an array, a list or a torch tensor (recognised by its methods) as a numpy array."""
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)


def numeric(name: str, value: Any) -> np.ndarray:
    """Return the same, of integers or floating-point numbers.

    Raises:
        ValueError: it holds something else.
    """
    array = to_numpy(value)
    require(array.dtype.kind in "fiu", f"{name} is not numeric (dtype {array.dtype})")
    return array


def finite(name: str, value: Any) -> np.ndarray:
    """Return the same in float64, without NaN and infinite values.

    Raises:
        ValueError: it holds one, or something else than numbers.
    """
    array = numeric(name, value)
    require(bool(np.isfinite(array).all()), f"{name} holds NaN or infinite values")
    return array.astype(np.float64, copy=False)
