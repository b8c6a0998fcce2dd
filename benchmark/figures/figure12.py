"""Figure 12: from a picture to video and motion, Cosmos and UniMo, on more clips."""

from benchmark.columns import VIDEO_SYSTEMS
from benchmark.figures.strips import every_nth, image_to_video
from benchmark.spec import FigureSpec


def _draw(drawn):
    frames = every_nth(drawn[0].data.num_frames)
    return image_to_video(drawn, clips=4, across=2, frames=frames)


FIGURE = FigureSpec(
    id="figure12",
    title="Comparison with the baseline on I2VM tasks, more clips",
    rows={"i2vm": VIDEO_SYSTEMS},
    draw=_draw,
    notes=(
        "The paper shows one frame of ten, of 65; here it is as large a share of the clip. Its "
        "generated motion is at the left of the picture, ours below it.",
    ),
)
