"""The built-in regressor as a motion estimator, for `datasets.pseudo_gt`."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from datasets.bodies import load_body
from datasets.estimators import ClipVideo, Estimate, EstimateError, EstimatorUnavailable
from datasets.motion import Camera
from datasets.tools.files import sha256_of
from datasets.video.files import VideoError, read_video
from model.regressor.config import WEIGHTS
from model.regressor.network import MotionRegressor
from model.training.sidecar import CheckpointError, read_sidecar


@dataclass(frozen=True)
class RegressorEstimator:
    """The network as an estimator of `datasets.pseudo_gt`.

    Attributes:
        checkpoint: weights; by default those that ``python -m model.regressor.train`` leaves.
    """

    checkpoint: Path | None = None
    name: str = "regressor"
    note: str = (
        "a small network trained on rendered pictures of the built-in data; it stands in for "
        "GVHMR where its weights are absent, and its motions are no ground truth"
    )

    def identity(self) -> dict[str, str]:
        """Return the weights, the settings beside them, and the body.

        Raises:
            EstimatorUnavailable: there are no weights, or they belong to another body.
        """
        path = self.checkpoint or WEIGHTS
        if not path.is_file():
            raise EstimatorUnavailable(
                f"no weights at {path}: train them with `python -m model.regressor.train` "
                "(about ten minutes), or name a file with --checkpoint"
            )
        try:
            sidecar = read_sidecar(path, expected_class="MotionRegressor")
            trained_on = sidecar["extra"]["training"]["body_sha256"]
        except (CheckpointError, KeyError, TypeError) as error:
            raise EstimatorUnavailable(f"{path} is not a trained regressor: {error}") from error
        body = load_body()
        if trained_on != body.sha256:
            raise EstimatorUnavailable(
                f"{path} was trained on another body than {body.name}: train it again on this one"
            )
        weights = sha256_of(path)
        config = json.dumps(sidecar["config"], sort_keys=True)
        return {"weights_sha256": weights, "config": config, "body_sha256": body.sha256}

    @contextmanager
    def start(self, device: str) -> "Iterator[_Session]":
        """Load the network; on the CPU the process computes with one thread from then on.

        Raises:
            EstimatorUnavailable: the file does not hold it.
        """
        if device == "cpu":
            torch.set_num_threads(1)  # sums in another order would give other last digits
        try:
            model = MotionRegressor.load(self.checkpoint or WEIGHTS)
        except CheckpointError as error:
            raise EstimatorUnavailable(str(error)) from error
        yield _Session(model.to(device))


@dataclass(frozen=True)
class _Session:
    model: MotionRegressor

    def estimate(self, clip: ClipVideo) -> Estimate:
        try:
            video = read_video(clip.video)
        except VideoError as error:
            raise EstimateError("decode_error", str(error)) from error
        if len(video) != len(clip.K):
            raise EstimateError(
                "decode_error", f"{len(video)} pictures in the video, {len(clip.K)} in the index"
            )
        view = Camera(clip.K, None, width=video.shape[2], height=video.shape[1])
        return Estimate(self.model.estimate(video, view, fps=clip.fps))


ESTIMATOR = RegressorEstimator
