"""Figure 7: the losses of training on one task and on both."""

from collections.abc import Sequence

from benchmark.api.errors import Unavailable
from benchmark.api.figure import FigureSpec, Picture, SystemOutput
from benchmark.figures.drawing.losses import read_losses
from benchmark.tables import table7, table8
from benchmark.tables.shared import SINGLE_TASK_OPEN

_ONLY_V2M, _, _OURS = table7.TABLE.rows
_ONLY_I2VM = table8.TABLE.rows[0]

# Column of losses.csv -> heading.
_PANELS = {
    "v2m_motion": "V2M: motion tokens",
    "i2vm_motion": "I2VM: motion tokens",
    "i2vm_visual": "I2VM: visual tokens",
}
_HELD_OUT = "held_out_"
_LINES = {"": ("--", 0.9, "training clips"), _HELD_OUT: ("-", 1.6, "held-out clips")}


def _curves(one: SystemOutput) -> dict[str, dict[str, list[float]]]:
    """Column -> steps and values, of what ``losses.csv`` of a training holds.

    Raises:
        Unavailable: there is none.
    """
    file = one.training and one.training / "losses.csv"
    if file is None or not file.is_file():
        raise Unavailable(f"there are no losses of the training of {one.label}")
    found, columns = read_losses(file), (start + name for start in _LINES for name in _PANELS)
    return {
        column: dict(zip(("step", "value"), found[column], strict=True))
        for column in columns
        if column in found
    }


def _draw(drawn: Sequence[SystemOutput]) -> Picture:
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    from benchmark.figures.drawing.strips import colours

    colour = colours(drawn)
    curves = {one.label: _curves(one) for one in drawn}
    figure = Figure(figsize=(9, 3.2))
    axes = figure.subplots(1, len(_PANELS))
    figure.subplots_adjust(left=0.07, right=0.99, top=0.92, bottom=0.27, wspace=0.2)
    for axis, (column, heading) in zip(axes, _PANELS.items(), strict=True):
        for label, found in curves.items():
            for start, (style, width, _) in _LINES.items():
                if start + column in found:
                    points = found[start + column]
                    axis.plot(
                        points["step"], points["value"], style, color=colour[label], linewidth=width
                    )
        axis.set_title(heading, fontsize=9, fontweight="bold")
        axis.set_xlabel("training step")
        axis.grid(axis="y")
    axes[0].set_ylabel("cross-entropy (nats per token)")
    handles = [Line2D([], [], color=colour[label], label=label) for label in curves]
    handles += [
        Line2D([], [], color="#444444", linestyle=style, linewidth=width, label=text)
        for style, width, text in _LINES.values()
    ]
    figure.legend(
        handles=handles,
        loc="lower center",
        ncols=len(handles),
        bbox_to_anchor=(0, 0, 1, 1),  # of the figure, not of what is written around it
    )
    return Picture(
        figure=figure,
        caption="Cross-entropy of the next token by task and modality, of the clips trained on "
        "(their motion inputs partly replaced at random, as the training has it) and of training "
        "recordings held out (as they are). The steps and the clips per step of all trainings are "
        "the same, so a model of both tasks sees half as many clips of each as a model of one.",
        values={"losses": curves},
    )


FIGURE = FigureSpec(
    id="figure7",
    title="Comparison of losses between single-task and multi-task training",
    rows={"v2m": (_ONLY_V2M, _OURS), "i2vm": (_ONLY_I2VM,)},
    draw=_draw,
    notes=(
        SINGLE_TASK_OPEN,
        "The paper does not say which tokens, nor which clips, the losses of its figure are of.",
    ),
    takes_checkpoint=False,
)
