"""The ground: planted feet carry the body, gravity takes it through the air.

Joint angles say nothing about where the body is. It follows from the points that touch the ground:
they stay where they are, and the lowest is at height 0. No foot slides, and the walking speed is
the one that the legs produce.
"""

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter1d

from datasets.adapters.procedural import kinematics
from datasets.adapters.procedural.anatomy import SIDES
from datasets.motion import JOINTS

if TYPE_CHECKING:
    from datasets.bodies.smplx import BodyModel

GRAVITY = 9.81  # m/s^2
# Heights within a few of these share the load, so that it does not jump from heel to toe.
LOAD_SHARING = 0.001  # m
MOMENTUM = 0.1  # s, over which the velocity is averaged where the legs do not give it
# Vertices of SMPL-X's layout: heel, ball and toes of each foot, and the joints they move with.
_SOLE = {
    "left_ankle": (8846,),
    "left_foot": (5770, 5780),
    "right_ankle": (8635,),
    "right_foot": (8463, 8474),
}
# Other joints a body can rest on, with the thickness of flesh around them in metres.
_FLESH = {"pelvis": 0.09, "spine3": 0.07, "head": 0.08}
_SIDED = {"shoulder": 0.06, "elbow": 0.04, "wrist": 0.03, "knee": 0.05, "hip": 0.09}
_FLESH |= {f"{side}_{name}": metres for name, metres in _SIDED.items() for side in SIDES}


@dataclass(frozen=True)
class ContactPoints:
    """K points of one body shape that may touch the ground."""

    joints: np.ndarray  # (K,) the joint that each point is attached to
    offsets: np.ndarray  # (K, 3) metres from the joint in the rest pose
    thickness: np.ndarray  # (K,) metres of flesh below the point


@functools.lru_cache(maxsize=4)
def _sole_vertices(body: "BodyModel") -> tuple[np.ndarray, np.ndarray]:
    """Rest positions (P, 3) of the sole's vertices and their change (10, P, 3) per beta."""
    channels = np.zeros((11, 1, 79), np.float32)
    channels[1:, 0, 66:76] = np.eye(10)
    vertices = np.concatenate([body.vertices(one) for one in channels]).astype(np.float64)
    sole = vertices[:, [vertex for group in _SOLE.values() for vertex in group]]
    # The named vertices are the tips of heel and toes; the sole is level with the lowest vertex.
    sole[..., 1] = vertices[..., 1].min(axis=1, keepdims=True)
    return sole[0], sole[1:] - sole[0]


def contact_points(body: "BodyModel", betas: np.ndarray, rest: np.ndarray) -> ContactPoints:
    """Return the contact points of a body of shape `betas` (10,) and rest joints `rest` (22, 3)."""
    template, per_beta = _sole_vertices(body)
    sole = template + np.tensordot(betas, per_beta, 1)
    joints = [JOINTS.index(name) for name, group in _SOLE.items() for _ in group]
    offsets = sole - rest[joints]
    # The ball of the foot is below the toe joint but belongs to the ankle: it stays when the
    # heel rises and the toes bend.
    for side in SIDES:
        toe, ankle = JOINTS.index(f"{side}_foot"), JOINTS.index(f"{side}_ankle")
        ball = [rest[toe, 0], sole[0, 1], rest[toe, 2]] - rest[ankle]
        joints, offsets = [*joints, ankle], np.concatenate([offsets, ball[None]])
    flesh = [JOINTS.index(name) for name in _FLESH]
    return ContactPoints(
        joints=np.array(joints + flesh),
        offsets=np.concatenate([offsets, np.zeros((len(flesh), 3))]),
        thickness=np.array([0.0] * len(joints) + list(_FLESH.values())),
    )


def place(
    rotations: np.ndarray,
    rest: np.ndarray,
    parents: np.ndarray,
    points: ContactPoints,
    *,
    airborne: np.ndarray,
    changing: np.ndarray,
    fps: float,
) -> np.ndarray:
    """Translation (T, 3) in metres that puts a moving body on the ground y = 0.

    Args:
        rotations: (T, 22, 3, 3) local joint rotations, the pelvis's in the world (y up).
        rest: (22, 3) metres, rest joints.
        parents: (22,) parent of each joint.
        points: what can touch the ground.
        airborne: (T,) bool, frames of flight.
        changing: (T,) in [0, 1], 1 where one action gives way to another: poses between two
            actions belong to no sensible step, so the body's own momentum counts there.
        fps: frames per second.

    Returns:
        Translations; the pelvis starts above the origin.
    """
    turned, placed = kinematics.forward(rotations, rest, parents)
    touching = placed[:, points.joints] + np.einsum(
        "tkij,kj->tki", turned[:, points.joints], points.offsets
    )
    height = touching[..., 1] - points.thickness
    # Half-way between two frames decides who carries the step from one to the next.
    load = _share(height[1:] + height[:-1])
    step = -np.einsum("tk,tkc->tc", load, np.diff(touching, axis=0)[..., [0, 2]])
    vertical = -np.sum(_share(2 * height) * height, axis=1)

    for start, end in _flights(airborne):
        # Constant horizontal velocity, and the parabola through take-off and landing.
        step[start:end] = step[max(start - 2, 0) : max(start, 1)].mean(axis=0)
        time = np.arange(end - start + 1) / fps
        left = time[-1] - time
        chord = (vertical[start] * left + vertical[end] * time) / time[-1]
        flight = chord + GRAVITY / 2 * time * left
        vertical[start : end + 1] = np.maximum(flight, vertical[start : end + 1])
    momentum = gaussian_filter1d(step, MOMENTUM * fps, axis=0, mode="nearest")
    step += changing[1:, None] * (momentum - step)
    # The pelvis starts above the origin wherever its rest position is.
    ground = np.concatenate([np.zeros((1, 2)), np.cumsum(step, axis=0)]) - rest[0, [0, 2]]
    return np.stack([ground[:, 0], vertical, ground[:, 1]], axis=1)


def _share(doubled_height: np.ndarray) -> np.ndarray:
    """(T, K) weights, sum 1, of points at half of these heights: the lowest carry the body."""
    above = doubled_height - doubled_height.min(axis=1, keepdims=True)
    weight = np.exp(-above / (2 * LOAD_SHARING))
    return weight / weight.sum(axis=1, keepdims=True)


def _flights(airborne: np.ndarray) -> list[tuple[int, int]]:
    """(last frame on the ground, first frame on the ground again) of each flight.

    A flight cut off by the start or end of the motion is shortened to what is there.
    """
    inner = airborne.copy()
    inner[[0, -1]] = False
    change = np.flatnonzero(np.diff(inner.astype(int)))
    return list(zip(change[::2], change[1::2] + 1, strict=True))
