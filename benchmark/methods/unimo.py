"""UniMo: the paper's motion tokenizer, trained here on the training clips."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from benchmark.spec import Clips, Profile, Progress, Reconstruction
from model.tokenizer import TokenizerConfig
from model.training import TrainingConfig


class UniMo:
    """Rows are configurations: `params` are tokens_per_frame, codebook_size and rotation."""

    version = 1
    note = ""
    checkpoint_class = "MotionTokenizer"
    uses_body = False

    def settings(self, params: Mapping[str, object], profile: Profile, *, seed: int) -> dict:
        """See `benchmark.spec.Method`."""
        training = dataclasses.replace(profile.training, seed=seed)
        return {
            "tokenizer": profile.tokenizer(**params).to_dict(),
            "training": training.to_dict(),
        }

    def train(
        self, settings: dict, clips: Clips, out: Path, *, device: str, progress: Progress
    ) -> Path:
        """See `benchmark.spec.Method`."""
        from model.tokenizer import MotionTokenizer

        config = TokenizerConfig.from_dict(settings["tokenizer"])
        training = TrainingConfig.from_dict(settings["training"])
        return train_tokenizer(
            lambda: MotionTokenizer(config), training, clips, out, device=device, progress=progress
        )

    def facts(self, weights: Path) -> dict[str, float]:
        """See `benchmark.spec.Method`."""
        tokenizer = self._load(weights)
        return {
            "params_m": tokenizer.num_parameters / 1e6,
            "codebook_size": tokenizer.config.codebook_size,
        }

    def reconstruct(self, weights: Path, clips: Clips, *, device: str) -> Reconstruction:
        """See `benchmark.spec.Method`."""
        tokenizer = self._load(weights).to(device)
        tokens = tokenizer.encode_channels(clips.channels)
        return Reconstruction(tokenizer.decode_channels(tokens), tokens)

    def _load(self, weights: Path):
        from model.tokenizer import MotionTokenizer

        return MotionTokenizer.load(weights)


def train_tokenizer(
    make_model, training: TrainingConfig, clips: Clips, out: Path, *, device: str, progress
) -> Path:
    """Train what `make_model` returns, initialised from the training seed."""
    import torch

    from model.tokenizer.train import train

    torch.manual_seed(training.seed)
    return train(
        make_model(),
        training,
        clips.channels,
        out,
        device=device,
        progress=False,
        on_step=lambda step, losses: progress(f"train {losses}", step, training.steps),
    )


METHOD = UniMo()
