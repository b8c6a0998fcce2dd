"""``python -m model.train_regressor``: train the built-in estimator on rendered pictures.

The pictures are those of the built-in dataset's training sequences, rendered small; about ten
minutes on two cores, from nothing. A run that was stopped goes on where it was: the pictures are
kept until it ends, and a step is a function of (seed, step) alone.
"""

import argparse
import contextlib
import hashlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from datasets.command_line import positive, run_job

if TYPE_CHECKING:  # heavy packages are imported where they are used, so that --help answers at once
    import numpy as np

    from datasets.clip_store import ClipStore
    from model.regressor import MotionRegressor
    from model.training import TrainingConfig

SEQUENCES = 1600
FRAMES = 33  # of a sequence: short ones show more people, places and directions
STEPS = 2000


@dataclass(frozen=True, eq=False)
class Examples:
    """What the network learns from: N sequences of T frames.

    Attributes:
        pictures: (N, T, size, size, 3) uint8 RGB.
        features: (N, T, 145) float32, see `model.regressor.to_features`.
        focal: (N, T) float32 focal lengths in picture sizes.
        rest: (N, 22, 3) float32 joints of the rest pose, metres.
        identity: JSON-ready; says what they are.
    """

    pictures: "np.ndarray"
    features: "np.ndarray"
    focal: "np.ndarray"
    rest: "np.ndarray"
    identity: dict


def train(
    model: "MotionRegressor",
    training: "TrainingConfig",
    examples: Examples,
    out: Path,
    *,
    device: str = "cpu",
    progress: bool = True,
    on_step: "Callable[[int, str], None] | None" = None,
) -> Path:
    """Train `model` in place and write its checkpoint; resume what an earlier call left in `out`.

    Args:
        model: a fresh network.
        training: steps, batch size, window and optimiser.
        examples: what it learns from.
        out: folder of the run, made if needed.
        device: ``cpu`` or ``cuda``.
        progress: show a progress bar on stderr.
        on_step: called after every step with the steps done and how it goes.

    Returns:
        ``out/model.safetensors``.

    Raises:
        TrainingError: `out` holds another run, or the loss stopped being finite.
    """
    import torch
    from tqdm import tqdm

    from model.checkpoint import load_weights
    from model.run import Run, identity_of, is_finished

    out.mkdir(parents=True, exist_ok=True)
    identity = identity_of(model, training, examples.identity)
    path = out / "model.safetensors"
    model.to(device)
    if is_finished(path, identity):
        load_weights(path, model)
        model.eval()
        return path
    run = Run(model, training, identity, out)
    run.resume()
    if run.step == 0:
        model.fit_statistics(examples.features)

    def losses(step: int) -> list:
        batch = _draw(examples, training, step)
        return [model.loss(*(torch.from_numpy(array).to(device) for array in batch))]

    model.train()
    run.go(
        losses,
        bar=tqdm(initial=run.step, total=training.steps, disable=not progress, unit="step"),
        shown=lambda row: f"joints={1000 * row['joints']:.0f} mm",
        on_step=on_step,
    )
    return run.finish(path, "regressor")


