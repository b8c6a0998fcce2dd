"""Actions of the arms while standing: reach, wave, clap."""

import numpy as np

from datasets.adapters.procedural import curves
from datasets.adapters.procedural.movement import Action, Movement, Scene


def reach(rng: np.random.Generator, scene: Scene) -> Movement:
    """The left hand reaches for (or points at) a point around the shoulder, holds, and returns."""
    # Direction of the upper arm in the chest's frame: to the side, then up.
    azimuth, elevation = rng.uniform(0, 80), rng.uniform(-45, 65)
    side, height = np.radians(azimuth), np.radians(elevation)
    abduction = np.degrees(np.arcsin(np.sin(side) * np.cos(height)))
    flexion = np.degrees(np.arctan2(np.cos(side) * np.cos(height), -np.sin(height)))
    out, back = rng.uniform(0.6, 1.2, 2) / scene.tempo
    hold = rng.uniform(0.1, 0.5)
    times = np.cumsum([rng.uniform(0, 0.2), out, hold, back])
    times = times * min(1.0, scene.duration / times[-1])
    there = curves.key_frames(scene.t, list(times), [0, 1, 1, 0])
    on_the_way = np.sin(np.pi * there) ** 2  # the elbow bends while the hand travels
    share = rng.uniform(0.10, 0.30)
    return Movement(
        {
            "left_shoulder_flexion": 2 + (flexion - 2) * there,
            "left_shoulder_abduction": 11 + (abduction - 11) * there,
            "left_shoulder_rotation": 10 - rng.uniform(0, 20) * there,
            "left_elbow_flexion": 18 + (rng.uniform(4, 30) - 18) * there + 35 * on_the_way,
            "left_forearm_pronation": -5 + rng.uniform(-30, 50) * there,
            "left_collar_protraction": 8 * there * np.cos(side),
            "left_collar_elevation": 10 * there * max(np.sin(height), 0),
            "right_elbow_flexion": rng.uniform(10, 30),
            "trunk_axial": share * (azimuth - 60) * there,
            "trunk_flexion": 2 + share * (40 - elevation) * there,
            "head_axial": 0.5 * azimuth * there,
            "head_flexion": 3 - 0.4 * elevation * there,
        }
    )


def wave(rng: np.random.Generator, scene: Scene) -> Movement:
    """Return a wave of the left hand at 1.5 to 2.5 Hz, upper arm raised to the side, forearm up."""
    frequency = np.clip(rng.uniform(1.5, 2.5) * scene.tempo, 1.5, 2.5)
    lower = min(0.6, 0.3 * scene.duration)
    raised = curves.key_frames(
        scene.t, [0, lower, scene.duration - lower, scene.duration], [0, 1, 1, 0]
    )
    size = min(35, rng.uniform(20, 35) * scene.amplitude)
    phase = curves.cycle_phase(rng, scene.t, frequency)
    swing = size * curves.wave(phase) * curves.cycle_amplitude(rng, scene.t, frequency) * raised**2
    return Movement(
        {
            "left_shoulder_abduction": 11 + (rng.uniform(60, 110) - 11) * raised,
            "left_shoulder_flexion": 2 + rng.uniform(0, 20) * raised,
            "left_shoulder_rotation": 10 - (rng.uniform(65, 80) + 10) * raised,
            "left_elbow_flexion": 18 + (rng.uniform(70, 100) - 18) * raised + swing,
            "left_wrist_deviation": 2 + 0.3 * swing,
            "left_collar_elevation": 8 * raised,
            "trunk_lateral": -rng.uniform(0, 5) * raised + 0.05 * swing,
            "right_elbow_flexion": rng.uniform(10, 35),
            "head_axial": rng.normal(0, 10),
        }
    )


def clap(rng: np.random.Generator, scene: Scene) -> Movement:
    """Both hands clap in front of the chest at 1.5 to 2.5 Hz."""
    frequency = rng.uniform(1.5, 2.5) * scene.tempo
    rise = min(0.5, 0.25 * scene.duration)
    raised = curves.key_frames(scene.t, [0, rise], [0, 1])
    phase = curves.cycle_phase(rng, scene.t, frequency)
    apart = raised * (1 + curves.wave(phase)) / 2 * min(1.0, scene.amplitude)
    flexion, elbow = rng.uniform(35, 55), rng.uniform(75, 95)
    angles = {"trunk_flexion": 4 + 1.5 * apart, "head_flexion": rng.uniform(0, 12)}
    for side in ("left", "right"):
        angles |= {
            f"{side}_shoulder_flexion": 2 + (flexion - 2) * raised,
            f"{side}_shoulder_abduction": 11 + 7 * apart,
            f"{side}_shoulder_rotation": 10 + 38 * raised - rng.uniform(24, 34) * apart,
            f"{side}_elbow_flexion": 18 + (elbow - 18) * raised - 6 * apart,
        }
    return Movement(angles)


ACTIONS = (
    Action("reach", reach, shortest=1.2),
    Action("wave", wave, shortest=1.4),
    Action("clap", clap, shortest=1.2),
)
