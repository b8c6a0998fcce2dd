"""Figure 12: from a picture to video and motion, Cosmos and UniMo, on more clips."""

from dataclasses import replace
from functools import partial

from benchmark.figures import figure3
from benchmark.figures.drawing.strips import image_to_video

FIGURE = replace(
    figure3.FIGURE,
    id="figure12",
    title="Comparison with the baseline on I2VM tasks, more clips",
    draw=partial(image_to_video, clips=4, across=2),
    notes=(
        "The paper shows one frame of ten, of 65; here it is as large a share of the clip. Its "
        "generated motion is at the left of the picture, ours below it.",
    ),
)
