"""Table 2: from a picture to video and motion, Cosmos and UniMo."""

from benchmark.api.table import TableSpec
from benchmark.tables.shared import (
    BASELINE_FINE_TUNED,
    BASELINE_OPEN,
    CONSISTENCY_OPEN,
    DIVERSITY_OPEN,
    GENERATION,
    GEOMETRIC,
    POSE_OPEN,
    QUALITY_OPEN,
    STILL_PICTURE,
    VIDEO_SYSTEMS,
)

TABLE = TableSpec(
    id="table2",
    title="Comparison of I2VM tasks",
    task="i2vm",
    columns=GENERATION,
    more_columns=GEOMETRIC,
    rows=VIDEO_SYSTEMS,
    more_rows=(BASELINE_FINE_TUNED, STILL_PICTURE),
    paper="""
Method    MPJPE ↓  PA-MPJPE ↓  PVE ↓    Accel ↓  FID ↓    DIV ↑    App. ↑  Mot. ↑
Baseline  -        -           -        -        57.3624  5.7160   0.8071  0.8126
Ours      41.3058  30.9548     47.3111  3.9984   27.3984  12.2522  0.8516  0.9441
""",
    notes=(
        BASELINE_OPEN,
        CONSISTENCY_OPEN,
        "The baseline makes no motion, so its consistency with its video is not defined. Its FID "
        "and DIV are of the motion that the estimator sees in its videos, those of Ours of the "
        "motion that UniMo makes: the two are not measured alike.",
        POSE_OPEN,
        DIVERSITY_OPEN,
        "A larger DIV is not always better: jitter raises it too. It is to be read beside the DIV "
        "of the true motions.",
        QUALITY_OPEN,
        "The paper enhances generated videos with SeedVR, and does not say whether App. and Mot. "
        "were taken before or after.",
        "The paper's 300 test clips are of five datasets; it does not say how many of each, nor "
        "which of them this table is on.",
    ),
)
