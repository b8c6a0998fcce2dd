"""Figure 8: motion from video, without the second task, with one embedding, on other clips."""

from benchmark.api.figure import FigureSpec
from benchmark.figures.drawing.strips import video_to_motion
from benchmark.tables import table7

FIGURE = FigureSpec(
    id="figure8",
    title="The ablation experiment on the V2M task",
    rows={"v2m": table7.TABLE.rows},
    draw=video_to_motion,
)
