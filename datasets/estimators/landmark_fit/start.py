"""A first pose and place of a body from landmarks, in closed form."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import median_filter
from scipy.spatial.transform import Rotation

from datasets.estimators.landmark_fit.landmarks import INDEX, unit
from datasets.estimators.landmark_fit.prior import POSE_MEAN

_STRAIGHT, _BENT = 10.0, 35.0  # degrees of a joint: below, its limb has no plane; above, it has one
_NEAREST = 0.3  # metres from the camera
_DEFAULT_DEPTH = 4.0  # metres, where no picture tells one
_MEDIAN = 9  # frames
# Limb: its three points, the joint at its root and the hinge joint, and the side of its hinge.
_LEGS = (("left", 1, 4), ("right", 2, 5))
_ARMS = (("left", 16, 18, 1.0), ("right", 17, 19, -1.0))
_TRUNK_AND_LEGS = [INDEX["nose"]] + [
    INDEX[f"{side}_{name}"]
    for name in ("shoulder", "hip", "knee", "ankle")
    for side in ("left", "right")
]


@dataclass(frozen=True, eq=False)
class Start:
    """A first estimate of N frames, in the camera's frame.

    Attributes:
        root: (N, 3, 3) rotation of the pelvis.
        body_pose: (N, 21, 3) axis-angle, continuous in time.
        pelvis: (N, 3) metres.
    """

    root: np.ndarray
    body_pose: np.ndarray
    pelvis: np.ndarray


def start(world: np.ndarray, rays: np.ndarray, visibility: np.ndarray) -> Start:
    """Return a pose that has the directions of the limbs, at the depth that the picture tells.

    Args:
        world: (N, L, 3) landmarks in metres from the middle of the hips, in the camera's axes.
        rays: (N, L, 2) their places in the picture, x / z and y / z of the rays to them.
        visibility: (N, L) 0..1.
    """
    root, body_pose = _pose(world)
    z = _depth(world, rays, visibility)
    hips = rays[:, [INDEX["left_hip"], INDEX["right_hip"]]].mean(1)
    pelvis = np.concatenate([hips * z[:, None], z[:, None]], 1)
    return Start(root, body_pose, pelvis)


def _pose(world: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    def at(name: str) -> np.ndarray:
        return world[:, INDEX[name]]

    up = at("left_shoulder") + at("right_shoulder") - at("left_hip") - at("right_hip")
    left = unit(at("left_hip") - at("right_hip")) + unit(at("left_shoulder") - at("right_shoulder"))
    root = _frame(y=unit(up), x=left)
    body_pose = np.tile(POSE_MEAN, (len(world), 1, 1))

    def limb(upper: str, middle: str, lower: str) -> tuple[np.ndarray, np.ndarray]:
        """Directions (N, 3) of both parts of a limb, in the frame of the pelvis."""
        parts = unit(at(middle) - at(upper)), unit(at(lower) - at(middle))
        first, second = (np.einsum("nji,nj->ni", root, part) for part in parts)
        return first, second

    for side, hip, knee in _LEGS:
        thigh, shank = limb(*(f"{side}_{name}" for name in ("hip", "knee", "ankle")))
        bend, known = _bend(thigh, shank)
        swing = _swing(np.array([0.0, -1, 0]), thigh)[..., 2]
        # A knee turns about +x: the shank goes behind the thigh.
        front = swing * (1 - known) - _across(shank, thigh) * known
        front = unit(_across(front, thigh))
        turn = np.stack([np.cross(-thigh, front), -thigh, front], -1)
        body_pose[:, hip - 1] = _continuous(Rotation.from_matrix(turn).as_rotvec())
        body_pose[:, knee - 1] = bend[:, None] * [1, 0, 0]
    for side, shoulder, elbow, sign in _ARMS:
        upper, fore = limb(*(f"{side}_{name}" for name in ("shoulder", "elbow", "wrist")))
        bend, known = _bend(upper, fore)
        swing = _swing(np.array([sign, 0.0, 0]), upper)[..., 2]
        # A left elbow turns about -y, a right one about +y: the forearm goes before the arm.
        front = swing * (1 - known) + _across(fore, upper) * known
        front = unit(_across(front, upper))
        turn = np.stack([sign * upper, np.cross(front, sign * upper), front], -1)
        body_pose[:, shoulder - 1] = _continuous(Rotation.from_matrix(turn).as_rotvec())
        body_pose[:, elbow - 1] = bend[:, None] * [0, -sign, 0]
    return root, body_pose


def _depth(world: np.ndarray, rays: np.ndarray, visibility: np.ndarray) -> np.ndarray:
    """Return depths (N,) of the hips, median over nine frames.

    Each is the least squares solution for the place that puts the landmarks onto their rays.
    """
    points, rays = world[:, _TRUNK_AND_LEGS], rays[:, _TRUNK_AND_LEGS]
    weight = visibility[:, _TRUNK_AND_LEGS, None] + 1e-3
    # p_x + t_x = u (p_z + t_z), and the same of y.
    left = np.zeros((*rays.shape, 3))
    left[..., 0, 0] = left[..., 1, 1] = 1
    left[..., 2] = -rays
    left, right = left * weight[..., None], (rays * points[..., 2:] - points[..., :2]) * weight
    size = 2 * len(_TRUNK_AND_LEGS)
    place = np.linalg.pinv(left.reshape(-1, size, 3)) @ right.reshape(-1, size, 1)
    z = place[:, 2, 0]
    good = z > _NEAREST
    z = np.where(good, z, np.median(z[good]) if good.any() else _DEFAULT_DEPTH)
    return median_filter(z, min(_MEDIAN, len(z)), mode="nearest")


def _frame(*, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return rotations (N, 3, 3) with y as given and x as near to the given one as can be."""
    x = unit(_across(x, y))
    return np.stack([x, y, np.cross(x, y)], -1)


def _across(vectors: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Return the parts of vectors (N, 3) at right angles to unit vectors."""
    return vectors - (vectors * along).sum(-1, keepdims=True) * along


def _bend(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Angles (N,) between two parts of a limb, and how far their plane is known (N, 1) in 0..1."""
    bend = np.arccos(np.clip((first * second).sum(1), -1, 1))
    known = (np.degrees(bend) - _STRAIGHT) / (_BENT - _STRAIGHT)
    return bend, np.clip(known, 0, 1)[:, None]


def _swing(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the smallest rotations (N, 3, 3) that turn a unit vector (3,) to others (N, 3)."""
    axis = np.cross(start, end)
    sine = np.linalg.norm(axis, axis=-1, keepdims=True)
    # Neither start is along z, about which a reversal turns.
    axis = np.where(sine > 1e-6, axis / np.maximum(sine, 1e-9), [0, 0, 1.0])
    return Rotation.from_rotvec(axis * np.arctan2(sine, (end @ start)[:, None])).as_matrix()


def _continuous(axis_angle: np.ndarray) -> np.ndarray:
    """Return the same rotations (N, 3), each by the angle that is nearest to the one before."""
    out = axis_angle.copy()
    for frame in range(1, len(out)):
        angle = np.linalg.norm(out[frame])
        if angle > 1e-6:
            other = out[frame] * (1 - 2 * np.pi / angle)
            near = out[frame - 1]
            if np.linalg.norm(other - near) < np.linalg.norm(out[frame] - near):
                out[frame] = other
    return out
