"""Columns and rows that several of the paper's tables share."""

from benchmark.spec import Column, Row

# The paper prints no unit for Accel; metres per second squared is the convention of WHAM, whose
# protocol it follows.
POSE = (
    Column("mpjpe", "MPJPE", "mm", "lower", 2),
    Column("pa_mpjpe", "PA-MPJPE", "mm", "lower", 2),
    Column("pve", "PVE", "mm", "lower", 2),
    Column("accel", "Accel", "m/s²", "lower", 2),
)
PARAMETERS = Column("params_m", "Model Param.", "M", None, 2)
UTILISATION = Column("codebook_util_pct", "Codebook Util.", "%", "higher", 2)

MEAN_POSE = Row("the mean pose of the training clips in every frame", "mean_pose")
