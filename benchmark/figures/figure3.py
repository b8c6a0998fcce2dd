"""Figure 3: from a picture to video and motion, Cosmos and UniMo."""

from benchmark.columns import VIDEO_SYSTEMS
from benchmark.figures.strips import every_nth, image_to_video
from benchmark.spec import FigureSpec


def _draw(drawn):
    frames = every_nth(drawn[0].data.num_frames)
    return image_to_video(drawn, clips=2, across=2, frames=frames)


FIGURE = FigureSpec(
    id="figure3",
    title="Comparison with the baseline on I2VM tasks",
    rows={"i2vm": VIDEO_SYSTEMS},
    draw=_draw,
    notes=(
        "The paper shows one frame of ten, of 65; here it is as large a share of the clip. Its "
        "generated motion is in a corner of the picture, ours below it.",
    ),
)
