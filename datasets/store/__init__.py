"""The Parquet clip store: schema, reader, writer, manifest and splits.

Importing this package is light; `ClipStore`, which needs pyarrow, is loaded on first use.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets.store.reader import ClipStore

__all__ = ["ClipStore"]


def __getattr__(name: str):
    if name == "ClipStore":
        from datasets.store.reader import ClipStore

        return ClipStore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
