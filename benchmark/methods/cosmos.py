"""Cosmos's autoregressive model, the baseline of I2VM: a transformer of video tokens alone."""

from collections.abc import Mapping
from pathlib import Path

from benchmark.api.clips import Clips, Data, Prediction
from benchmark.api.method import Progress
from benchmark.api.profile import Profile
from benchmark.methods import transformers
from model.sequence import VIDEO_ALONE


class ImageToVideo:
    """It makes no motion: what stands for it is what the estimator sees in its videos."""

    version = 1
    note = (
        "It makes no motion of its own: FID and DIV are of the motion that the estimator sees in "
        "its videos, and there is no consistency to measure. Where Cosmos's weights are not used, "
        "it is the same transformer as UniMo's, trained here as long on the same clips."
    )
    checkpoint_class = None
    uses_body = True  # as UniMo's: it may train on mirror images

    def settings(self, params: Mapping[str, object], profile: Profile, *, seed: int) -> dict:
        """See `benchmark.api.method.Method`."""
        return transformers.settings(profile, tasks=(VIDEO_ALONE,), seed=seed)

    def train(
        self, settings: dict, data: Data, out: Path, *, device: str, progress: Progress
    ) -> Path:
        """See `benchmark.api.method.Method`."""
        return transformers.train(settings, data, out, device=device, progress=progress)

    def facts(self, weights: Path) -> dict[str, float]:
        """See `benchmark.api.method.Method`."""
        return {"params_m": transformers.num_parameters(weights) / 1e6}

    def predict(self, weights: Path, clips: Clips, *, device: str, seed: int) -> Prediction:
        """See `benchmark.api.method.Method`."""
        pipeline = transformers.load(weights, device)
        seeds = transformers.clip_seeds(clips.ids, seed)
        pictures, failed = transformers.first_pictures(clips)
        visual = pipeline.i2v(pictures, seeds)
        made = (pipeline.codec.decode(ids) for ids in visual)
        return Prediction(None, videos=made, failed=failed)


METHOD = {"i2vm": ImageToVideo()}
