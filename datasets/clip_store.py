"""The clip store: one folder of Parquet files that every later step reads.

A store holds clips of one fixed length T:

* ``index.parquet``: one row a clip, scalars only, so that scans never touch arrays;
* ``motion.parquet``: one row a clip, arrays as fixed-size lists of float32, row groups of 64,
  zstd over byte-stream-split (an SMPL-X clip of 65 frames takes about 14 kB, a random one 2 ms);
* ``manifest.json``: counts, split rule, what was skipped, sha256 of the other files. Written last:
  a folder without it is not a store.

Every file is written under a temporary name and renamed. The same input gives the same bytes.
"""

import hashlib
import json
import os
import urllib.parse
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from datasets.motion import Camera, Clip, Motion, PersonSequence

SCHEMA_VERSION = 1
ROW_GROUP = 64

INDEX_SCHEMA = pa.schema(
    [
        ("clip_id", pa.string()),
        ("dataset", pa.string()),
        ("split", pa.string()),
        ("sequence", pa.string()),
        ("camera", pa.string()),
        ("person", pa.string()),
        ("start_frame", pa.int32()),
        ("num_frames", pa.int32()),
        ("fps", pa.float32()),
        ("body", pa.string()),
        ("gender", pa.string()),
        ("has_camera_motion", pa.bool_()),
        ("has_world_motion", pa.bool_()),
        ("has_view", pa.bool_()),
        ("has_extrinsics", pa.bool_()),
        ("width", pa.int32()),
        ("height", pa.int32()),
    ]
)


class StoreError(ValueError):
    """A clip store cannot be opened, or would be overwritten. The message says how to fix it."""


