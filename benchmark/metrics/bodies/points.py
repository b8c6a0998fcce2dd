"""Joints and meshes of predicted and true motions under a protocol (see `protocols`).

Heavy: imports torch. All points are in the frame of reference of the clip's motion, metres.
"""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmark.api.errors import Unavailable
from benchmark.api.metric import MetricContext
from benchmark.metrics.bodies.joint_regressors import SMPLX_TO_SMPL
from benchmark.metrics.bodies.protocols import PoseProtocol
from datasets.bodies.smpl import load_smpl
from datasets.bodies.smpl_file import find_smpl
from datasets.bodies.smplx import BodyModel, load_body
from datasets.motion import CHANNELS, NUM_CHANNELS, NUM_SMPL_CHANNELS
from datasets.sequence import Clip
from datasets.store.reader import ClipStore

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_GENDERS = {"f": "female", "m": "male"}  # as 3DPW writes them


class Points(NamedTuple):
    """Joints (T, J, 3) and vertices (T, V, 3) of one clip."""

    joints: np.ndarray
    vertices: np.ndarray


class Bodies:
    """The bodies and matrices that turn motions into points, loaded once for all clips.

    Args:
        protocol: of the points.
        context: of the evaluation.
        store: folder of the clips' store, whose native labels may be the truth.
    """

    def __init__(self, protocol: PoseProtocol, context: MetricContext, store: Path):
        self._protocol = protocol
        self._task = context.task
        self._file = context.body
        self._body = load_body(context.body.path)
        self._store_path = store
        if protocol.regressor is not None:
            self._to_smpl = SMPLX_TO_SMPL.load().astype(np.float32)
            self._regressor = protocol.regressor.load()

    def pair(
        self, clip_id: str, motion: np.ndarray, truth: np.ndarray, *, space: str, gender: str
    ) -> tuple[Points, Points]:
        """Return predicted and true points of a clip, in the frames that count.

        Args:
            clip_id: of the clip.
            motion: (T, 79) SMPL-X or (T, 85) SMPL channels of the prediction.
            truth: (T, 79) SMPL-X channels; the official labels are used instead where the protocol
                says so.
            space: frame of reference of the true motion.
            gender: the body that its betas belong to. A tokenizer's reconstruction is of the same;
                what systems see or make is neutral.

        Raises:
            Unavailable: the clip cannot be measured; the message says why.
            StoreError: the store is damaged.
            ValueError: a body or a regressor file is damaged.
        """
        if self._task == "v2m" and space != "camera":
            raise Unavailable(f"its motion is in {space} space, what is seen is in the camera's")
        if not self._protocol.official:
            own = gender if self._task == "tokenizer" else "neutral"
            true = gender if self._task != "i2vm" else "neutral"  # an estimator says what is true
            return self._points(motion, own), self._points(truth, true)
        clip = self._store[clip_id]
        if not clip.valid.any():
            raise Unavailable("none of its frames has a valid label")
        labels = self._store.native(clip_id)
        try:
            mesh = _OFFICIAL[self._protocol.official](self, clip, labels)
        except KeyError as missing:
            raise Unavailable(
                f"the store keeps no {missing} of {self._protocol.official}'s labels: prepare "
                "that dataset again"
            ) from missing
        return self._points(motion[clip.valid]), self._of_smpl(mesh)

    @cached_property
    def _store(self) -> ClipStore:
        return ClipStore.open(self._store_path)

    def _points(self, channels: np.ndarray, gender: str = "neutral") -> Points:
        if channels.shape[-1] == NUM_CHANNELS:
            body = self._of_gender(gender)
            if self._protocol.regressor is None:
                return Points(body.joints(channels), body.vertices(channels))
            return self._of_smpl(self._smpl_mesh(body, channels))
        if channels.shape[-1] != NUM_SMPL_CHANNELS:
            raise ValueError(f"motion has shape {channels.shape}, expected (T, 79) or (T, 85)")
        if self._protocol.regressor is None:
            raise Unavailable(
                "its motion is SMPL, which is not comparable with the SMPL-X-layout body of "
                f"{self._protocol.name} ({self._protocol.reason})"
            )
        try:
            find_smpl()
        except FileNotFoundError as error:
            raise Unavailable(f"its motion is SMPL: {error}") from error
        return self._of_smpl(load_smpl().vertices(channels))

    def _of_gender(self, gender: str) -> BodyModel:
        """Return the body of a gender; the stand-in serves all.

        Raises:
            Unavailable: the user has it not.
        """
        if gender == "neutral" or self._file.name == "stand-in":
            return self._body
        try:
            return load_body(self._file.path, gender=gender)
        except FileNotFoundError as error:
            raise Unavailable(str(error)) from error

    def _smpl_mesh(self, body: BodyModel, channels: np.ndarray) -> np.ndarray:
        """(T, 6890, 3) vertices in SMPL's order of an SMPL-X motion (T, 79)."""
        return _product(self._to_smpl, body.vertices(channels))

    def _of_smpl(self, vertices: np.ndarray) -> Points:
        return Points(_product(self._regressor, vertices), vertices)

    def _threedpw(self, clip: Clip, labels: dict[str, np.ndarray]) -> np.ndarray:
        """Official mesh of 3DPW (F, 6890, 3): gendered SMPL in the world, moved by ``cam_poses``.

        As GVHMR's ``metric_3dpw.py``; F frames are valid.
        """
        valid, frames = clip.valid, int(clip.valid.sum())
        channels = np.concatenate(
            [
                labels["poses"][valid],
                np.broadcast_to(labels["betas"][:10], (frames, 10)),
                labels["trans"][valid],
            ],
            axis=1,
        )
        body = load_smpl(_GENDERS[str(labels["genders"])])
        return _moved(body.vertices(channels), labels["cam_poses"][valid])

    def _rich(self, clip: Clip, labels: dict[str, np.ndarray]) -> np.ndarray:
        """Official mesh of RICH (F, 6890, 3): gendered SMPL-X in camera 0, moved to the camera.

        As GVHMR's ``metric_rich.py``, but with flat fingers, like those of predictions.
        """
        channels = np.concatenate([labels[name][clip.valid] for name in CHANNELS], axis=1)
        body = load_body(self._file.path, gender=_rich_gender(clip, labels))
        pose = np.broadcast_to(labels["CameraMatrix"], (len(channels), 3, 4))
        return _moved(self._smpl_mesh(body, channels), pose)


_OFFICIAL = {"threedpw": Bodies._threedpw, "rich": Bodies._rich}


def _rich_gender(clip: Clip, labels: dict[str, np.ndarray]) -> str:
    """Return the labels' gender; that of the clip's motion where the motion is the labels'."""
    if "gender" not in labels and clip.motion is not None and clip.motion_source == "dataset":
        return clip.motion.gender
    return str(labels["gender"])


def _product(matrix: "csr_matrix", points: np.ndarray) -> np.ndarray:
    """Return a sparse matrix (M, V) times the points (T, V, 3) of each frame: (T, M, 3)."""
    # Frame by frame, in cache: as one product over all frames, the points were transposed twice.
    return np.stack([matrix @ frame for frame in points])


def _moved(points: np.ndarray, transforms: np.ndarray) -> np.ndarray:
    """(T, V, 3) points moved by (T, 3 or 4, 4) rigid transforms, float32."""
    turn, shift = transforms[:, :3, :3], transforms[:, :3, 3]
    turned = points @ turn.transpose(0, 2, 1).astype(np.float32)
    return turned + shift[:, None].astype(np.float32)
