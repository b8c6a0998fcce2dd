"""A small network from video to motion: the built-in estimator where GVHMR's weights are absent.

It is trained on rendered pictures of the built-in dataset alone (`model.regressor.train`), sees 64
pixels, and knows nothing of detection: the person is expected in the middle of the picture. Its
motions make the chain video -> pseudo ground truth -> table run; they are no ground truth.

A frame's target is its rotations in 6D, the shape, and where the pelvis is seen: its place in the
picture and its depth in units of the focal length. So the network need not guess the focal length,
which no single picture shows; K turns the place into metres.
"""

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor, nn

from datasets import rotation
from datasets.bodies.smplx import BODY_JOINTS, load_body
from datasets.motion import OTHER_SIDE, Camera, Motion, split_channels
from datasets.video.pad_resize import PadResize
from model.kinematics import joints_from_rotations, sixd_to_matrix
from model.regressor.config import RegressorConfig
from model.training.saved_model import SavedModel

FEATURES = {"rotations": BODY_JOINTS * 6, "betas": 10, "place": 3}
NUM_FEATURES = sum(FEATURES.values())
STD_FLOOR = 0.05
JOINT_WEIGHT = 10.0  # of a metre against a standard deviation of the features
VELOCITY_WEIGHT = 0.3


class MotionRegressor(SavedModel):
    """Convolutions over each picture, then over time, to the features of `targets`."""

    config_class = RegressorConfig

    def __init__(self, config: RegressorConfig):
        super().__init__()
        self.config = config
        layers: list[nn.Module] = []
        for inputs, outputs in zip((3, *config.widths), config.widths, strict=False):
            layers += [
                nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(),
            ]
        side = config.size // 2 ** len(config.widths)
        self.pictures = nn.Sequential(*layers, nn.Flatten())
        # Beside the picture: the logarithm of the focal length, which sets the perspective.
        self.frame = nn.Linear(config.widths[-1] * side * side + 1, config.width)
        self.time = nn.ModuleList(
            nn.Conv1d(config.width, config.width, 3, padding=dilation, dilation=dilation)
            for dilation in config.dilations
        )
        self.head = nn.Linear(config.width, NUM_FEATURES)
        self.register_buffer("mean", torch.zeros(NUM_FEATURES))
        self.register_buffer("std", torch.ones(NUM_FEATURES))

    def forward(self, pictures: Tensor, focal: Tensor) -> Tensor:
        """Features (B, T, 145) of pictures (B, T, size, size, 3) uint8, focal lengths (B, T)."""
        clips, frames = pictures.shape[:2]
        x = pictures.flatten(0, 1).permute(0, 3, 1, 2).float() / 127.5 - 1
        x = torch.cat([self.pictures(x), focal.reshape(-1, 1).log()], dim=1)
        x = self.frame(x).view(clips, frames, -1).transpose(1, 2)
        for layer in self.time:
            x = x + layer(torch.relu(x))
        return self.head(torch.relu(x).transpose(1, 2)) * self.std + self.mean

    def loss(
        self, pictures: Tensor, focal: Tensor, features: Tensor, rest: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """L1 on normalised features and their velocities, and on the joints about the pelvis.

        Args:
            pictures: (B, T, size, size, 3) uint8.
            focal: (B, T).
            features: (B, T, 145) targets.
            rest: (B, 22, 3) joints of the rest pose, metres.

        Returns:
            The scalar to minimise, and the mean joint distance per axis in metres to log.
        """
        found = self(pictures, focal)
        error = (found - features) / self.std
        joints = [self._joints(turns, rest) for turns in (found, features)]
        distance = (joints[0] - joints[1]).abs().mean()
        total = (
            error.abs().mean()
            + JOINT_WEIGHT * distance
            + VELOCITY_WEIGHT * error.diff(dim=1).abs().mean()
        )
        return total, {"joints": distance}

    def _joints(self, features: Tensor, rest: Tensor) -> Tensor:
        turns = features[..., : FEATURES["rotations"]].reshape(-1, BODY_JOINTS, 6)
        people = rest.repeat_interleave(features.shape[1], dim=0)
        parents = load_body().parents[:BODY_JOINTS].tolist()
        return joints_from_rotations(sixd_to_matrix(turns), people, parents)

    def fit_statistics(self, features: np.ndarray) -> None:
        """Set the normalisation from targets (N, T, 145)."""
        flat = torch.from_numpy(features).flatten(0, 1).double()
        self.mean.copy_(flat.mean(0))
        # What hardly varies (the betas of few people, a lens) must not blow up its errors.
        self.std.copy_(flat.std(0).clamp(min=STD_FLOOR))

    @torch.no_grad()
    def estimate(self, video: np.ndarray, view: Camera, *, fps: float) -> Motion:
        """Return the camera-space motion of one person in a video.

        Args:
            video: (T, H, W, 3) uint8 RGB.
            view: intrinsics of these pictures.
            fps: frames per second.
        """
        resize = PadResize(view.width, view.height, self.config.size)
        seen = resize.camera(view)
        small = torch.from_numpy(np.stack([resize.image(frame) for frame in video]))
        focal = torch.from_numpy(focal_lengths(seen))
        device = self.mean.device
        features = self(small[None].to(device), focal[None].to(device))[0].double().cpu().numpy()
        if self.config.smoothing:
            features = gaussian_filter1d(features, self.config.smoothing, axis=0, mode="nearest")
        return from_features(features, seen, fps=fps)


def focal_lengths(view: Camera) -> np.ndarray:
    """(T,) float32 focal lengths in picture sizes, the mean of both directions."""
    return np.sqrt(view.K[:, 0, 0] * view.K[:, 1, 1]) / view.width


def to_features(channels: np.ndarray, view: Camera) -> np.ndarray:
    """(T, 145) float32 targets of camera-space motion channels (T, 79) seen through `view`.

    22 rotations in 6D, 10 betas, and of the pelvis: its place (x, y) in picture sizes and the
    logarithm of its depth over the focal length in picture sizes.
    """
    parts = split_channels(np.asarray(channels, np.float64))
    turns = np.concatenate([parts["global_orient"], parts["body_pose"]], 1)
    sixd = rotation.matrix_to_sixd(rotation.axis_angle_to_matrix(turns.reshape(len(turns), -1, 3)))
    pelvis = load_body().rest_joints(parts["betas"])[:, 0] + parts["transl"]
    place = view.project(pelvis[:, None])[:, 0] / view.width
    depth = np.log(pelvis[:, 2:] / focal_lengths(view)[:, None])
    features = [sixd.reshape(len(turns), -1), parts["betas"], place, depth]
    return np.concatenate(features, 1).astype(np.float32)


def mirrored(features: np.ndarray) -> np.ndarray:
    """Targets (..., 145) of mirrored pictures, the principal point in their middle.

    Left and right change places; a rotation R becomes M R M with M = diag(-1, 1, 1).
    """
    turns, betas, place = np.split(features, np.cumsum(list(FEATURES.values()))[:-1], axis=-1)
    turns = turns.reshape(*turns.shape[:-1], BODY_JOINTS, 6)[..., OTHER_SIDE, :]
    turns = turns * np.array([1, -1, -1, -1, 1, 1], np.float32)
    place = np.concatenate([1 - place[..., :1], place[..., 1:]], axis=-1)
    return np.concatenate([turns.reshape(*betas.shape[:-1], -1), betas, place], axis=-1)


def from_features(features: np.ndarray, view: Camera, *, fps: float) -> Motion:
    """Inverse of `to_features`; betas become their mean over the clip."""
    turns, betas, place = np.split(features, np.cumsum(list(FEATURES.values()))[:-1], axis=1)
    matrices = rotation.sixd_to_matrix(turns.reshape(len(turns), BODY_JOINTS, 6))
    vectors = rotation.matrix_to_axis_angle(matrices)
    betas = betas.mean(axis=0)
    depth = np.exp(place[:, 2]) * focal_lengths(view)
    K = view.K.astype(np.float64)
    across = (place[:, :2] * view.width - K[:, :2, 2]) / K[:, [0, 1], [0, 1]] * depth[:, None]
    pelvis = np.column_stack([across, depth])
    return Motion(
        body_pose=vectors[:, 1:].reshape(len(turns), -1),
        global_orient=vectors[:, 0],
        betas=betas,
        transl=pelvis - load_body().rest_joints(betas)[0],
        fps=fps,
        space="camera",
    )
