"""Fast actions: kick, punch, jumping jack."""

import numpy as np

from datasets.adapters.procedural import curves
from datasets.adapters.procedural.anatomy import SIDES
from datasets.adapters.procedural.movement import Action, Movement, Scene


def kick(rng: np.random.Generator, scene: Scene) -> Movement:
    """Front kicks with the left leg: chamber, extend, fold, put down."""
    period = rng.uniform(1.5, 2.0) / scene.tempo
    t = np.mod(scene.t + rng.uniform(-0.15, 0.0), period)
    start, chamber, extend, fold, down = np.array([0.12, 0.40, 0.56, 0.74, 0.94]) * period
    times = [start, chamber, extend, fold, down]
    hip = min(100, rng.uniform(65, 85) * scene.amplitude)
    lifted = curves.key_frames(t, times, [0, 1, 1, 1, 0])
    kicking = curves.key_frames(t, times, [0, 0, 1, 0, 0])
    lean = 4 * lifted + rng.uniform(6, 14) * kicking
    angles = {
        "pelvis_pitch": -lean,
        "trunk_flexion": 2 + 8 * lifted,
        "left_hip_flexion": 4 + (hip - 12) * lifted + 12 * kicking,
        "left_knee_flexion": 8 + 95 * lifted - 88 * kicking,
        "left_hip_abduction": -2 + 6 * lifted,
        "left_ankle_dorsiflexion": -10 * lifted - 15 * kicking,
        # The standing leg leans so that the pelvis is over its foot.
        "right_hip_flexion": 9 - lean,
        "right_knee_flexion": 10 + 4 * lifted,
        "right_hip_abduction": -2 - 7 * lifted,
    }
    for side, sign in (("left", -1), ("right", 1)):
        angles |= {
            f"{side}_shoulder_flexion": 28 + sign * 22 * kicking,
            f"{side}_shoulder_abduction": 16 + 10 * lifted,
            f"{side}_shoulder_rotation": 25,
            f"{side}_elbow_flexion": 85 - 25 * kicking,
        }
    return Movement(angles, planted={"left": 1 - curves.minimum_jerk(5 * lifted), "right": 1.0})


def punch(rng: np.random.Generator, scene: Scene) -> Movement:
    """Straight punches, left and right in turn, from a guard with bent knees."""
    period = rng.uniform(0.9, 1.3) / scene.tempo
    extension = rng.uniform(0.16, 0.22)  # seconds until the arm is out
    guard = {"elbow": rng.uniform(105, 125), "flexion": rng.uniform(20, 35)}
    width = rng.uniform(4, 15)
    hits = {}
    for side, offset in (("left", 0.0), ("right", period / 2)):
        t = np.mod(scene.t - 0.1 - offset + period, period)
        hits[side] = curves.key_frames(t, [0, extension, extension + 0.3], [0, 1, 0])
    drive = hits["left"] - hits["right"]
    bounce = np.sin(2 * np.pi * scene.t / period)
    # A turn of the pelvis moves the hips fore and aft; the legs give way so that the feet stay.
    pelvis = -7 * drive * scene.amplitude
    angles = {
        "pelvis_axial": pelvis,
        "trunk_axial": -18 * drive * scene.amplitude,
        "trunk_flexion": 8,
        "head_axial": 16 * drive,
        "head_flexion": 8,
    }
    for side, sign in (("left", 1), ("right", -1)):
        hit = hits[side]
        angles |= {
            f"{side}_hip_flexion": 16 + 1.5 * bounce + 0.12 * sign * pelvis,
            f"{side}_hip_abduction": width,
            f"{side}_hip_rotation": 10 - sign * pelvis,
            f"{side}_knee_flexion": 28 + 3 * bounce,
            f"{side}_shoulder_flexion": guard["flexion"] + (84 - guard["flexion"]) * hit,
            f"{side}_shoulder_abduction": 14 - 9 * hit,
            f"{side}_shoulder_rotation": 30,
            f"{side}_elbow_flexion": guard["elbow"] + (8 - guard["elbow"]) * hit,
            f"{side}_forearm_pronation": 45 * hit,
        }
    return Movement(angles)


def jumping_jack(rng: np.random.Generator, scene: Scene) -> Movement:
    """Jumping jacks at about 1 Hz: arms 20 to 160 degrees, legs 0 to 25, a hop each way."""
    frequency = rng.uniform(0.85, 1.1) * scene.tempo**0.5
    phase = np.mod(curves.cycle_phase(rng, scene.t, frequency, start=0.0), 1.0)
    hop = 0.26  # share of the cycle in the air, twice
    half = np.mod(phase, 0.5)
    airborne = (half > 0.12) & (half < 0.12 + hop)
    # The legs move in the air only, or the feet would scrape.
    out, back = (curves.minimum_jerk((phase - at) / (hop - 0.06)) for at in (0.15, 0.65))
    opened = out - back
    # Knees bend in the air already, give way at the landing, and are straight at take-off.
    ground = np.mod(half - 0.12 - hop, 0.5) / (0.5 - hop)
    ready = 0.4 * curves.minimum_jerk((half - 0.12) / hop)
    bend = np.where(airborne, ready, (1 - ground) * (0.4 + 2.4 * ground))
    arms = (1 - curves.wave(phase)) / 2
    spread = rng.uniform(19, 25)
    angles = {"trunk_flexion": 3 + 4 * bend}
    for side in SIDES:
        angles |= {
            f"{side}_shoulder_abduction": 20 + min(140, 130 * scene.amplitude) * arms,
            f"{side}_shoulder_rotation": 10 - 40 * arms,
            f"{side}_elbow_flexion": 22 - 8 * arms,
            f"{side}_collar_elevation": 16 * arms,
            f"{side}_hip_abduction": -1 + spread * opened,
            f"{side}_hip_flexion": 6 + 14 * bend,
            f"{side}_knee_flexion": 8 + 26 * bend,
        }
    return Movement(angles, airborne=airborne)


ACTIONS = (
    Action("kick", kick, shortest=1.4),
    Action("punch", punch, shortest=1.1),
    Action("jack", jumping_jack, shortest=1.6),
)
