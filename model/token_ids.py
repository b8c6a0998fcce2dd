"""The check that token ids, an array or a tensor, are in their vocabulary."""

from typing import Any


def require_ids(name: str, ids: Any, size: int) -> None:
    """Raise a ValueError unless all `ids`, an array or a tensor, are integers from 0 to size - 1.

    Args:
        name: of the ids, for the message.
        ids: of any shape.
        size: of the vocabulary.
    """
    if "int" not in str(ids.dtype):
        raise ValueError(f"{name} must be integers, got {ids.dtype}")
    if 0 not in ids.shape and (ids.min() < 0 or ids.max() >= size):
        found = f"{int(ids.min())} to {int(ids.max())}"
        raise ValueError(f"{name} must be from 0 to {size - 1}, got {found}")
