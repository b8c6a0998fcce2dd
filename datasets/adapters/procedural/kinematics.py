"""Chains of rotations of the 22 body joints, in float64 and with the rotations kept."""

import numpy as np
from scipy.spatial.transform import Rotation

from datasets.adapters.procedural.anatomy import SIDES
from datasets.motion import JOINTS
from datasets.rotation import slerp


def forward(
    rotations: np.ndarray, rest: np.ndarray, parents: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """World rotations (T, 22, 3, 3) and positions (T, 22, 3), the rest pelvis staying in place.

    Args:
        rotations: (T, 22, 3, 3) local rotations.
        rest: (22, 3) metres, joints of the rest pose.
        parents: (22,) parent of each joint; that of the pelvis is not used.
    """
    turned, placed = np.empty_like(rotations), np.empty(rotations.shape[:-1])
    turned[:, 0], placed[:, 0] = rotations[:, 0], rest[0]
    for joint in range(1, len(JOINTS)):
        parent = parents[joint]
        turned[:, joint] = turned[:, parent] @ rotations[:, joint]
        bone = rest[joint] - rest[parent]
        placed[:, joint] = placed[:, parent] + turned[:, parent] @ bone
    return turned, placed


def flatten_soles(
    rotations: np.ndarray, planted: dict[str, np.ndarray], parents: np.ndarray
) -> np.ndarray:
    """`rotations` (T, 22, 3, 3) with the ankles turned so that planted soles are level.

    The foot keeps the direction that the knee's hinge gives it.

    Args:
        rotations: local rotations.
        planted: side -> (T,) weights, 0 leaves the ankle alone.
        parents: (22,) parent of each joint.
    """
    out = rotations.copy()
    for side in SIDES:
        ankle = JOINTS.index(f"{side}_ankle")
        shin, joint = np.eye(3), parents[ankle]
        while joint >= 0:
            shin, joint = rotations[:, joint] @ shin, parents[joint]
        hinge = shin[:, :, 0]
        yaw = np.arctan2(-hinge[:, 2], hinge[:, 0])
        level = np.swapaxes(shin, 1, 2) @ Rotation.from_euler("Y", yaw[:, None]).as_matrix()
        out[:, ankle] = slerp(rotations[:, ankle], level, planted[side])
    return out
