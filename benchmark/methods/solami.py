"""SOLAMI's motion tokenizer: its architecture, trained here on the same clips."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from benchmark.api.clips import Clips, Data, Prediction
from benchmark.api.method import Method, Progress
from benchmark.api.profile import Profile
from benchmark.api.table import Row
from benchmark.methods import tokenizers
from benchmark.methods.tokenizers import train_tokenizer
from model.tokenizer.solami.config import SolamiConfig
from model.training.config import TrainingConfig


class Solami(Method):
    """The baseline of table 1; its rows have no parameters."""

    note = (
        "It tokenises neither shape nor the floor, place and direction of the first frame: its "
        "reconstruction gets these from the ground truth."
    )
    checkpoint_class = "SolamiTokenizer"
    uses_body = True

    def training_spec(self, params: Mapping[str, object], profile: Profile, *, seed: int) -> dict:
        training = dataclasses.replace(profile.training, seed=seed)
        return {"tokenizer": profile.solami.to_dict(), "training": training.to_dict()}

    def training_command(self, row: Row, profile: Profile) -> str:
        return tokenizers.training_command(profile)

    def train(self, spec: dict, data: Data, out: Path, *, device: str, progress: Progress) -> Path:
        from model.tokenizer.solami.network import SolamiTokenizer

        config = SolamiConfig.from_dict(spec["tokenizer"])
        training = TrainingConfig.from_dict(spec["training"])
        return train_tokenizer(
            lambda: SolamiTokenizer(config),
            training,
            data,
            out,
            device=device,
            progress=progress,
        )

    def facts(self, weights: Path) -> dict[str, float]:
        tokenizer = self._load(weights)
        return {
            "params_m": tokenizer.num_parameters / 1e6,
            "codebook_size": tokenizer.config.codebook_size,
        }

    def predict(self, weights: Path, clips: Clips, *, device: str, seed: int) -> Prediction:
        tokens, channels = self._load(weights).to(device).reconstruct(clips.channels)
        return Prediction(channels, tokens=tokens)

    def _load(self, weights: Path):
        from model.tokenizer.solami.network import SolamiTokenizer

        return SolamiTokenizer.load(weights)


METHOD = {"tokenizer": Solami()}
