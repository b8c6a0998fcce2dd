"""The mean pose of the training clips, for every frame: the floor that a tokenizer must beat."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmark.spec import Clips, Profile, Progress, Reconstruction


class MeanPose:
    """Mean shape and place, and the mean rotation of every joint, root included.

    The mean of rotations is the rotation nearest to the mean of their matrices.
    """

    version = 1
    note = ""
    checkpoint_class = None
    uses_body = False

    def settings(self, params: Mapping[str, object], profile: Profile, *, seed: int) -> dict:
        """See `benchmark.spec.Method`."""
        return {}

    def train(
        self, settings: dict, clips: Clips, out: Path, *, device: str, progress: Progress
    ) -> Path:
        """See `benchmark.spec.Method`."""
        from datasets.rotation import (
            axis_angle_to_matrix,
            matrix_to_axis_angle,
            project_to_rotation,
        )

        mean = clips.channels.mean(axis=(0, 1), dtype=np.float64)
        rotations = axis_angle_to_matrix(clips.channels[..., :66].reshape(-1, 22, 3))
        rotations = project_to_rotation(rotations.mean(axis=0, dtype=np.float64))
        mean[:66] = matrix_to_axis_angle(rotations).ravel()
        temporary = out / "mean_pose.tmp.npy"
        np.save(temporary, mean.astype(np.float32))
        return temporary.replace(out / "mean_pose.npy")

    def facts(self, weights: Path) -> dict[str, float]:
        """See `benchmark.spec.Method`."""
        return {}

    def reconstruct(self, weights: Path, clips: Clips, *, device: str) -> Reconstruction:
        """See `benchmark.spec.Method`."""
        mean = np.load(weights, allow_pickle=False)
        return Reconstruction(np.broadcast_to(mean, clips.channels.shape))


METHOD = MeanPose()
