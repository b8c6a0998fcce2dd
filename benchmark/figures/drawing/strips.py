"""Strips of pictures over time: rows are systems, blocks are clips. Shared by most figures."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmark.api.errors import Unavailable
from benchmark.api.figure import Picture, SystemOutput
from benchmark.figures.drawing.style import COLORS, plain

if TYPE_CHECKING:  # heavy: drawing imports them where it is done
    import numpy as np
    from matplotlib.figure import Figure

_WIDTH, _LABELS, _GAP, _HEADING = 9.0, 1.0, 0.12, 0.34  # inches
_BREAK = 0.05  # inches between systems
_OURS = "Our"  # begins the label of the row whose errors choose the clips


@dataclass(frozen=True)
class Line:
    """A row of a block.

    Attributes:
        label: at the left.
        pictures: (n, h, w, 3) uint8.
        colour: of the label.
        remark: small, in the first picture.
    """

    label: str
    pictures: "np.ndarray"
    colour: str = "#000000"
    remark: str = ""


@dataclass(frozen=True)
class Block:
    """The strips of a clip.

    Attributes:
        title: above it.
        frames: numbers above its columns, from 0.
        lines: from the top.
    """

    title: str
    frames: Sequence[int]
    lines: Sequence[Line] = field(default_factory=tuple)


def lay_out(blocks: Sequence[Block], *, across: int) -> "Figure":
    """Blocks of equal rows, `across` of them side by side."""
    import numpy as np
    from matplotlib import patheffects
    from matplotlib.figure import Figure

    cells = across * max(len(block.frames) for block in blocks)
    cell = (_WIDTH - _LABELS - _GAP * across) / cells
    heights = [
        cell + (_BREAK if line.label and number else 0.0)
        for number, line in enumerate(blocks[0].lines)
    ]
    lines = [blocks[start : start + across] for start in range(0, len(blocks), across)]
    height = len(lines) * (_HEADING + sum(heights) + _GAP)
    figure = Figure(figsize=(_WIDTH, height))
    halo = [patheffects.withStroke(linewidth=1.6, foreground="#000000")]
    for number, line in enumerate(lines):
        top = height - number * (_HEADING + sum(heights) + _GAP)
        for place, block in enumerate(line):
            wide = cell * len(block.frames)
            left = _LABELS + place * (cell * cells / across + _GAP)
            figure.text(
                left / _WIDTH,
                (top - 0.02) / height,
                plain(block.title),
                fontsize=7,
                va="top",
                fontweight="bold",
            )
            for column, frame in enumerate(block.frames):
                figure.text(
                    (left + (column + 0.5) * cell) / _WIDTH,
                    (top - _HEADING + 0.02) / height,
                    f"frame {frame}" if not column else f"{frame}",
                    fontsize=6,
                    ha="center",
                    va="bottom",
                    color="#444444",
                )
            bottom = top - _HEADING
            for tall, strip in zip(heights, block.lines, strict=True):
                bottom -= tall
                axis = figure.add_axes(
                    (left / _WIDTH, bottom / height, wide / _WIDTH, cell / height)
                )
                axis.imshow(np.concatenate(list(_framed(strip.pictures)), axis=1), aspect="auto")
                axis.axis("off")
                if strip.remark:
                    axis.text(
                        0.006,
                        0.03,
                        strip.remark,
                        transform=axis.transAxes,
                        fontsize=6,
                        color="#FFFFFF",
                        path_effects=halo,
                        va="bottom",
                    )
                if not place:
                    figure.text(
                        (_LABELS - 0.06) / _WIDTH,
                        (bottom + cell / 2) / height,
                        plain(strip.label),
                        fontsize=8,
                        ha="right",
                        va="center",
                        color=strip.colour,
                    )
    return figure


def _framed(pictures: "np.ndarray"):
    """The pictures with a white line at the right, which parts them."""
    for picture in pictures:
        picture = picture.copy()
        picture[:, -2:] = 255
        yield picture


def colours(drawn: Sequence[SystemOutput]) -> dict[str, str]:
    """A colour for each system: ours has the first, the others the next."""
    others = (one.label for one in drawn if not one.label.startswith(_OURS))
    found = dict(zip(others, COLORS[1:] * len(drawn), strict=False))
    return {one.label: found.get(one.label, COLORS[0]) for one in drawn}


def _errors(drawn: Sequence[SystemOutput]) -> "dict[str, np.ndarray]":
    """Label -> MPJPE of each test clip; NaN in all where one system lacks the clip.

    Raises:
        Unavailable: systems that were run on different clips.
    """
    import numpy as np

    from benchmark.figures.drawing.bodies import clip_errors

    if len({tuple(one.test_ids) for one in drawn}) > 1:
        raise Unavailable("the systems were not run on the same clips")
    found = {one.label: clip_errors(one) for one in drawn}
    lacking = np.isnan(list(found.values())).any(axis=0)
    return {label: np.where(lacking, np.nan, errors) for label, errors in found.items()}


def _by_rank(
    drawn: Sequence[SystemOutput],
    percentiles: Sequence[int],
    count: int,
    caption: str,
    views: "Callable[[int, list[int], dict[str, str]], tuple[list[Line], Iterator[np.ndarray]]]",
) -> Picture:
    """Blocks of the clips at percentiles of the error of our row, with each system's error.

    Args:
        drawn: the systems.
        percentiles: of the clips shown.
        count: frames shown of each, evenly spaced.
        caption: how to read it.
        views: of a clip's row, the frames and the systems' colours: the lines above the systems',
            and the pictures of each system, in their order.
    """
    from benchmark.figures.drawing.bodies import at_percentiles, times

    errors = _errors(drawn)
    by = next((one.label for one in drawn if one.label.startswith(_OURS)), drawn[-1].label)
    rows = at_percentiles(errors[by], percentiles)
    ids, colour = drawn[0].clips.ids, colours(drawn)
    frames = times(drawn[0].data.num_frames, count)
    blocks = []
    for row in rows:
        lines, pictures = views(row, frames, colour)
        for one, own in zip(drawn, pictures, strict=True):
            remark = f"MPJPE {errors[one.label][row]:.0f} mm"
            lines.append(Line(one.label, own, colour[one.label], remark))
        blocks.append(Block(ids[row].partition("/")[2], frames, lines))
    values = {
        label: {ids[row]: float(found[row]) for row in rows} for label, found in errors.items()
    }
    return Picture(
        lay_out(blocks, across=len(blocks)),
        f"Time runs from left to right. {caption}The test clips at the percentiles "
        f"{', '.join(map(str, percentiles))} of the MPJPE of {by}, none chosen by eye; MPJPE of "
        "the whole clip in mm, of the 22 body joints about the middle of the hips.",
        [ids[row] for row in rows],
        {"mpjpe_mm": values},
    )


def video_to_motion(
    drawn: Sequence[SystemOutput], *, percentiles: Sequence[int] = (10, 50, 90), count: int = 4
) -> Picture:
    """The body that each system sees in a video, drawn over the video."""
    from benchmark.figures.drawing.bodies import TRUTH, View, enlarged
    from datasets.video.files import read_video

    def views(row: int, frames: list[int], colour: dict[str, str]):
        clips, view = drawn[0].clips, View.of(drawn[0], row)
        pictures = enlarged(read_video(clips.videos[row], frames))
        lines = [
            Line("Input video", pictures),
            Line("Reference body", view.over(pictures, clips.channels[row], frames, TRUTH)),
        ]
        return lines, (
            view.over(pictures, one.prediction.channels[row], frames, colour[one.label])
            for one in drawn
        )

    return _by_rank(drawn, percentiles, count, "", views)


def reconstruction(
    drawn: Sequence[SystemOutput], *, percentiles: Sequence[int] = (10, 50, 90), count: int = 4
) -> Picture:
    """What each tokenizer makes of a motion, over the true body in grey."""
    from benchmark.figures.drawing.bodies import on_stage
    from datasets.motion import Motion

    def views(row: int, frames: list[int], colour: dict[str, str]):
        clips = drawn[0].clips
        truth = Motion.from_channels(
            clips.channels[row], fps=float(clips.fps[row]), space=clips.spaces[row]
        )
        motions = [(one.prediction.channels[row], colour[one.label]) for one in drawn]
        pictures = on_stage(truth, motions, frames)
        return [Line("True motion", next(pictures))], pictures

    caption = (
        "Reconstructions in colour over the true body in grey, seen by a camera that goes along "
        "with the true one. "
    )
    return _by_rank(drawn, percentiles, count, caption, views)


def image_to_video(
    drawn: Sequence[SystemOutput], *, clips: int, across: int, count: int | None = None
) -> Picture:
    """The video that each system makes of a picture, and below it the motion it makes with it.

    Args:
        drawn: the systems.
        clips: number of test clips.
        across: how many of them side by side.
        count: frames shown of each, evenly spaced; None shows those of `every_nth`.
    """
    from benchmark.figures.drawing.bodies import View, enlarged, evenly_spaced, times
    from datasets.video.files import read_video

    first, colour = drawn[0], colours(drawn)
    failed = set().union(*(one.prediction.failed for one in drawn))
    usable = [row for row, name in enumerate(first.test_ids) if name not in failed]
    rows = evenly_spaced(usable, clips)
    length = first.data.num_frames
    frames = every_nth(length) if count is None else times(length, count)
    blocks = []
    for row in rows:
        view = View.of(first, row)
        lines = [Line("True video", enlarged(read_video(first.clips.videos[row], frames)))]
        for one in drawn:
            made = enlarged(read_video(one.videos[row], frames))
            lines.append(Line(one.label, made, colour[one.label]))
            if one.prediction.channels is not None:
                body = view.alone(one.prediction.channels[row], frames, colour[one.label])
                lines.append(Line("", body))
        blocks.append(Block(first.test_ids[row].partition("/")[2], frames, lines))
    return Picture(
        lay_out(blocks, across=min(across, len(blocks))),
        "Time runs from left to right. Each system is given the first frame of the true video "
        "alone; below its video is the motion that it makes with it, seen by the same camera. A "
        "video may rightly go on in another way than the true one. The test clips are evenly "
        "spaced over the test split, none chosen by eye; each system has one sample.",
        [first.test_ids[row] for row in rows],
    )


def every_nth(num_frames: int) -> list[int]:
    """Every n-th frame from the first; n is 10 for the paper's 65 frames, and in proportion."""
    return list(range(0, num_frames, max(1, round(num_frames * 10 / 65))))
