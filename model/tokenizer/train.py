"""Training of a motion tokenizer (paper section 3.3, first stage): a loop that can be killed.

    python -m model.tokenizer.train --data STORE --out DIR --preset small --steps 4000

Everything random in a step is a function of (seed, step), so that a run needs no random state to
be resumed: on the CPU, a run stopped and resumed anywhere ends bit for bit like one that was not.

The folder of a run holds ``model.safetensors`` and ``model.json`` once it is finished,
``resume.pt`` until then, and ``losses.csv``.
"""

import argparse
import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from datasets.tools.command_line import run_command, run_job
from model.tokenizer.config import TokenizerConfig
from model.training.config import TrainingConfig, TrainingError
from model.training.device import add_device, device_named

if TYPE_CHECKING:  # torch is imported where it is used, so that --help answers at once
    import torch

    from model.tokenizer.network import MotionTokenizer


def train(
    model: "MotionTokenizer",
    training: TrainingConfig,
    channels: np.ndarray,
    out: Path,
    *,
    device: str = "cpu",
    progress: bool = True,
    on_step: Callable[[int, str], None] | None = None,
    checkpoint_seconds: float | None = None,
    description: str = "",
    facts: dict | None = None,
) -> Path:
    """Train `model` in place and write its checkpoint; resume what an earlier call left in `out`.

    bf16 autocast and TF32 are used on CUDA, float32 on the CPU.

    Args:
        model: a fresh model, or any `SavedModel` with such `prepare`, `fit_statistics` and `loss`.
            Its weights are replaced where a run is resumed, or finished already.
        training: steps, batch size and optimiser.
        channels: (N, T, 79) motion channels of the training clips, T at least `training.window`.
        out: folder of the run, made if needed.
        device: ``cpu`` or ``cuda``.
        progress: show a progress bar on stderr.
        on_step: called after every step with the steps done and the latest losses as text.
        checkpoint_seconds: see `TrainingRun.go`.
        description: kept in the sidecar, shown beside the progress bar.
        facts: JSON-ready; kept in the sidecar, and no part of what makes two runs the same.

    Returns:
        ``out/model.safetensors``.

    Raises:
        TrainingError: `out` holds another run; the loss stopped being finite; unusable clips.
    """
    import torch

    from model.training.loop import begin
    from model.training.sidecar import WEIGHTS

    data = _describe(channels, training.window)
    run = begin(model, training, data, Path(out), device=device)
    if run is None:
        return out / WEIGHTS
    prepared = model.prepare(channels)
    if run.step == 0:
        model.fit_statistics(prepared, training.window)
    prepared = prepared.to(device)
    cuda = torch.device(device).type == "cuda"
    if cuda:
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.allow_tf32 = True
    autocast = torch.autocast("cuda", torch.bfloat16) if cuda else contextlib.nullcontext()

    def losses(step: int) -> list:
        clips, starts, generator = _draw(training, step, prepared.shape[:2])
        windows = prepared[clips[:, None], starts[:, None] + np.arange(training.window)]
        with autocast:
            return [model.loss(windows, step / training.steps, generator)]

    def text_of(row: dict) -> str:
        names = [name for name in ("loss", "codes_used") if name in row]
        return ", ".join(f"{name}={row[name]:.3g}" for name in names)

    run.go(
        losses,
        text_of=text_of,
        progress=progress,
        description=description,
        checkpoint_seconds=checkpoint_seconds,
        on_step=on_step,
    )
    return run.finish(description, **(facts or {}))


def _describe(channels: np.ndarray, window: int) -> dict:
    """Return the identity of the training clips.

    Raises:
        TrainingError: the clips have another shape, or are not finite.
    """
    channels = np.ascontiguousarray(channels, np.float32)
    if channels.ndim != 3 or len(channels) == 0 or channels.shape[1] < window:
        raise TrainingError(
            f"training clips have shape {channels.shape}: expected (N, T, 79) with T of at least "
            f"{window} frames, the training window"
        )
    if not np.isfinite(channels).all():
        raise TrainingError("the training clips hold numbers that are not finite")
    return {
        "clips": len(channels),
        "frames": channels.shape[1],
        "data_sha256": hashlib.sha256(channels).hexdigest(),
    }


def _draw(
    training: TrainingConfig, step: int, shape: tuple[int, int]
) -> "tuple[np.ndarray, np.ndarray, torch.Generator]":
    """Clips (B,), first frames (B,) and the generator of a step, from (seed, step) alone."""
    import torch

    clips, frames = shape
    rng = np.random.default_rng((training.seed, step))
    chosen = rng.integers(clips, size=training.batch_size)
    starts = rng.integers(frames - training.window + 1, size=training.batch_size)
    return chosen, starts, torch.Generator().manual_seed(int(rng.integers(2**62)))


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m model.tokenizer.train",
        description="Train a motion tokenizer on the clips of a store (paper section 3.1).",
    )
    parser.add_argument(
        "--data", required=True, nargs="+", type=Path, metavar="STORE", help="clip stores"
    )
    parser.add_argument("--out", required=True, type=Path, help="folder of the run")
    parser.add_argument("--split", default="train", help="split of the store to train on")
    parser.add_argument("--preset", choices=["small", "paper", "rehearsal"], default="small")
    parser.add_argument("--tokens-per-frame", type=int, default=36, metavar="K")
    parser.add_argument("--codebook-size", type=int, default=512, metavar="B")
    parser.add_argument("--steps", type=int, help="paper: 100000, small: 2000, rehearsal: 2")
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--seed", type=int, default=0)
    add_device(parser)
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    args = parser.parse_args(argv)
    return run_job(lambda: _train_from_store(args), args.out, owner="training")


def _train_from_store(args: argparse.Namespace) -> Path:
    preset = getattr(TokenizerConfig, args.preset)
    config = preset(args.tokens_per_frame, args.codebook_size)
    names = ("steps", "batch_size", "learning_rate", "seed")
    changes = {name: value for name in names if (value := getattr(args, name)) is not None}
    training = getattr(TrainingConfig, args.preset)(**changes)

    from datasets.store.joined import open_stores

    store = open_stores(args.data)
    ids = store.ids(args.split)
    if not ids:
        raise TrainingError(f"{store} has no clip in split {args.split!r}")

    import torch

    from model.tokenizer.network import MotionTokenizer
    from model.training.clip_facts import clip_facts

    device = device_named(args.device)
    torch.manual_seed(training.seed)
    return train(
        MotionTokenizer(config),
        training,
        store.channels(ids),
        args.out,
        device=device,
        progress=not args.quiet,
        description=f"k={config.tokens_per_frame} B={config.codebook_size}",
        facts=clip_facts(store, ids),
    )


if __name__ == "__main__":
    run_command(main)
