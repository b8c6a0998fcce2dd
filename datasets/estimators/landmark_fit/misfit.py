"""The residuals of a posed body: against the landmarks seen, against its prior, and over time.

Robust least squares in the manner of SMPLify (Bogo et al. 2016): places in the picture, directions
of the limbs and places in metres, the pose, and small accelerations; each a mean over the pictures.
"""

import numpy as np
import torch
from torch.nn.functional import normalize

from datasets.estimators.landmark_fit import prior
from datasets.estimators.landmark_fit.landmarks import INDEX, POINTS
from datasets.estimators.landmark_fit.posed import Posed

_IMAGE_SIGMA, _IMAGE_OUTLIER = 0.012, 6.0  # metres at the person's depth; sigmas
_WORLD_WEIGHT, _WORLD_SIGMA, _WORLD_OUTLIER = 0.1, 0.08, 3.0  # metres; sigmas
_BONE_SIGMA, _BONE_OUTLIER = 0.25, 3.0  # length of the difference of unit vectors; sigmas
_PRIOR, _LIMIT = 0.1, 50.0
# Of accelerations in cm (rotation matrices: in 1) per squared thirtieth of a second.
_JOINTS, _PELVIS, _TURNS = 6.0, 3.0, 15.0
_RATE, _CENTIMETRES = 30.0, 100.0
_LEAST_SEEN = 0.03  # weight of the place of an invisible landmark
_LEAST_SEEN_WORLD = 0.05  # and of its metres
_NEAREST = 0.2  # metres from the camera
_HIPS = [INDEX["left_hip"], INDEX["right_hip"]]
_MIDDLE_BONES = (
    *(("left_hip", "right_hip"), ("left_shoulder", "right_shoulder")),
    *(("left_ear", "right_ear"), ("left_ear", "nose"), ("right_ear", "nose")),
)
_SIDE_BONES = (
    *(("hip", "shoulder"), ("shoulder", "elbow"), ("elbow", "wrist"), ("wrist", "index")),
    *(("hip", "knee"), ("knee", "ankle"), ("heel", "toe")),
)
_BONES = [(INDEX[a], INDEX[b]) for a, b in _MIDDLE_BONES]
_BONES += [
    (INDEX[f"{side}_{a}"], INDEX[f"{side}_{b}"])
    for a, b in _SIDE_BONES
    for side in ("left", "right")
]


class Misfit:
    """The function that a fit makes small.

    Args:
        world: (N, L, 3) landmarks in metres from the middle of the hips, in the camera's axes.
        rays: (N, L, 2) their places in the picture, x / z and y / z of the rays to them.
        visibility: (N, L) 0..1.
        depth: (N,) metres of the person, about.
        adjacent: (N - 2,) True where three pictures follow one another in the clip.
        fps: frames per second of the clip.
    """

    def __init__(
        self,
        *,
        world: np.ndarray,
        rays: np.ndarray,
        visibility: np.ndarray,
        depth: np.ndarray,
        adjacent: np.ndarray,
        fps: float,
    ):
        pictures = len(world)
        self._bones = torch.tensor(_BONES)
        self._world, self._rays, self._depth = map(_tensor, (world, rays, depth[:, None, None]))
        self._directions = self._along_bones(self._world)
        in_image, in_world = (
            np.array([getattr(point, name) for point in POINTS])
            for name in ("image_weight", "world_weight")
        )
        seen = np.clip(visibility, _LEAST_SEEN, 1)
        self._image_weight = _tensor(seen * in_image / pictures)
        self._world_weight = _tensor(
            (_LEAST_SEEN_WORLD + (1 - _LEAST_SEEN_WORLD) * seen) * in_world / pictures
        )
        self._bone_weight = self._world_weight[:, self._bones].amin(-1)
        self._adjacent = _tensor(adjacent / pictures)
        self._per_second = (fps / _RATE) ** 2
        self._mean, self._deviation, self._least, self._largest = map(
            _tensor, (prior.POSE_MEAN, prior.POSE_DEVIATION, prior.POSE_LEAST, prior.POSE_LARGEST)
        )

    def __call__(self, posed: Posed, body_pose: torch.Tensor, betas: torch.Tensor) -> torch.Tensor:
        """Return the misfit of a posed body, whose pose is (N, 21, 3) and betas are (10,)."""
        parts = (
            self._in_image(posed.points),
            self._in_world(posed.points),
            self._of_pose(body_pose),
            betas.square().sum(),
            self._accelerations(posed),
        )
        return sum(parts, torch.zeros(()))

    def _in_image(self, points: torch.Tensor) -> torch.Tensor:
        rays = points[..., :2] / points[..., 2:].clamp(min=_NEAREST)
        off = (rays - self._rays) * self._depth / _IMAGE_SIGMA
        return (self._image_weight * _geman_mcclure(off, _IMAGE_OUTLIER)).sum()

    def _in_world(self, points: torch.Tensor) -> torch.Tensor:
        off = (points - points[:, _HIPS].mean(1, keepdim=True) - self._world) / _WORLD_SIGMA
        bones = (self._along_bones(points) - self._directions) / _BONE_SIGMA
        places = (self._world_weight * _geman_mcclure(off, _WORLD_OUTLIER)).sum()
        directions = (self._bone_weight * _geman_mcclure(bones, _BONE_OUTLIER)).sum()
        return _WORLD_WEIGHT * places + directions

    def _of_pose(self, body_pose: torch.Tensor) -> torch.Tensor:
        unlikely = ((body_pose - self._mean) / self._deviation).square()
        beyond = torch.relu(self._least - body_pose) + torch.relu(body_pose - self._largest)
        return (_PRIOR * unlikely + _LIMIT * beyond.square()).sum((1, 2)).mean()

    def _accelerations(self, posed: Posed) -> torch.Tensor:
        moves = _second_difference(posed.joints) * (_CENTIMETRES * self._per_second)
        turns = _second_difference(posed.rotations) * self._per_second
        pelvis = moves[:, 0]
        each = (
            _JOINTS * _huber(moves - pelvis[:, None]).mean(1)
            + _PELVIS * _huber(pelvis)
            + _TURNS * turns.square().sum((1, 2, 3))
        )
        return (self._adjacent * each).sum()

    def _along_bones(self, points: torch.Tensor) -> torch.Tensor:
        ends = points[:, self._bones]
        return normalize(ends[:, :, 1] - ends[:, :, 0], dim=-1)


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.tensor(array, dtype=torch.float32)


def _second_difference(values: torch.Tensor) -> torch.Tensor:
    return values[2:] - 2 * values[1:-1] + values[:-2]


def _geman_mcclure(vectors: torch.Tensor, outlier: float) -> torch.Tensor:
    """Return r^2 / (1 + r^2 / outlier^2), r the lengths of vectors (..., n)."""
    square = vectors.square().sum(-1)
    return square / (1 + square / outlier**2)


def _huber(vectors: torch.Tensor) -> torch.Tensor:
    """Return r^2 of small and 2 r of large lengths r of vectors (..., n), smooth between."""
    return 2 * (torch.sqrt(1 + vectors.square().sum(-1)) - 1)
