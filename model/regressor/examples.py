"""Training examples of the built-in estimator: clips of a store, or rendered sequences."""

import contextlib
import hashlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from datasets.tools.files import hash_lines, replacing

if TYPE_CHECKING:  # heavy packages are imported where they are used, so that --help answers at once
    import numpy as np

    from datasets.store.reader import ClipStore
    from datasets.video.pad_resize import PadResize

FRAMES = 33  # of a rendered sequence: short ones show more people, places and directions
MOST_BYTES = 2 << 30  # of a store's pictures in memory: 10,000 clips of 17 frames at 64 pixels
_ARRAYS = ("pictures", "features", "focal", "rest")


@dataclass(frozen=True, eq=False)
class Examples:
    """Training examples: N sequences of T frames.

    Attributes:
        pictures: (N, T, size, size, 3) uint8 RGB.
        features: (N, T, 145) float32, see `model.regressor.network.to_features`.
        focal: (N, T) float32 focal lengths in picture sizes.
        rest: (N, 22, 3) float32 joints of the rest pose, metres.
        identity: JSON-ready; says what they are.
    """

    pictures: "np.ndarray"
    features: "np.ndarray"
    focal: "np.ndarray"
    rest: "np.ndarray"
    identity: dict


def examples_of(store: "ClipStore", ids: Sequence[str], size: int) -> Examples:
    """Clips of a store with their pictures as examples, in the order of `ids`.

    Of more clips than `MOST_BYTES` of pictures, as many as fit are taken, evenly spaced; stderr and
    the identity say so. Clips whose video cannot be read or is not theirs (other frames, another
    size), or whose person is not in front of the camera, are left out, and counted in the identity.

    Args:
        store: clips with videos and SMPL-X motions in the camera.
        ids: of the clips.
        size: pixels of the square pictures.

    Raises:
        StoreError: a clip without motion.
        TrainingError: no clips, one without a video or a camera, or none that can be used.
    """
    import numpy as np

    from datasets.bodies.smplx import BODY_JOINTS, load_body
    from datasets.sequence import camera_of
    from datasets.video.pad_resize import PadResize
    from model.regressor.network import NUM_FEATURES, focal_lengths, to_features
    from model.training.config import TrainingError

    if not ids:
        raise TrainingError(f"{store.path} has no clips to train on")
    clips, frames = len(ids), store.num_frames
    at_most = max(1, MOST_BYTES // (frames * size * size * 3))
    chosen, how = ids, ""
    if clips > at_most:
        chosen = [ids[row * clips // at_most] for row in range(at_most)]
        how = f", evenly spaced among {clips} whose pictures are more than {MOST_BYTES >> 20} MiB"
        print(f"{store.path}: training on {at_most} clips{how}", file=sys.stderr)
    body, place = load_body(), {name: row for row, name in enumerate(chosen)}
    pictures = np.empty((len(chosen), frames, size, size, 3), np.uint8)
    features = np.empty((len(chosen), frames, NUM_FEATURES), np.float32)
    focal = np.empty((len(chosen), frames), np.float32)
    rest = np.empty((len(chosen), BODY_JOINTS, 3), np.float32)
    usable = np.zeros(len(chosen), bool)
    for clip in store.some(chosen):
        if clip.video is None or clip.camera_motion is None:
            raise TrainingError(f"{clip.clip_id} of {store.path} has no video with camera motion")
        view, _ = camera_of(clip)
        resize, row = PadResize(view.width, view.height, size), place[clip.clip_id]
        if not _read_pictures(clip.video, resize, pictures[row]) or store.video_fault(clip.clip_id):
            continue
        seen, motion = resize.camera(view), clip.camera_motion
        with np.errstate(invalid="ignore", divide="ignore"):  # a pelvis behind the camera
            features[row] = to_features(motion.to_channels(), seen)
        focal[row] = focal_lengths(seen)
        rest[row] = body.rest_joints(np.atleast_2d(motion.betas)[0])[:BODY_JOINTS]
        usable[row] = np.isfinite(features[row]).all()
    if not usable.any():
        raise TrainingError(
            f"{store.path} has no clip to train on: no video can be read and is that of its clip, "
            "with the person in front of the camera; prepare the store again"
        )
    arrays = (pictures, features, focal, rest)
    if not usable.all():
        arrays = tuple(array[usable] for array in arrays)
    identity = {
        "examples": f"{usable.sum()} of {len(chosen)} clips, {size} px{how}",
        "store_sha256": store.sha256,
        "clips_sha256": hash_lines(ids),
        "body_sha256": body.sha256,
    }
    return Examples(*arrays, identity=identity)


def _read_pictures(video: Path, resize: "PadResize", out: "np.ndarray") -> bool:
    """Fill `out` (T, size, size, 3) with a video's pictures; whether it is one of T such frames."""
    from datasets.video.files import read_frames
    from datasets.video.probe import VideoError, probe

    try:
        info = probe(video)
        if (info.num_frames, info.width, info.height) != (len(out), resize.width, resize.height):
            return False
        for frame, picture in enumerate(read_frames(video, range(len(out)), info=info)):
            out[frame] = resize.image(picture)
    except VideoError:
        return False
    return True


def built_in_identity(sequences: int, size: int) -> dict:
    """Return the identity of the examples of `render_built_in`."""
    from datasets.adapters.embedded import DATASET
    from datasets.bodies.smplx import load_body

    return {
        "examples": f"{DATASET.name} version {DATASET.version}, {sequences} sequences of "
        f"{FRAMES} frames, {size} px",
        "body_sha256": load_body().sha256,
    }


def render_built_in(file: Path, sequences: int, size: int, *, progress: bool = True) -> Examples:
    """The first training sequences of the built-in dataset, rendered once and kept in `file`.

    A file that is damaged or holds others is made again.

    Raises:
        TrainingError: a process that renders died.
    """
    import numpy as np
    from tqdm import tqdm

    from datasets.tools.workers.spread import Executor, WorkerDied, spread
    from datasets.tools.workers.worker import Calls
    from model.training.config import TrainingError

    identity = built_in_identity(sequences, size)
    arrays = _load(file, identity)
    if arrays is not None:
        return Examples(**arrays, identity=identity)
    if file.exists():
        print(f"{file} is damaged or of other settings: rendered again", file=sys.stderr)
    jobs = [(index, size) for index in range(sequences)]
    executor = Executor(workers=len(os.sched_getaffinity(0)))
    outcomes = spread(zip(jobs, jobs, strict=True), Calls(_render), executor)
    bar = tqdm(total=sequences, desc="rendering", unit=" sequences", disable=not progress)
    with contextlib.closing(outcomes), bar:
        for outcome in outcomes:
            if outcome is None:
                continue
            index = outcome.item[0]
            if isinstance(outcome.error, WorkerDied):
                why = f"the process that renders sequence {index} died: memory?"
                raise TrainingError(why) from outcome.error
            rendered = outcome.result()
            if arrays is None:
                shapes = {name: (sequences, *array.shape) for name, array in rendered.items()}
                arrays = {name: np.empty(shapes[name], rendered[name].dtype) for name in shapes}
            for name, array in rendered.items():
                arrays[name][index] = array
            bar.update()
    with replacing(file) as temporary, temporary.open("wb") as out:
        np.savez(out, label=_digest(identity, arrays), **arrays)
    return Examples(**arrays, identity=identity)


def _load(file: Path, identity: dict) -> "dict[str, np.ndarray] | None":
    """The arrays of a file that was written with that identity; None where there is none."""
    from datasets.tools.npz import read_npz_arrays

    try:
        # Not compressed: the arrays have no more bytes than the file.
        stored = read_npz_arrays(file, ("label", *_ARRAYS), most_bytes=file.stat().st_size)
    except (OSError, ValueError, KeyError):
        return None
    return stored if str(stored.pop("label")) == _digest(identity, stored) else None


def _digest(identity: dict, arrays: "dict[str, np.ndarray]") -> str:
    """The sha256 in hex of examples and of what they are."""
    import numpy as np

    digest = hashlib.sha256(repr(identity).encode())
    for name in _ARRAYS:
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array)
    return digest.hexdigest()


def _render(job: tuple[int, int]) -> "dict[str, np.ndarray]":
    """Return the arrays of one sequence."""
    import numpy as np

    from datasets.adapters.embedded import EmbeddedDataset
    from datasets.bodies.smplx import BODY_JOINTS, load_body
    from model.regressor.network import focal_lengths, to_features

    index, size = job
    sequence = EmbeddedDataset(num_frames=FRAMES, image_size=size).sequence(index)
    motion = sequence.camera_motion
    return {
        "pictures": np.stack(list(sequence.source.frames(range(len(motion))))),
        "features": to_features(motion.to_channels(), sequence.view),
        "focal": focal_lengths(sequence.view).astype(np.float32),
        "rest": load_body().rest_joints(motion.betas)[:BODY_JOINTS],
    }
