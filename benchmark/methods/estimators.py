"""Motion estimators as methods: they estimate the motion in the clips' videos."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.api.clips import Clips, Data, Prediction
from benchmark.api.errors import Unavailable, one_line
from benchmark.api.method import Method, Progress
from benchmark.api.profile import Profile
from datasets.tools.files import write_json

if TYPE_CHECKING:
    import numpy as np

    from datasets.estimators import Estimator
    from datasets.motion import Motion


@dataclass(frozen=True)
class External(Method):
    """A pretrained external estimator; `train` only records its identity.

    Attributes:
        name: of the estimator.
        note: see `benchmark.api.method.Method`.
    """

    name: str
    note: str

    def learns(self, profile: Profile) -> bool:
        return False

    def training_spec(self, params: Mapping[str, object], profile: Profile, *, seed: int) -> dict:
        from datasets import estimators

        try:
            return {"estimator": estimators.get(self.name).identity()}
        except estimators.EstimatorUnavailable as error:
            raise Unavailable(str(error)) from error

    def train(self, spec: dict, data: Data, out: Path, *, device: str, progress: Progress) -> Path:
        """Write the identity of the estimator; nothing is trained."""
        path = out / "estimator.json"
        write_json(path, json.loads(json.dumps(spec["estimator"])))
        return path

    def predict(self, weights: Path, clips: Clips, *, device: str, seed: int) -> Prediction:
        from datasets import estimators

        return estimate(estimators.get(self.name), clips, device)


def estimate(estimator: "Estimator", clips: Clips, device: str) -> Prediction:
    """Return the motions that an estimator sees in the clips' videos.

    Clips that it cannot process are in `Prediction.failed`, those on which it breaks down in
    `Prediction.crashed`.

    Raises:
        Unavailable: it cannot run here.
    """
    import numpy as np

    from datasets.estimators import ClipVideo, EstimateError, EstimatorUnavailable

    channels: list[np.ndarray | None] = []
    failed: dict[str, str] = {}
    crashed: dict[str, str] = {}
    try:
        with estimator.start(device) as session:
            for row, name in enumerate(clips.ids):
                video = ClipVideo(
                    clip_id=name,
                    video=clips.videos[row],
                    K=clips.K[row],
                    K_source=clips.K_sources[row],
                    fps=float(clips.fps[row]),
                    static_camera=None,
                )
                try:
                    channels.append(_channels(session.estimate(video).camera_motion))
                    continue
                except EstimatorUnavailable as error:
                    if not any(motion is not None for motion in channels):
                        raise
                    # What it did before stays; it may start again in another run.
                    crashed |= dict.fromkeys(clips.ids[row:], str(error))
                    channels += [None] * (len(clips.ids) - row)
                    break
                except EstimateError as error:
                    (failed if error.is_about_clip else crashed)[name] = str(error)
                except Exception as error:  # whatever foreign code raises: the other clips go on
                    crashed[name] = one_line(error)
                channels.append(None)
    except EstimatorUnavailable as error:
        raise Unavailable(str(error)) from error
    found = next((motion for motion in channels if motion is not None), None)
    every = None  # whether its motions are SMPL's or SMPL-X's is not known
    if found is not None:
        every = np.stack([np.zeros_like(found) if one is None else one for one in channels])
    return Prediction(every, failed=failed, crashed=crashed)


def _channels(motion: "Motion") -> "np.ndarray":
    """Return (T, 79) of an SMPL-X motion, (T, 85) of an SMPL motion."""
    import numpy as np

    betas = np.broadcast_to(motion.betas, (len(motion), 10))
    return np.concatenate([motion.global_orient, motion.body_pose, betas, motion.transl], axis=1)
