"""Columns, rows and notes that several of the paper's tables share."""

from benchmark.api.table import Column, Row

# The paper prints no unit for Accel; metres per second squared is the convention of WHAM, whose
# protocol it follows.
POSE = (
    Column("mpjpe", "MPJPE", unit="mm", better="lower", decimals=2),
    Column("pa_mpjpe", "PA-MPJPE", unit="mm", better="lower", decimals=2),
    Column("pve", "PVE", unit="mm", better="lower", decimals=2),
    Column("accel", "Accel", unit="m/s²", better="lower", decimals=2),
)
PARAMETERS = Column("params_m", "Model Param.", unit="M", decimals=2)
UTILISATION = Column("codebook_util_pct", "Codebook Util.", unit="%", better="higher", decimals=2)
# Of generated motion and video: tables 2 and 8.
GENERATION = (
    *POSE,
    Column("fid", "FID", better="lower", decimals=4),
    Column("div", "DIV", better="higher", decimals=4),
    Column("app", "App.", better="higher", decimals=4),
    Column("mot", "Mot.", better="higher", decimals=4),
)
GEOMETRIC = (
    Column("fid_g", "FID_g", better="lower", decimals=4),
    Column("div_g", "DIV_g", better="higher", decimals=4),
)

MEAN_POSE = Row("the mean pose of the training clips in every frame", "mean_pose")
FIRST_POSE = Row("the first frame's true pose held", "first_frame")
REGRESSOR = Row("built-in regressor", "regressor")
BASELINE_FINE_TUNED = Row("Baseline, fine-tuned", "cosmos_fine_tuned")
STILL_PICTURE = Row("still picture: the first frame held", "first_frame")
# The systems of tables 2 and 9, and those of tables 3 and 10.
VIDEO_SYSTEMS = (Row("Baseline", "cosmos"), Row("Ours", "unimo"))
MOTION_SYSTEMS = (Row("GVHMR", "gvhmr"), Row("4DHuman", "phalp"), Row("Our", "unimo"))

# What the paper leaves open in several of its tables.
BASELINE_OPEN = (
    "The paper calls its baseline Cosmos and says nothing of training it: it is taken for the "
    "released model. The row Baseline, fine-tuned, parts what training on these clips gives from "
    "what motion gives."
)
POSE_OPEN = (
    "The paper says that it follows WHAM, but not over which joints, about which root and at which "
    "frame rate it measures, nor the unit of Accel."
)
CONSISTENCY_OPEN = (
    "MPJPE to Accel compare the motion a system makes with the motion that the paper's GVHMR, here "
    "the profile's estimator, sees in the video that it makes; not with the true motion."
)
DIVERSITY_OPEN = (
    "The paper says neither whether its FID and DIV are of kinetic or of geometric features, nor "
    "what set they refer to. Kinetic ones are likelier: a DIV of 12.2522 is above what 300 true "
    "motions can reach on the geometric ones (8.01) and near what they can on the kinetic ones "
    "(12.02). FID and DIV here are the kinetic ones, and refer to the true motion of the test "
    "clips; FID_g and DIV_g are the geometric ones."
)
QUALITY_OPEN = (
    "App. and Mot. are plain means of three raw VBench scores each, as table 9 shows. The paper "
    "cites VBench-2.0, but the six scores are VBench 1's."
)
SINGLE_TASK_OPEN = (
    "The paper does not say how long a model of one task is trained, next to the model of both."
)
REFERENCE_IS_GVHMR = (
    "The paper has no numbers for GVHMR, as its reference is GVHMR's own motion. A number measured "
    "for it means something only on clips whose true motion is from elsewhere."
)
