"""Actions of the whole body in place: stand, squat, jump, sit, lie."""

import numpy as np

from datasets.adapters.procedural import curves
from datasets.adapters.procedural.anatomy import SIDES
from datasets.adapters.procedural.ground import GRAVITY
from datasets.adapters.procedural.movement import Action, Movement, Scene


def both(angles: dict[str, np.ndarray | float]) -> dict[str, np.ndarray | float]:
    """Return the same angles on both sides."""
    return {f"{side}_{name}": value for side in SIDES for name, value in angles.items()}


def stand(rng: np.random.Generator, scene: Scene) -> Movement:
    """Quiet standing: sway of about half a centimetre below 1 Hz, breathing, looking around."""
    fore, aside, look = curves.smooth_noise(rng, scene.t, 1.0, 3).T
    # Sway turns the whole leg about the ankle: 0.35 deg are 5 mm at the pelvis.
    fore, aside = 0.35 * fore, 0.35 * aside
    breath = np.sin(2 * np.pi * (0.25 * scene.tempo * scene.t + rng.uniform()))
    weight = rng.uniform(-3, 3)  # degrees both legs lean to the preferred foot
    lean, width = aside + weight, rng.uniform(-2, 12)
    return Movement(
        {
            "left_hip_flexion": 4 - fore,
            "right_hip_flexion": 4 - fore,
            "left_hip_abduction": width - lean,
            "right_hip_abduction": width + lean,
            "trunk_flexion": 2 + 1.5 * breath,
            "trunk_lateral": -0.6 * weight,
            "head_axial": 12 * scene.amplitude * look,
        }
        | both({"shoulder_abduction": 11 + 0.7 * breath, "elbow_flexion": rng.uniform(10, 35)})
    )


def squat(rng: np.random.Generator, scene: Scene) -> Movement:
    """Repeated squats at 0.3 to 0.6 Hz, arms coming forward for balance."""
    frequency = np.clip(rng.uniform(0.3, 0.6) * scene.tempo, 0.9 / scene.duration, 0.7)
    phase = curves.cycle_phase(rng, scene.t, frequency, start=0.0)
    depth = (1 - curves.wave(phase)) / 2 * curves.cycle_amplitude(rng, scene.t, frequency)
    hip, knee, ankle = rng.uniform(95, 112), rng.uniform(110, 130), rng.uniform(25, 32)
    trunk = rng.uniform(20, 40)
    # A sole flat on the ground ties the four angles: pitch = hip - knee + ankle.
    pitch = hip - knee + ankle
    arms = rng.uniform(30, 85)
    return Movement(
        {"pelvis_pitch": pitch * depth, "trunk_flexion": 2 + (trunk - pitch) * depth}
        | {"head_flexion": 3 - 0.5 * trunk * depth}
        | both(
            {
                "hip_flexion": 4 + (hip - 4) * depth,
                "hip_abduction": 2 + rng.uniform(6, 14) * depth,
                "hip_rotation": 8 + rng.uniform(4, 12) * depth,
                "knee_flexion": 6 + (knee - 6) * depth,
                "shoulder_flexion": 4 + arms * depth,
                "elbow_flexion": 20 + rng.uniform(0, 50) * depth,
            }
        )
    )


def jump(rng: np.random.Generator, scene: Scene) -> Movement:
    """Vertical jumps of 15 to 40 cm: crouch, take-off, ballistic flight, soft landing."""
    height = min(0.40, rng.uniform(0.15, 0.40) * scene.amplitude)
    flight = np.sqrt(8 * height / GRAVITY)
    crouch_time, push, land = rng.uniform(0.3, 0.5), 0.24, rng.uniform(0.2, 0.3)
    cycle = crouch_time + push + flight + land + rng.uniform(0.45, 0.7)
    t = np.mod(scene.t + rng.uniform(-0.1, 0.0) + cycle, cycle)
    leave = crouch_time + push
    touch = leave + flight
    # The push speeds up until take-off; the landing starts fast and is absorbed.
    pushing = np.clip((t - crouch_time) / push, 0, 1) ** 2
    sinking = np.sin(np.pi / 2 * np.clip((t - touch) / land, 0, 1))
    crouch = curves.minimum_jerk(t / crouch_time) * (1 - pushing)
    rising = 1 - curves.minimum_jerk((t - touch - land) / (cycle - touch - land))
    # Knees bend before the landing: straight legs could not give way.
    ready = curves.minimum_jerk((t - leave) / flight)
    landing = (0.3 * ready + 0.5 * sinking) * rising
    airborne = (t > leave) & (t < touch)
    tuck = np.where(airborne, np.sin(np.pi * np.clip((t - leave) / flight, 0, 1)), 0)
    knee = rng.uniform(60, 100)
    bend = crouch + landing
    off = np.clip((t - leave + 0.12) / 0.12, 0, 1) * (1 - np.clip((t - touch) / 0.08, 0, 1))
    # The arms go back while crouching and swing through the take-off.
    swung = curves.minimum_jerk((t - 0.8 * crouch_time) / (push + 0.25))
    back = curves.minimum_jerk(t / crouch_time) * (1 - swung)
    up = swung * (1 - curves.minimum_jerk((t - touch + 0.1) / (land + 0.3)))
    reach = min(130, rng.uniform(30, 120) * scene.amplitude)
    return Movement(
        {
            "pelvis_pitch": knee / 3 * bend,
            "trunk_flexion": 2 + 8 * bend,
            "head_flexion": 3 - 12 * bend,
        }
        | both(
            {
                "hip_flexion": 4 + 0.85 * knee * bend + 22 * tuck,
                "knee_flexion": 6 + knee * bend + 38 * tuck,
                "hip_abduction": 4 * bend,
                "ankle_dorsiflexion": -28 * off,
                "shoulder_flexion": 4 - 25 * back + reach * up,
                "shoulder_abduction": 12 + 10 * up,
                "elbow_flexion": 22 + 25 * up + 15 * back,
            }
        ),
        airborne=airborne,
        planted={"left": 1 - off, "right": 1 - off},
    )


