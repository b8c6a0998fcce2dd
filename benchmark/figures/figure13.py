"""Figure 13: motion from video on 3DPW, GVHMR, 4DHumans and UniMo."""

from dataclasses import replace

from benchmark.api.figure import FigureSpec
from benchmark.figures.drawing.strips import video_to_motion
from benchmark.tables.shared import MOTION_SYSTEMS, REGRESSOR

FIGURE = FigureSpec(
    id="figure13",
    title="Comparison of the V2M task with different methods on 3DPW",
    rows={
        "v2m": tuple(replace(row, dataset="threedpw") for row in (*MOTION_SYSTEMS, REGRESSOR)),
    },
    draw=video_to_motion,
    notes=(
        "The reference body and MPJPE are of the store's motion, which may be an estimator's; "
        "table 11 measures against the official labels of 3DPW.",
    ),
)
