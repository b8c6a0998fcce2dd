"""The sizes at which the benchmark runs. One function a profile; its first line is its summary."""

from functools import partial

from benchmark.spec import Profile
from model.tokenizer import TokenizerConfig, TrainingConfig
from model.tokenizer.solami_config import SolamiConfig


def smoke() -> Profile:
    """Shows that everything runs: a handful of clips, tiny models, a table in half a minute."""
    return Profile(
        name="smoke",
        train_sequences=6,
        test_sequences=2,
        tokenizer=partial(TokenizerConfig.small, width=16, code_dim=16),
        solami=SolamiConfig(width=16, code_dim=16, depth=1),
        training=TrainingConfig.small(steps=20, batch_size=2),
    )


def embedded() -> Profile:
    """The default: small models on the built-in data, a table in minutes on two CPU cores."""
    return Profile(
        name="embedded",
        train_sequences=400,
        test_sequences=60,
        tokenizer=TokenizerConfig.small,
        solami=SolamiConfig(width=64, code_dim=64, depth=1),
        training=TrainingConfig.small(steps=1000),
    )


def paper() -> Profile:
    """The paper's sizes and optimiser settings: for GPUs."""
    return Profile(
        name="paper",
        train_sequences=4000,
        test_sequences=150,
        tokenizer=TokenizerConfig.paper,
        solami=SolamiConfig(),
        training=TrainingConfig.paper(),
    )
