"""The shards of an extraction: which clips each has, and the files that keep its results.

Every file is written under a temporary name and renamed, and carries the key of its shard: one
that is damaged or of another job counts as not there.
"""

import errno
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from datasets.tools.files import replacing

SIZE = 32  # clips of a shard
_VERSION = 1  # of the rows
_KEY = b"shard_key"
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
    """Some consecutive clips of a job.

    Attributes:
        number: in the job.
        key: of the job and these clips; in the metadata of every file of the shard.
        clip_ids: in store order.
    """

    number: int
    key: str
    clip_ids: tuple[str, ...]

    def file(self, work: Path) -> Path:
        """The finished shard below the job's working folder."""
        return work / "shards" / f"shard-{self.number:05d}.parquet"

    def scratch(self, work: Path) -> Path:
        """Folder with the clips of a shard that is not finished."""
        return work / "scratch" / f"shard-{self.number:05d}"

    def clip_file(self, work: Path, position: int, status: str) -> Path:
        """The result of one clip there."""
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
    """The row of a clip that has no estimate."""
    arrays = {field.name: [] for field in SCHEMA if pa.types.is_list(field.type)}
    facts = {"clip_id": clip_id, "status": status, "reason": reason, "K_source": K_source}
    return {**facts, "n_frames": n_frames, "diagnostics": "{}", "body": "", **arrays}


def write_rows(path: Path, table: pa.Table, key: str) -> None:
    """Write rows of `SCHEMA`, all or nothing.

    A shard is a Parquet file; a single clip has Arrow's own format, written in a sixtieth of the
    time.
    """
    table = table.replace_schema_metadata({_KEY: key})
    sink = pa.BufferOutputStream()
    if path.suffix == ".parquet":
        pq.write_table(table, sink, compression="zstd")
    else:
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    # A worker whose computer was cut off may still write the same file.
    with replacing(path, unique=True) as temporary:
        temporary.write_bytes(sink.getvalue())


def read_rows(path: Path, key: str) -> pa.Table | None:
    """The rows of a file that `write_rows` wrote with this key, None where there is none."""
    try:
        data = pa.BufferReader(path.read_bytes())
        if path.suffix == ".parquet":
            table = pq.read_table(data)
        else:
            table = pa.ipc.open_file(data).read_all()
        if (table.schema.metadata or {}).get(_KEY) != key.encode():
            return None
        return table.cast(SCHEMA)  # Parquet has its own names for the parts of lists
    except (OSError, ValueError, pa.ArrowException):
        return None


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
    """Whether an exception says that there is no room for a file."""
    full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return isinstance(error, OSError) and error.errno in full


def scratch_files(folder: Path) -> Iterator[Path]:
    """The clips in a scratch folder: files ``<position in the shard>.<status>``."""
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return
    for name in names:
        if not name.startswith(".") and name != TRIES:
            yield folder / name
