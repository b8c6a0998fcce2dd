"""Which latents the diffusion decoder sees at once, and which of its frames are kept.

It was trained on 8 latents (57 frames) and has no windows of its own for UniMo's lengths: the
released splitting (steps of 6, the last window filled up by reflection) fails for 9 and 16 latents,
and its blending takes an overlap of latents for one of frames. The options:

    A  one window over everything: longer than in training
    B  windows of 8 latents, at least two of them shared with the window before

The first latent of a window becomes one frame, every later one eight. In B a window after the
first therefore keeps its last frames only: those of latents that no window before it has had.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.video_tokens.codec import TEMPORAL, num_frames

OPTIONS = ("A", "B")
TRAINED = 8  # latents of a window in training
_SHARED = 2  # at least; also the released splitting's


@dataclass(frozen=True)
class Window:
    """A run of latents that are decoded together.

    Attributes:
        first: latent.
        last: latent, included.
        dropped: frames at its beginning that the window before has.
    """

    first: int
    last: int
    dropped: int

    @property
    def latents(self) -> slice:
        """Its latents, in the whole video's."""
        return slice(self.first, self.last + 1)

    @property
    def num_frames(self) -> int:
        """Frames that it decodes to."""
        return num_frames(self.last + 1 - self.first)

    @property
    def kept(self) -> slice:
        """The frames kept, in its own."""
        return slice(self.dropped, self.num_frames)


def split(num_latents: int, option: str) -> list[Window]:
    """Windows that have every frame of a video once, in order.

    In B the latents after the first window are shared out evenly: 9 latents are 0-7 and 1-8, of
    which the last 8 frames are kept; 16 are 0-7, 4-11 and 8-15, of which 32 are.

    Args:
        num_latents: of the video, at least 1.
        option: A or B, see above.

    Raises:
        ValueError: no latents, or another option.
    """
    if num_latents < 1:
        raise ValueError(f"a video has at least one latent, got {num_latents}")
    if option not in OPTIONS:
        raise ValueError(f"windows are one of {', '.join(OPTIONS)}, got {option!r}")
    length = min(num_latents, TRAINED) if option == "B" else num_latents
    windows = [Window(0, length - 1, 0)]
    left = num_latents - length
    count = -(-left // (TRAINED - _SHARED))  # rounded up
    ends = [length + left * i // count for i in range(count + 1)] if count else []
    for before, end in itertools.pairwise(ends):
        dropped = num_frames(TRAINED) - TEMPORAL * (end - before)
        windows.append(Window(end - TRAINED, end - 1, dropped))
    return windows


def join(windows: Sequence[Window], decoded: Sequence[np.ndarray]) -> np.ndarray:
    """Return the whole video from the frames (T_i, H, W, 3) of every window.

    Raises:
        ValueError: a window has another number of frames than its latents make.
    """
    for window, frames in zip(windows, decoded, strict=True):
        if len(frames) != window.num_frames:
            raise ValueError(
                f"latents {window.first} to {window.last} make {window.num_frames} frames, "
                f"got {len(frames)}"
            )
    return np.concatenate(
        [frames[window.kept] for window, frames in zip(windows, decoded, strict=True)]
    )
