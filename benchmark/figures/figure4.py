"""Figure 4: motion from video, GVHMR, 4DHumans and UniMo."""

from benchmark.api.figure import FigureSpec
from benchmark.figures.drawing.strips import video_to_motion
from benchmark.tables.shared import MOTION_SYSTEMS, REGRESSOR

FIGURE = FigureSpec(
    id="figure4",
    title="Comparison with different methods on the V2M task",
    rows={"v2m": (*MOTION_SYSTEMS, REGRESSOR)},
    draw=video_to_motion,
)
