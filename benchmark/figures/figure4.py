"""Figure 4: motion from video, GVHMR, 4DHumans and UniMo."""

from benchmark.columns import MOTION_SYSTEMS, REGRESSOR
from benchmark.figures.strips import video_to_motion
from benchmark.spec import FigureSpec

FIGURE = FigureSpec(
    id="figure4",
    title="Comparison with different methods on the V2M task",
    rows={"v2m": (*MOTION_SYSTEMS, REGRESSOR)},
    draw=video_to_motion,
)
