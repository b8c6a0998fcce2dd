"""Profiles: sizes of the whole benchmark."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from model.regressor.config import RegressorConfig
    from model.tokenizer import TokenizerConfig
    from model.tokenizer.solami.config import SolamiConfig
    from model.training.config import TrainingConfig
    from model.transformer import UniMoConfig
    from model.transformer.train.config import ARTrainingConfig


@dataclass(frozen=True)
class Profile:
    """A size of the whole benchmark: the built-in data, the models, the budget.

    Attributes:
        name: ``smoke``, ``embedded`` or ``paper``.
        train_sequences: sequences of the built-in training split, for tokenizers.
        test_sequences: sequences of the built-in test split.
        train_shots: sequences that the built-in shots for video tasks are cut from, for training.
        test_shots: the same for the test.
        tokenizer: ``tokenizer(tokens_per_frame=…, codebook_size=…, rotation=…)`` makes a config of
            this profile's size.
        solami: the baseline at this profile's size.
        training: of every tokenizer.
        unimo: ``unimo(unified=…)`` makes a transformer of this profile's size.
        unimo_training: ``unimo_training(tasks=…, seed=…)``: of every transformer.
        regressor: the built-in estimator at this profile's size.
        regressor_training: its training.
        codec: ``built-in``, the codec and motion tokenizer that ship with the package, or
            ``cosmos``: Cosmos's video tokenizer, and a motion tokenizer trained here.
        estimator: the method that says what motion is in a generated video.
        notes: how its settings differ from the paper's, by task, for the reader of a table.
    """

    name: str
    train_sequences: int
    test_sequences: int
    train_shots: int
    test_shots: int
    tokenizer: "Callable[..., TokenizerConfig]"
    solami: "SolamiConfig"
    training: "TrainingConfig"
    unimo: "Callable[..., UniMoConfig]"
    unimo_training: "Callable[..., ARTrainingConfig]"
    regressor: "RegressorConfig"
    regressor_training: "TrainingConfig"
    codec: Literal["built-in", "cosmos"]
    estimator: str
    notes: Mapping[str, tuple[str, ...]]
