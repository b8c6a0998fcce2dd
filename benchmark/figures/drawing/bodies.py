"""Bodies as small pictures for strips, and which clips to show them of. Heavy: imports torch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import to_rgb
from PIL import Image

from benchmark.api.errors import Unavailable
from benchmark.api.figure import SystemOutput
from benchmark.metrics.pose import pose_errors
from datasets.bodies.smplx import PELVIS_HIPS, load_body
from datasets.motion import Camera, Motion
from datasets.render import OPACITY
from datasets.rendering import draw
from datasets.rendering.look import Look
from datasets.rendering.stage import Stage
from datasets.sequence import camera_of
from datasets.store.reader import ClipStore

SIZE = 144  # pixels of a picture in a strip
TRUTH = "#C8C8C8"  # colour of true bodies
_PAPER = 244  # grey behind bodies that stand alone
_SOLID = 0.9  # opacity of a reconstruction over the true body


def clip_errors(one: SystemOutput) -> np.ndarray:
    """(N,) MPJPE of each test clip in mm, of the 22 body joints about the middle of the hips.

    NaN for clips that failed or whose true motion is in another frame of reference than the video.
    """
    motion = one.prediction.channels
    joints = load_body().joints
    truth = one.clips.channels
    errors = pose_errors(joints(motion), joints(truth), pelvis=PELVIS_HIPS)["mpjpe"].mean(axis=-1)
    for row, name in enumerate(one.test_ids):
        elsewhere = one.task != "tokenizer" and one.clips.spaces[row] != "camera"
        if name in one.prediction.failed or elsewhere:
            errors[row] = np.nan
    return errors


def at_percentiles(errors: np.ndarray, percentiles: Sequence[int]) -> list[int]:
    """Return the clips whose error has these ranks, each once; NaN has no rank.

    Raises:
        Unavailable: no clip has an error.
    """
    order = np.argsort(errors, kind="stable")[: int(np.isfinite(errors).sum())]
    if not len(order):
        raise Unavailable("no clip was done by all systems, with its true motion in the camera")
    ranks = (round(percent / 100 * (len(order) - 1)) for percent in percentiles)
    return [int(order[rank]) for rank in dict.fromkeys(ranks)]


def evenly_spaced(usable: Sequence[int], count: int) -> list[int]:
    """`count` of the clips, in the middles of equal parts of their order; all if there are fewer.

    Raises:
        Unavailable: there are none.
    """
    if not usable:
        raise Unavailable("no clip was done by all systems")
    places = ((2 * number + 1) * len(usable) // (2 * count) for number in range(count))
    return [usable[place] for place in dict.fromkeys(places)]


def times(num_frames: int, count: int) -> list[int]:
    """`count` frames from the first to the last, evenly spaced; fewer of a shorter clip."""
    spaced = np.linspace(0, num_frames - 1, count).round().astype(int)
    return list(dict.fromkeys(spaced.tolist()))


@dataclass(frozen=True, eq=False)
class View:
    """Bodies as the camera of a clip's video sees them.

    Attributes:
        camera: for pictures of `SIZE` x `SIZE`.
    """

    camera: Camera

    @classmethod
    def of(cls, one: SystemOutput, row: int) -> "View":
        """Return the camera of a test clip."""
        (clip,) = ClipStore.open(one.data.path).some([one.test_ids[row]])
        found = camera_of(clip)[0]
        K = found.K.astype(np.float64)
        K[:, :2, 2] += 0.5 if found.pixel_origin == "centre" else 0.0
        K[:, 0] *= SIZE / found.width
        K[:, 1] *= SIZE / found.height
        return cls(Camera(K, None, SIZE, SIZE))

    def over(
        self, pictures: np.ndarray, channels: np.ndarray, frames: Sequence[int], colour: str
    ) -> np.ndarray:
        """Pictures (n, SIZE, SIZE, 3) with the bodies (T, 79) of these frames over them."""
        return draw_bodies(channels[frames], self._at(frames), colour, pictures, OPACITY)

    def alone(self, channels: np.ndarray, frames: Sequence[int], colour: str) -> np.ndarray:
        """Return the bodies (T, 79) of these frames on light grey."""
        empty = np.full((len(frames), SIZE, SIZE, 3), _PAPER, np.uint8)
        return draw_bodies(channels[frames], self._at(frames), colour, empty)

    def _at(self, frames: Sequence[int]) -> Camera:
        # A motion longer than the clip is seen by the camera of its last frame.
        K = self.camera.K[np.minimum(frames, len(self.camera) - 1)]
        return Camera(K, None, SIZE, SIZE)


def on_stage(
    truth: Motion, motions: Sequence[tuple[np.ndarray, str]], frames: Sequence[int]
) -> Iterator[np.ndarray]:
    """Yield the true motion, then each other over it, on a stage without pictures.

    The camera goes along with the true motion, so that what is elsewhere is seen elsewhere.

    Args:
        truth: the true motion, T frames.
        motions: channels (T, 79) in the same frame of reference, each with its colour.
        frames: those to draw, n of them.

    Yields:
        (n, SIZE, SIZE, 3) uint8.
    """
    body = load_body()
    stage = Stage.of(truth, body, SIZE)
    view = Camera(stage.view.K[frames], None, SIZE, SIZE)
    floors = np.stack(list(stage.pictures()))[frames]

    true = stage.motion.to_channels()[frames]
    yield draw_bodies(true, view, TRUTH, floors, 1.0)
    ghosts = draw_bodies(true, view, TRUTH, floors, 0.45)
    for channels, colour in motions:
        motion = Motion.from_channels(channels, fps=truth.fps, space=truth.space)
        rest = body.rest_joints(motion.betas)[..., 0, :]
        if motion.space == "camera":
            motion = motion.transformed(np.diag([1.0, -1, -1, 1]), rest, space="world")
        motion = motion.transformed(stage.view.T_w2c, rest, space="camera")
        yield draw_bodies(motion.to_channels()[frames], view, colour, ghosts, _SOLID)


def draw_bodies(
    channels: np.ndarray, view: Camera, colour: str, background: np.ndarray, opacity: float = 1.0
) -> np.ndarray:
    """Return pictures (n, SIZE, SIZE, 3) uint8 with the bodies (n, 79) over them.

    Args:
        channels: of n frames, in the camera's space.
        view: of n frames.
        colour: of the bodies, ``#RRGGBB``.
        background: (n, SIZE, SIZE, 3) uint8.
        opacity: of the bodies.
    """
    look = Look.plain(to_rgb(colour))
    return np.stack(list(draw(channels, view, look=look, background=background, opacity=opacity)))


def enlarged(pictures: np.ndarray) -> np.ndarray:
    """Square pictures (n, h, w, 3) uint8 at the size of a strip's."""
    resized = (Image.fromarray(picture).resize((SIZE, SIZE)) for picture in pictures)
    return np.stack([np.asarray(picture) for picture in resized])
