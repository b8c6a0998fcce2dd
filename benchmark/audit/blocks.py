"""Numbers that no table file holds: the paper's other tables, its text, its sources.

A block here is laid out and parsed like the one of a table file (`benchmark.spec.TableSpec`). Its
rows have no method yet, so it is no table that ``run`` could measure. Whoever adds
``tables/tableN.py`` moves the block there; the audit then reads that file.
"""

import re

from benchmark.columns import POSE
from benchmark.spec import Column, Row, TableSpec

_DIVERSITY = (
    Column("fid", "FID", "", "lower", 4),
    Column("div", "DIV", "", "higher", 4),
)
_QUALITY = (
    Column("app", "App.", "", "higher", 4),
    Column("mot", "Mot.", "", "higher", 4),
)
_VBENCH = (
    Column("subject_consistency", "Subj.", "", "higher", 4),
    Column("background_consistency", "Back.", "", "higher", 4),
    Column("aesthetic_quality", "Aest.", "", "higher", 4),
    Column("appearance_overall", "Overall (Appearance)", "", "higher", 4),
    Column("motion_smoothness", "Mot.Sm.", "", "higher", 4),
    Column("temporal_flickering", "Tem.Fl.", "", "higher", 4),
    Column("dynamic_degree", "Dyn.Deg.", "", "higher", 4),
    Column("motion_overall", "Overall (Visual Motion)", "", "higher", 4),
)
_VALUE = (Column("value", "Value"),)


def _block(id: str, title: str, columns: tuple[Column, ...], paper: str) -> TableSpec:
    """A block of numbers; its rows are the labels printed in it."""
    labels = (re.split(r"\s{2,}", line)[0] for line in paper.strip().splitlines()[1:])
    return TableSpec(id, title, columns, tuple(map(Row, labels)), paper)


TABLES = (
    _block(
        "table2",
        "Comparison of I2VM tasks",
        (*POSE, *_DIVERSITY, *_QUALITY),
        """
Method    MPJPE ↓  PA-MPJPE ↓  PVE ↓    Accel ↓  FID ↓    DIV ↑    App. ↑  Mot. ↑
Baseline  -        -           -        -        57.3624  5.7160   0.8071  0.8126
Ours      41.3058  30.9548     47.3111  3.9984   27.3984  12.2522  0.8516  0.9441
""",
    ),
    _block(
        "table3",
        "Evaluation of the V2M task on Human4DiT-Video",
        POSE,
        """
Methods  MPJPE ↓  PA-MPJPE ↓  PVE ↓    Accel ↓
GVHMR    -        -           -        -
4DHuman  56.0701  35.4769     67.7157  15.7393
Our      43.2689  28.1528     52.0143  4.5647
""",
    ),
    _block(
        "table7",
        "Ablation comparison about the V2M task on Human4DiT-Video",
        POSE,
        """
Methods     MPJPE ↓  PA-MPJPE ↓  PVE ↓    Accel ↓
Only V2M    53.8356  45.9847     71.8492  6.1748
Uni-Embed.  50.1287  41.3925     68.3533  5.1539
Our         43.2689  28.1528     52.0143  4.5647
""",
    ),
    _block(
        "table8",
        "Ablation comparison on the I2VM task",
        (*POSE, *_DIVERSITY, *_QUALITY),
        """
Method      MPJPE ↓  PA-MPJPE ↓  PVE ↓  Accel ↓  FID ↓    DIV ↑    App. ↑  Mot. ↑
Only I2VM   56.78    46.11       68.03  5.9609   51.6599  7.3109   0.8220  0.8577
Uni-Embed.  53.98    38.37       59.55  4.8837   40.7963  10.2315  0.8387  0.8926
Ours        41.30    30.95       47.31  3.9984   27.3984  12.2522  0.8516  0.9441
""",
    ),
    # The paper heads both means "Overall", below "Appearance" and "Visual Motion".
    _block(
        "table9",
        "Comparison of I2VM tasks: breakdown of VBench metrics",
        _VBENCH,
        "Method    Subj. ↑  Back. ↑  Aest. ↑  Overall (Appearance) ↑  "
        "Mot.Sm. ↑  Tem.Fl. ↑  Dyn.Deg. ↑  Overall (Visual Motion) ↑"
        """
Baseline  0.9535   0.9512   0.5166   0.8071   0.9951  0.9928  0.45  0.8126
Ours      0.9646   0.9621   0.6281   0.8516   0.9939  0.9884  0.85  0.9441
""",
    ),
    _block(
        "table10",
        "Evaluation of the V2M task on Human4DiT-Video",
        POSE,
        """
Methods  MPJPE ↓  PA-MPJPE ↓  PVE ↓    Accel ↓
GVHMR    -        -           -        -
4DHuman  56.0701  35.4769     67.7157  10.7393
Our      43.2689  28.1528     52.0143  4.5647
""",
    ),
    # The paper prints one row a method, with cells "3DPW/RICH".
    _block(
        "table11",
        "Evaluation of the V2M task on 3DPW and RICH",
        POSE,
        """
Methods        MPJPE ↓  PA-MPJPE ↓  PVE ↓   Accel ↓
4DHuman, 3DPW  76.33    64.05       82.57   5.458
GVHMR, 3DPW    58.97    41.82       73.03   4.190
Our, 3DPW      65.43    50.21       77.14   4.29
4DHuman, RICH  65.22    55.25       112.37  8.963
GVHMR, RICH    53.65    46.53       65.36   4.218
Our, RICH      58.39    52.62       73.00   4.182
""",
    ),
)

TEXT = _block(
    "text",
    "Numbers of the paper's running text (sections 3.1 and 3.2, equation 1, appendix A)",
    _VALUE,
    """
Number                                    Value
frames of a clip                          65
seconds of a clip                         3
pixels of a side                          512
frames to a latent                        8
pixels to a latent                        16
tokens of a frame                         36
special tokens of a sequence              2
length of a code                          512
parameters that expansion adds, millions  30
parameters of Cosmos-AR-4B, billions      4
learning rate of the AR model             1e-4
""",
)

COSMOS = _block(
    "cosmos",
    'Configuration "4b" of cosmos-predict1, the source of table 4\'s backbone',
    _VALUE,
    """
Configuration                 Value
Number of Transformer Layers  16
Model Dimension               4096
Vocabulary Size               64000
FFN Hidden Dimension          14336
Number of Attention Heads     32
Number of Key / Value Heads   8
""",
)

GVHMR = _block(
    "gvhmr",
    "GVHMR as its authors publish it (gvhmr 1.6.1, gvhmr/cli/evalcmd.py)",
    POSE,
    """
Methods      MPJPE ↓  PA-MPJPE ↓  PVE ↓  Accel ↓
GVHMR, 3DPW  55.6     36.2        67.2   5.0
GVHMR, RICH  66.0     39.5        74.4   4.1
""",
)
