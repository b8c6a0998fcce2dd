"""Figure 9: from a picture to video and motion, without the second task, with one embedding."""

from functools import partial

from benchmark.api.figure import FigureSpec
from benchmark.figures.drawing.strips import image_to_video
from benchmark.tables import table8

FIGURE = FigureSpec(
    id="figure9",
    title="The ablation experiment on the I2VM task",
    rows={"i2vm": table8.TABLE.rows},
    draw=partial(image_to_video, clips=3, across=3, count=4),
)
