"""Writing a clip store (see `datasets.clip_store`): cutting sequences, appending clips."""

import hashlib
import json
import os
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from datasets.clip_schema import (
    FILES,
    INDEX_SCHEMA,
    ROW_GROUP,
    SCHEMA_VERSION,
    StoreError,
    index_row,
    motion_row,
    motion_schema,
)
from datasets.motion import Clip, PersonSequence


def clip_id(sequence: PersonSequence, split: str, start: int) -> str:
    """``dataset/split/sequence/camera/person/start``, ASCII, percent-encoded where needed."""
    names = (sequence.dataset, split, sequence.sequence, sequence.camera, sequence.person)
    quoted = [urllib.parse.quote(name, safe="") for name in names]
    return "/".join([*quoted, f"{start:06d}"])


def cut(sequence: PersonSequence, split: str, num_frames: int) -> Iterator[Clip]:
    """Non-overlapping clips of `num_frames` valid, consecutive frames.

    A run of valid frames is cut from its first frame on; what is left at its end is dropped.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], sequence.valid, [False]]).astype(int)))
    for first, last in edges.reshape(-1, 2):
        for start in range(first, last - num_frames + 1, num_frames):
            frames = slice(start, start + num_frames)
            pieces = [
                None if whole is None else whole[frames]
                for whole in (sequence.view, sequence.camera_motion, sequence.world_motion)
            ]
            yield Clip(
                clip_id=clip_id(sequence, split, int(sequence.frame_ids[start])),
                dataset=sequence.dataset,
                sequence=sequence.sequence,
                split=split,
                frame_ids=sequence.frame_ids[frames],
                valid=sequence.valid[frames],
                fps=sequence.fps,
                camera=sequence.camera,
                person=sequence.person,
                view=pieces[0],
                camera_motion=pieces[1],
                world_motion=pieces[2],
            )


class ClipStoreWriter:
    """Writes a store clip by clip; nothing appears under its final name before `close`.

    Use as a context manager: leaving it normally closes the store, an exception removes what was
    written. Clips keep the order in which they are added.

    Raises:
        StoreError: the folder already holds a store or other files, or cannot be written.
    """

    def __init__(self, path: str | Path, *, num_frames: int):
        self.path = Path(path)
        self.num_frames = num_frames
        self._schema = motion_schema(num_frames)
        self._index: list[dict] = []
        self._pending: list[dict] = []
        self._ids: set[str] = set()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            leftovers = [p for p in self.path.iterdir() if p.suffix != ".tmp"]
        except OSError as error:
            raise StoreError(f"cannot write a clip store at {self.path}: {error}") from error
        if leftovers:
            raise StoreError(
                f"{self.path} is not empty (it holds {leftovers[0].name}): "
                "name a new folder or delete this one first"
            )
        self._parquet = pq.ParquetWriter(
            self._temporary("motion.parquet"),
            self._schema,
            compression="zstd",
            use_dictionary=False,
            column_encoding={
                f"{f.name}.list.element": "BYTE_STREAM_SPLIT"
                for f in self._schema
                if f.name not in ("clip_id", "valid", "frame_ids")
            },
        )

    def __enter__(self) -> "ClipStoreWriter":
        return self

    def __exit__(self, kind, error, trace) -> None:
        if kind is not None:
            self.abort()

    def add(self, clip: Clip) -> None:
        """Append one clip.

        Raises:
            StoreError: wrong length, a repeated id, no motion, or one that is not SMPL-X.
        """
        if len(clip.frame_ids) != self.num_frames:
            raise StoreError(f"{clip.clip_id}: {len(clip.frame_ids)} frames, not {self.num_frames}")
        if clip.clip_id in self._ids:
            raise StoreError(f"{clip.clip_id}: this id was already written")
        if clip.motion is None or clip.motion.body != "smplx":
            raise StoreError(f"{clip.clip_id}: a clip needs an SMPL-X motion")
        self._ids.add(clip.clip_id)
        self._index.append(index_row(clip))
        self._pending.append(motion_row(clip))
        if len(self._pending) == ROW_GROUP:
            self._flush()

    def close(self, manifest: dict) -> None:
        """Finish: rename the files and write the manifest, which makes the folder a store.

        Args:
            manifest: facts to keep beside the counts and hashes, such as ``split_rule``.

        Raises:
            StoreError: no clip was added.
        """
        if not self._index:
            self.abort()
            raise StoreError(f"no clip to write to {self.path}: every sequence was skipped")
        self._flush()
        self._parquet.close()
        index = pa.Table.from_pylist(self._index, schema=INDEX_SCHEMA)
        pq.write_table(index, self._temporary("index.parquet"), compression="zstd")
        files = {}
        for name in FILES:
            data = self._temporary(name).read_bytes()
            files[name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        splits: dict[str, int] = {}
        for row in self._index:
            splits[row["split"]] = splits.get(row["split"], 0) + 1
        manifest = {
            "schema_version": SCHEMA_VERSION,
            "num_clips": len(self._index),
            "num_frames": self.num_frames,
            "splits": splits,
            **manifest,
            "files": files,
            "content_sha256": _digest(files),
        }
        for name in FILES:
            os.replace(self._temporary(name), self.path / name)
        self._temporary("manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
        os.replace(self._temporary("manifest.json"), self.path / "manifest.json")

    def abort(self) -> None:
        """Remove what was written, and the folder if that leaves it empty; may be repeated."""
        self._parquet.close()
        for path in self.path.glob("*.tmp"):
            path.unlink()
        if self.path.is_dir() and not any(self.path.iterdir()):
            self.path.rmdir()

    def _temporary(self, name: str) -> Path:
        return self.path / f"{name}.tmp"

    def _flush(self) -> None:
        if self._pending:
            self._parquet.write_table(pa.Table.from_pylist(self._pending, schema=self._schema))
            self._pending.clear()


def _digest(files: dict) -> str:
    text = "".join(f"{name} {files[name]['sha256']}\n" for name in sorted(files))
    return hashlib.sha256(text.encode()).hexdigest()
