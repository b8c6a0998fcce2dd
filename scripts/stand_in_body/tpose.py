"""From MakeHuman's A-pose with bent elbows to SMPL-X's T-pose."""

import numpy as np

from scripts.stand_in_body.makehuman import JOINTS, PARENTS

# Joint-to-joint directions of SMPL's published neutral rest pose, left side; the right side
# mirrors x. The hand points sideways, palm down.
_DIRECTIONS = {
    "hip": (0.0343, -0.3752, -0.0045),
    "knee": (-0.0136, -0.398, -0.0437),
    "shoulder": (0.2553, -0.0156, -0.0229),
    "elbow": (0.2657, 0.0127, -0.0074),
    "wrist": (1.0, 0.0, 0.0),
}


def unpose(
    vertices: np.ndarray, joints: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pose a body so that its limbs point where SMPL-X's do.

    Args:
        vertices: (V, 3) in the A-pose.
        joints: (55, 3) in the A-pose.
        weights: (V, 55) skinning weights.

    Returns:
        Vertices (V, 3) and joints (55, 3) in the T-pose, the pelvis where it was.
    """
    rotations = t_pose_rotations(joints)
    posed = joints.copy()
    for joint, parent in enumerate(PARENTS[1:], start=1):
        posed[joint] = posed[parent] + rotations[parent] @ (joints[joint] - joints[parent])
    shifts = posed - np.einsum("jab,jb->ja", rotations, joints)
    blended = np.einsum("vj,jab->vab", weights, rotations)
    return np.einsum("vab,vb->va", blended, vertices) + weights @ shifts, posed


def t_pose_rotations(joints: np.ndarray) -> np.ndarray:
    """Global rotation (55, 3, 3) of every joint that takes the A-pose to the T-pose.

    Elbow and knee of a T-pose are not quite straight, so arm and forearm get one target each. The
    axis that a bent elbow turns about fixes their twist: it becomes vertical, so that the elbow
    flexes in the horizontal plane. Legs turn as little as possible; trunk, head and feet not at
    all.
    """
    rotations = np.broadcast_to(np.eye(3), (len(joints), 3, 3)).copy()
    for side, mirror in (("left", 1.0), ("right", -1.0)):

        def at(name: str, side: str = side) -> np.ndarray:
            return joints[JOINTS[f"{side}_{name}"]]

        target = {k: np.array(v) * (mirror, 1, 1) for k, v in _DIRECTIONS.items()}
        up = np.array([0.0, mirror, 0.0])
        upper_arm = at("elbow") - at("shoulder")
        forearm = at("wrist") - at("elbow")
        flexion = np.cross(upper_arm, forearm)
        palm = np.cross(at("index1") - at("wrist"), at("pinky1") - at("wrist"))
        hand = _turn((at("middle1") - at("wrist"), palm), (target["wrist"], up))
        turns = {
            "hip": _shortest_turn(at("knee") - at("hip"), target["hip"]),
            "knee": _shortest_turn(at("ankle") - at("knee"), target["knee"]),
            "shoulder": _turn((upper_arm, flexion), (target["shoulder"], -up)),
            "elbow": _turn((forearm, flexion), (target["elbow"], -up)),
            "wrist": hand,
        }
        for name, rotation in turns.items():
            rotations[JOINTS[f"{side}_{name}"]] = rotation
        first = JOINTS[f"{side}_index1"]
        rotations[first : first + 15] = hand  # the fingers follow the hand
    return rotations


def _turn(source: tuple, target: tuple) -> np.ndarray:
    """Return the rotation (3, 3) that takes one (direction, normal) pair to another."""
    return _frame(*target) @ _frame(*source).T


def _frame(direction: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Orthonormal columns: the direction, the normal made perpendicular to it, their product."""
    first = direction / np.linalg.norm(direction)
    second = normal - (normal @ first) * first
    second /= np.linalg.norm(second)
    return np.stack([first, second, np.cross(first, second)], axis=1)


def _shortest_turn(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The smallest rotation (3, 3) that takes one direction to another, not opposite, one."""
    normal = np.cross(source, target)
    if np.linalg.norm(normal) < 1e-12 * np.linalg.norm(source) * np.linalg.norm(target):
        return np.eye(3)
    return _turn((source, normal), (target, normal))
