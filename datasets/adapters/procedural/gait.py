"""Walking and running as joint curves over the gait cycle.

A cycle runs from heel strike to heel strike of one leg; the other leg is half a cycle later. The
knots are those of clinical gait analysis (Winter 1991; Perry 1992; Novacheck 1998 for running),
joined by periodic cubic splines. Speed is not a parameter: it follows from the curves, because the
planted foot carries the body (`ground`).
"""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

from datasets.adapters.procedural import curves

Knots = tuple[tuple[float, float], ...]  # (phase in [0, 1), degrees)


@dataclass(frozen=True)
class Gait:
    """Knots of one leg, and what distinguishes a walk from a run."""

    hip: Knots  # flexion
    knee: Knots  # flexion
    ankle: Knots  # dorsiflexion
    toe: Knots  # extension
    toe_off: float  # phase at which the foot leaves the ground; below .5 there is a flight


WALK = Gait(
    hip=((0, 30), (0.10, 26), (0.30, 8), (0.50, -10), (0.62, -2), (0.75, 20), (0.87, 33)),
    knee=((0, 5), (0.13, 18), (0.40, 5), (0.60, 35), (0.72, 62), (0.88, 22)),
    ankle=((0, 0), (0.07, -6), (0.30, 6), (0.45, 11), (0.61, -18), (0.78, 0)),
    toe=((0, 5), (0.15, 0), (0.40, 2), (0.56, 26), (0.70, 5), (0.85, 5)),
    toe_off=0.61,
)
RUN = Gait(
    hip=((0, 38), (0.12, 30), (0.25, 8), (0.38, -9), (0.50, 8), (0.65, 40), (0.78, 50), (0.9, 46)),
    knee=((0, 16), (0.16, 42), (0.36, 16), (0.50, 60), (0.64, 98), (0.80, 58), (0.92, 20)),
    ankle=((0, 6), (0.18, 24), (0.38, -20), (0.52, -8), (0.75, 4)),
    toe=((0, 4), (0.18, 0), (0.36, 24), (0.50, 4), (0.75, 4)),
    toe_off=0.37,
)


def evaluate(knots: Knots, phase: np.ndarray) -> np.ndarray:
    """(T,) degrees at phases (T,) in cycles, by the periodic cubic spline through the knots."""
    at, value = np.array((*knots, (1.0, knots[0][1]))).T
    return CubicSpline(at, value, bc_type="periodic")(np.mod(phase, 1.0))


def legs(
    gait: Gait, phase: np.ndarray, size: np.ndarray, *, turn: np.ndarray | float = 0.0
) -> dict[str, np.ndarray]:
    """Angles of both legs and the pelvis.

    Args:
        gait: `WALK` or `RUN`.
        phase: (T,) cycles of the left leg.
        size: (T,) factor on the excursions of hip, knee and toes.
        turn: degrees of heading per cycle; the planted leg twists under the turning pelvis.
    """
    # The pelvis moves over the standing foot: both legs lean to it, the swing side drops.
    sway, drop = curves.wave(phase - 0.3), curves.wave(phase - 0.18)
    angles = {
        "pelvis_pitch": 3 + curves.wave(2 * phase),
        "pelvis_axial": -4 * size * curves.wave(phase),
        "pelvis_list": 3.5 * drop,
    }
    for side, sign, cycle in (("left", 1, phase), ("right", -1, phase + 0.5)):
        abduction = -3.5 - 1.2 * sign * sway
        # Straight twist during stance, back during swing; a quarter of the cycle leads.
        twist = ((0, 0.3), (gait.toe_off, 0.3 - gait.toe_off), (0.85, 0.25))
        angles |= {
            f"{side}_hip_flexion": size * evaluate(gait.hip, cycle),
            f"{side}_hip_abduction": abduction,
            f"{side}_hip_rotation": 6 + sign * turn * evaluate(twist, cycle),
            f"{side}_knee_flexion": 4 + size * (evaluate(gait.knee, cycle) - 4),
            f"{side}_ankle_dorsiflexion": evaluate(gait.ankle, cycle),
            f"{side}_ankle_inversion": sign * angles["pelvis_list"] + abduction,
            f"{side}_toe_extension": size * evaluate(gait.toe, cycle),
        }
    # The trunk turns against the pelvis and the shoulders stay level.
    angles["trunk_axial"] = -2.5 * angles["pelvis_axial"]
    angles["trunk_lateral"] = 0.7 * angles["pelvis_list"]
    return angles


def arm_swing(
    legs: dict[str, np.ndarray], *, swing: float, elbow: float, elbow_swing: float
) -> dict[str, np.ndarray]:
    """Arms that swing with the opposite leg.

    Args:
        legs: angles from `legs`.
        swing: shoulder excursion per excursion of the opposite hip.
        elbow: mean elbow flexion, degrees.
        elbow_swing: elbow excursion per shoulder excursion.
    """
    angles = {}
    for side, opposite in (("left", "right"), ("right", "left")):
        shoulder = swing * (legs[f"{opposite}_hip_flexion"] - 12) - 6
        angles |= {
            f"{side}_shoulder_flexion": shoulder,
            f"{side}_elbow_flexion": elbow + elbow_swing * (shoulder + 6),
        }
    return angles
