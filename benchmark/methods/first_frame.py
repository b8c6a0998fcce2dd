"""The first frame held: a floor that a system must beat, knowing more than any of them."""

from collections.abc import Mapping
from pathlib import Path

from benchmark.api.clips import Clips, Data, Prediction
from benchmark.api.method import Method, Progress
from benchmark.api.profile import Profile
from benchmark.methods import transformers
from datasets.tools.files import write_text


class _Untrained(Method):
    def learns(self, profile: Profile) -> bool:
        return False

    def training_spec(self, params: Mapping[str, object], profile: Profile, *, seed: int) -> dict:
        return {}

    def train(self, spec: dict, data: Data, out: Path, *, device: str, progress: Progress) -> Path:
        """Write a file that says what the system is; nothing is trained."""
        path = out / "first_frame.txt"
        write_text(path, "the first frame held\n")
        return path


class StillMotion(_Untrained):
    """The true pose of the first frame in all frames."""

    note = "It is told the true pose of the first frame, which no system is."

    def predict(self, weights: Path, clips: Clips, *, device: str, seed: int) -> Prediction:
        import numpy as np

        return Prediction(np.broadcast_to(clips.channels[:, :1], clips.channels.shape))


class StillVideo(_Untrained):
    """The first picture in all frames."""

    note = (
        "A video without any motion. The motion is what the estimator sees in it: there is none to "
        "compare with it."
    )

    def predict(self, weights: Path, clips: Clips, *, device: str, seed: int) -> Prediction:
        import numpy as np

        frames = clips.channels.shape[1]
        pictures, failed = transformers.first_pictures(clips)
        videos = (np.repeat(picture[None], frames, axis=0) for picture in pictures)
        return Prediction(None, videos=videos, failed=failed)


METHOD = {"v2m": StillMotion(), "i2vm": StillVideo()}
