"""One person's motion: actions in a row, blended, with a personal posture and involuntary noise."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from datasets.adapters.procedural import (
    anatomy,
    arms,
    curves,
    dance,
    ground,
    kinematics,
    locomotion,
    sport,
    whole_body,
)
from datasets.adapters.procedural.movement import Action, Movement, Scene
from datasets.motion import JOINTS, Motion
from datasets.rotation import matrix_to_axis_angle, slerp

if TYPE_CHECKING:
    from datasets.bodies.smplx import BodyModel

ACTIONS = {
    action.name: action
    for family in (whole_body, locomotion, arms, sport, dance)
    for action in family.ACTIONS
}
# +1 for angles of the left side, -1 for those of the right, 0 for the midline.
_SIDE = np.array(
    [name.startswith("left_") * 1.0 - name.startswith("right_") for name in anatomy.ANGLES]
)
_LEGS = np.array(
    [any(part in name for part in ("pelvis", "hip", "knee")) for name in anatomy.ANGLES]
)
BLEND = (0.4, 0.8)  # seconds
GAZE = {"head_axial": 18.0, "head_flexion": 18.0}  # degrees, sd of where people look
HEAD_LEADS = 0.25  # seconds by which the head turns before the body


@dataclass(frozen=True)
class Person:
    """The traits of one person that stay the same through a sequence."""

    tempo: float  # factor on speeds and frequencies
    amplitude: float  # factor on the size of movements
    habit: np.ndarray  # (A,) degrees added to every angle: the person's posture
    asymmetry: np.ndarray  # (A,) share added to every angle: one side moves 2 to 5 % more
    restlessness: float  # factor on the involuntary movement

    @classmethod
    def sample(cls, rng: np.random.Generator) -> "Person":
        """Return a random person."""
        stronger = rng.choice([-1, 1]) * rng.uniform(0.01, 0.025)
        return cls(
            tempo=rng.uniform(0.88, 1.12),
            amplitude=rng.uniform(0.8, 1.2),
            habit=anatomy.HABIT * np.clip(rng.standard_normal(len(anatomy.ANGLES)), -2, 2),
            asymmetry=stronger * _SIDE,
            restlessness=rng.uniform(0.6, 1.2),
        )


def sample_actions(rng: np.random.Generator, lead: Action, duration: float) -> list[Action]:
    """`lead` and up to two others in random order, as many as fit into `duration` seconds.

    At most one of them is an edge action, and it comes first or last.
    """
    count = rng.choice([1, 2, 3], p=[0.3, 0.45, 0.25])
    chosen = [lead]
    for name in rng.permutation(list(ACTIONS)):
        other = ACTIONS[name]
        needed = sum(action.shortest for action in [*chosen, other])
        another_edge = other.edge and any(action.edge for action in chosen)
        if len(chosen) < count and other not in chosen and needed <= duration and not another_edge:
            chosen.append(other)
    chosen = [chosen[i] for i in rng.permutation(len(chosen))]
    return sorted(chosen, key=lambda action: action.edge, reverse=rng.uniform() < 0.5)


def perform(
    rng: np.random.Generator,
    actions: list[Action],
    person: Person,
    body: "BodyModel",
    betas: np.ndarray,
    frames: int,
    fps: float,
) -> Motion:
    """The world motion (y up, ground at y = 0) of a person who does `actions` one after another.

    Args:
        rng: source of randomness.
        actions: what to do; an action with `Action.edge` stands first or last.
        person: who does it.
        body: the body that touches the ground.
        betas: (10,) shape.
        frames: length.
        fps: frames per second.
    """
    noise = curves.smooth_noise(
        rng,
        np.arange(frames) / fps,
        rng.uniform(0.3, 1.0, len(anatomy.ANGLES)),
        len(anatomy.ANGLES),
    )
    noise = noise * anatomy.RESTLESS * person.restlessness
    for name, spread in GAZE.items():
        noise[:, anatomy.INDEX[name]] += spread * _glances(rng, frames, fps)
    rotations, airborne, changing = None, np.zeros(frames, bool), np.zeros(frames)
    heading_at = rng.uniform(0, 360)
    for place, action, (start, end, overlap) in _schedule(rng, actions, frames, fps):
        scene = Scene(np.arange(end - start) / fps, place, person.tempo, person.amplitude)
        movement = action.perform(rng, scene)
        if rng.uniform() < 0.5:
            movement = movement.mirrored()
        heading = heading_at + np.broadcast_to(movement.heading, end - start)
        part = _rotations(movement, heading, person, noise[start:end], body.parents, fps)
        flying = np.broadcast_to(movement.airborne, end - start)
        if rotations is None:
            rotations, airborne[:end] = part, flying
        else:
            weight = curves.minimum_jerk(np.arange(1, overlap + 1) / (overlap + 1))
            # The action that weighs more decides whether the person flies.
            flying = np.where(np.arange(end - start) < overlap / 2, airborne[start:end], flying)
            airborne[start:end] = flying
            changing[start : start + overlap] = np.sin(np.pi * weight)
            weight = np.repeat(weight[:, None], len(JOINTS), axis=1)
            blended = slerp(rotations[-overlap:], part[:overlap], weight)
            rotations = np.concatenate([rotations[:-overlap], blended, part[overlap:]])
        heading_at = heading[-1]

    rest = body.rest_joints(betas)[: len(JOINTS)].astype(np.float64)
    points = ground.contact_points(body, betas, rest)
    transl = ground.place(
        rotations, rest, body.parents, points, airborne=airborne, changing=changing, fps=fps
    )
    transl[:, [0, 2]] += rng.uniform(-1, 1, 2)
    return Motion(
        body_pose=matrix_to_axis_angle(rotations[:, 1:]).reshape(frames, -1),
        global_orient=matrix_to_axis_angle(rotations[:, 0]),
        betas=betas,
        transl=transl,
        fps=fps,
        space="world",
    )


def _schedule(
    rng: np.random.Generator, actions: list[Action], frames: int, fps: float
) -> list[tuple[str, Action, tuple[int, int, int]]]:
    """(place, action, (first frame, end, frames shared with the one before)) of each action."""
    count = len(actions)
    overlaps = [0, *np.round(rng.uniform(*BLEND, count - 1) * fps).astype(int)]
    shortest = np.array([action.shortest for action in actions])
    # The time left over is shared out at random; a blend counts for both of its actions.
    spare = frames + sum(overlaps) - shortest.sum() * fps
    lengths = shortest * fps + spare * rng.dirichlet(np.full(count, 3.0))
    ends = np.round(np.cumsum(lengths - overlaps)).astype(int)
    starts = [0, *(ends[:-1] - overlaps[1:])]
    places = ["first", *["middle"] * (count - 2), "last"] if count > 1 else ["alone"]
    return list(zip(places, actions, zip(starts, ends, overlaps, strict=True), strict=True))


def _glances(rng: np.random.Generator, frames: int, fps: float) -> np.ndarray:
    """(T,) unit-variance targets of the gaze, each held for a while."""
    count = 2 + int(frames / fps)
    turn_and_hold = rng.uniform([0.4, 0.4], [0.9, 1.6], (count, 2))
    times = np.cumsum(turn_and_hold) - 0.8  # arrive, leave, arrive, leave, ...
    targets = np.repeat(np.clip(rng.standard_normal(count), -2, 2), 2)
    return curves.key_frames(np.arange(frames) / fps, list(times), list(targets))


def _rotations(
    movement: Movement,
    heading: np.ndarray,
    person: Person,
    noise: np.ndarray,
    parents: np.ndarray,
    fps: float,
) -> np.ndarray:
    """(T, 22, 3, 3) local rotations of one action as this person does it."""
    frames = len(heading)
    angles = anatomy.to_array(movement.angles, frames)
    planted = {
        side: np.broadcast_to(np.asarray(movement.planted[side], float), frames)
        for side in anatomy.SIDES
    }
    # On both feet the legs are a closed chain: what one does alone would make a foot slide.
    alone = 1 - 0.9 * _LEGS * (planted["left"] * planted["right"])[:, None]
    larger = person.asymmetry * (angles - anatomy.EASE)
    angles += person.habit + alone * (noise + larger)
    frame = np.arange(frames)
    ahead = np.interp(frame + HEAD_LEADS * fps, frame, heading) - heading
    angles[:, anatomy.INDEX["head_axial"]] += np.clip(ahead, -40, 40)
    rotations = anatomy.to_rotations(anatomy.clip(angles), heading)
    return kinematics.flatten_soles(rotations, planted, parents)
