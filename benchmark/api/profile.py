"""Profiles: sizes of the whole benchmark."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from model.regressor.config import RegressorConfig
    from model.tokenizer import TokenizerConfig
    from model.tokenizer.solami.config import SolamiConfig
    from model.training.config import TrainingConfig
    from model.transformer import UniMoConfig
    from model.transformer.train.config import ARTrainingConfig


REHEARSAL = "REHEARSAL, no number means anything"  # begins every title of such a profile


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A size of the whole benchmark: the built-in data, the models, the budget.

    Attributes:
        name: such as ``embedded``.
        train_sequences: sequences of the built-in training split, for tokenizers.
        test_sequences: sequences of the built-in test split.
        train_shots: sequences that the built-in shots for video tasks are cut from, for training.
        test_shots: the same for the test.
        tokenizer: the motion tokenizer. Like every configuration here it is complete; rows change
            single values of it, see `benchmark.methods.tokenizers.variant`.
        solami: the baseline of the tokenizer.
        training: of every tokenizer.
        unimo: the transformer.
        unimo_training: of every transformer.
        regressor: the built-in estimator.
        regressor_training: its training.
        codec: ``built-in``, the codec and motion tokenizer that ship with the package, or
            ``cosmos``: Cosmos's video tokenizer, and a motion tokenizer trained here.
        decoder: what makes the pixels of Cosmos's tokens: their ``codec``, or ``diffusion``, the
            diffusion decoder that the paper uses.
        seedvr: True for further rows of videos that SeedVR has enhanced.
        estimator: the method that says what motion is in a generated video.
        fine_tuning: the training of a transformer that goes on from a trained one, on other clips.
        trains: False if rows whose training takes days are trained with ``--train`` alone.
        notes: how its settings differ from the paper's, by task, for the reader of a table.
        is_rehearsal: True if every title says that no number means anything.
    """

    name: str
    train_sequences: int
    test_sequences: int
    train_shots: int
    test_shots: int
    tokenizer: "TokenizerConfig"
    solami: "SolamiConfig"
    training: "TrainingConfig"
    unimo: "UniMoConfig"
    unimo_training: "ARTrainingConfig"
    fine_tuning: "ARTrainingConfig"
    regressor: "RegressorConfig"
    regressor_training: "TrainingConfig"
    codec: Literal["built-in", "cosmos"]
    estimator: str
    notes: Mapping[str, tuple[str, ...]]
    trains: bool = True
    decoder: Literal["codec", "diffusion"] = "codec"
    seedvr: bool = False
    is_rehearsal: bool = False

    def titled(self, title: str) -> str:
        """Return the title of a table or figure that is made with this profile."""
        return f"{REHEARSAL}: {title}" if self.is_rehearsal else title

    def with_steps(self, steps: int) -> "Profile":
        """Return the profile with all its trainings stretched or cut to `steps`."""
        trainings = ("training", "unimo_training", "fine_tuning", "regressor_training")
        changed = {name: getattr(self, name).with_steps(steps) for name in trainings}
        return dataclasses.replace(self, **changed)
