"""The columns of a clip store's Parquet files, and a clip as a row of each."""

import hashlib
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa

from datasets.motion import Camera, Motion, Space
from datasets.sequence import Clip
from datasets.tools.files import sha256_of
from datasets.video.pad_resize import PadResize

SCHEMA_VERSION = 2
ROW_GROUP = 32  # clips: smaller reads one clip faster, larger scans single columns faster
FILES = ("index.parquet", "motion.parquet", "gt.parquet")
# What a writer that was killed may leave behind.
UNFINISHED = tuple(f"{name}.tmp" for name in (*FILES, "manifest.json"))
VIDEOS = "videos"
WORK = ".work"  # parts of a store that is still being made, so that the work can go on

# Facts that the index holds as the clip has them.
_NAMES = ("clip_id", "dataset", "split", "sequence", "camera", "person")
INDEX_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in (*_NAMES, "group")),
        *((name, pa.int32()) for name in ("num_people", "start_frame", "num_frames")),
        ("fps", pa.float64()),
        # Empty where a clip has no motion.
        *((name, pa.string()) for name in ("body", "gender", "motion_source")),
        *((f"has_{name}", pa.bool_()) for name in ("camera_motion", "world_motion")),
        *((f"has_{name}", pa.bool_()) for name in ("view", "extrinsics", "pelvis_rest")),
        # Of the pictures that K describes: the clip's video if it has one.
        *((name, pa.int32()) for name in ("width", "height")),
        ("pixel_origin", pa.string()),
        # Of the dataset's upright pictures; 0 without a video.
        *((name, pa.int32()) for name in ("src_width", "src_height", "video_size")),
        ("video_path", pa.string()),  # relative to the store; empty without a video
        ("video_sha256", pa.string()),
    ]
)


class StoreError(ValueError):
    """A clip store cannot be opened, or would be overwritten. The message says how to fix it."""


class FolderError(StoreError):
    """The folder named for a store cannot be used for it: it holds something else, or is in use."""


class ClipError(StoreError):
    """A clip cannot be kept in a store; `reason` says why without the clip's id."""

    def __init__(self, clip_id: str, reason: str):
        super().__init__(f"{clip_id}: {reason}")
        self.reason = reason


def content_digest(files: dict) -> str:
    """Identity of a store: sha256 over the names and hashes (``sha256``) of its files."""
    text = "".join(f"{name} {files[name]['sha256']}\n" for name in sorted(files))
    return hashlib.sha256(text.encode()).hexdigest()


def motion_schema(num_frames: int) -> pa.Schema:
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
            ("body_pose", pa.list_(pa.float32())),  # T * 63 of SMPL-X, T * 69 of SMPL
            ("betas", pa.list_(pa.float32())),  # 10 where constant over the clip, else T * 10
            ("global_orient_camera", floats(t * 3)),
            ("transl_camera", floats(t * 3)),
            ("global_orient_world", floats(t * 3)),
            ("transl_world", floats(t * 3)),
            ("K", floats(t * 9)),
            ("T_w2c", floats(t * 16)),
            ("pelvis_rest", floats(3)),
            ("valid", pa.list_(pa.bool_(), t)),
            ("frame_ids", pa.list_(pa.int32(), t)),
        ],
        metadata={"num_frames": str(t), "schema_version": str(SCHEMA_VERSION)},
    )


def index_row(clip: Clip, root: Path) -> dict:
    """Return a clip's row of ``index.parquet`` in the store at `root`."""
    motion, view, resize = clip.motion, clip.view, clip.resize
    return {
        **{name: getattr(clip, name) for name in (*_NAMES, "num_people", "fps")},
        "group": clip.group or clip.sequence,
        "start_frame": int(clip.frame_ids[0]),
        "num_frames": len(clip.frame_ids),
        "body": motion.body if motion else "",
        "gender": motion.gender if motion else "",
        "motion_source": clip.motion_source if motion else "",
        "has_camera_motion": clip.camera_motion is not None,
        "has_world_motion": clip.world_motion is not None,
        "has_view": view is not None,
        "has_extrinsics": view is not None and view.T_w2c is not None,
        "has_pelvis_rest": clip.pelvis_rest is not None,
        "width": view.width if view else 0,
        "height": view.height if view else 0,
        "pixel_origin": view.pixel_origin if view else "",
        "src_width": resize.width if resize else 0,
        "src_height": resize.height if resize else 0,
        "video_size": resize.size if resize else 0,
        "video_path": clip.video.relative_to(root).as_posix() if clip.video else "",
        "video_sha256": sha256_of(clip.video) if clip.video else "",
    }


