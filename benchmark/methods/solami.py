"""SOLAMI's motion tokenizer: its architecture, trained here on the same clips."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from benchmark.api.clips import Clips, Data, Prediction
from benchmark.api.method import Progress
from benchmark.api.profile import Profile
from benchmark.methods.tokenizers import train_tokenizer
from model.tokenizer.solami.config import SolamiConfig
from model.training.config import TrainingConfig


class Solami:
    """The baseline of table 1; its rows have no parameters."""

    version = 1
    note = (
        "It tokenises neither shape nor the floor, place and direction of the first frame: its "
        "reconstruction gets these from the ground truth."
    )
    checkpoint_class = "SolamiTokenizer"
    uses_body = True

    def settings(self, params: Mapping[str, object], profile: Profile, *, seed: int) -> dict:
        """See `benchmark.api.method.Method`."""
        training = dataclasses.replace(profile.training, seed=seed)
        return {"tokenizer": profile.solami.to_dict(), "training": training.to_dict()}

    def train(
        self, settings: dict, data: Data, out: Path, *, device: str, progress: Progress
    ) -> Path:
        """See `benchmark.api.method.Method`."""
        from model.tokenizer.solami.network import SolamiTokenizer

        config = SolamiConfig.from_dict(settings["tokenizer"])
        training = TrainingConfig.from_dict(settings["training"])
        return train_tokenizer(
            lambda: SolamiTokenizer(config),
            training,
            data,
            out,
            device=device,
            progress=progress,
        )

    def facts(self, weights: Path) -> dict[str, float]:
        """See `benchmark.api.method.Method`."""
        tokenizer = self._load(weights)
        return {
            "params_m": tokenizer.num_parameters / 1e6,
            "codebook_size": tokenizer.config.codebook_size,
        }

    def predict(self, weights: Path, clips: Clips, *, device: str, seed: int) -> Prediction:
        """See `benchmark.api.method.Method`."""
        tokens, channels = self._load(weights).to(device).reconstruct(clips.channels)
        return Prediction(channels, tokens)

    def _load(self, weights: Path):
        from model.tokenizer.solami.network import SolamiTokenizer

        return SolamiTokenizer.load(weights)


METHOD = {"tokenizer": Solami()}
