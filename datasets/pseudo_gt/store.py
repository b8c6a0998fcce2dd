"""From estimates to a clip store: the clips of another store with an estimator's motion."""

import dataclasses
import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from datasets.prepare.clip_video import bring
from datasets.pseudo_gt.input import K_RULE
from datasets.pseudo_gt.shards import SCHEMA
from datasets.sequence import camera_of
from datasets.store.native import native_of_rows
from datasets.store.reader import ClipStore
from datasets.store.schema import WORK, StoreError, clip_of_rows
from datasets.store.writer import ClipStoreWriter
from datasets.tools.files import sha256_of, write_bytes

STATUS_FILE = "pseudo_gt.parquet"
STATUS_SCHEMA = pa.schema([field for field in SCHEMA if not pa.types.is_list(field.type)][:6])
_ARRAYS = [field.name for field in SCHEMA if pa.types.is_list(field.type)]
# What the new store takes over from the manifest of the old one.
_INHERITED = ("dataset", "dataset_version", "split_rule", "split", "limit", "body", "assumed")


def write_store(
    out: Path, source: ClipStore, clip_ids: list[str], results: Iterator[dict], job: dict
) -> dict:
    """Write the store of the clips that could be estimated, and the status file of all.

    Args:
        out: folder of the new store.
        source: the clips' store.
        clip_ids: of the clips that were worked on, in store order.
        results: their rows (`datasets.pseudo_gt.shards.SCHEMA`), in the same order.
        job: what they depend on; kept in the manifest.

    Returns:
        How many clips have which status; no store is written where none is ``ok``.

    Raises:
        StoreError: the store cannot be written, or a video has changed since.
    """
    wanted = set(clip_ids)
    statuses = []
    with ClipStoreWriter(out, num_frames=source.num_frames) as writer:
        for facts, arrays, native in source.rows():
            if facts["clip_id"] not in wanted:
                continue
            row = next(results)
            statuses.append({name: row[name] for name in STATUS_SCHEMA.names})
            if row["status"] == "ok":
                clip = clip_of_rows(
                    facts | _new_facts(row, job["estimator"]["name"]),
                    arrays | {name: row[name] for name in _ARRAYS},
                    source.path,
                )
                assert clip.video is not None, "others are not estimated"
                video = bring(clip.video, out / facts["video_path"])
                clip = dataclasses.replace(
                    clip,
                    view=camera_of(clip)[0],
                    native=native_of_rows(native),
                    native_frames=frozenset(n["name"] for n in native if n["per_frame"]),
                    video=video,
                )
                if sha256_of(video) != facts["video_sha256"]:
                    raise StoreError(
                        f"the video of {clip.clip_id} in {source.path} has changed since its "
                        "motion was estimated: put the file back, or name a new folder"
                    )
                writer.add(clip)
        data = _parquet(statuses)
        write_bytes(out / WORK / STATUS_FILE, data)  # there nobody minds what a kill leaves
        os.replace(out / WORK / STATUS_FILE, out / STATUS_FILE)
        counts = Counter(row["status"] for row in statuses)
        if counts["ok"]:
            writer.close(_manifest(out, source, statuses, counts, job, data))
    return dict(sorted(counts.items()))


def is_whole(out: Path, manifest: dict) -> bool:
    """Return True if the status file of a finished store is the one that its manifest names."""
    try:
        return sha256_of(out / STATUS_FILE) == manifest["pseudo_gt"]["status_sha256"]
    except OSError:
        return False


def _new_facts(row: dict, estimator: str) -> dict:
    """Return an estimate's changes to a clip's index row: its world is the estimator's own."""
    return {
        "body": row["body"],
        "gender": "neutral",
        "motion_source": estimator,
        "has_camera_motion": True,
        "has_world_motion": len(row["transl_world"]) > 0,
        "has_extrinsics": False,
        "has_pelvis_rest": False,
    }


def _parquet(statuses: list[dict]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(statuses, STATUS_SCHEMA), sink, compression="zstd")
    return sink.getvalue().to_pybytes()


def _manifest(
    out: Path, source: ClipStore, statuses: list[dict], counts: Counter, job: dict, data: bytes
) -> dict:
    inherited = {name: source.manifest[name] for name in _INHERITED if name in source.manifest}
    failed = [row for row in statuses if row["status"] != "ok"]
    sources = Counter(row["K_source"] for row in statuses if row["status"] == "ok")
    estimator = job["estimator"]
    return {
        **inherited,
        **job,
        "name": out.resolve().name,
        "notes": [f"motion estimated by {estimator['name']}: {estimator['note']}"],
        "skipped": [
            {"name": row["clip_id"], "reason": f"{row['status']}: {row['reason']}"}
            for row in failed
        ],
        "pseudo_gt": {
            "K_rule": K_RULE,
            "K_sources": dict(sorted(sources.items())),
            "statuses": dict(sorted(counts.items())),
            "status_sha256": hashlib.sha256(data).hexdigest(),
        },
    }
