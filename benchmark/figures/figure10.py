"""Figure 10: video and motion longer than the model's clips, one piece after the other."""

from collections.abc import Sequence

from benchmark.api.figure import FigureSpec, Picture, SystemOutput
from benchmark.tables import table2

FRAMES = 121
_SHOWN = range(0, FRAMES, 10)
_CLIPS = 2


def continued(pipeline, pictures, seeds: Sequence[int], frames: int = FRAMES):
    """Videos and motions of any length: each piece begins with the last picture of the one before.

    Args:
        pipeline: the model and its tokenizers, T frames a piece.
        pictures: (N, H, W, 3) uint8, the first ones.
        seeds: N; piece i is drawn with seed + i.
        frames: of the result.

    Returns:
        Videos (N, frames, H, W, 3) uint8; motions (N, frames, 79) in camera space; and (N, pieces -
        1) by how much the body differs in the picture that two pieces share, mean over the 22
        joints, mm.
    """
    import numpy as np

    from datasets.bodies.smplx import load_body
    from model.generate.long_video import join_motions

    length = pipeline.model.config.num_frames
    videos, parts = [], []
    for number in range(-(-(frames - 1) // (length - 1))):
        visual, channels = pipeline.i2vm(pictures, [seed + number for seed in seeds])
        piece = np.stack([pipeline.codec.decode(tokens) for tokens in visual])
        videos.append(piece[:, 1:] if number else piece)
        parts.append(channels)
        pictures = piece[:, -1]
    parts = np.stack(parts, axis=1)
    starts = [number * (length - 1) for number in range(parts.shape[1])]
    motions = np.stack([join_motions(own, starts) for own in parts])
    joints = load_body().joints
    apart = joints(parts[:, :-1, -1:]) - joints(parts[:, 1:, :1])
    jumps = 1000 * np.linalg.norm(apart, axis=-1).mean(axis=(-1, -2))
    return np.concatenate(videos, axis=1)[:, :frames], motions[:, :frames], jumps


def _draw(drawn: Sequence[SystemOutput]) -> Picture:
    from benchmark.figures.drawing.bodies import View, enlarged, evenly_spaced
    from benchmark.figures.drawing.strips import Block, Line, colours, lay_out
    from benchmark.methods import transformers

    one, *_ = drawn
    done = [row for row, name in enumerate(one.test_ids) if name not in one.prediction.failed]
    rows = evenly_spaced(done, _CLIPS)
    pipeline = transformers.load(one.weights, one.device)
    clips = one.clips[rows]
    videos, motions, jumps = continued(
        pipeline,
        transformers.first_pictures(clips)[0],
        transformers.clip_seeds(clips.ids, one.seed),
    )
    colour, length = colours(drawn)[one.label], pipeline.model.config.num_frames
    blocks = []
    for place, row in enumerate(rows):
        lines = [
            Line(one.label, enlarged(videos[place][list(_SHOWN)]), colour),
            Line("", View.of(one, row).alone(motions[place], list(_SHOWN), colour)),
        ]
        title = f"{clips.ids[place].partition('/')[2]}, in pieces of {length} frames"
        blocks.append(Block(title, list(_SHOWN), lines))
    return Picture(
        figure=lay_out(blocks, across=1),
        caption=f"{FRAMES} frames of a model that was trained on {length}, from the first picture "
        "of a test clip: each piece begins with the last picture of the one before, and knows "
        "nothing else of it. Where two meet, the bodies made for the picture that they share lie "
        f"{jumps.mean():.0f} mm apart (mean over the joints); the motion shown passes through "
        "their middle. The test clips are evenly spaced over the test split, none chosen by eye; "
        "one sample each.",
        clips=list(clips.ids),
        values={
            "seam_mm": {name: found.tolist() for name, found in zip(clips.ids, jumps, strict=True)}
        },
    )


FIGURE = FigureSpec(
    id="figure10",
    title=f"{FRAMES} frames on the I2VM task",
    rows={"i2vm": tuple(row for row in table2.TABLE.rows if row.method == "unimo")},
    draw=_draw,
    notes=(
        f"The paper's model was run on {FRAMES} frames itself; it does not say whether it was "
        "trained on so many. Ours takes clips of one length, so its long videos are pieces.",
    ),
    takes_checkpoint=False,
)
