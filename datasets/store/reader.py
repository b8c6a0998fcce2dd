"""The clip store: one folder of Parquet files that every later step reads.

A store holds clips of one fixed length T:

* ``index.parquet``: one row a clip, scalars only, so that scans never touch arrays;
* ``motion.parquet``: one row a clip, arrays as fixed-size lists of float32, row groups of 32,
  zstd over byte-stream-split (an SMPL-X clip of 65 frames takes about 16 kB);
* ``gt.parquet``: the dataset's own labels as it stores them, one row an array;
* ``videos/``: the clips' pictures, where the dataset has any; their sha256 are in the index;
* ``manifest.json``: counts, split rule, what was skipped, sha256 of the other files. Written last:
  a folder without it is not a store.

Every file is written under a temporary name and renamed. The same input gives the same bytes.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, lru_cache
from pathlib import Path
from typing import overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from datasets.motion import NUM_CHANNELS, split_channels
from datasets.sequence import Clip
from datasets.store.manifest import REBUILD, check_file, read_manifest
from datasets.store.native import native_of_rows
from datasets.store.schema import (
    ROW_GROUP,
    StoreError,
    clip_of_rows,
    inside,
    rows_of,
    video_fault,
)

_ROW_GROUPS = 64  # that stay in memory: about 50 MB of clips of 65 frames


class ClipStore:
    """A finished store, opened with `ClipStore.open`; indexed by position or by clip id."""

    def __init__(self, path: Path, manifest: dict, index: pa.Table):
        self.path = path
        self.manifest = manifest
        self.index = index
        self.clip_ids: list[str] = index.column("clip_id").to_pylist()
        self._position = {name: i for i, name in enumerate(self.clip_ids)}

    @classmethod
    def open(cls, path: str | Path) -> "ClipStore":
        """Open a store and check it against its manifest (schema, sizes, sha256).

        ``gt.parquet`` may be large and is seldom needed: its sha256 is checked at its first use.

        Raises:
            StoreError: no store there, an unfinished one, another schema version, damaged files,
                a manifest that does not describe them.
        """
        path = Path(path)
        manifest = read_manifest(path)
        for name, expected in manifest["files"].items():
            check_file(path / name, expected, hashed=name != "gt.parquet")
        try:
            index = pq.read_table(path / "index.parquet")
            motion = pq.read_metadata(path / "motion.parquet")
        except (OSError, pa.ArrowException) as error:
            raise StoreError(f"{path} has an unreadable file ({error}). {REBUILD}") from error
        num_frames = (motion.metadata or {}).get(b"num_frames", b"").decode("ascii", "replace")
        for name, found in (
            ("num_clips", len(index)),
            ("num_clips", motion.num_rows),
            ("num_frames", num_frames),
        ):
            if str(manifest[name]) != str(found):
                raise StoreError(
                    f"{path}/manifest.json has {name} {manifest[name]}, the files {found}. "
                    f"{REBUILD}"
                )
        return cls(path, manifest, index)

    def __str__(self) -> str:
        return str(self.path)

    def __len__(self) -> int:
        return len(self.clip_ids)

    def __iter__(self) -> Iterator[Clip]:
        for facts, arrays in zip(self.index.to_pylist(), _rows(self._motion), strict=True):
            yield clip_of_rows(facts, arrays, self.path)

    @overload
    def __getitem__(self, key: int | str) -> Clip: ...

    @overload
    def __getitem__(self, key: slice) -> list[Clip]: ...

    def __getitem__(self, key: int | str | slice) -> Clip | list[Clip]:
        """One clip, by position or clip id, or the clips of a slice.

        Reads a row group (32 clips) and keeps the last few, so that order matters little.

        Raises:
            KeyError: unknown clip id.
            IndexError: position out of range.
        """
        if isinstance(key, slice):
            return [self[position] for position in range(len(self))[key]]
        return self._clip(self._position[key] if isinstance(key, str) else range(len(self))[key])

    def _clip(self, row: int) -> Clip:
        table = self._row_group(row // ROW_GROUP)
        (arrays,) = rows_of(table.slice(row % ROW_GROUP, 1))
        (facts,) = self.index.slice(row, 1).to_pylist()
        return clip_of_rows(facts, arrays, self.path)

    @property
    def num_frames(self) -> int:
        """Frames per clip."""
        return self.manifest["num_frames"]

    @property
    def sha256(self) -> str:
        """The sha256 of the content, which cache keys hold instead of a path or a name."""
        return self.manifest["content_sha256"]

    def ids(self, split: str) -> list[str]:
        """Clip ids of a split, in store order."""
        return [
            name
            for name, own in zip(self.clip_ids, self.index.column("split").to_pylist(), strict=True)
            if own == split
        ]

    def fps(self, ids: list[str]) -> np.ndarray:
        """(N,) frames per second of the clips named."""
        return self.index.column("fps").to_numpy()[[self._position[name] for name in ids]]

    def spaces(self, ids: list[str]) -> list[str]:
        """Frame of reference of `channels` of the clips named: ``camera`` or ``world``."""
        in_camera = self.index.column("has_camera_motion").to_pylist()
        return ["camera" if in_camera[self._position[name]] else "world" for name in ids]

    def genders(self, ids: list[str]) -> list[str]:
        """Return the body that the betas of the clips named belong to, as `Motion.gender`."""
        column = self.index.column("gender").to_pylist()
        return [column[self._position[name]] for name in ids]

    def has_video(self, clip_id: str) -> bool:
        """Return True if the store has the pictures of a clip."""
        return bool(self.index.column("video_path")[self._position[clip_id]].as_py())

    def video_fault(self, clip_id: str) -> str:
        """Return the `video_fault` of a clip's video; empty for a clip without one."""
        (facts,) = self.index.slice(self._position[clip_id], 1).to_pylist()
        name = facts["video_path"]
        return video_fault(inside(self.path, name), facts["video_sha256"]) if name else ""

    def video_sha256(self, ids: list[str]) -> list[str]:
        """Hashes that the videos of the clips named had when the store was made."""
        column = self.index.column("video_sha256").to_pylist()
        return [column[self._position[name]] for name in ids]

    @property
    def dataset(self) -> str:
        """The dataset that all clips are from; empty for a mixture."""
        names = self.index.column("dataset").unique().to_pylist()
        return names[0] if len(names) == 1 else ""

    def some(self, ids: Iterable[str]) -> Iterator[Clip]:
        """The clips named, in store order; reads every row group that holds one of them once."""
        yield from map(self._clip, sorted(self._position[name] for name in ids))

    def channels(self, ids: list[str]) -> np.ndarray:
        """(N, T, 79) float32 motion channels of the clips named, in the order given.

        The motion is the one `Clip.motion` names: camera space where known, else world.

        Raises:
            StoreError: one of them has no SMPL-X motion.
        """
        rows = np.array([self._position[name] for name in ids], dtype=np.int64)
        found = self._channel_rows[rows]
        if np.any(found < 0):
            name = ids[int(np.argmax(found < 0))]
            raise StoreError(
                f"{self.path}: {name} has no SMPL-X motion: estimate it from the videos with "
                f"`python -m datasets.pseudo_gt --store {self.path} --estimator gvhmr --out NEW`"
            )
        return self._channels[found]

    def without_channels(self, split: str) -> list[str]:
        """Clip ids of a split that have no SMPL-X motion, for which `channels` raises."""
        has = dict(zip(self.clip_ids, self._has_channels, strict=True))
        return [name for name in self.ids(split) if not has[name]]

    def native(self, clip_id: str) -> dict[str, np.ndarray]:
        """Return a clip's labels exactly as its dataset stores them, name -> array; empty if none.

        Raises:
            KeyError: unknown clip id.
            StoreError: ``gt.parquet`` is damaged.
        """
        if clip_id not in self._position:
            raise KeyError(clip_id)
        if clip_id not in self._native_group:
            return {}
        table = self._native.read_row_group(self._native_group[clip_id])
        return native_of_rows(rows_of(table.filter(pc.equal(table["clip_id"], clip_id))))

    def rows(self) -> Iterator[tuple[dict, dict, list[dict]]]:
        """Index row, motion row and native rows of every clip, in store order (for copying).

        Raises:
            StoreError: ``gt.parquet`` is damaged.
        """
        by_clip = itertools.groupby(_rows(self._native), key=lambda row: row["clip_id"])
        ahead = next(by_clip, None)
        for facts, arrays in zip(self.index.to_pylist(), _rows(self._motion), strict=True):
            native = []
            if ahead is not None and ahead[0] == facts["clip_id"]:
                native, ahead = list(ahead[1]), next(by_clip, None)
            yield facts, arrays, native

    @cached_property
    def _motion(self) -> pq.ParquetFile:
        return pq.ParquetFile(self.path / "motion.parquet")

    @cached_property
    def _row_group(self) -> Callable[[int], pa.Table]:
        """Reads a row group of ``motion.parquet``, once while it is among the last."""
        return lru_cache(maxsize=_ROW_GROUPS)(self._motion.read_row_group)

    @cached_property
    def _native(self) -> pq.ParquetFile:
        path = self.path / "gt.parquet"
        check_file(path, self.manifest["files"]["gt.parquet"], hashed=True)
        return pq.ParquetFile(path)

    @cached_property
    def _native_group(self) -> dict[str, int]:
        """Row group of ``gt.parquet`` with a clip's labels; the writer keeps a clip's together."""
        found = {}
        for group in range(self._native.num_row_groups):
            names = self._native.read_row_group(group, columns=["clip_id"])["clip_id"]
            found.update(dict.fromkeys(names.unique().to_pylist(), group))
        return found

    @cached_property
    def _channel_rows(self) -> np.ndarray:
        """(N,) row of each clip in `_channels`, -1 where it has no SMPL-X motion."""
        has = self._has_channels
        return np.where(has, np.cumsum(has) - 1, -1)

    @cached_property
    def _has_channels(self) -> np.ndarray:
        return self.index.column("body").to_numpy(zero_copy_only=False) == "smplx"

    @cached_property
    def _channels(self) -> np.ndarray:
        has = self._has_channels
        channels = np.empty((has.sum(), self.num_frames, NUM_CHANNELS), np.float32)
        parts = split_channels(channels)
        column = self._column("body_pose")
        parts["body_pose"][:] = _flat(column).reshape(parts["body_pose"].shape)
        column = self._column("betas")
        constant = pc.list_value_length(column).to_numpy() == 10
        values = _flat(column).reshape(-1, 10)
        of_constant = np.repeat(constant, np.where(constant, 1, self.num_frames))
        parts["betas"][constant] = values[of_constant][:, None]
        parts["betas"][~constant] = values[~of_constant].reshape(-1, self.num_frames, 10)
        in_camera = self.index.column("has_camera_motion").to_numpy()[has]
        for space, rows in (("camera", in_camera), ("world", ~in_camera)):
            if rows.any():
                for name in ("global_orient", "transl"):
                    values = _flat(self._column(f"{name}_{space}"))
                    parts[name][rows] = values.reshape(parts[name].shape)[rows]
        return channels

    def _column(self, name: str) -> pa.Array:
        """Return a column of ``motion.parquet`` for the clips that have channels."""
        table = self._motion.read(columns=[name])
        has = self._has_channels
        return (table if has.all() else table.filter(has)).column(name).combine_chunks()


def _rows(file: pq.ParquetFile) -> Iterator[dict]:
    for group in range(file.num_row_groups):
        yield from rows_of(file.read_row_group(group))


def _flat(column: pa.Array) -> np.ndarray:
    return column.flatten().to_numpy()
