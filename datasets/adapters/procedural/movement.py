"""An action: from a `Scene` (when, how fast, how large) to a `Movement`."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from datasets.adapters.procedural import anatomy


@dataclass(frozen=True)
class Scene:
    """The time an action has, and the temper of the person who does it.

    Attributes:
        t: (T,) seconds since the action starts.
        place: where the action stands in its sequence. An action that ends in another posture
            (sitting, lying) does so where it is last, and comes out of it where it is first.
        tempo: factor on frequencies and speeds, around 1.
        amplitude: factor on the size of movements, around 1.
    """

    t: np.ndarray
    place: Literal["alone", "first", "middle", "last"]
    tempo: float
    amplitude: float

    @property
    def duration(self) -> float:
        """Seconds from the first to the last frame."""
        return float(self.t[-1])


@dataclass(frozen=True)
class Movement:
    """The result of an action over T frames.

    Attributes:
        angles: name -> (T,) degrees or a number, see `anatomy`; unnamed angles are at ease.
        heading: (T,) degrees about the vertical relative to the start, positive to the left.
        airborne: (T,) bool, no part of the body touches the ground.
        planted: name of side -> (T,) or a number, 1 where the sole is kept flat on the ground
            whatever the leg does, 0 where the ankle angles hold.
    """

    angles: dict[str, np.ndarray | float]
    heading: np.ndarray | float = 0.0
    airborne: np.ndarray | bool = False
    planted: dict[str, np.ndarray | float] = field(
        default_factory=lambda: {"left": 1.0, "right": 1.0}
    )

    def mirrored(self) -> "Movement":
        """Return the same movement with left and right exchanged."""
        return Movement(
            anatomy.mirror(self.angles),
            -1.0 * np.asarray(self.heading),
            self.airborne,
            {"left": self.planted["right"], "right": self.planted["left"]},
        )


@dataclass(frozen=True)
class Action:
    """A movement that can be asked for by name.

    Attributes:
        name: one word, part of the sequence's name.
        perform: the movement for a scene; samples its parameters from the generator.
        shortest: seconds it needs to be recognisable.
        edge: whether it can only stand first or last in a sequence.
    """

    name: str
    perform: Callable[[np.random.Generator, Scene], Movement]
    shortest: float
    edge: bool = False
