"""Anatomical joint angles -> SMPL-X rotations: names, signs, limits and the mirror rule.

Angles are degrees and named as in a gait laboratory: hip flexion, knee flexion, shoulder abduction.
Zero is standing upright with the arms hanging straight down, although SMPL-X's zero pose is a
T-pose. Positive is flexion, dorsiflexion, abduction, internal rotation of the arm, external
rotation of the leg, elevation; of the trunk and head, bending forward, turning and leaning left.
"""

import numpy as np
from scipy.spatial.transform import Rotation

from datasets.motion import JOINTS

SIDES = ("left", "right")

# angle: (lowest, highest, at ease, sd of the involuntary movement, sd between people).
# Limits are range-of-motion tables; dorsiflexion is the weight-bearing range, as a squat needs it.
_PELVIS = {
    "pelvis_pitch": (-180, 180, 0, 0.3, 1.0),
    "pelvis_axial": (-180, 180, 0, 0.5, 0.0),
    "pelvis_list": (-30, 30, 0, 0.3, 0.0),
}
_TRUNK = {
    "trunk_flexion": (-30, 80, 2, 1.2, 7.0),
    "trunk_lateral": (-35, 35, 0, 1.0, 2.0),
    "trunk_axial": (-45, 45, 0, 1.5, 4.0),
    "head_flexion": (-60, 60, 3, 1.5, 6.0),
    "head_lateral": (-40, 40, 0, 1.5, 3.0),
    "head_axial": (-75, 75, 0, 1.5, 4.0),
}
_SIDED = {
    "hip_flexion": (-20, 120, 4, 0.5, 2.0),
    "hip_abduction": (-20, 45, -2, 0.4, 3.5),
    "hip_rotation": (-40, 40, 6, 0.5, 6.0),
    "knee_flexion": (0, 150, 6, 0.5, 2.0),
    "ankle_dorsiflexion": (-50, 35, 0, 0.5, 0.0),
    "ankle_inversion": (-25, 25, 0, 0.4, 0.0),
    "toe_extension": (-10, 60, 0, 0.3, 0.0),
    "collar_elevation": (-20, 20, 0, 0.6, 1.5),
    "collar_protraction": (-20, 20, 0, 0.6, 1.5),
    "shoulder_flexion": (-50, 175, 2, 1.8, 4.0),
    "shoulder_abduction": (0, 175, 11, 1.5, 3.0),
    "shoulder_rotation": (-80, 80, 10, 2.0, 10.0),
    "elbow_flexion": (0, 145, 18, 2.0, 6.0),
    "forearm_pronation": (-85, 85, -5, 3.0, 20.0),
    "wrist_flexion": (-70, 70, 4, 2.5, 8.0),
    "wrist_deviation": (-20, 30, 2, 1.5, 4.0),
}
TABLE = _PELVIS | _TRUNK | {f"{side}_{name}": row for side in SIDES for name, row in _SIDED.items()}
ANGLES = tuple(TABLE)
INDEX = {name: column for column, name in enumerate(ANGLES)}
LOW, HIGH, EASE, RESTLESS, HABIT = np.array(list(TABLE.values()), float).T

# joint: intrinsic Euler axes, and for each axis (angle, factor, offset in degrees). The outermost
# rotation comes first: a limb first flexes as a whole, is abducted, then twists about itself.
_MIDLINE_JOINTS = {
    "spine1": ("YXZ", [("trunk_axial", 0.4), ("trunk_flexion", 0.4), ("trunk_lateral", -0.4)]),
    "spine2": ("YXZ", [("trunk_axial", 0.35), ("trunk_flexion", 0.35), ("trunk_lateral", -0.35)]),
    "spine3": ("YXZ", [("trunk_axial", 0.25), ("trunk_flexion", 0.25), ("trunk_lateral", -0.25)]),
    "neck": ("YXZ", [("head_axial", 0.5), ("head_flexion", 0.5), ("head_lateral", -0.5)]),
    "head": ("YXZ", [("head_axial", 0.5), ("head_flexion", 0.5), ("head_lateral", -0.5)]),
}
_LEFT_JOINTS = {
    "hip": ("XZY", [("hip_flexion", -1), ("hip_abduction", 1), ("hip_rotation", 1)]),
    "knee": ("X", [("knee_flexion", 1)]),
    "ankle": ("XZ", [("ankle_dorsiflexion", -1), ("ankle_inversion", -1)]),
    "foot": ("X", [("toe_extension", -1)]),
    "collar": ("YZ", [("collar_protraction", -1), ("collar_elevation", 1)]),
    "shoulder": (
        "XZX",
        [("shoulder_flexion", -1), ("shoulder_abduction", 1, -90), ("shoulder_rotation", 1)],
    ),
    "elbow": ("Y", [("elbow_flexion", -1)]),
    "wrist": ("XZY", [("forearm_pronation", 1), ("wrist_flexion", -1), ("wrist_deviation", -1)]),
}


