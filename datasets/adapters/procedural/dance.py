"""Dancing: steps on the beat, and the rest of the body grooving at fractions of one tempo."""

import numpy as np

from datasets.adapters.procedural import curves
from datasets.adapters.procedural.movement import Action, Movement, Scene

# angle: (middle, sd), degrees; from the spread of recorded salsa (CMU subjects 60 and 61).
GROOVE = {
    "pelvis_axial": (0, 7),
    "pelvis_list": (0, 4),
    "trunk_flexion": (3, 7),
    "trunk_lateral": (0, 7),
    "trunk_axial": (0, 10),
    "head_flexion": (3, 9),
    "head_lateral": (0, 6),
    "head_axial": (0, 16),
}
GROOVE_ARM = {
    "shoulder_flexion": (22, 26),
    "shoulder_abduction": (34, 20),
    "shoulder_rotation": (30, 22),
    "elbow_flexion": (80, 26),
    "forearm_pronation": (0, 28),
    "wrist_flexion": (0, 12),
}


def dance(rng: np.random.Generator, scene: Scene) -> Movement:
    """Stepping from foot to foot at 90 to 130 beats per minute, arms and trunk free."""
    beat = np.clip(rng.uniform(90, 130) * scene.tempo, 90, 130) / 60
    angles = {}
    for name, (middle, sd) in GROOVE.items():
        angles[name] = middle + sd * scene.amplitude * _groove(rng, scene.t, beat)
    for name, (middle, sd) in GROOVE_ARM.items():
        for side in ("left", "right"):
            groove = _groove(rng, scene.t, beat)
            angles[f"{side}_{name}"] = middle + sd * scene.amplitude * groove
    phase = curves.cycle_phase(rng, scene.t, beat / 2)  # one step on every beat
    lift, reach, turn_out = rng.uniform(18, 38), rng.uniform(-8, 12), rng.uniform(0, 16)
    across = rng.uniform(3, 7) * curves.wave(phase + 0.25)
    bounce = rng.uniform(3, 9) * (1 - curves.wave(2 * phase)) / 2
    planted = {}
    for side, sign in (("left", 1), ("right", -1)):
        step = np.maximum(sign * np.sin(2 * np.pi * phase), 0) ** 2
        angles |= {
            f"{side}_hip_flexion": 14 + bounce + lift * step + reach * step,
            f"{side}_knee_flexion": 24 + 2 * bounce + 1.7 * lift * step,
            f"{side}_hip_abduction": sign * across + turn_out * step,
            # The planted foot keeps its direction under the turning pelvis.
            f"{side}_hip_rotation": 8 - sign * angles["pelvis_axial"] + turn_out * step,
            f"{side}_ankle_dorsiflexion": -12 * step,
        }
        planted[side] = 1 - step
    rate = rng.normal(0, 20)
    return Movement(angles, heading=rate * scene.t, planted=planted)


def _groove(rng: np.random.Generator, t: np.ndarray, beat: float) -> np.ndarray:
    """(T,) sum of 3 to 5 waves of unit sd at halves and doubles of the beat, .2 to 2 Hz."""
    frequency = beat * 2.0 ** -np.arange(0, 4)
    frequency = rng.choice(frequency[(frequency > 0.2) & (frequency <= 2.0)], rng.integers(3, 6))
    size = rng.uniform(0.3, 1.0, len(frequency)) / frequency  # the faster, the smaller
    size *= np.sqrt(2) / np.linalg.norm(size)
    phase = frequency * t[:, None] + rng.uniform(size=len(frequency))
    return curves.wave(phase) @ size


ACTIONS = (Action("dance", dance, shortest=1.4),)
