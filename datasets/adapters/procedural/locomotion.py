"""Actions that travel: walk, run, turn, sidestep."""

import numpy as np

from datasets.adapters.procedural import curves, gait
from datasets.adapters.procedural.movement import Action, Movement, Scene

FOOT_FREE = {"left": 0.0, "right": 0.0}  # the gait curves place the feet


def walk(rng: np.random.Generator, scene: Scene) -> Movement:
    """Straight or slightly curved walk at 0.6 to 1.6 m/s."""
    return _walk(rng, scene, speed=rng.uniform(0.6, 1.6), yaw_rate=rng.normal(0, 6))


def turn(rng: np.random.Generator, scene: Scene) -> Movement:
    """Turning on the spot, or walking a curve, at 20 to 120 deg/s to the left."""
    yaw_rate = rng.uniform(20, 120)
    # The faster the turn, the smaller the steps forward.
    speed = rng.uniform(0.1, 1.0) * (1.3 - yaw_rate / 120)
    return _walk(rng, scene, speed=max(speed, 0.05), yaw_rate=yaw_rate)


def _walk(rng: np.random.Generator, scene: Scene, *, speed: float, yaw_rate: float) -> Movement:
    pace = np.sqrt(speed / 1.2)
    # Slow walking means rare steps only down to a point: turning on the spot keeps a rhythm.
    frequency = 0.93 * max(pace, 0.75)
    size = pace * curves.cycle_amplitude(rng, scene.t, frequency)
    phase = curves.cycle_phase(rng, scene.t, frequency)
    angles = gait.legs(gait.WALK, phase, size, turn=yaw_rate / frequency)
    angles |= gait.arm_swing(
        angles,
        swing=rng.uniform(0.6, 0.9) * scene.amplitude,
        elbow=rng.uniform(18, 30),
        elbow_swing=0.7,
    )
    # Small steps still lift the foot.
    lift = 14 * max(0.0, 1 - pace)
    for side, cycle in (("left", phase), ("right", phase + 0.5)):
        swing = np.maximum(curves.wave(cycle - 0.78), 0) ** 2
        angles[f"{side}_hip_flexion"] = angles[f"{side}_hip_flexion"] + lift * swing
        angles[f"{side}_knee_flexion"] = angles[f"{side}_knee_flexion"] + 2 * lift * swing
        angles[f"{side}_ankle_dorsiflexion"] = (
            min(pace, 1.0) * angles[f"{side}_ankle_dorsiflexion"] + lift * swing
        )
    return Movement(angles, heading=yaw_rate * scene.t, planted=FOOT_FREE)


def run(rng: np.random.Generator, scene: Scene) -> Movement:
    """Run at 2 to 4 m/s, with a flight in every step."""
    effort = np.sqrt(rng.uniform(2.0, 4.0) / 3.0)
    frequency = rng.uniform(1.3, 1.4) * effort**0.5
    size = 0.95 * effort * curves.cycle_amplitude(rng, scene.t, frequency)
    phase = curves.cycle_phase(rng, scene.t, frequency)
    angles = gait.legs(gait.RUN, phase, size)
    angles |= gait.arm_swing(angles, swing=0.75, elbow=rng.uniform(80, 95), elbow_swing=0.25)
    angles |= {
        "pelvis_pitch": angles["pelvis_pitch"] + 3,
        "trunk_flexion": rng.uniform(4, 9),
        "left_shoulder_abduction": 16,
        "right_shoulder_abduction": 16,
        "left_shoulder_rotation": 25,
        "right_shoulder_rotation": 25,
    }
    airborne = np.mod(phase, 0.5) > gait.RUN.toe_off
    yaw_rate = rng.normal(0, 8)
    return Movement(angles, yaw_rate * scene.t, airborne, FOOT_FREE)


def sidestep(rng: np.random.Generator, scene: Scene) -> Movement:
    """Steps to the left: the left leg opens, the right one closes."""
    frequency = rng.uniform(0.7, 1.1) * scene.tempo
    phase = np.mod(curves.cycle_phase(rng, scene.t, frequency, start=0.0), 1.0)
    reach = rng.uniform(14, 22) * scene.amplitude
    opening = curves.minimum_jerk(phase / 0.5)
    closing = curves.minimum_jerk((phase - 0.5) / 0.5)
    spread = reach * (opening - closing)
    # Squares make the foot leave and meet the ground with no speed.
    lift = {"left": np.sin(2 * np.pi * phase), "right": -np.sin(2 * np.pi * phase)}
    angles = {"trunk_flexion": 5, "trunk_lateral": rng.uniform(0, 6) * lift["left"]}
    for side, height in lift.items():
        swing = np.maximum(height, 0) ** 2
        angles |= {
            f"{side}_hip_abduction": spread - 2,
            f"{side}_hip_flexion": 12 + 12 * swing,
            f"{side}_knee_flexion": 22 + 24 * swing,
            f"{side}_shoulder_abduction": 14 + 0.6 * spread,
            f"{side}_elbow_flexion": 30,
        }
    return Movement(angles)


ACTIONS = (
    Action("walk", walk, shortest=1.2),
    Action("run", run, shortest=1.0),
    Action("turn", turn, shortest=1.2),
    Action("sidestep", sidestep, shortest=1.4),
)
