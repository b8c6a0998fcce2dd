"""Cosmos's autoregressive model, the baseline of I2VM: a transformer of video tokens alone."""

from collections.abc import Mapping
from pathlib import Path

from benchmark.api.clips import Clips, Data, Prediction
from benchmark.api.method import Method, Progress
from benchmark.api.profile import Profile
from benchmark.methods import transformers
from model.sequence import VIDEO_ALONE


class ImageToVideo(Method):
    """It makes no motion: what stands for it is what the estimator sees in its videos."""

    note = (
        "It makes no motion of its own: FID and DIV are of the motion that the estimator sees in "
        "its videos, and there is no consistency to measure. Where Cosmos's weights are not used, "
        "it is the same transformer as UniMo's, trained here as long on the same clips."
    )
    uses_body = True  # as UniMo's: it may train on mirror images

    def training_spec(self, params: Mapping[str, object], profile: Profile, *, seed: int) -> dict:
        return transformers.training_spec(profile, tasks=(VIDEO_ALONE,), seed=seed)

    def train(self, spec: dict, data: Data, out: Path, *, device: str, progress: Progress) -> Path:
        return transformers.train(spec, data, out, device=device, progress=progress)

    def facts(self, weights: Path) -> dict[str, float]:
        return {"params_m": transformers.num_parameters(weights) / 1e6}

    def predict(self, weights: Path, clips: Clips, *, device: str, seed: int) -> Prediction:
        pipeline = transformers.load(weights, device)
        seeds = transformers.clip_seeds(clips.ids, seed)
        pictures, failed = transformers.first_pictures(clips)
        visual = pipeline.i2v(pictures, seeds)
        videos = (pipeline.codec.decode(ids) for ids in visual)
        return Prediction(None, videos=videos, failed=failed)


METHOD = {"i2vm": ImageToVideo()}
