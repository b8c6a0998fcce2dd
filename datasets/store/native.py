"""A dataset's own labels as rows of a clip store's ``gt.parquet``.

One row an array, so that arrays of any shape and number keep their own names.
"""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from datasets.sequence import Clip
from datasets.store.schema import ClipError

GT_SCHEMA = pa.schema(
    [
        ("clip_id", pa.string()),
        ("name", pa.string()),
        ("dtype", pa.string()),  # as stored by the dataset, in numpy's notation
        ("shape", pa.list_(pa.int32())),
        ("per_frame", pa.bool_()),
        ("values", pa.list_(pa.float64())),
        ("text", pa.list_(pa.string())),  # instead, of text and of integers beyond 2^53
    ]
)


def native_rows(clip: Clip) -> list[dict]:
    """Return a clip's rows of ``gt.parquet``, one an array, sorted by name.

    Raises:
        ClipError: an array that is neither of numbers of up to 64 bits nor of text.
    """
    rows = []
    for name, value in sorted(clip.native.items()):
        array = np.asarray(value)
        if array.dtype.kind not in "biufU" or array.dtype == np.longdouble:
            raise ClipError(clip.clip_id, f"native label {name} is of {array.dtype}")
        flat = array.reshape(-1)
        text = values = None
        if array.dtype.kind == "U" or not _fit_float64(flat):
            text = flat.astype(str).tolist()
            if not _is_unicode(text):
                raise ClipError(clip.clip_id, f"native label {name} is not Unicode text")
        else:
            values = flat.astype(np.float64)
        rows.append(
            {
                "clip_id": clip.clip_id,
                "name": name,
                "dtype": array.dtype.newbyteorder("=").str,
                "shape": list(array.shape),
                "per_frame": name in clip.native_frames,
                "values": values,
                "text": text,
            }
        )
    return rows


def _fit_float64(flat: np.ndarray) -> bool:
    """Return True if float64 holds all these numbers; large integers are kept as text instead."""
    return flat.dtype.kind not in "iu" or not np.any((flat > 2**53) | (flat < -(2**53)))


def _is_unicode(text: list[str]) -> bool:
    try:
        "".join(text).encode()
    except UnicodeEncodeError:  # bytes of another encoding, as file names may have them
        return False
    return True


def native_of_rows(rows: Iterable[dict]) -> dict[str, np.ndarray]:
    """Inverse of `native_rows`: name -> array, of the rows of one clip."""
    found = {}
    for row in rows:
        values = row["text"] if row["values"] is None else row["values"]
        found[row["name"]] = np.array(values).astype(row["dtype"]).reshape(row["shape"])
    return found
