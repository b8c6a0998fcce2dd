"""Short shots of the built-in people, each filmed anew, close, through one lens: for video models.

A sequence of `datasets.adapters.embedded` is cut into shots. Every shot has its own direction of
view, its own clothes and light, a plain background, and fills its picture, so that a small picture
and few tokens show much of the pose. The lens is the one that GVHMR assumes of a square picture
(focal length = its diagonal): with one lens for all, a motion can be drawn over a picture whose
lens nobody knows, and depth can be learned.
"""

import dataclasses
import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from datasets.adapters.embedded import DrawnFrames, EmbeddedDataset, film, seen_from
from datasets.sequence import PersonSequence, SkipLog

if TYPE_CHECKING:
    from datasets.rendering.look import Look

LENS = math.sqrt(2)  # focal length in picture sizes


@dataclass(frozen=True)
class EmbeddedShots:
    """The built-in dataset in shots.

    Attributes:
        num_train: number of training sequences.
        num_test: number of test sequences.
        shot_frames: frames of a shot, at 30 fps.
        image_size: width and height of the pictures in pixels.
    """

    num_train: int = 800
    num_test: int = 30
    shot_frames: int = 17
    image_size: int = 512
    name: str = "embedded_shots"
    version: int = 1
    needs_root: bool = False

    def sequences(
        self, root: Path | None = None, split: str | None = None, *, skipped: SkipLog | None = None
    ) -> Iterator[PersonSequence]:
        """Yield the shots of the ``train`` and ``test`` sequences (or of one split), in order.

        `root` and `skipped` are not used: there is nothing to read and nothing to leave out.
        """
        whole = EmbeddedDataset(self.num_train, self.num_test)
        for sequence in whole.sequences(root, split):
            for shot in range(len(sequence) // self.shot_frames):
                yield self.shot(sequence, shot)

    def shot(self, sequence: PersonSequence, shot: int) -> PersonSequence:
        """One shot of a sequence of `EmbeddedDataset`; shots follow each other without a gap."""
        from datasets.bodies.smplx import load_body  # torch is not needed to know the dataset

        body = load_body()
        index = sequence.source.index
        start = shot * self.shot_frames
        motion = sequence.world_motion[start : start + self.shot_frames]
        joints = body.joints(motion.to_channels()).astype(np.float64)
        view = film(np.random.default_rng([index, shot, 2]), joints, self.image_size, lens=LENS)
        pelvis_rest = body.rest_joints(motion.betas)[0]
        return dataclasses.replace(
            sequence,
            dataset=self.name,
            frame_ids=sequence.frame_ids[start : start + self.shot_frames],
            valid=sequence.valid[start : start + self.shot_frames],
            camera=str(shot),
            group=sequence.sequence,
            view=view,
            camera_motion=seen_from(view, motion, pelvis_rest),
            world_motion=motion,
            source=DrawnFrames(self.image_size, index, functools.partial(self._scene, index, shot)),
        )

    def _scene(self, index: int, shot: int) -> "tuple[PersonSequence, Look]":
        from datasets.rendering.look import Look

        look = Look.sample(np.random.default_rng([index, shot, 3]))
        plain = dataclasses.replace(look.backdrop, kind="gradient")
        sequence = self.shot(_sequence(index), shot)
        return sequence, dataclasses.replace(look, backdrop=plain)


@functools.lru_cache(maxsize=1)  # shots are drawn one after the other
def _sequence(index: int) -> PersonSequence:
    return EmbeddedDataset().sequence(index)


DATASET = EmbeddedShots()
