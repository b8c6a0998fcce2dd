"""A motion that was read from a file, checked against what people do.

A wrong up axis, unit or rate gives a motion that looks like any other in numbers, and wrong scores.
What does not fit is asked about, never corrected in silence.
"""

import numpy as np

from datasets.bodies.smplx import load_body
from datasets.motion import JOINTS, Motion

FASTEST_ROOT = 20.0  # m/s; no sprinter reaches 13, and who walks by centimetres seems to do 100
FASTEST_JOINT = 20.0  # m/s beside the pelvis, the fastest joint at median; a dancer's has about 3
FARTHEST = 30.0  # metres from the origin in every frame
HIGHEST = 3.0  # metres of the lower foot above its lowest place, at median
_STEP = 0.1  # seconds between two frames whose steps are compared
_STEPS_FIT, _STEPS_DIFFER = 0.7, 5.0  # correlation of root and steps, and how far apart they are
_NEARLY_ALL = 0.9  # of the frames
_SAMPLE = 256  # frames that are looked at
_PELVIS, _NECK = JOINTS.index("pelvis"), JOINTS.index("neck")
_FEET = [JOINTS.index(f"{side}_{name}") for side in ("left", "right") for name in ("ankle", "foot")]
_TOES = [JOINTS.index("left_foot"), JOINTS.index("right_foot")]


def require_plausible(
    motion: Motion, valid: np.ndarray, *, up_to_y: np.ndarray, is_up_stated: bool
) -> None:
    """Ask about a motion whose up axis, unit or rate does not fit a person.

    Here and not in `Motion`: what a model makes may jump as it likes.

    Args:
        motion: y up, in metres.
        valid: (T,) bool, the frames that count.
        up_to_y: (3, 3), turned the file's axes to these.
        is_up_stated: the file itself says which axis is up, so that a person may lie all the time.

    Raises:
        ValueError: the question, in one line.
    """
    starts = np.flatnonzero(valid[:-1] & valid[1:])
    rows = starts if len(starts) else np.flatnonzero(valid)
    rows = rows[np.linspace(0, len(rows) - 1, min(_SAMPLE, len(rows))).astype(int)]
    joints = _joints(motion, rows)
    _check_up(joints[:, _NECK] - joints[:, _PELVIS], up_to_y, is_up_stated)
    _check_unit(joints)
    if len(starts):
        steps = np.diff(motion.transl.astype(np.float64), axis=0)[starts]
        speed = np.median(np.linalg.norm(steps, axis=1)) * motion.fps
        if speed > FASTEST_ROOT:
            raise ValueError(f"the root moves at {speed:.0f} m/s: are these centimetres?")
        moved = _joints(motion, rows + 1) - joints
        moved -= moved[:, [_PELVIS]]
        speed = np.median(np.linalg.norm(moved, axis=-1).max(axis=1)) * motion.fps
        if speed > FASTEST_JOINT:
            raise ValueError(
                f"arms and legs move at {speed:.0f} m/s: is it recorded at {motion.fps:g} frames "
                "per second? (--source-fps gives another rate)"
            )
    _check_steps(motion, valid)


def _check_steps(motion: Motion, valid: np.ndarray) -> None:
    """Ask where the root goes as the feet step, but many times farther or less far.

    The lower foot stands, so that the pelvis goes as far as this foot goes back below it. Of the
    built-in motions both ways agree within a factor of 1.6, also in jumps and where people lie.
    Feet that tell nothing of the root, on a treadmill or a bicycle, are not asked about.
    """
    gap = max(1, round(_STEP * motion.fps))
    rows = np.flatnonzero(valid[:-gap] & valid[gap:])
    if len(rows) * _STEP < gap:  # less than a second
        return
    rows = rows[np.linspace(0, len(rows) - 1, min(_SAMPLE, len(rows))).astype(int)]
    start, end = _joints(motion, rows), _joints(motion, rows + gap)
    root = end[:, _PELVIS] - start[:, _PELVIS]
    below = [joints[:, _TOES] - joints[:, [_PELVIS]] for joints in (start, end)]
    lower = (below[0] + below[1])[..., 1].argmin(axis=1)
    steps = (below[0] - below[1])[np.arange(len(rows)), lower]
    went, stepped = np.sqrt(np.mean(root**2)), np.sqrt(np.mean(steps**2))
    together = np.mean(root * steps) > _STEPS_FIT * went * stepped
    if together and stepped > 1e-4 and not 1 / _STEPS_DIFFER < went / stepped < _STEPS_DIFFER:
        went, stepped = (np.linalg.norm(way, axis=1).mean() / _STEP for way in (root, steps))
        raise ValueError(
            f"the root goes {went:.2g} m a second, but the feet on the ground step {stepped:.2g} m "
            "a second: is the root's position in another unit than the body?"
        )


def _joints(motion: Motion, rows: np.ndarray) -> np.ndarray:
    """(n, 22, 3) metres, the joints in some frames."""
    channels = motion[rows].to_channels()
    return load_body(gender=motion.gender).joints(channels).astype(np.float64)


def _check_up(trunk: np.ndarray, up_to_y: np.ndarray, is_up_stated: bool) -> None:
    """`trunk`: (n, 3) from pelvis to neck, y up."""
    upright = trunk[:, 1] > np.abs(trunk[:, [0, 2]]).max(axis=1)
    if np.mean(~upright) < _NEARLY_ALL:
        return
    in_file = trunk @ up_to_y
    along = np.abs(in_file).argmax(axis=1)
    axis = np.bincount(along, minlength=3).argmax()
    sign = "-" if np.median(in_file[along == axis, axis]) < 0 else ""
    found = f"{sign}{'xyz'[axis]}"
    axis = np.abs(up_to_y[1]).argmax()
    taken = f"{'-' if up_to_y[1, axis] < 0 else ''}{'xyz'[axis]}"
    upside_down = np.mean(trunk[:, 1] < -np.abs(trunk[:, [0, 2]]).max(axis=1)) >= _NEARLY_ALL
    if is_up_stated and not upside_down:
        return
    line = f"the trunk lies along {found} in nearly all frames, but {taken} was taken as up"
    if found in ("x", "y", "z", "-y"):
        line += f". {found} up? write up = {found!r} or give --up {found}"
    if not upside_down:
        line += f". Somebody who lies all the time? write up = {taken!r} in the file"
    raise ValueError(line)


def _check_unit(joints: np.ndarray) -> None:
    distance = np.linalg.norm(joints[:, _PELVIS], axis=1).min()
    if distance > FARTHEST:
        raise ValueError(
            f"the person is {distance:.0f} m from the origin or farther in every frame: are these "
            "centimetres?"
        )
    feet = joints[:, _FEET, 1].min(axis=1)
    height = np.median(feet) - feet.min()
    if height > HIGHEST:
        raise ValueError(
            f"the feet are {height:.0f} m above their lowest place half of the time: are these "
            "centimetres?"
        )
