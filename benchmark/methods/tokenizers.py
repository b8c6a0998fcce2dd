"""Configuration and training of the motion tokenizers that fill rows."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmark.api.clips import Data
from benchmark.api.method import Progress
from benchmark.api.profile import Profile
from model.tokenizer import TokenizerConfig
from model.training.config import TrainingConfig


def variant(config: TokenizerConfig, params: Mapping[str, Any]) -> TokenizerConfig:
    """Return a profile's tokenizer with the parameters of a row.

    Args:
        config: of the profile.
        params: fields of it. With other tokens a frame, the last block of the network expands
            time as much as that needs.

    Raises:
        ValueError: values out of range.
    """
    if "tokens_per_frame" in params:
        *before, _ = config.strides
        last = params["tokens_per_frame"] // math.prod(before)
        params = {"strides": (*before, last), **params}
    return dataclasses.replace(config, **params)


def training_command(profile: Profile) -> str:
    """Return why a tokenizer is not trained in a profile, see `Method.training_command`."""
    training = profile.training
    return (
        f"profile {profile.name} trains it with --train alone ({training.steps} steps of "
        f"{training.batch_size} windows of {training.window} frames, for one GPU)"
    )


def train_tokenizer(
    make_model: Callable,
    training: TrainingConfig,
    data: Data,
    out: Path,
    *,
    device: str,
    progress: Progress,
) -> Path:
    """Train what `make_model` returns, initialised from the training seed, on training clips."""
    import torch

    from model.tokenizer.train import train

    torch.manual_seed(training.seed)
    return train(
        make_model(),
        training,
        data.clips(data.train_ids).channels,
        out,
        device=device,
        progress=False,
        on_step=lambda step, losses: progress(f"train {losses}", step, training.steps),
    )
