"""Sequences and clips of random numbers, and stores of them."""

import dataclasses

import numpy as np

from datasets.motion import Camera, Motion
from datasets.prepare.cut import cut
from datasets.sequence import Clip, PersonSequence
from datasets.store.reader import ClipStore
from datasets.store.writer import ClipStoreWriter
from datasets.video.pad_resize import PadResize

T = 8  # frames of a clip
# Labels of every kind that a dataset may have.
NATIVE = {
    "poses": np.linspace(0, 1, T * 72).reshape(T, 72),
    "trans": np.float32([[0.1, np.nan, -np.inf]] * T),
    "half": np.arange(T, dtype=np.float16),
    "ids": np.arange(T, dtype=np.uint16),
    "big": np.array([2**63 - 1, -(2**63), 2**53 + 1]),
    "bigger": np.array([2**64 - 1], np.uint64),
    "flags": np.array([[True], [False]]),
    "scale": np.array(1.23456789012345678),
    "gender": np.array("weiblich, ä"),
    "names": np.array(["left", "", "right hand"]),
    "no rows": np.zeros((0, 3), np.int8),
    "no text": np.array([], "<U4"),
    'a,b=c "d"': np.array([-0.0]),
}


def motion(frames, rng, space, *, moving_betas=False, gender="neutral", fps=25.0):
    return Motion(
        body_pose=rng.normal(size=(frames, 63)),
        global_orient=rng.normal(size=(frames, 3)),
        betas=rng.normal(size=(frames, 10) if moving_betas else 10),
        transl=rng.normal(size=(frames, 3)),
        fps=fps,
        space=space,
        gender=gender,
    )


def sequence(name="walk", frames=20, seed=0, *, cameras="both", valid=None, **fields):
    """A sequence with a camera and both motions, a camera without a world, or a world alone."""
    rng = np.random.default_rng(seed)
    view = None
    if cameras != "none":
        K = np.tile(np.diag([500.0, 510, 1]), (frames, 1, 1))
        T_w2c = np.tile(np.eye(4), (frames, 1, 1)) if cameras == "both" else None
        view = Camera(K, T_w2c, 640, 480)
    moving_betas = fields.pop("moving_betas", False)
    gender = fields.pop("gender", "neutral")
    kind = {"moving_betas": moving_betas, "gender": gender}
    camera_motion = None if cameras == "none" else motion(frames, rng, "camera", **kind)
    world_motion = None if cameras == "camera" else motion(frames, rng, "world", **kind)
    if camera_motion is not None and world_motion is not None:
        world_motion = Motion(
            **{
                **vars(world_motion),
                "body_pose": camera_motion.body_pose,
                "betas": camera_motion.betas,
            }
        )
    return PersonSequence(
        dataset="test",
        sequence=name,
        frame_ids=np.arange(100, 100 + frames),
        valid=np.ones(frames, bool) if valid is None else valid,
        fps=25.0,
        view=view,
        camera_motion=camera_motion,
        world_motion=world_motion,
        **fields,
    )


def write(path, sequences, split="test"):
    """The clips of the sequences, as they were given to the writer."""
    with ClipStoreWriter(path, num_frames=T) as writer:
        clips = [clip for s in sequences for clip in cut(s, split, T)]
        for clip in clips:
            writer.add(clip)
        writer.close({"split_rule": "none"})
    return clips


def clip_at(root, name="walk", *, body="smplx", video=True, **fields):
    """A clip whose video, if any, lies below `root`."""
    rng = np.random.default_rng(len(name))
    motions = {}
    if body is not None:
        joints = {"smplx": 63, "smpl": 69}[body]
        motions["camera_motion"] = dataclasses.replace(
            motion(T, rng, "camera", gender="female"),
            body=body,
            body_pose=rng.normal(size=(T, joints)),
        )
    view = Camera(np.tile(np.diag([300.0, 300, 1]), (T, 1, 1)), None, 64, 64, "centre")
    clip = Clip(
        clip_id=f"test/test/{name}/c/p/000000",
        dataset="test",
        sequence=name,
        split="test",
        frame_ids=np.arange(T, dtype=np.int32),
        valid=np.ones(T, bool),
        fps=30000 / 1001,
        view=view,
        **motions,
        **fields,
    )
    if not video:
        return clip
    file = root / "videos" / f"{name}.mp4"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(name.encode())
    return dataclasses.replace(clip, video=file, resize=PadResize(1920, 1080, 64))


def write_clips(path, *clips):
    with ClipStoreWriter(path, num_frames=T) as writer:
        writer.add(*clips)
        writer.close({})
    return ClipStore.open(path)
