"""Training of the motion tokenizers that fill rows."""

from collections.abc import Callable
from pathlib import Path

from benchmark.api.clips import Data
from benchmark.api.method import Progress
from model.training.config import TrainingConfig


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
