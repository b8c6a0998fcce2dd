"""Which token stands where: the sequences of the paper's equations 1 and 2 as data.

    V2M    [T1] video [STG] | motion
    I2VM   [T2] image [STG] | video and motion, interleaved

Left of the bar is the condition, which attends to all of itself; right of it the target, predicted
token by token. The image is the video's first latent frame, so both tasks hold the same tokens:
for 65 frames of 512x512 pixels and 36 motion tokens a frame, 9216 + 2340 + 2 = 11558 (table 4).

A `Schedule` says for every position which modality stands there, which of its tokens, and at which
coordinates; embedding tables, positions, heads, losses and the sampler all index it.
"""

import dataclasses
import functools
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from model.video_tokens import codec

SPECIAL, VISUAL, MOTION = 0, 1, 2
MODALITIES = {"special": SPECIAL, "visual": VISUAL, "motion": MOTION}
SPECIAL_TOKENS = ("T1", "T2", "STG")  # ids 0, 1, 2 of the special embedding rows
TASKS = ("v2m", "i2vm")
VIDEO_ALONE = "i2v"  # the task of the baseline, Cosmos
Layout = Literal["video-first", "pose-first"]
LAYOUTS: tuple[str, ...] = Layout.__args__
_COLUMNS = ("modality", "index", "t", "h", "w")  # of a schedule, a number for each position
_Run = tuple[int, int, int]  # modality; first special token, latent or motion frame; end
_T1, _T2, _STG = ((SPECIAL, token, token + 1) for token in range(3))


