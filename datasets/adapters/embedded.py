"""The built-in dataset: procedural human motion filmed by a fixed camera; nothing to download.

Every sequence follows from its index alone, so any machine that asks for it gets the same one,
however many it asks for. What moves and how is in `datasets.adapters.procedural`. The motion is
synthetic: its statistics are close to those of motion capture, but it is not a substitute for it.
Its pictures are drawn when they are asked for (`datasets.rendering`).
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, ndtri

from datasets.adapters.procedural import compose
from datasets.motion import Camera, Motion
from datasets.sequence import PersonSequence, SkipLog

if TYPE_CHECKING:
    from datasets.rendering.look import Look

FPS = 30.0
SMALL = 128  # pixels; pictures up to this size are drawn fast, larger ones well
TEST_START = 100_000  # test sequences have indices of their own: more training data moves none
MARGIN = 0.15  # m around the joints that has to be in the picture: flesh, hands, the skull
FILL = 0.92  # share of the half-image that joints and margin may fill
WIDEST = 0.65  # tangent of the largest half-angle filled; who runs farther is seen from farther


@dataclass(frozen=True)
class EmbeddedDataset:
    """The built-in dataset.

    Attributes:
        num_train: number of training sequences.
        num_test: number of test sequences.
        num_frames: frames of a sequence, at 30 fps.
        image_size: width and height of the pictures in pixels. Small ones are best asked for:
            at 64 pixels, drawing takes a thirtieth of the time it takes at 512.
    """

    num_train: int = 400
    num_test: int = 60
    num_frames: int = 130
    image_size: int = 512
    name: str = "embedded"
    version: int = 1
    needs_root: bool = False

    def sequences(
        self, root: Path | None = None, split: str | None = None, *, skipped: SkipLog | None = None
    ) -> Iterator[PersonSequence]:
        """Yield the sequences of ``train`` and ``test`` (or of one), in the order of their index.

        `root` and `skipped` are not used: there is nothing to read and nothing to leave out.
        """
        for side, start, count in (
            ("train", 0, self.num_train),
            ("test", TEST_START, self.num_test),
        ):
            if split in (None, side):
                for index in range(start, start + count):
                    yield self.sequence(index)

    def sequence(self, index: int) -> PersonSequence:
        """Return the sequence of one index; test sequences are numbered from `TEST_START`."""
        from datasets.bodies.smplx import load_body  # torch is not needed to know the dataset

        rng = np.random.default_rng(index)
        body = load_body()
        # Any 16 indices in a row show every action.
        lead = list(compose.ACTIONS.values())[index % len(compose.ACTIONS)]
        actions = compose.sample_actions(rng, lead, self.num_frames / FPS)
        # N(0, 1) truncated at 2.5, by the inverse of its distribution.
        betas = ndtri(rng.uniform(ndtr(-2.5), ndtr(2.5), 10)).astype(np.float32)
        person = compose.Person.sample(rng)
        motion = compose.perform(rng, actions, person, body, betas, self.num_frames, FPS)
        view = film(rng, body.joints(motion.to_channels()).astype(np.float64), self.image_size)
        return PersonSequence(
            dataset=self.name,
            sequence=f"{'_'.join(action.name for action in actions)}-{index:04d}",
            frame_ids=np.arange(self.num_frames),
            valid=np.ones(self.num_frames, bool),
            fps=FPS,
            camera="0",
            split="test" if index >= TEST_START else "train",
            view=view,
            camera_motion=seen_from(view, motion, body.rest_joints(betas)[0]),
            world_motion=motion,
            source=DrawnFrames(self.image_size, index, functools.partial(self._scene, index)),
        )

    def _scene(self, index: int) -> "tuple[PersonSequence, Look]":
        """Return a sequence and what the person looks like, which is apart from the motion."""
        from datasets.rendering.look import Look

        return self.sequence(index), Look.sample(np.random.default_rng([index, 1]))


@dataclass(frozen=True)
class DrawnFrames:
    """The square pictures of a sequence, drawn when asked for: a `datasets.sequence.FrameSource`.

    Attributes:
        width: pixels.
        index: of the sequence.
        scene: returns the sequence and the look of its person.
    """

    width: int
    index: int
    scene: "Callable[[], tuple[PersonSequence, Look]]"

    @property
    def height(self) -> int:
        """Pixels."""
        return self.width

    def frames(self, rows: Sequence[int]) -> Iterator[np.ndarray]:
        """Yield the pictures of some rows, uint8 (height, width, 3) RGB, the same in every run."""
        from datasets.rendering import draw
        from datasets.rendering.painter import render_small

        sequence, look = self.scene()
        rows = np.asarray(rows)
        channels, view = sequence.camera_motion.to_channels()[rows], sequence.view[rows]
        if view.width <= SMALL:
            yield from render_small(channels, view, look, size=view.width)
        else:
            yield from draw(channels, view, look=look)

    def paths(self, rows: Sequence[int]) -> list[Path]:
        """Return no file: there is none."""
        return []


def seen_from(view: Camera, motion: Motion, pelvis_rest: np.ndarray) -> Motion:
    """A world motion of a person whose rest pelvis is at (3,) `pelvis_rest`, in camera space."""
    return motion.transformed(view.T_w2c, pelvis_rest, space="camera")


def film(
    rng: np.random.Generator, joints: np.ndarray, size: int, *, lens: float | None = None
) -> Camera:
    """A fixed camera somewhere around the person that keeps all joints (T, 22, 3) in the picture.

    Heading anywhere, slightly above or below the horizontal. The person fills the picture: seen
    from 3.2 to 4.5 m away, or farther where the motion covers more ground, through the focal length
    that does so; or through a given lens, from the distance that does so.

    Args:
        rng: source of randomness.
        joints: (T, 22, 3) metres, world.
        size: width and height of the pictures in pixels.
        lens: focal length in picture sizes; None for a fitting one.
    """
    points = joints.reshape(-1, 3)
    centre = (points.min(axis=0) + points.max(axis=0)) / 2
    yaw, pitch, roll = rng.uniform(0, 2 * np.pi), rng.uniform(-0.1, 0.25), rng.normal(0, 0.02)
    distance = rng.uniform(3.2, 4.5)
    # Near enough to the ground for a person who lies there, the camera must still be above it.
    pitch = max(pitch, np.arcsin(min((0.3 - centre[1]) / distance, 0.5)))
    rotation = (
        _about("z", roll) @ _about("x", pitch) @ np.diag([1.0, -1.0, -1.0]) @ _about("y", yaw)
    )
    turned = (points - centre) @ rotation.T
    across = np.abs(turned[:, :2]).max(axis=1) + MARGIN
    if lens is None:
        reach = WIDEST
    else:
        reach, distance = FILL / 2 / lens, 0.0
    distance = max(
        distance, np.max(across / reach - turned[:, 2]) + MARGIN, 1.5 - turned[:, 2].min()
    )
    seen = turned + [0, 0, distance]
    extent = np.max(across / (seen[:, 2] - MARGIN))
    focal = FILL * size / 2 / extent if lens is None else lens * size
    K = np.array([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]])
    T_w2c = np.eye(4)
    T_w2c[:3, :3], T_w2c[:3, 3] = rotation, [0, 0, distance] - rotation @ centre
    frames = (len(joints), 1, 1)
    return Camera(np.tile(K, frames), np.tile(T_w2c, frames), size, size)


def _about(axis: str, angle: float) -> np.ndarray:
    """(3, 3) right-handed rotation by `angle` radians about a coordinate axis."""
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.eye(3)
    matrix[[i, j], [i, j]] = np.cos(angle)
    matrix[j, i], matrix[i, j] = np.sin(angle), -np.sin(angle)
    return matrix


DATASET = EmbeddedDataset()