def examples_of(store: "ClipStore", ids: "Sequence[str]", size: int) -> Examples:
    """Clips of a store with their pictures as examples; a clip has about 12 kB a frame at 64 px.

    Clips whose video cannot be read are left out, and counted in the identity.

    Args:
        store: clips with videos and SMPL-X motions in the camera.
        ids: of the clips.
        size: pixels of the square pictures.

    Raises:
        StoreError: a clip without motion.
        TrainingError: no clips, one without a video or a camera, or no video that can be read.
    """
    import numpy as np

    from datasets.body import BODY_JOINTS, load_body
    from datasets.pad_resize import PadResize
    from datasets.pseudo.input import camera_of
    from datasets.video import VideoError, read_video
    from model.regressor import NUM_FEATURES, focal_lengths, to_features
    from model.training import TrainingError

    if not ids:
        raise TrainingError(f"{store.path} has no clips to train on")
    body, place = load_body(), {name: row for row, name in enumerate(ids)}
    clips, frames = len(ids), store.num_frames
    pictures = np.empty((clips, frames, size, size, 3), np.uint8)
    features = np.empty((clips, frames, NUM_FEATURES), np.float32)
    focal = np.empty((clips, frames), np.float32)
    rest = np.empty((clips, BODY_JOINTS, 3), np.float32)
    kept = np.ones(clips, bool)
    for clip in store.some(ids):
        if clip.video is None or clip.camera_motion is None:
            raise TrainingError(f"{clip.clip_id} of {store.path} has no video with camera motion")
        view, _ = camera_of(clip)
        resize, row = PadResize(view.width, view.height, size), place[clip.clip_id]
        try:
            for frame, picture in enumerate(read_video(clip.video)):
                pictures[row, frame] = resize.image(picture)
        except VideoError:
            kept[row] = False
            continue
        seen, motion = resize.camera(view), clip.camera_motion
        features[row] = to_features(motion.to_channels(), seen)
        focal[row] = focal_lengths(seen)
        rest[row] = body.rest_joints(np.atleast_2d(motion.betas)[0])[:BODY_JOINTS]
    if not kept.any():
        raise TrainingError(f"{store.path} has no video that can be read")
    arrays = (pictures, features, focal, rest)
    if not kept.all():
        arrays = tuple(array[kept] for array in arrays)
    identity = {
        "examples": f"{kept.sum()} of {len(ids)} clips, {size} px",
        "store_sha256": store.sha256,
        "clips_sha256": hashlib.sha256("\n".join(ids).encode()).hexdigest(),
        "body_sha256": body.sha256,
    }
    return Examples(*arrays, identity=identity)


def train_built_in(
    out: Path,
    *,
    steps: int = STEPS,
    sequences: int = SEQUENCES,
    seed: int = 0,
    device: str = "cpu",
    progress: bool = True,
) -> Path:
    """Render the built-in dataset's first training sequences, and train on them.

    Args:
        out: folder of the run, made if needed.
        steps: optimiser steps.
        sequences: how many, of `FRAMES` frames each.
        seed: of the weights and of the batches.
        device: ``cpu`` or ``cuda``.
        progress: show progress bars on stderr.

    Returns:
        ``out/model.safetensors``.

    Raises:
        TrainingError: `out` holds another run, or the loss stopped being finite.
    """
    import torch

    from model.regressor import MotionRegressor
    from model.regressor_config import RegressorConfig
    from model.run import identity_of, is_finished
    from model.training import TrainingConfig

    training = TrainingConfig(
        steps=steps,
        batch_size=32,
        learning_rate=2e-3,
        schedule="cosine",
        warmup_steps=steps // 20,
        window=9,
        seed=seed,
    )
    config = RegressorConfig()
    torch.manual_seed(seed)
    model = MotionRegressor(config)
    label = _label(sequences, config.size)
    if is_finished(out / "model.safetensors", identity_of(model, training, label)):
        return out / "model.safetensors"
    out.mkdir(parents=True, exist_ok=True)
    examples = render_built_in(out / "pictures.npz", sequences, config.size, progress=progress)
    path = train(model, training, examples, out, device=device, progress=progress)
    (out / "pictures.npz").unlink()
    return path


