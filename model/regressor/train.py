"""``python -m model.regressor.train``: train the built-in estimator on rendered pictures.

The pictures are those of the built-in dataset's training sequences, rendered small; about ten
minutes on two cores, from nothing. A run that was stopped goes on where it was: the pictures are
kept until it ends, and a step is a function of (seed, step) alone.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from datasets.tools.command_line import positive, run_command, run_job
from model.regressor.config import WEIGHTS
from model.regressor.examples import Examples, built_in_identity, render_built_in
from model.training.device import add_device, device_named

if TYPE_CHECKING:  # heavy packages are imported where they are used, so that --help answers at once
    import numpy as np

    from model.regressor.network import MotionRegressor
    from model.training.config import TrainingConfig

SEQUENCES = 1600
STEPS = 2000


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
        TrainingError: `out` holds another run, the loss stopped being finite, or the clips are
            shorter than the window.
    """
    import torch

    from model.training.config import TrainingError
    from model.training.loop import WEIGHTS, begin

    frames = examples.focal.shape[1]
    if frames < training.window:
        raise TrainingError(
            f"the clips have {frames} frames, fewer than the training window of {training.window}: "
            "choose longer clips or a shorter window"
        )
    run = begin(model, training, examples.identity, out, device=device)
    if run is None:
        return out / WEIGHTS
    if run.step == 0:
        model.fit_statistics(examples.features)

    def losses(step: int) -> list:
        batch = _draw(examples, training, step)
        return [model.loss(*(torch.from_numpy(array).to(device) for array in batch))]

    run.go(
        losses,
        text_of=lambda row: f"joints={1000 * row['joints']:.0f} mm",
        progress=progress,
        on_step=on_step,
    )
    return run.finish("regressor")


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
        sequences: how many, of `regressor_examples.FRAMES` frames each.
        seed: of the weights and of the batches.
        device: ``cpu`` or ``cuda``.
        progress: show progress bars on stderr.

    Returns:
        ``out/model.safetensors``.

    Raises:
        TrainingError: `out` holds another run, or the loss stopped being finite.
    """
    import torch

    from model.regressor.config import RegressorConfig
    from model.regressor.network import MotionRegressor
    from model.training.config import TrainingConfig
    from model.training.identity import identity_of, is_finished

    training = TrainingConfig.small(steps, batch_size=32, learning_rate=2e-3, window=9, seed=seed)
    config = RegressorConfig()
    torch.manual_seed(seed)
    model = MotionRegressor(config)
    path, pictures = out / "model.safetensors", out / "pictures.npz"
    identity = identity_of(model, training, built_in_identity(sequences, config.size))
    if not is_finished(path, identity):
        out.mkdir(parents=True, exist_ok=True)
        examples = render_built_in(pictures, sequences, config.size, progress=progress)
        train(model, training, examples, out, device=device, progress=progress)
    pictures.unlink(missing_ok=True)  # also those of a run that was stopped right before this
    return path


def _draw(
    examples: Examples, training: "TrainingConfig", step: int
) -> "tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]":
    """The batch of a step, from (seed, step) alone: pictures, focal lengths, features, rest joints.

    The colour channels of every clip are shuffled, so that no garment's colour can mean a limb, and
    every other clip is mirrored.
    """
    import numpy as np

    from model.regressor.network import mirrored

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
        prog="python -m model.regressor.train",
        description="Train the built-in video -> motion estimator on rendered pictures.",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=WEIGHTS.parent,
        help="folder of the run (default: data/regressor)",
    )
    parser.add_argument("--steps", type=positive, default=STEPS, help="default: %(default)s")
    parser.add_argument(
        "--sequences", type=positive, default=SEQUENCES, help="rendered (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0)
    add_device(parser)
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    args = parser.parse_args(argv)

    def job() -> Path:
        settings = {name: getattr(args, name) for name in ("steps", "sequences", "seed")}
        device = device_named(args.device)
        return train_built_in(args.out, **settings, device=device, progress=not args.quiet)

    return run_job(job, args.out, owner="training")


if __name__ == "__main__":
    run_command(main)
