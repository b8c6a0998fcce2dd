"""``python -m model.video_tokens.fitted.train``: fit the built-in video codec to videos.

About a minute and a half on one core for 64-pixel videos. A run that was stopped goes on where it
was: a step is a function of (seed, step) alone.
"""

import argparse
import hashlib
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from datasets.tools.command_line import positive, run_command, run_job
from model.training.device import add_device, device_named

if TYPE_CHECKING:  # heavy packages are imported where they are used, so that --help answers at once
    import numpy as np
    import torch

    from datasets.store.joined import JoinedStore
    from datasets.store.reader import ClipStore
    from model.training.config import TrainingConfig
    from model.video_tokens.fitted.codec import FittedCodec

STEPS = 2000
PROJECTED = 64  # videos at once


def codec_training(steps: int = STEPS, *, window: int, seed: int = 0) -> "TrainingConfig":
    """Return the settings that suit the codec; `window` is the number of frames of a video."""
    from model.training.config import TrainingConfig

    return TrainingConfig.small(steps, batch_size=16, learning_rate=4e-3, window=window, seed=seed)


def train_codec(
    model: "FittedCodec",
    training: "TrainingConfig",
    frames: "np.ndarray",
    out: Path,
    *,
    device: str = "cpu",
    progress: bool = True,
) -> Path:
    """Train `model` in place and write its checkpoint; resume what an earlier call left in `out`.

    Args:
        model: a fresh codec.
        training: steps, batch size and optimiser; of every video its first `window` frames are
            used, 1 + 8 n of them.
        frames: (N, T, H, W, 3) uint8 RGB videos, T at least `window`; may be memory-mapped.
        out: folder of the run, made if needed.
        device: ``cpu`` or ``cuda``.
        progress: show a progress bar on stderr.

    Returns:
        ``out/model.safetensors``, in half precision, as `model` is rounded to from then on.

    Raises:
        ValueError: not such frames, or no video at all.
        TrainingError: `out` holds another run, or the loss stopped being finite.
    """
    import numpy as np

    from model.training.config_checks import require
    from model.training.loop import WEIGHTS, begin
    from model.video_tokens.codec import checked_frames

    require(np.ndim(frames) == 5 and len(frames) > 0, "no videos (N, T, H, W, 3) to train on")
    require(
        frames.shape[1] >= training.window,
        f"the window is {training.window} frames, the videos have {frames.shape[1]}",
    )
    frames = checked_frames(frames[:, : training.window])
    run = begin(model, training, _describe(frames), Path(out), device=device)
    if run is None:
        return out / WEIGHTS
    if run.step == 0:
        model.fit_statistics(frames)
    coefficients = _project(model, frames)

    def losses(step: int) -> list:
        rng = np.random.default_rng((training.seed, step))
        rows = rng.integers(len(coefficients), size=training.batch_size)
        return [model.loss(coefficients[rows].to(device))]

    run.go(
        losses,
        text_of=lambda row: f"PSNR={-10 * math.log10(max(row['mse'], 1e-10)):.1f} dB",
        progress=progress,
    )
    return run.finish("fitted video codec")


def _describe(frames: "np.ndarray") -> dict:
    """Return the identity of the training videos."""
    digest = hashlib.sha256(repr(frames.shape).encode())
    for video in frames:
        digest.update(video.tobytes())
    return {"videos": len(frames), "videos_sha256": digest.hexdigest()}


def _project(model: "FittedCodec", frames: "np.ndarray") -> "torch.Tensor":
    """Coefficients (2 N, t, C, h, w) of the videos and of their mirror images, on the CPU."""
    import torch

    return torch.cat(
        [
            model.project(videos[start : start + PROJECTED]).cpu()
            for videos in (frames, frames[:, :, :, ::-1])
            for start in range(0, len(frames), PROJECTED)
        ]
    )


def read_videos(store: "ClipStore | JoinedStore", split: str, file: Path) -> "np.ndarray":
    """Return the videos (N, T, H, W, 3) of a split, decoded into `file` and mapped from there.

    Those that cannot be read are left out, which stderr says.

    Raises:
        TrainingError: no clip in the split, one without a video, none that can be read, or videos
            of several sizes.
    """
    import numpy as np

    from datasets.video.files import VideoError, read_video
    from model.training.config import TrainingError

    ids = store.ids(split)
    if not ids:
        raise TrainingError(f"{store} has no clip in split {split!r}")
    frames, row, damaged = None, 0, []
    for clip_id in ids:
        clip = store[clip_id]
        if clip.video is None:
            raise TrainingError(f"{store}: {clip_id} has no video")
        try:
            video = read_video(clip.video)
        except VideoError as error:
            damaged.append(str(error))
            continue
        if fault := store.video_fault(clip_id):
            damaged.append(f"{clip_id}: {fault}")
            continue
        if frames is None:
            shape = (len(ids), *video.shape)
            frames = np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=shape)
        if video.shape != frames.shape[1:]:
            raise TrainingError(
                f"{store}: {clip_id} has a video of {video.shape}, not {frames.shape[1:]}"
            )
        frames[row] = video
        row += 1
    if frames is None:
        raise TrainingError(f"{store} has no video that can be read, as {damaged[0]}")
    if damaged:
        print(f"{len(damaged)} of {len(ids)} videos are left out, as {damaged[0]}", file=sys.stderr)
    return frames[:row]


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m model.video_tokens.fitted.train",
        description="Fit the built-in video codec to the training videos of a clip store.",
    )
    parser.add_argument(
        "--data",
        type=Path,
        nargs="+",
        required=True,
        metavar="STORE",
        help="clip stores with videos",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--steps", type=positive, default=STEPS, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0)
    add_device(parser)
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    args = parser.parse_args(argv)
    return run_job(lambda: _train_from_store(args), args.out, owner="training")


def _train_from_store(args: argparse.Namespace) -> Path:
    import torch

    from datasets.store.joined import open_stores
    from model.video_tokens.fitted.codec import FittedCodec, FittedCodecConfig

    device = device_named(args.device)
    store = open_stores(args.data)
    training = codec_training(args.steps, window=store.num_frames, seed=args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    decoded = args.out / "frames.npy"
    try:
        frames = read_videos(store, "train", decoded)
        torch.manual_seed(args.seed)
        return train_codec(
            FittedCodec(FittedCodecConfig()),
            training,
            frames,
            args.out,
            device=device,
            progress=not args.quiet,
        )
    finally:
        decoded.unlink(missing_ok=True)


if __name__ == "__main__":
    run_command(main)
