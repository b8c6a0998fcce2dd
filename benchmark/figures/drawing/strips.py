"""Strips of pictures over time: rows are systems, blocks are clips. Shared by most figures."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from benchmark.api.errors import Unavailable
from benchmark.api.figure import FigureSpec, Picture, SystemOutput
from benchmark.figures.drawing.style import COLORS, plain
from benchmark.tables.shared import MOTION_SYSTEMS, REGRESSOR

if TYPE_CHECKING:  # heavy: drawing imports them where it is done
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH, _LABELS, _HEADING, _PAD = 9.0, 1.0, 0.34, 0.03  # inches
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
    """Return a figure of blocks with equally many lines, `across` of them side by side."""
    from matplotlib.figure import Figure

    strips, columns = len(blocks[0].lines), max(len(block.frames) for block in blocks)
    down = -(-len(blocks) // across)
    cell = (_WIDTH - _LABELS) / (across * columns)
    figure = Figure((_WIDTH, down * (_HEADING + strips * cell)), layout="compressed")
    figure.get_layout_engine().set(w_pad=_PAD, h_pad=_PAD, wspace=0, hspace=0)
    axes = figure.subplots(down * strips, across, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for number, block in enumerate(blocks):
        row, column = divmod(number, across)
        own = axes[row * strips : (row + 1) * strips, column]
        for axis, line in zip(own, block.lines, strict=True):
            _draw_strip(axis, line, labelled=not column)
        size = block.lines[0].pictures.shape[2]
        numbers = [f"frame {block.frames[0]}", *map(str, block.frames[1:])]
        own[0].set_xticks([(place + 0.5) * size for place in range(len(numbers))], numbers)
        own[0].tick_params(top=True, labeltop=True, bottom=False, labelbottom=False)
        own[0].set_title(plain(block.title), loc="left", fontsize=7, fontweight="bold")
    return figure


def _draw_strip(axis: "Axes", line: Line, *, labelled: bool) -> None:
    """Draw the pictures of a line side by side, with its label at the left."""
    import numpy as np
    from matplotlib import patheffects

    axis.set_axis_on()
    axis.imshow(np.concatenate(list(_framed(line.pictures)), axis=1))
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0, pad=1, labelsize=6, labelcolor="#444444")
    if labelled:
        side = {"rotation": 0, "ha": "right", "va": "center"}
        axis.set_ylabel(plain(line.label), color=line.colour, fontsize=8, **side)
    halo = [patheffects.withStroke(linewidth=1.6, foreground="#000000")]
    axis.text(
        *(0.006, 0.03, line.remark),
        transform=axis.transAxes,
        fontsize=6,
        color="#FFFFFF",
        path_effects=halo,
    )


def _framed(pictures: "np.ndarray") -> "Iterator[np.ndarray]":
    """Yield the pictures with a white line at the right, which parts them."""
    for picture in pictures:
        picture = picture.copy()
        picture[:, -2:] = 255
        yield picture


def colours(drawn: Sequence[SystemOutput]) -> dict[str, str]:
    """Return a colour for each system: ours has the first, the others the next."""
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
        figure=lay_out(blocks, across=len(blocks)),
        caption=f"Time runs from left to right. {caption}The test clips at the percentiles "
        f"{', '.join(map(str, percentiles))} of the MPJPE of {by}, none chosen by eye; MPJPE of "
        "the whole clip in mm, of the 22 body joints about the middle of the hips.",
        clips=[ids[row] for row in rows],
        values={"mpjpe_mm": values},
    )


def video_to_motion(
    drawn: Sequence[SystemOutput], *, percentiles: Sequence[int] = (10, 50, 90), count: int = 4
) -> Picture:
    """Draw the body that each system sees in a video over the video."""
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


def official_dataset(figure: str, dataset: str, name: str) -> FigureSpec:
    """Return the figure of a dataset with official labels, as the paper shows 3DPW and RICH.

    Args:
        figure: id of the figure.
        dataset: whose prepared store it is drawn from.
        name: of the dataset, as printed.
    """
    rows = tuple(replace(row, dataset=dataset) for row in (*MOTION_SYSTEMS, REGRESSOR))
    return FigureSpec(
        id=figure,
        title=f"Comparison of the V2M task with different methods on {name}",
        rows={"v2m": rows},
        draw=video_to_motion,
        notes=(
            "The reference body and MPJPE are of the store's motion, which may be an estimator's; "
            f"table 11 measures against the official labels of {name}.",
        ),
    )


def reconstruction(
    drawn: Sequence[SystemOutput], *, percentiles: Sequence[int] = (10, 50, 90), count: int = 4
) -> Picture:
    """Draw each tokenizer's reconstruction of a motion, over the true body in grey."""
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
    """Draw the video that each system makes of a picture, and below it the motion it makes with it.

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
            video = enlarged(read_video(one.videos[row], frames))
            lines.append(Line(one.label, video, colour[one.label]))
            if one.prediction.channels is not None:
                body = view.alone(one.prediction.channels[row], frames, colour[one.label])
                lines.append(Line("", body))
        blocks.append(Block(first.test_ids[row].partition("/")[2], frames, lines))
    return Picture(
        figure=lay_out(blocks, across=min(across, len(blocks))),
        caption="Time runs from left to right. Each system is given only the first frame of the "
        "true video; below its video is the motion that it makes with it, seen by the same camera. "
        "A video may rightly go on in another way than the true one. The test clips are evenly "
        "spaced over the test split, none chosen by eye; each system has one sample.",
        clips=[first.test_ids[row] for row in rows],
    )


def every_nth(num_frames: int) -> list[int]:
    """Every n-th frame from the first; n is 10 for the paper's 65 frames, and in proportion."""
    return list(range(0, num_frames, max(1, round(num_frames * 10 / 65))))
