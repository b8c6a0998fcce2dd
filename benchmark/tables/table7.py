"""Table 7: motion from video, without the second task, with one embedding."""

from benchmark.api.table import Row, TableSpec
from benchmark.tables.shared import FIRST_POSE, MEAN_POSE, POSE, POSE_OPEN, SINGLE_TASK_OPEN

TABLE = TableSpec(
    id="table7",
    title="Ablation comparison about the V2M task on Human4DiT-Video",
    task="v2m",
    columns=POSE,
    rows=(
        Row("Only V2M", "unimo", {"tasks": ("v2m",)}),
        Row("Uni-Embed.", "unimo", {"unified": True}),
        Row("Our", "unimo"),
    ),
    more_rows=(MEAN_POSE, FIRST_POSE),
    paper="""
Methods     MPJPE ↓  PA-MPJPE ↓  PVE ↓    Accel ↓
Only V2M    53.8356  45.9847     71.8492  6.1748
Uni-Embed.  50.1287  41.3925     68.3533  5.1539
Our         43.2689  28.1528     52.0143  4.5647
""",
    notes=(
        'The paper\'s row "Our" is that of tables 3 and 10; it is measured once and shown in all '
        "three.",
        SINGLE_TASK_OPEN,
        POSE_OPEN,
    ),
)