@dataclass(frozen=True, eq=False)
class Schedule:
    """The order of one task's sequence, S positions.

    Attributes:
        task: ``v2m``, ``i2vm`` or ``i2v``.
        latent_shape: (t, h, w) of the video's tokens.
        num_frames: T frames of video and motion.
        tokens_per_frame: k motion tokens stand for a frame; 0 in a sequence without motion.
        modality: (S,) int8, `SPECIAL`, `VISUAL` or `MOTION`.
        index: (S,) int64, the token's place among those of its modality: the video's tokens in the
            order t, h, w; the motion's frame by frame; `SPECIAL_TOKENS`.
        t: (S,) int64, latent frame; motion tokens stand at the latent frame that shows their frame.
        h: (S,) int64, row; motion tokens use the rows below the picture, one for each of the eight
            frames of a latent frame.
        w: (S,) int64, column; of a motion token, its number within the frame.
        prefix: P positions are the condition.
        causal: no position of the condition sees a later one, as in Cosmos.

    Raises:
        ValueError: no target, or no condition.
    """

    task: str
    latent_shape: tuple[int, int, int]
    num_frames: int
    tokens_per_frame: int
    modality: np.ndarray
    index: np.ndarray
    t: np.ndarray
    h: np.ndarray
    w: np.ndarray
    prefix: int
    causal: bool = False

    def __post_init__(self):
        if not 0 < self.prefix < len(self.modality):
            raise ValueError(
                f"a condition of {self.prefix} tokens does not fit a sequence of "
                f"{len(self.modality)}: it must leave something to predict"
            )

    def __len__(self) -> int:
        return len(self.modality)

    @property
    def bidirectional(self) -> int:
        """Positions, from the first on, that all see each other."""
        return 0 if self.causal else self.prefix

    @property
    def num_visual(self) -> int:
        """Tokens of the whole video, condition included."""
        return int(np.prod(self.latent_shape))

    @property
    def num_motion(self) -> int:
        """Tokens of the whole motion."""
        return self.num_frames * self.tokens_per_frame

    @cached_property
    def positions(self) -> dict[int, np.ndarray]:
        """Modality -> its positions, increasing."""
        return {m: np.flatnonzero(self.modality == m) for m in (SPECIAL, VISUAL, MOTION)}

    @cached_property
    def targets(self) -> dict[int, np.ndarray]:
        """`VISUAL`, `MOTION` -> their positions among the targets, increasing."""
        return {m: p[p >= self.prefix] for m, p in self.positions.items() if m != SPECIAL}

    def assemble(self, visual: np.ndarray, motion: np.ndarray) -> np.ndarray:
        """Tokens of B clips in the order of the sequence; ids count within their modality.

        Args:
            visual: (B, t, h, w) or (B, t h w) ids. For generation only those of the condition
                matter.
            motion: (B, T k) ids.

        Returns:
            (B, S) int64.

        Raises:
            ValueError: other shapes.
        """
        visual, motion = np.asarray(visual), np.asarray(motion)
        if visual.shape[1:] == self.latent_shape:
            visual = visual.reshape(len(visual), self.num_visual)
        for name, found, wanted in (
            ("visual", visual, self.num_visual),
            ("motion", motion, self.num_motion),
        ):
            if found.shape != (len(visual), wanted):
                raise ValueError(
                    f"{name} tokens have shape {found.shape}, the sequence wants "
                    f"({len(visual)}, {wanted})"
                )
        tokens = np.empty((len(visual), len(self)), np.int64)
        parts = {SPECIAL: np.arange(len(SPECIAL_TOKENS))[None], VISUAL: visual, MOTION: motion}
        for modality, positions in self.positions.items():
            tokens[:, positions] = parts[modality][:, self.index[positions]]
        return tokens

    def take_apart(self, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Inverse of `assemble`: (B, S) tokens to visual (B, t, h, w) and motion (B, T k) ids."""
        tokens = np.asarray(tokens)
        visual = np.empty((len(tokens), self.num_visual), np.int64)
        motion = np.empty((len(tokens), self.num_motion), np.int64)
        for modality, ids in ((VISUAL, visual), (MOTION, motion)):
            positions = self.positions[modality]
            ids[:, self.index[positions]] = tokens[:, positions]
        return visual.reshape(-1, *self.latent_shape), motion


@functools.cache
def v2m(
    num_frames: int = 65, height: int = 512, width: int = 512, tokens_per_frame: int = 36
) -> Schedule:
    """Return the video-to-motion sequence, ``[T1] video [STG] motion`` (equation 1).

    Args:
        num_frames: 1 + 8 n.
        height: pixels, a multiple of 16.
        width: pixels, a multiple of 16.
        tokens_per_frame: k.

    Raises:
        ValueError: sizes that the video tokenizer has no tokens for.
    """
    shape = codec.latent_shape(num_frames, height, width)
    _require_motion(tokens_per_frame)
    condition = [_T1, (VISUAL, 0, shape[0]), _STG]
    return _schedule("v2m", shape, tokens_per_frame, condition, [(MOTION, 0, num_frames)])


@functools.cache
def i2vm(
    num_frames: int = 65,
    height: int = 512,
    width: int = 512,
    tokens_per_frame: int = 36,
    *,
    layout: Layout = "video-first",
) -> Schedule:
    """The image-to-video-and-motion sequence, ``[T2] image [STG]`` and the target (equation 2).

    The image is latent frame 0. Equation 2 leaves the grain of the interleaving open; with V_i the
    tokens of latent frame i and M_i those of its frames (M_0 of the image):

    * ``video-first`` (default, the paper's order): V_1 M_0 M_1, V_2 M_2, V_3 M_3, ...
    * ``pose-first``: M_0, V_1 M_1, V_2 M_2, ...

    Args:
        num_frames: 1 + 8 n, n at least 1.
        height: pixels, a multiple of 16.
        width: pixels, a multiple of 16.
        tokens_per_frame: k.
        layout: as above.

    Raises:
        ValueError: sizes that the video tokenizer has no tokens for, a single frame, or an unknown
            layout.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"unknown layout {layout!r}: choose {', '.join(LAYOUTS)}")
    _require_motion(tokens_per_frame)
    target = [(MOTION, 0, 1)] if layout == "pose-first" else []
    first = len(target)
    for latent, end in enumerate(range(9, num_frames + 1, 8), 1):
        target += [(VISUAL, latent, latent + 1), (MOTION, first, end)]
        first = end
    return _after_image("i2vm", num_frames, height, width, tokens_per_frame, target)


@functools.cache
def i2v(num_frames: int = 65, height: int = 512, width: int = 512) -> Schedule:
    """Video alone after its first picture, ``[T2] image [STG] video``: the baseline's sequence.

    Arguments and errors as for `i2vm`.
    """
    target = [(VISUAL, 1, 1 + (num_frames - 1) // 8)]
    return _after_image(VIDEO_ALONE, num_frames, height, width, 0, target)


@functools.cache
def released_i2v(num_frames: int = 65, height: int = 512, width: int = 512) -> Schedule:
    """Video alone as Cosmos was trained on it: ``image video``, no special tokens, all causal.

    Arguments and errors as for `i2vm`.
    """
    whole = i2v(num_frames, height, width)
    own = {name: getattr(whole, name)[whole.modality == VISUAL] for name in _COLUMNS}
    prefix = whole.prefix - int((whole.modality[: whole.prefix] == SPECIAL).sum())
    return dataclasses.replace(whole, **own, prefix=prefix, causal=True)


def _require_motion(tokens_per_frame: int) -> None:
    if tokens_per_frame < 1:
        raise ValueError(f"tokens_per_frame must be at least 1, got {tokens_per_frame}")


def _after_image(
    task: str, num_frames: int, height: int, width: int, tokens_per_frame: int, target: list[_Run]
) -> Schedule:
    shape = codec.latent_shape(num_frames, height, width)
    if shape[0] < 2:
        raise ValueError(f"one frame leaves no video to generate: {task} needs at least 9 frames")
    return _schedule(task, shape, tokens_per_frame, [_T2, (VISUAL, 0, 1), _STG], target)


def _schedule(
    task: str,
    shape: tuple[int, int, int],
    tokens_per_frame: int,
    condition: list[_Run],
    target: list[_Run],
) -> Schedule:
    size = {SPECIAL: 1, VISUAL: shape[1] * shape[2], MOTION: tokens_per_frame}
    runs = [(m, np.arange(first * size[m], end * size[m])) for m, first, end in condition + target]
    modality = np.repeat([m for m, _ in runs], [len(tokens) for _, tokens in runs])
    index = np.concatenate([tokens for _, tokens in runs])
    t, h, w = np.zeros((3, len(index)), np.int64)
    seen = modality == VISUAL
    t[seen], h[seen], w[seen] = np.unravel_index(index[seen], shape)
    moved = modality == MOTION
    frame, w[moved] = np.divmod(index[moved], max(1, tokens_per_frame))
    t[moved] = (frame + 7) // 8  # latent 0 shows frame 0, latent i frames 8i - 7 .. 8i
    h[moved] = shape[1] + (frame + 7) % 8 * (frame > 0)
    return Schedule(
        task=task,
        latent_shape=shape,
        num_frames=codec.num_frames(shape[0]),
        tokens_per_frame=tokens_per_frame,
        modality=modality.astype(np.int8),
        index=index,
        t=t,
        h=h,
        w=w,
        prefix=sum((end - first) * size[m] for m, first, end in condition),
    )
