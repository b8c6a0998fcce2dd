"""Cosmos's autoregressive model, the baseline of I2VM: a transformer of video tokens alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark.api.clips import Clips, Data, Prediction
from benchmark.api.method import Method, Progress
from benchmark.api.profile import Profile
from benchmark.api.table import Row
from benchmark.methods import systems, transformers
from model.sequence import VIDEO_ALONE


class ImageToVideo(Method):
    """It makes no motion: what stands for it is what the estimator sees in its videos."""

    note = (
        "It makes no motion of its own: FID and DIV are of the motion that the estimator sees in "
        "its videos, and there is no consistency to measure. Where Cosmos's weights are not used, "
        "it is the same transformer as UniMo's, trained here as long on the same clips."
    )
    checkpoint_class = "UniMo"
    checkpoint_task = VIDEO_ALONE
    uses_body = True  # as UniMo's: it may train on mirror images

    def training_spec(self, params: Mapping[str, object], profile: Profile, *, seed: int) -> dict:
        return transformers.training_spec(profile, tasks=(VIDEO_ALONE,), seed=seed)

    def builds_on(self, row: Row, profile: Profile) -> tuple[str, Row] | None:
        return systems.builds_on(row, profile)

    def training_command(self, row: Row, profile: Profile) -> str:
        return systems.training_command(row, profile, tasks=(VIDEO_ALONE,))

    def use_of(self, sidecar: Mapping[str, Any], row: Row, profile: Profile) -> str:
        return systems.use_of(sidecar, row, profile, tasks=(VIDEO_ALONE,))

    def pixels(self, profile: Profile) -> dict[str, str]:
        return transformers.pixels(profile)

    def train(
        self,
        spec: dict,
        data: Data,
        out: Path,
        *,
        device: str,
        progress: Progress,
        base: Path | None = None,
    ) -> Path:
        return transformers.train(spec, data, out, device=device, progress=progress, base=base)

    def release(self) -> None:
        transformers.release()

    def facts(self, weights: Path) -> dict[str, float]:
        return {"params_m": transformers.num_parameters(weights) / 1e6}

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
        visual = pipeline.i2v(pictures, seeds)
        videos = transformers.decoded(pipeline, visual, pixels)
        return Prediction(None, videos=videos, failed=failed)


METHOD = {"i2vm": ImageToVideo()}