def motion_row(clip: Clip) -> dict:
    """Return a clip's row of ``motion.parquet``."""
    num_frames = len(clip.frame_ids)
    motion = clip.motion

    def flat(owner: object, name: str, size: int) -> np.ndarray:
        array = None if owner is None else getattr(owner, name)
        return np.zeros(size, np.float32) if array is None else array.reshape(-1)

    row = {
        "clip_id": clip.clip_id,
        "body_pose": flat(motion, "body_pose", 0),
        "betas": flat(motion, "betas", 0),
        "K": flat(clip.view, "K", num_frames * 9),
        "T_w2c": flat(clip.view, "T_w2c", num_frames * 16),
        "pelvis_rest": flat(clip, "pelvis_rest", 3),
        "valid": clip.valid,
        "frame_ids": clip.frame_ids,
    }
    for space, own in (("camera", clip.camera_motion), ("world", clip.world_motion)):
        row[f"global_orient_{space}"] = flat(own, "global_orient", num_frames * 3)
        row[f"transl_{space}"] = flat(own, "transl", num_frames * 3)
    return row


def rows_of(table: pa.Table) -> Iterator[dict]:
    """Yield the rows of a ``motion.parquet`` or ``gt.parquet`` table, with numbers as arrays."""
    columns = [_cells(table.column(name).combine_chunks()) for name in table.column_names]
    for cells in zip(*columns, strict=True):
        yield dict(zip(table.column_names, cells, strict=True))


def _cells(column: pa.Array) -> Iterable:
    """Return a column's cells, one a row; lists of numbers as views of one array."""
    kind = column.type
    if pa.types.is_fixed_size_list(kind):
        values = column.flatten().to_numpy(zero_copy_only=False)
        return values.reshape(len(column), kind.list_size)
    if pa.types.is_list(kind) and not pa.types.is_string(kind.value_type):
        values = column.values.to_numpy(zero_copy_only=False)
        bounds = itertools.pairwise(column.offsets.to_pylist())
        there = column.is_valid().to_pylist()
        return [values[i:j] if ok else None for ok, (i, j) in zip(there, bounds, strict=True)]
    return column.to_pylist()


def clip_of_rows(facts: dict, arrays: dict, root: Path) -> Clip:
    """Inverse of `index_row` and `motion_row`: the rows `facts` and `arrays` of a clip."""
    t = facts["num_frames"]

    def motion(space: Space) -> Motion | None:
        if not facts[f"has_{space}_motion"]:
            return None
        betas = arrays["betas"]
        return Motion(
            body_pose=arrays["body_pose"].reshape(t, -1),
            global_orient=arrays[f"global_orient_{space}"].reshape(t, 3),
            betas=betas if len(betas) == 10 else betas.reshape(t, 10),
            transl=arrays[f"transl_{space}"].reshape(t, 3),
            fps=facts["fps"],
            space=space,
            body=facts["body"],
            gender=facts["gender"],
        )

    view = resize = None
    if facts["has_view"]:
        view = Camera(
            K=arrays["K"].reshape(t, 3, 3),
            T_w2c=arrays["T_w2c"].reshape(t, 4, 4) if facts["has_extrinsics"] else None,
            width=facts["width"],
            height=facts["height"],
            pixel_origin=facts["pixel_origin"],
        )
    if facts["video_size"]:
        resize = PadResize(facts["src_width"], facts["src_height"], facts["video_size"])
    names = (*_NAMES, "group", "num_people", "fps", "motion_source")
    return Clip(
        **{name: facts[name] for name in names},
        frame_ids=arrays["frame_ids"],
        valid=arrays["valid"],
        view=view,
        camera_motion=motion("camera"),
        world_motion=motion("world"),
        pelvis_rest=arrays["pelvis_rest"] if facts["has_pelvis_rest"] else None,
        resize=resize,
        video=inside(root, facts["video_path"]) if facts["video_path"] else None,
    )


def video_fault(video: Path, sha256: str) -> str:
    """Return the reason why a video is not the one that a store was made with; empty if it is.

    The file is read whole, but only once for as long as its inode, size and times stay.
    """
    try:
        found = sha256_of(video)
    except OSError as error:
        return f"its video cannot be read: {error.strerror}"
    return "" if found == sha256 else "its video is not the one that the store was made with"


def inside(root: Path, name: str) -> Path:
    """Return the video `name`, relative to the store at `root`, as its index gives it, as a path.

    Raises:
        StoreError: it leads out of the folder of videos: what copies them writes there.
    """
    path = PurePosixPath(name)
    if path.parts[:1] != (VIDEOS,) or ".." in path.parts or "\0" in name:
        raise StoreError(f"{root}: its index names a file outside the store's videos ({name!r})")
    return root / path
