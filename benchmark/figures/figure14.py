"""Figure 14: motion from video on RICH, GVHMR, 4DHumans and UniMo."""

from dataclasses import replace

from benchmark.api.figure import FigureSpec
from benchmark.figures.drawing.strips import video_to_motion
from benchmark.tables.shared import MOTION_SYSTEMS, REGRESSOR

FIGURE = FigureSpec(
    id="figure14",
    title="Comparison of the V2M task with different methods on RICH",
    rows={
        "v2m": tuple(replace(row, dataset="rich") for row in (*MOTION_SYSTEMS, REGRESSOR)),
    },
    draw=video_to_motion,
    notes=(
        "The reference body and MPJPE are of the store's motion, which may be an estimator's; "
        "table 11 measures against the official labels of RICH.",
    ),
)
