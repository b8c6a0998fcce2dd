"""The shards of an extraction: which clips each has, and the files that keep its results.

Every file is written under a temporary name and renamed, and begins with a sha256 over the key of
its shard and its rows: one that is damaged or of another job counts as not there.
"""

import errno
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from datasets.tools.files import replacing

SIZE = 32  # clips of a shard
_VERSION = 2  # of the rows
_DIGEST_BYTES = 32  # of a sha256
TRIES = "tries"  # the one file of a scratch folder that is no result: see datasets.pseudo_gt.worker

# One row a clip. Lists are row-major and empty where the clip failed.
SCHEMA = pa.schema(
    [
        ("clip_id", pa.string()),
        ("status", pa.string()),  # ok, or why not in one word
        ("reason", pa.string()),
        ("K_source", pa.string()),
        ("n_frames", pa.int32()),
        ("diagnostics", pa.string()),  # a JSON object of numbers
        ("body", pa.string()),
        ("body_pose", pa.list_(pa.float32())),
        ("betas", pa.list_(pa.float32())),
        ("global_orient_camera", pa.list_(pa.float32())),
        ("transl_camera", pa.list_(pa.float32())),
        ("global_orient_world", pa.list_(pa.float32())),  # empty without a world
        ("transl_world", pa.list_(pa.float32())),
    ]
)


@dataclass(frozen=True)
class Shard:
    """Some consecutive clips of a job."""

    number: int  # in the job
    key: str  # of the job and these clips; in the sha256 of every file of the shard
    clip_ids: tuple[str, ...]  # in store order

    def file(self, work: Path) -> Path:
        """Return the finished shard below the job's working folder."""
        return work / "shards" / f"shard-{self.number:05d}.rows"

    def scratch(self, work: Path) -> Path:
        """Folder with the clips of a shard that is not finished."""
        return work / "scratch" / f"shard-{self.number:05d}"

    def clip_file(self, work: Path, position: int, status: str) -> Path:
        """Return the result of one clip there."""
        return self.scratch(work) / f"{position:02d}.{status}"


def plan(clip_ids: Sequence[str], job: dict) -> list[Shard]:
    """Clips in shards of `SIZE`, in order; `job` is all that their results depend on."""
    shards = []
    for number, start in enumerate(range(0, len(clip_ids), SIZE)):
        own = tuple(clip_ids[start : start + SIZE])
        text = json.dumps([_VERSION, job, own], sort_keys=True)
        shards.append(Shard(number, hashlib.sha256(text.encode()).hexdigest(), own))
    return shards


def failed_row(
    clip_id: str, status: str, reason: str, *, K_source: str = "", n_frames: int
) -> dict:
    """Return the row of a clip that has no estimate."""
    arrays: dict[str, list] = {field.name: [] for field in SCHEMA if pa.types.is_list(field.type)}
    facts = {"clip_id": clip_id, "status": status, "reason": reason, "K_source": K_source}
    return {**facts, "n_frames": n_frames, "diagnostics": "{}", "body": "", **arrays}


def write_rows(path: Path, table: pa.Table, key: str) -> None:
    """Write rows of `SCHEMA` in Arrow's file format behind their sha256, all or nothing."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_file(sink, SCHEMA, options=options) as writer:
        writer.write_table(table.combine_chunks())
    rows = sink.getvalue().to_pybytes()
    # A worker whose computer was cut off may still write the same file.
    with replacing(path, unique=True) as temporary:
        temporary.write_bytes(_digest(rows, key) + rows)


def read_rows(path: Path, key: str) -> pa.Table | None:
    """Return the rows of a file that `write_rows` wrote with this key, None where there is none."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    digest, rows = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
    if digest != _digest(rows, key):
        return None
    return pa.ipc.open_file(pa.BufferReader(rows)).read_all()


def _digest(rows: bytes, key: str) -> bytes:
    return hashlib.sha256(key.encode() + rows).digest()


def reopen(shards: Sequence[Shard], work: Path) -> None:
    """Make the failed clips of a job that came to its end work to be done; the others stay.

    Of a job that was stopped, all that is done stays.
    """
    if not all(shard.file(work).exists() for shard in shards):
        return
    for shard in shards:
        table = read_rows(shard.file(work), shard.key)
        if table is None:
            continue
        statuses = table.column("status").to_pylist()
        if set(statuses) == {"ok"}:
            continue
        shard.scratch(work).mkdir(parents=True, exist_ok=True)
        for position, status in enumerate(statuses):
            if status == "ok":
                file = shard.clip_file(work, position, status)
                write_rows(file, table.slice(position, 1), shard.key)
        shard.file(work).unlink()


def is_full_disk(error: BaseException | None) -> bool:
    """Return True if an exception says that there is no room for a file."""
    full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return isinstance(error, OSError) and error.errno in full


def scratch_files(folder: Path) -> Iterator[Path]:
    """Yield the clips in a scratch folder: files ``<position in the shard>.<status>``."""
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return
    for name in names:
        if not name.startswith(".") and name != TRIES:
            yield folder / name
