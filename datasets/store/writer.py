"""Writing a clip store (see `datasets.store.reader`)."""

import contextlib
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from datasets.sequence import Clip
from datasets.store.native import GT_SCHEMA, native_rows
from datasets.store.reader import ClipStore
from datasets.store.schema import (
    FILES,
    INDEX_SCHEMA,
    ROW_GROUP,
    SCHEMA_VERSION,
    UNFINISHED,
    VIDEOS,
    WORK,
    ClipError,
    FolderError,
    StoreError,
    content_digest,
    index_row,
    motion_row,
    motion_schema,
)
from datasets.tools.command_line import cannot_write
from datasets.tools.files import sha256_of, with_own_sha256, write_json


def check(clip: Clip) -> None:
    """Raise `ClipError` where a clip is not what a store holds: motion or pictures of a person."""
    if clip.motion is None and clip.video is None:
        raise ClipError(clip.clip_id, "it has neither a motion nor a video")
    camera, world = clip.camera_motion, clip.world_motion
    if camera is None or world is None:
        return
    for name in ("body", "body_pose", "betas", "gender"):  # stored once for both
        if not np.array_equal(getattr(camera, name), getattr(world, name)):
            raise ClipError(clip.clip_id, f"its camera and world motions differ in {name}")


class ClipStoreWriter:
    """Writes a store clip by clip; nothing appears under its final name before `close`.

    Use as a context manager and call `close` at its end: leaving it without, by an exception or
    not, removes what was written. Clips keep the order in which they are added. All have
    `num_frames` frames, and their videos lie below the store's folder.

    Raises:
        FolderError: the folder already holds a store or other files.
        StoreError: it cannot be written.
    """

    def __init__(self, path: str | Path, *, num_frames: int):
        self.path = Path(path)
        self.num_frames = num_frames
        self._schema = motion_schema(num_frames)
        self._index: list[dict] = []
        self._pending: list[dict] = []
        self._native: list[dict] = []
        self._ids: set[str] = set()
        self._closed = False
        with self._writing():
            self.path.mkdir(parents=True, exist_ok=True)
            allowed = (*UNFINISHED, VIDEOS, WORK)
            others = sorted(p.name for p in self.path.iterdir() if p.name not in allowed)
        if others:
            raise FolderError(
                f"{self.path} is not empty (it holds {others[0]}): "
                "name a new folder or empty this one first"
            )
        with self._writing():
            self._parquet = _parquet_writer(
                self._temporary("motion.parquet"),
                self._schema,
                [f.name for f in self._schema if f.name not in ("clip_id", "valid", "frame_ids")],
            )
            self._gt = _parquet_writer(self._temporary("gt.parquet"), GT_SCHEMA, ["values"])

    def __enter__(self) -> "ClipStoreWriter":
        return self

    def __exit__(self, kind, error, trace) -> None:
        self.abort()

    def add(self, *clips: Clip) -> None:
        """Append clips, all or none of them.

        Raises:
            ClipError: wrong length, a repeated id, what `check` refuses, or a native label that is
                neither a number nor text.
            StoreError: the store cannot be written.
        """
        ids = set()
        for clip in clips:
            frames = len(clip.frame_ids)
            if frames != self.num_frames:
                raise ClipError(clip.clip_id, f"{frames} frames, not {self.num_frames}")
            if clip.clip_id in self._ids or clip.clip_id in ids:
                raise ClipError(clip.clip_id, "a clip with its id was already written")
            check(clip)
            ids.add(clip.clip_id)
        with self._writing():
            rows = [(index_row(c, self.path), motion_row(c), native_rows(c)) for c in clips]
            self._ids |= ids
            for facts, arrays, native in rows:
                self._append(facts, arrays, native)

    def extend(self, store: ClipStore, ids: list[str] | None = None) -> None:
        """Append clips of another store as they are there, in its order; all without `ids`.

        Their videos are the caller's to bring.

        Raises:
            KeyError: the store has no clip of that id.
            ClipError: a clip with an id that was already written.
            StoreError: the store cannot be read or written, or has clips of another length.
        """
        if store.num_frames != self.num_frames:
            raise StoreError(
                f"{store.path} has clips of {store.num_frames} frames, not {self.num_frames}"
            )
        there = set(store.clip_ids)
        wanted = there if ids is None else set(ids)
        for name in sorted(wanted - there):
            raise KeyError(name)
        for name in sorted(wanted & self._ids):
            raise ClipError(name, "a clip with its id was already written")
        self._ids |= wanted
        with self._writing():
            for facts, arrays, native in store.rows():
                if facts["clip_id"] in wanted:
                    self._append(facts, arrays, native)

    def _append(self, facts: dict, arrays: dict, native: list[dict]) -> None:
        self._index.append(facts)
        self._pending.append(arrays)
        self._native += native
        if len(self._pending) == ROW_GROUP:
            self._flush()

    def close(self, manifest: dict) -> None:
        """Finish: rename the files and write the manifest, which makes the folder a store.

        It has the facts given, such as ``split_rule``, beside the counts and hashes.

        Raises:
            StoreError: no clip was added, or the store cannot be written; nothing is left of it.
        """
        try:
            if not self._index:
                raise StoreError(f"no clip to write to {self.path}: every sequence was skipped")
            with self._writing():
                self._finish(manifest)
        except BaseException:
            self.abort()
            raise
        self._closed = True

    def _finish(self, manifest: dict) -> None:
        self._flush()
        self._parquet.close()
        self._gt.close()
        index = pa.Table.from_pylist(self._index, schema=INDEX_SCHEMA)
        pq.write_table(index, self._temporary("index.parquet"), compression="zstd")
        files = {}
        for name in FILES:
            file = self._temporary(name)
            files[name] = {"bytes": file.stat().st_size, "sha256": sha256_of(file)}
        manifest = {
            "schema_version": SCHEMA_VERSION,
            "num_clips": len(self._index),
            "num_frames": self.num_frames,
            **_counts(self._index),
            **manifest,
            "files": files,
            "content_sha256": content_digest(files),
        }
        for name in FILES:
            os.replace(self._temporary(name), self.path / name)
        write_json(self.path / "manifest.json", with_own_sha256(manifest))

    def abort(self) -> None:
        """Remove what was written, and the folder if that leaves it empty.

        May be repeated; does nothing once the store is closed.
        """
        if self._closed:
            return
        with contextlib.suppress(OSError):  # a full disk must not keep the rest from being removed
            self._parquet.close()
            self._gt.close()
        # The manifest first: Ctrl-C can come when it has its name and `close` has not returned.
        for name in ("manifest.json", *FILES, *UNFINISHED):
            (self.path / name).unlink(missing_ok=True)
        if self.path.is_dir() and not any(self.path.iterdir()):
            self.path.rmdir()

    def _temporary(self, name: str) -> Path:
        return self.path / f"{name}.tmp"

    def _flush(self) -> None:
        if self._pending:
            self._parquet.write_table(pa.Table.from_pylist(self._pending, schema=self._schema))
            self._pending.clear()
        if self._native:
            self._gt.write_table(pa.Table.from_pylist(self._native, schema=GT_SCHEMA))
            self._native.clear()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            line = cannot_write(error, self.path) or f"cannot write {self.path}: {error}"
            raise StoreError(line) from error


def _counts(index: list[dict]) -> dict[str, Any]:
    """Return counts for the manifest: clips and groups of each split, clips of each frame rate."""
    splits = Counter(row["split"] for row in index)
    groups = Counter(split for split, *_ in {(r["split"], r["dataset"], r["group"]) for r in index})
    rates = Counter(row["fps"] for row in index)
    return {
        "splits": dict(splits),
        "groups": dict(sorted(groups.items())),
        "rates": [{"fps": fps, "clips": rates[fps]} for fps in sorted(rates)],
    }


def _parquet_writer(path: Path, schema: pa.Schema, split: list[str]) -> pq.ParquetWriter:
    """A writer whose list columns `split` are byte-stream-split, which halves floats under zstd."""
    return pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        use_dictionary=False,
        column_encoding={f"{name}.list.element": "BYTE_STREAM_SPLIT" for name in split},
    )
