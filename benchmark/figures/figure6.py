"""Figure 6: motion from video, without the second task, with one embedding."""

from functools import partial

from benchmark.api.figure import FigureSpec
from benchmark.figures.drawing.strips import video_to_motion
from benchmark.tables import table7

FIGURE = FigureSpec(
    id="figure6",
    title="The ablation experiment on the V2M task",
    rows={"v2m": table7.TABLE.rows},
    draw=partial(video_to_motion, percentiles=(25, 75), count=6),
)
