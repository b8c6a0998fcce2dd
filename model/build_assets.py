"""``python -m model.build_assets``: train the small set that ships with the package, from nothing.

Makes the built-in shots, and trains on them the video codec, the motion tokenizer and, on the
tokens of both, the transformer; then measures what it does on the test shots and puts all three
here in half precision, with the transformer's loss curve and what was measured (``measured.json``).
About a quarter of an hour on two cores; a run that was stopped goes on where it was.
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets.tools.command_line import run_command, run_job
from datasets.tools.files import write_json
from model import assets

if TYPE_CHECKING:  # heavy packages are imported where they are used, so that --help answers at once
    from datasets.store.reader import ClipStore
    from model.generate.pipeline import Pipeline
    from model.tokenizer import MotionTokenizer
    from model.video_tokens.fitted.codec import FittedCodec

WORK = Path("data", "assets")  # below the working folder


def build(work: Path, out: Path, *, seed: int = 0, progress: bool = True) -> dict:
    """Train the set in `work` and put it in `out`.

    Returns:
        What was measured, see `measure`.

    Raises:
        TrainingError: `work` holds other runs.
    """
    import torch

    from datasets.store.reader import ClipStore
    from model.generate.pipeline import Pipeline
    from model.system import TrainedSystem
    from model.transformer import UniMo, UniMoConfig
    from model.transformer.train.config import ARTrainingConfig
    from model.transformer.train.run import built_in_shots, train
    from model.transformer.train.token_set import Tokens

    config = UniMoConfig.embedded()
    store = ClipStore.open(built_in_shots(config, progress=progress))
    out.mkdir(parents=True, exist_ok=True)
    codec = _codec(store, work / "codec", out, seed=seed, progress=progress)
    tokenizer = _tokenizer(store, work / "tokenizer", out, seed=seed, progress=progress)
    training = ARTrainingConfig.embedded(seed=seed)
    tokens = Tokens.of(store, codec, tokenizer, mirror=training.mirror, progress=progress)
    torch.manual_seed(seed)
    model = UniMo(config)
    path = train(model, training, tokens, work / "unimo", progress=progress)
    _ship(path, model, out / assets.UNIMO.name)
    shutil.copyfile(work / "unimo" / "losses.csv", out / "losses.csv")
    pipeline = Pipeline.load(TrainedSystem.open(out / assets.UNIMO.name))
    measured = {"command": assets.MADE_BY, "seed": seed}
    measured |= measure(pipeline, store, progress=progress)
    write_json(out / "measured.json", measured)
    return measured


def _codec(
    store: "ClipStore", work: Path, out: Path, *, seed: int, progress: bool
) -> "FittedCodec":
    import torch

    from model.video_tokens.fitted.codec import FittedCodec, FittedCodecConfig
    from model.video_tokens.fitted.train import codec_training, read_videos, train_codec

    work.mkdir(parents=True, exist_ok=True)
    frames = read_videos(store, "train", work / "frames.npy")
    torch.manual_seed(seed)
    training = codec_training(window=store.num_frames, seed=seed)
    codec = FittedCodec(FittedCodecConfig())
    path = train_codec(codec, training, frames, work, progress=progress)
    (work / "frames.npy").unlink()
    return _ship(path, codec, out / assets.CODEC.name)


def _tokenizer(
    store: "ClipStore", work: Path, out: Path, *, seed: int, progress: bool
) -> "MotionTokenizer":
    import torch

    from model.tokenizer import MotionTokenizer, TokenizerConfig
    from model.tokenizer.train import train
    from model.training.config import TrainingConfig

    torch.manual_seed(seed)
    tokenizer = MotionTokenizer(TokenizerConfig.short())
    training = TrainingConfig.small(
        steps=3500, batch_size=16, learning_rate=1.5e-3, window=store.num_frames, seed=seed
    )
    path = train(tokenizer, training, store.channels(store.ids("train")), work, progress=progress)
    return _ship(path, tokenizer, out / assets.TOKENIZER.name)


def _ship(trained: Path, model: Any, path: Path) -> Any:
    """Write a trained model in half precision with its sidecar's facts, and load it again."""
    from model.training.sidecar import read_sidecar

    facts = {**read_sidecar(trained)["extra"], "made_by": assets.MADE_BY}
    return type(model).load(model.save(path, extra=facts, half=True))


def measure(pipeline: "Pipeline", store: "ClipStore", *, progress: bool = True) -> dict:
    """Measure the set on the test shots of the built-in data.

    Distances are means over 22 joints about the middle of the hips, in the camera frame, from the
    truth: of V2M; of the same given the videos of other clips; of the mean pose of the training
    clips; of motions that only went through the tokenizer. And of the motion that I2VM generates
    from what V2M reads in the video generated with it, and in that of another clip.
    """
    import numpy as np

    from model.kinematics import centred_joints, joint_distance
    from model.token_store import tokenise
    from model.transformer.train.token_set import CACHE

    codec, tokenizer = pipeline.codec, pipeline.tokenizer
    test = tokenise(store, store.ids("test"), codec, tokenizer, CACHE, progress=progress)
    seeds = list(range(len(test.ids)))

    def joints(motion_tokens: np.ndarray) -> np.ndarray:
        return centred_joints(tokenizer.decode_channels(motion_tokens))

    def seen(visual: np.ndarray) -> np.ndarray:
        return joints(pipeline.v2m_tokens(visual, seeds, progress=progress))

    def of_another(clips: np.ndarray) -> np.ndarray:
        return np.roll(clips, len(clips) // 2, axis=0)

    truth = centred_joints(store.channels(list(test.ids)))
    mean_pose = centred_joints(store.channels(store.ids("train"))).mean(axis=(0, 1))
    visual, motion = pipeline.i2vm_tokens(test.visual[:, :1], seeds, progress=progress)
    made, read = joints(motion), seen(visual)
    distances = {
        "v2m_mpjpe": joint_distance(seen(test.visual), truth),
        "v2m_mpjpe_other_videos": joint_distance(seen(of_another(test.visual)), truth),
        "mean_pose": joint_distance(mean_pose, truth),
        "tokenizer_mpjpe": joint_distance(joints(test.motion), truth),
        "i2vm_motion_and_video": joint_distance(made, read),
        "i2vm_motion_and_other_video": joint_distance(made, of_another(read)),
    }
    return {
        "test_clips": len(test.ids),
        "millimetres": {name: round(value, 1) for name, value in distances.items()},
    }


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog=assets.MADE_BY, description="Train the small set that ships with the package."
    )
    parser.add_argument(
        "--out", type=Path, default=assets.FOLDER, help="where the set goes (default: the package)"
    )
    parser.add_argument("--work", type=Path, default=WORK, help="folder of the runs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    args = parser.parse_args(argv)
    return run_job(
        lambda: json.dumps(
            build(args.work, args.out, seed=args.seed, progress=not args.quiet), indent=1
        ),
        args.work,
        owner="training",
    )


if __name__ == "__main__":
    run_command(main)