def _posture_change(rng: np.random.Generator, scene: Scene, seconds: float) -> np.ndarray:
    """(T,) 0 while upright to 1 in the other posture; backwards where the action comes first."""
    seconds = min(seconds, scene.duration)
    wait = rng.uniform(0, 1) * (scene.duration - seconds)
    up_first = scene.place == "first" or (scene.place == "alone" and rng.uniform() < 0.4)
    t = scene.t[-1] - scene.t if up_first else scene.t
    return np.clip((t - wait) / seconds, 0, 1)


def sit(rng: np.random.Generator, scene: Scene) -> Movement:
    """Sitting down on a seat, or standing up from it, in 1.5 to 2.5 s."""
    down = _posture_change(rng, scene, rng.uniform(1.5, 2.5) / scene.tempo)
    seated = curves.minimum_jerk(down)
    hip, knee = rng.uniform(88, 100), rng.uniform(88, 100)
    lean = rng.uniform(35, 45) * np.sin(np.pi * seated) ** 2  # the nose goes over the toes
    ankle = 16 * np.sin(np.pi * seated) ** 2  # and the shins with it
    flexion = hip * seated + 0.6 * lean
    pitch = flexion - knee * seated + ankle
    hands = rng.uniform(25, 50)
    return Movement(
        {"pelvis_pitch": pitch, "trunk_flexion": 2 + 0.4 * lean, "head_flexion": 3 - 0.3 * lean}
        | both(
            {
                "hip_flexion": 4 + flexion,
                "hip_abduction": rng.uniform(0, 20) * seated,
                "knee_flexion": 6 + knee * seated,
                "shoulder_flexion": 2 + hands * seated + 0.4 * lean,
                "shoulder_rotation": 10 + 15 * seated,
                "elbow_flexion": 18 + rng.uniform(20, 55) * seated,
            }
        )
    )


def lie(rng: np.random.Generator, scene: Scene) -> Movement:
    """Lying down on the back through sitting on the floor, in 3 to 5 s, then rolling a little."""
    u = _posture_change(rng, scene, rng.uniform(3, 5) / scene.tempo)
    stages = [0.0, 0.38, 0.52, 0.82, 1.0]  # upright, deep squat, seated on the floor, on the back

    def through(*values: float) -> np.ndarray:
        return curves.key_frames(u, stages, list(values))

    hip = rng.uniform(0, 42)
    knee = 6 + 1.95 * hip  # thigh and shin of about the same length: the heels stay on the floor
    roll = rng.uniform(0, 75)
    arms = rng.uniform(12, 60)
    movement = Movement(
        {
            "pelvis_pitch": through(0, 22, -25, -90, -90),
            "pelvis_axial": through(0, 0, 0, 0, roll),
            "trunk_flexion": through(2, 38, 40, 4, 6),
            "trunk_axial": through(0, 0, 0, 0, 0.2 * roll),
            "head_flexion": through(3, -10, 15, 6, 2),
        }
        | both(
            {
                "hip_flexion": through(4, 115, 112, hip, hip),
                "knee_flexion": through(6, 128, 90, knee, knee),
                "hip_abduction": through(0, 12, 8, *[rng.uniform(0, 20)] * 2),
                "ankle_dorsiflexion": through(0, 30, -20, -25, -20),
                "shoulder_flexion": through(2, 40, -35, -5, 0),
                "shoulder_abduction": through(11, 15, 22, arms, arms),
                "elbow_flexion": through(18, 35, 30, 25, 35),
                "wrist_flexion": through(4, -10, -65, -10, 0),  # the palms support the body
            }
        ),
        planted={side: 1 - curves.minimum_jerk((u - 0.40) / 0.12) for side in SIDES},
    )
    # The arm one rolls onto comes forward, out of the way.
    movement.angles["left_shoulder_flexion"] = through(2, 40, -35, -5, 0.9 * roll)
    movement.angles["left_shoulder_abduction"] = through(11, 15, 22, arms, 5)
    return movement


ACTIONS = (
    Action("stand", stand, shortest=0.8),
    Action("squat", squat, shortest=1.6),
    Action("jump", jump, shortest=1.5),
    Action("sit", sit, shortest=1.6, edge=True),
    Action("lie", lie, shortest=3.0, edge=True),
)