def render_built_in(file: Path, sequences: int, size: int, *, progress: bool = True) -> Examples:
    """The first training sequences of the built-in dataset, rendered once and kept in `file`."""
    import numpy as np
    from tqdm import tqdm

    from datasets.processes import in_order
    from model.training import TrainingError

    identity = _label(sequences, size)
    label = repr(identity)
    if file.is_file():
        with np.load(file, allow_pickle=False) as stored:
            if str(stored["label"]) == label:
                names = ("pictures", "features", "focal", "rest")
                return Examples(**{name: stored[name] for name in names}, identity=identity)
    jobs = [(index, size) for index in range(sequences)]
    workers = max(2, len(os.sched_getaffinity(0)))  # never here, where the training has threads
    results = in_order(_render, zip(jobs, jobs, strict=True), workers=workers, died=None)
    bar = tqdm(total=sequences, desc="rendering", unit=" sequences", disable=not progress)
    rendered = []
    with contextlib.closing(results), bar:
        for job, arrays in results:
            if arrays is None:
                raise TrainingError(f"the process that renders sequence {job[0]} died: memory?")
            rendered.append(arrays)
            bar.update()
    columns = [np.stack(column) for column in zip(*rendered, strict=True)]
    examples = Examples(*columns, identity=identity)
    temporary = file.with_name(file.name + ".tmp")
    with open(temporary, "wb") as out:
        np.savez(
            out,
            label=label,
            pictures=examples.pictures,
            features=examples.features,
            focal=examples.focal,
            rest=examples.rest,
        )
    os.replace(temporary, file)
    return examples


def _label(sequences: int, size: int) -> dict:
    """What identifies the rendered examples."""
    from datasets.body import load_body
    from datasets.embedded import DATASET

    return {
        "examples": f"{DATASET.name} version {DATASET.version}, {sequences} sequences of "
        f"{FRAMES} frames, {size} px",
        "body_sha256": load_body().sha256,
    }


def _render(job: tuple[int, int]) -> "tuple[np.ndarray, ...]":
    """Pictures, features, focal lengths and rest joints of one sequence."""
    import numpy as np
    import torch

    from datasets.body import BODY_JOINTS, load_body
    from datasets.embedded import EmbeddedDataset
    from model.regressor import focal_lengths, to_features

    torch.set_num_threads(1)
    index, size = job
    sequence = EmbeddedDataset(num_frames=FRAMES, image_size=size).sequence(index)
    motion = sequence.camera_motion
    return (
        np.stack(list(sequence.source.frames(range(len(motion))))),
        to_features(motion.to_channels(), sequence.view),
        focal_lengths(sequence.view).astype(np.float32),
        load_body().rest_joints(motion.betas)[:BODY_JOINTS],
    )


def _draw(
    examples: Examples, training: "TrainingConfig", step: int
) -> "tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]":
    """The batch of a step, from (seed, step) alone: pictures, focal lengths, features, rest joints.

    The colour channels of every clip are shuffled, so that no garment's colour can mean a limb, and
    every other clip is mirrored.
    """
    import numpy as np

    from model.regressor import mirrored

    rng = np.random.default_rng((training.seed, step))
    count, frames = examples.focal.shape
    clips = rng.integers(count, size=training.batch_size)[:, None]
    starts = rng.integers(frames - training.window + 1, size=(training.batch_size, 1))
    window = starts + np.arange(training.window)
    colours = rng.permuted(np.tile(np.arange(3), (training.batch_size, 1)), axis=1)
    pictures = np.take_along_axis(
        examples.pictures[clips, window], colours[:, None, None, None], axis=-1
    )
    features = examples.features[clips, window]
    pictures[::2] = pictures[::2, :, :, ::-1]
    features[::2] = mirrored(features[::2])
    return (
        pictures,
        examples.focal[clips, window],
        features,
        examples.rest[clips[:, 0]],
    )


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m model.train_regressor",
        description="Train the built-in video -> motion estimator on rendered pictures.",
    )
    parser.add_argument("--out", type=Path, help="folder of the run (default: data/regressor)")
    parser.add_argument("--steps", type=positive, default=STEPS, help="default: %(default)s")
    parser.add_argument(
        "--sequences", type=positive, default=SEQUENCES, help="rendered (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    args = parser.parse_args(argv)
    return run_job(lambda: _train(args))


def _train(args: argparse.Namespace) -> Path:
    from model.regressor import WEIGHTS

    return train_built_in(
        args.out or WEIGHTS.parent,
        steps=args.steps,
        sequences=args.sequences,
        seed=args.seed,
        device=args.device,
        progress=not args.quiet,
    )


if __name__ == "__main__":
    sys.exit(main())
