"""Table 3: motion from video, GVHMR, 4DHumans and UniMo."""

from benchmark.api.table import TableSpec
from benchmark.tables.shared import (
    FIRST_POSE,
    MEAN_POSE,
    MOTION_SYSTEMS,
    POSE,
    POSE_OPEN,
    REFERENCE_IS_GVHMR,
    REGRESSOR,
)

TABLE = TableSpec(
    id="table3",
    title="Evaluation of the V2M task on Human4DiT-Video",
    task="v2m",
    columns=POSE,
    rows=MOTION_SYSTEMS,
    more_rows=(REGRESSOR, MEAN_POSE, FIRST_POSE),
    paper="""
Methods  MPJPE ↓  PA-MPJPE ↓  PVE ↓    Accel ↓
GVHMR    -        -           -        -
4DHuman  56.0701  35.4769     67.7157  15.7393
Our      43.2689  28.1528     52.0143  4.5647
""",
    notes=(
        "A misprint here or in table 10, which repeats this table: the Accel of 4DHuman is 15.7393 "
        "here and 10.7393 there. The paper does not let us decide which is right.",
        REFERENCE_IS_GVHMR,
        POSE_OPEN,
        "The caption names Human4DiT-Video; the text takes the 300 test clips from five datasets.",
    ),
)