def motion_schema(num_frames: int, body_pose_channels: int = 63) -> pa.Schema:
    """Arrow schema of ``motion.parquet`` for clips of `num_frames` frames, row-major lists.

    Absent arrays are zeros, with the ``has_*`` flags of the index telling so: nulls inside
    fixed-size lists do not survive flattening.
    """

    def floats(size: int) -> pa.DataType:
        return pa.list_(pa.float32(), size)

    t = num_frames
    return pa.schema(
        [
            ("clip_id", pa.string()),
            ("body_pose", floats(t * body_pose_channels)),
            ("betas", pa.list_(pa.float32())),  # 10 where constant over the clip, else T * 10
            ("global_orient_camera", floats(t * 3)),
            ("transl_camera", floats(t * 3)),
            ("global_orient_world", floats(t * 3)),
            ("transl_world", floats(t * 3)),
            ("K", floats(t * 9)),
            ("T_w2c", floats(t * 16)),
            ("valid", pa.list_(pa.bool_(), t)),
            ("frame_ids", pa.list_(pa.int32(), t)),
        ],
        metadata={"num_frames": str(t), "schema_version": str(SCHEMA_VERSION)},
    )


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
            StoreError: wrong length, a repeated id, or no motion.
        """
        if len(clip.frame_ids) != self.num_frames:
            raise StoreError(f"{clip.clip_id}: {len(clip.frame_ids)} frames, not {self.num_frames}")
        if clip.clip_id in self._ids:
            raise StoreError(f"{clip.clip_id}: this id was already written")
        if clip.motion is None:
            raise StoreError(f"{clip.clip_id}: a clip needs a motion")
        self._ids.add(clip.clip_id)
        self._index.append(_index_row(clip, self.num_frames))
        self._pending.append(_motion_row(clip, self.num_frames))
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
        names = ("index.parquet", "motion.parquet")
        files = {}
        for name in names:
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
        for name in names:
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

        Raises:
            StoreError: no store there, an unfinished one, another schema version, damaged files.
        """
        path = Path(path)
        manifest = _read_manifest(path)
        for name, expected in manifest["files"].items():
            try:
                data = (path / name).read_bytes()
            except OSError as error:
                raise StoreError(f"{path / name} cannot be read ({error}): {_REBUILD}") from error
            if hashlib.sha256(data).hexdigest() != expected["sha256"]:
                raise StoreError(
                    f"{path / name} is damaged: its sha256 differs from the manifest's. {_REBUILD}"
                )
        try:
            index = pq.read_table(path / "index.parquet")
        except (OSError, pa.ArrowException) as error:
            raise StoreError(
                f"{path}/index.parquet is not readable ({error}). {_REBUILD}"
            ) from error
        return cls(path, manifest, index)

    def __len__(self) -> int:
        return len(self.clip_ids)

    def __iter__(self) -> Iterator[Clip]:
        for group in range(self._motion.num_row_groups):
            table = self._motion.read_row_group(group)
            first = group * ROW_GROUP
            for row in range(len(table)):
                yield self._clip(table, row, first + row)

    def __getitem__(self, key: int | str) -> Clip:
        """One clip, by position or clip id; reads one row group (64 clips, about 2 ms).

        Raises:
            KeyError: unknown clip id.
            IndexError: position out of range.
        """
        position = self._position[key] if isinstance(key, str) else range(len(self))[key]
        table = self._motion.read_row_group(position // ROW_GROUP)
        return self._clip(table, position % ROW_GROUP, position)

    @property
    def num_frames(self) -> int:
        """Frames per clip."""
        return self.manifest["num_frames"]

    @property
    def sha256(self) -> str:
        """Identity of the content: what cache keys use instead of a path or a name."""
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

    def channels(self, ids: list[str]) -> np.ndarray:
        """(N, T, 79) float32 motion channels of the clips named, in the order given.

        The motion is the one `Clip.motion` names: camera space where known, else world.
        """
        rows = np.array([self._position[name] for name in ids], dtype=np.int64)
        return self._channels[rows]

    @cached_property
    def _motion(self) -> pq.ParquetFile:
        return pq.ParquetFile(self.path / "motion.parquet")

    @cached_property
    def _channels(self) -> np.ndarray:
        t = self.num_frames
        columns = ["body_pose", "betas"]
        for space in ("camera", "world"):
            columns += [f"global_orient_{space}", f"transl_{space}"]
        table = self._motion.read(columns=columns)

        def floats(name: str, width: int) -> np.ndarray:
            return _flat(table.column(name)).reshape(-1, t, width)

        camera = self.index.column("has_camera_motion").to_numpy()[:, None, None]
        orient = np.where(
            camera, floats("global_orient_camera", 3), floats("global_orient_world", 3)
        )
        transl = np.where(camera, floats("transl_camera", 3), floats("transl_world", 3))
        betas = np.stack(
            [
                np.broadcast_to(np.reshape(row, (-1, 10)), (t, 10))
                for row in table.column("betas").to_pylist()
            ]
        ).astype(np.float32)
        return np.concatenate([orient, floats("body_pose", 63), betas, transl], axis=2)

    def _clip(self, table: pa.Table, row: int, position: int) -> Clip:
        facts = {
            name: self.index.column(name)[position].as_py() for name in self.index.column_names
        }
        t = self.num_frames

        def array(name: str, *shape: int) -> np.ndarray:
            return table.column(name)[row].values.to_numpy(zero_copy_only=False).reshape(shape)

        def motion(space: str) -> Motion | None:
            if not facts[f"has_{space}_motion"]:
                return None
            betas = array("betas", -1)
            return Motion(
                body_pose=array("body_pose", t, 63),
                global_orient=array(f"global_orient_{space}", t, 3),
                betas=betas if len(betas) == 10 else betas.reshape(t, 10),
                transl=array(f"transl_{space}", t, 3),
                fps=facts["fps"],
                space=space,
                body=facts["body"],
                gender=facts["gender"],
            )

        view = None
        if facts["has_view"]:
            extrinsics = array("T_w2c", t, 4, 4) if facts["has_extrinsics"] else None
            view = Camera(array("K", t, 3, 3), extrinsics, facts["width"], facts["height"])
        names = ("clip_id", "dataset", "sequence", "split", "fps", "camera", "person")
        return Clip(
            **{name: facts[name] for name in names},
            frame_ids=array("frame_ids", t),
            valid=array("valid", t),
            view=view,
            camera_motion=motion("camera"),
            world_motion=motion("world"),
        )


_REBUILD = "Delete the folder and run `python -m datasets.prepare` again."


def _read_manifest(path: Path) -> dict:
    if not path.is_dir():
        raise StoreError(
            f"no clip store at {path}: make one with `python -m datasets.prepare NAME --out {path}`"
        )
    file = path / "manifest.json"
    if not file.is_file():
        raise StoreError(f"{path} has no manifest.json: it is not a finished store. {_REBUILD}")
    try:
        manifest = json.loads(file.read_text())
        version = manifest["schema_version"]
        complete = {"files", "num_clips", "num_frames", "content_sha256"} <= manifest.keys()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{file} is not a store manifest ({error}). {_REBUILD}") from error
    if version != SCHEMA_VERSION:
        raise StoreError(
            f"{path} has schema version {version}, this program reads {SCHEMA_VERSION}. {_REBUILD}"
        )
    names = ["index.parquet", "motion.parquet"]
    if not complete or sorted(manifest["files"]) != names:
        raise StoreError(f"{file} is incomplete. {_REBUILD}")
    return manifest


def _digest(files: dict) -> str:
    text = "".join(f"{name} {files[name]['sha256']}\n" for name in sorted(files))
    return hashlib.sha256(text.encode()).hexdigest()


def _index_row(clip: Clip, num_frames: int) -> dict:
    motion = clip.motion
    return {
        "clip_id": clip.clip_id,
        "dataset": clip.dataset,
        "split": clip.split,
        "sequence": clip.sequence,
        "camera": clip.camera,
        "person": clip.person,
        "start_frame": int(clip.frame_ids[0]),
        "num_frames": num_frames,
        "fps": clip.fps,
        "body": motion.body,
        "gender": motion.gender,
        "has_camera_motion": clip.camera_motion is not None,
        "has_world_motion": clip.world_motion is not None,
        "has_view": clip.view is not None,
        "has_extrinsics": clip.view is not None and clip.view.T_w2c is not None,
        "width": 0 if clip.view is None else clip.view.width,
        "height": 0 if clip.view is None else clip.view.height,
    }


def _motion_row(clip: Clip, num_frames: int) -> dict:
    def flat(array: np.ndarray | None, width: int) -> np.ndarray:
        return np.zeros(num_frames * width, np.float32) if array is None else array.reshape(-1)

    row = {
        "clip_id": clip.clip_id,
        "body_pose": flat(clip.motion.body_pose, 63),
        "betas": clip.motion.betas.reshape(-1),
        "K": flat(clip.view and clip.view.K, 9),
        "T_w2c": flat(clip.view and clip.view.T_w2c, 16),
        "valid": clip.valid,
        "frame_ids": clip.frame_ids,
    }
    for space, motion in (("camera", clip.camera_motion), ("world", clip.world_motion)):
        row[f"global_orient_{space}"] = flat(motion and motion.global_orient, 3)
        row[f"transl_{space}"] = flat(motion and motion.transl, 3)
    return row


def _flat(column: pa.ChunkedArray) -> np.ndarray:
    return np.concatenate([chunk.values.to_numpy() for chunk in column.chunks])
