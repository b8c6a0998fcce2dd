"""The columns of a clip store's Parquet files, and a clip as a row of each."""

import hashlib

import numpy as np
import pyarrow as pa

from datasets.motion import Camera, Clip, Motion

SCHEMA_VERSION = 1
ROW_GROUP = 64
FILES = ("index.parquet", "motion.parquet")
# What a writer that was killed may leave behind.
UNFINISHED = tuple(f"{name}.tmp" for name in (*FILES, "manifest.json"))

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
            ("body_pose", floats(t * 63)),
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


def index_row(clip: Clip) -> dict:
    """A clip's row of ``index.parquet``."""
    motion = clip.motion
    return {
        "clip_id": clip.clip_id,
        "dataset": clip.dataset,
        "split": clip.split,
        "sequence": clip.sequence,
        "camera": clip.camera,
        "person": clip.person,
        "start_frame": int(clip.frame_ids[0]),
        "num_frames": len(clip.frame_ids),
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


def motion_row(clip: Clip) -> dict:
    """A clip's row of ``motion.parquet``."""
    num_frames = len(clip.frame_ids)

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


def clip_of_row(facts: dict, table: pa.Table, row: int) -> Clip:
    """Inverse of `index_row` and `motion_row`: the index row `facts`, and row `row` of `table`."""
    t = facts["num_frames"]

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
