"""The mean pose of the training clips, for every frame: a floor that a system must beat."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmark.api.clips import Clips, Data, Prediction
from benchmark.api.method import Method, Progress
from benchmark.api.profile import Profile
from datasets.tools.files import replacing

_PIECE = 256  # clips


class MeanPose(Method):
    """Mean shape and place, and the mean rotation of every joint, root included.

    The mean of rotations is the rotation nearest to the mean of their matrices.
    """

    version = 2

    def training_spec(self, params: Mapping[str, object], profile: Profile, *, seed: int) -> dict:
        return {}

    def train(self, spec: dict, data: Data, out: Path, *, device: str, progress: Progress) -> Path:
        from datasets.rotation import (
            axis_angle_to_matrix,
            matrix_to_axis_angle,
            project_to_rotation,
        )

        channels = data.clips(data.train_ids).channels
        mean = channels.mean(axis=(0, 1), dtype=np.float64)
        # Piece by piece: the matrices of all frames at once are three times the channels.
        total = np.zeros((22, 3, 3))
        for start in range(0, len(channels), _PIECE):
            vectors = channels[start : start + _PIECE, :, :66].reshape(-1, 22, 3)
            total += axis_angle_to_matrix(vectors).sum(axis=0, dtype=np.float64)
        rotations = project_to_rotation(total / (len(channels) * channels.shape[1]))
        mean[:66] = matrix_to_axis_angle(rotations).ravel()
        path = out / "mean_pose.npy"
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.save(file, mean.astype(np.float32))
        return path

    def predict(self, weights: Path, clips: Clips, *, device: str, seed: int) -> Prediction:
        mean = np.load(weights, allow_pickle=False)
        return Prediction(np.broadcast_to(mean, clips.channels.shape))


METHOD = {"tokenizer": MeanPose(), "v2m": MeanPose()}
