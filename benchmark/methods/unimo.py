"""UniMo: the paper's motion tokenizer and its transformer, trained here on the training clips."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark.api.clips import Clips, Data, Prediction
from benchmark.api.method import Method, Progress
from benchmark.api.profile import Profile
from benchmark.api.table import Row
from benchmark.methods import tokenizers, transformers
from benchmark.methods.systems import Transformer
from benchmark.methods.tokenizers import train_tokenizer, variant
from model.sequence import TASKS
from model.tokenizer import TokenizerConfig
from model.training.config import TrainingConfig


class Tokenizer(Method):
    """Rows are configurations: `params` are tokens_per_frame, codebook_size and rotation."""

    checkpoint_class = "MotionTokenizer"

    def training_spec(self, params: Mapping[str, object], profile: Profile, *, seed: int) -> dict:
        training = dataclasses.replace(profile.training, seed=seed)
        return {
            "tokenizer": variant(profile.tokenizer, params).to_dict(),
            "training": training.to_dict(),
        }

    def training_command(self, row: Row, profile: Profile) -> str:
        return tokenizers.training_command(profile)

    def use_of(self, sidecar: Mapping[str, Any], row: Row, profile: Profile) -> str:
        """Return ``weights`` for the row's configuration, in profiles that are not trained here.

        Where rows are trained in minutes, a user's tokenizer is shown beside them.
        """
        wanted = json.loads(json.dumps(variant(profile.tokenizer, row.params).to_dict()))
        fits = profile.codec == "cosmos" and dict(sidecar["config"]) == wanted
        return "weights" if fits else ""

    def train(self, spec: dict, data: Data, out: Path, *, device: str, progress: Progress) -> Path:
        from model.tokenizer import MotionTokenizer

        config = TokenizerConfig.from_dict(spec["tokenizer"])
        training = TrainingConfig.from_dict(spec["training"])
        return train_tokenizer(
            lambda: MotionTokenizer(config), training, data, out, device=device, progress=progress
        )

    def facts(self, weights: Path) -> dict[str, float]:
        tokenizer = self._load(weights)
        return {
            "params_m": tokenizer.num_parameters / 1e6,
            "codebook_size": tokenizer.config.codebook_size,
        }

    def predict(self, weights: Path, clips: Clips, *, device: str, seed: int) -> Prediction:
        tokenizer = self._load(weights).to(device)
        tokens = tokenizer.encode_channels(clips.channels)
        return Prediction(tokenizer.decode_channels(tokens), tokens=tokens)

    def _load(self, weights: Path):
        from model.tokenizer import MotionTokenizer

        return MotionTokenizer.load(weights)


class _Transformer(Transformer):
    """Rows are ablations: `params` are tasks, of one of them alone, and unified, of one embedding.

    One training does both tasks. A row with ``fine_tuned`` is about one dataset: a trained model
    that is trained on with its clips.
    """

    checkpoint_class = "UniMo"
    learned = TASKS


class VideoToMotion(_Transformer):
    """The V2M task."""

    def predict(self, weights: Path, clips: Clips, *, device: str, seed: int) -> Prediction:
        import numpy as np

        pipeline = transformers.load(weights, device)
        visual = np.zeros((len(clips.ids), *pipeline.model.config.latent_shape), np.int64)
        failed = {}
        for row, frames in enumerate(transformers.videos(clips)):
            if isinstance(frames, str):
                failed[clips.ids[row]] = frames
            else:
                visual[row] = pipeline.codec.encode(frames)
        tokens = pipeline.v2m_tokens(visual, transformers.clip_seeds(clips.ids, seed))
        return Prediction(pipeline.tokenizer.decode_channels(tokens), failed=failed)


class ImageToVideoMotion(_Transformer):
    """The I2VM task."""

    def pixels(self, profile: Profile) -> dict[str, str]:
        return transformers.pixels(profile)

    def predict(
        self,
        weights: Path,
        clips: Clips,
        *,
        device: str,
        seed: int,
        pixels: Mapping[str, str] | None = None,
    ) -> Prediction:
        pipeline = transformers.load(weights, device)
        seeds = transformers.clip_seeds(clips.ids, seed)
        pictures, failed = transformers.first_pictures(clips)
        visual, channels = pipeline.i2vm(pictures, seeds)
        videos, crashed = transformers.decoded(
            pipeline.codec, visual, clips.ids, pixels, device=device
        )
        return Prediction(channels, videos=videos, failed=failed, crashed=crashed)


METHOD = {
    "tokenizer": Tokenizer(),
    "v2m": VideoToMotion(),
    "i2vm": ImageToVideoMotion(),
}
