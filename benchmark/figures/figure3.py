"""Figure 3: from a picture to video and motion, Cosmos and UniMo."""

from functools import partial

from benchmark.api.figure import FigureSpec
from benchmark.figures.drawing.strips import image_to_video
from benchmark.tables.shared import VIDEO_SYSTEMS

FIGURE = FigureSpec(
    id="figure3",
    title="Comparison with the baseline on I2VM tasks",
    rows={"i2vm": VIDEO_SYSTEMS},
    draw=partial(image_to_video, clips=2, across=2),
    notes=(
        "The paper shows one frame of ten, of 65; here it is as large a share of the clip. Its "
        "generated motion is in a corner of the picture, ours below it.",
    ),
)
