"""The joint regressor: each joint as a fixed convex combination of vertices around it."""

import numpy as np
from scipy.optimize import nnls

from scripts.stand_in_body.makehuman import JOINTS, PARENTS

_NEAREST = 60  # candidate vertices of a joint in a slim limb
_RADIUS = 0.22  # metres: joints deep inside the body need candidates from all around
_MAX_CANDIDATES = 250
_MIN_WEIGHT = 0.2  # of the joint and its parent together
_RIDGE = 0.02  # metres: pull towards equal weights
_SUM_WEIGHT = 100.0  # of the equation "weights sum to 1" against those in metres
_DEEP = {
    JOINTS[name]
    for name in ("pelvis", "spine1", "spine2", "spine3", "neck", "head")
    + ("left_hip", "right_hip", "left_knee", "right_knee")
    + ("left_collar", "right_collar", "left_shoulder", "right_shoulder")
}


def joint_regressor(vertices: np.ndarray, joints: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Fit joints as convex combinations of vertices over a set of bodies.

    Args:
        vertices: (N, V, 3) bodies; the first one decides which vertices are near a joint.
        joints: (N, 55, 3) their joints.
        weights: (V, 55) skinning weights.

    Returns:
        (55, V) non-negative, rows sum to 1.
    """
    regressor = np.zeros((len(PARENTS), vertices.shape[1]))
    for joint, parent in enumerate(PARENTS):
        owned = weights[:, joint] + (weights[:, parent] if parent >= 0 else 0.0)
        near = _candidates(
            np.linalg.norm(vertices[0] - joints[0, joint], axis=1),
            np.flatnonzero(owned > _MIN_WEIGHT),
            deep=joint in _DEEP,
        )
        regressor[joint, near] = _convex_weights(vertices[:, near], joints[:, joint])
    return regressor


def _candidates(distance: np.ndarray, allowed: np.ndarray, *, deep: bool) -> np.ndarray:
    """Return indices of the vertices a joint may be made of, from those allowed."""
    nearest = allowed[np.argsort(distance[allowed], kind="stable")]
    if not deep:
        return nearest[:_NEAREST]
    within = nearest[distance[nearest] < _RADIUS]
    # Thinned evenly: the nearest ones alone lie on one side of a joint deep in the trunk.
    step = max(1, -(-len(within) // _MAX_CANDIDATES))
    return within[::step]


def _convex_weights(vertices: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Weights (n,) >= 0 with sum 1 that best make points (N, n, 3) into targets (N, 3).

    Ridge towards equal weights, so that a joint never hangs on a handful of vertices.
    """
    count = vertices.shape[1]
    offsets = (vertices - targets[:, None]).transpose(0, 2, 1).reshape(-1, count)
    offsets /= np.sqrt(len(vertices))
    system = np.concatenate([offsets, _RIDGE * np.eye(count), np.full((1, count), _SUM_WEIGHT)])
    right = np.zeros(len(system))
    right[len(offsets) : -1] = _RIDGE / count
    right[-1] = _SUM_WEIGHT
    solution, _ = nnls(system, right)
    return solution / solution.sum()