def to_array(angles: dict[str, np.ndarray | float], frames: int) -> np.ndarray:
    """Named angles (each (T,) or a number) as (T, A) degrees; angles not named are at ease."""
    array = np.tile(EASE, (frames, 1))
    for name, value in angles.items():
        array[:, INDEX[name]] = value
    return array


def clip(angles: np.ndarray) -> np.ndarray:
    """(T, A) degrees within the range of motion of the joints.

    An arm raised forward cannot also be turned far outward. This bound keeps every rotation of the
    shoulder below 180 degrees, so that its axis-angle never flips: the scalar of its quaternion is
    cos((90 - abduction) / 2) cos((rotation - flexion) / 2).
    """
    clipped = np.clip(angles, LOW, HIGH)
    for side in SIDES:
        rotation = INDEX[f"{side}_shoulder_rotation"]
        outward = clipped[:, INDEX[f"{side}_shoulder_flexion"]] - 165
        clipped[:, rotation] = np.maximum(clipped[:, rotation], outward)
    return clipped


def mirror(angles: dict[str, np.ndarray | float]) -> dict[str, np.ndarray | float]:
    """Return the same movement with left and right exchanged."""
    return {mirrored_name(name): _mirror_sign(name) * value for name, value in angles.items()}


def to_rotations(angles: np.ndarray, heading: np.ndarray) -> np.ndarray:
    """Local rotations of the 22 body joints.

    Args:
        angles: (T, A) degrees, columns as `ANGLES`.
        heading: (T,) degrees about the vertical, 0 = facing +z, positive to the left.

    Returns:
        (T, 22, 3, 3); the pelvis's is in the world (y up), the others' relative to the parent.
    """
    out = np.tile(np.eye(3), (len(angles), len(JOINTS), 1, 1))
    # pelvis_axial is innermost: a turn of the pelvis when upright, a roll when lying down.
    pelvis = [angles[:, INDEX[f"pelvis_{name}"]] for name in ("pitch", "axial", "list")]
    root = Rotation.from_euler("YXY", np.stack([heading, *pelvis[:2]], 1), degrees=True)
    out[:, 0] = (root * Rotation.from_euler("Z", pelvis[2][:, None], degrees=True)).as_matrix()
    for joint, (axes, terms) in _MIDLINE_JOINTS.items():
        out[:, JOINTS.index(joint)] = _rotate(axes, terms, angles)
    for joint, (axes, terms) in _LEFT_JOINTS.items():
        for side in SIDES:
            # Mirroring a rotation keeps the turn about x and inverts those about y and z.
            signs = [1 if side == "left" or axis == "X" else -1 for axis in axes]
            named = [(f"{side}_{name}", *rest) for name, *rest in terms]
            rotation = _rotate(axes, named, angles, signs)
            out[:, JOINTS.index(f"{side}_{joint}")] = rotation
    return out


def _rotate(axes: str, terms: list, angles: np.ndarray, signs: list | None = None) -> np.ndarray:
    """(T, 3, 3) of one joint from its row of the tables above."""
    euler = np.empty((len(angles), len(terms)))
    for axis, (name, factor, *offset) in enumerate(terms):
        euler[:, axis] = factor * angles[:, INDEX[name]] + (offset[0] if offset else 0)
    return Rotation.from_euler(axes, euler * (signs or 1), degrees=True).as_matrix()


def mirrored_name(name: str) -> str:
    """Return the joint or angle of the other side; midline names are their own mirror."""
    side, _, rest = name.partition("_")
    return f"{SIDES[1 - SIDES.index(side)]}_{rest}" if side in SIDES else name


def _mirror_sign(name: str) -> int:
    return -1 if name.endswith(("axial", "lateral", "list")) else 1
