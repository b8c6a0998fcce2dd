"""The sizes at which the benchmark runs. One function a profile; its first line is its summary."""

from functools import partial

from benchmark.spec import Profile
from model.tokenizer import TokenizerConfig
from model.tokenizer.solami_config import SolamiConfig
from model.training import TrainingConfig


def smoke() -> Profile:
    """Shows that everything runs: a handful of clips, tiny models, a table in half a minute."""
    return Profile(
        name="smoke",
        train_sequences=6,
        test_sequences=2,
        tokenizer=partial(TokenizerConfig.small, width=16, code_dim=16),
        solami=SolamiConfig(width=16, code_dim=16, depth=1),
        training=TrainingConfig.small(steps=20, batch_size=2),
        notes=("A check that everything runs: the numbers mean nothing.",),
    )


def embedded() -> Profile:
    """The default: small models on the built-in data, a table in minutes on two CPU cores."""
    return Profile(
        name="embedded",
        train_sequences=400,
        test_sequences=60,
        tokenizer=TokenizerConfig.small,
        solami=SolamiConfig(width=96, code_dim=64, depth=1),
        training=TrainingConfig.small(steps=2000),
        notes=(
            "Not a reproduction of the paper's numbers: networks of one block, 96 channels and "
            "codes of 2 numbers (the paper's have four blocks, 512 and 512), a short training with "
            "a higher, decaying learning rate and batches of 4 (the paper: 128).",
            "These sizes were chosen for s=1/24 and finer, on training sequences held out for "
            "that. Longer codes would serve s=1/8 and s=1/1 better, so a part of the fall from "
            "s=1/8 to s=1/24 is theirs. SOLAMI's network (its own blocks, 96 channels, codes of 64 "
            "numbers) was not tuned.",
            "Accel rewards smooth motion, right or wrong: a coarse tokenizer that cannot follow "
            "fast movement, and a still pose even more, may score well in it.",
        ),
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
        notes=(
            "The paper gives no number of steps, no lambda and no loss weights: ours are "
            "Duolando's, and 100,000 steps.",
        ),
    )
