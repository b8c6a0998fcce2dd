"""The built-in estimator: a small network from video to motion, trained on the training clips."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from benchmark.api.clips import Clips, Data, Prediction
from benchmark.api.method import Method, Progress
from benchmark.api.profile import Profile
from benchmark.methods.estimators import estimate
from model.regressor.config import RegressorConfig
from model.training.config import TrainingConfig


class Regressor(Method):
    """It sees whole clips of small pictures and answers with one motion, without any sampling."""

    note = (
        "A small convolutional network of our own, trained by regression, with the camera's "
        "intrinsics given. It is no baseline of the paper; it stands in for GVHMR where motion "
        "must be seen in generated videos."
    )
    checkpoint_class = "MotionRegressor"
    uses_body = True

    def training_spec(self, params: Mapping[str, object], profile: Profile, *, seed: int) -> dict:
        training = dataclasses.replace(profile.regressor_training, seed=seed)
        return {"regressor": profile.regressor.to_dict(), "training": training.to_dict()}

    def train(self, spec: dict, data: Data, out: Path, *, device: str, progress: Progress) -> Path:
        import torch

        from model.regressor.examples import examples_of
        from model.regressor.network import MotionRegressor
        from model.regressor.train import train

        training = TrainingConfig.from_dict(spec["training"])
        config = RegressorConfig.from_dict(spec["regressor"])
        progress("read the videos", 0, 1)
        examples = examples_of(data.training_store(), data.train_ids, config.size)
        torch.manual_seed(training.seed)
        return train(
            MotionRegressor(config),
            training,
            examples,
            out,
            device=device,
            progress=False,
            on_step=lambda step, losses: progress(f"train {losses}", step, training.steps),
        )

    def facts(self, weights: Path) -> dict[str, float]:
        from model.regressor.network import MotionRegressor

        model = MotionRegressor.load(weights)
        return {"params_m": sum(p.numel() for p in model.parameters()) / 1e6}

    def predict(self, weights: Path, clips: Clips, *, device: str, seed: int) -> Prediction:
        from model.regressor.estimator import RegressorEstimator

        return estimate(RegressorEstimator(checkpoint=weights), clips, device)


METHOD = {"v2m": Regressor()}
