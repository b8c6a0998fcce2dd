"""Checks of what the text claims, then of what one would expect of such numbers.

Of the latter a failure proves nothing.
"""

from decimal import Decimal
from itertools import pairwise
from statistics import median

from benchmark.commands.audit.paper import TABLES, Paper
from benchmark.commands.audit.rules import (
    FINAL,
    MILLION,
    POSE,
    POSE_TABLES,
    Checks,
    Finding,
    added,
    along_codebooks,
    best,
    codes_of,
    is_ahead,
    join,
    odd_decimals,
    round_like,
    same_growth,
    unbroken,
)

_SUSPECT = "suspect, not proven wrong"
CHECKS = Checks()


@CHECKS.add("Claim: expansion adds about 30 M parameters", "5, text")
def _expansion(paper: Paper) -> Finding:
    named = paper.value("text", "parameters that expansion adds, millions")
    more = added(paper, "s=1/1 B=512", FINAL)
    return Finding(f"{named} M to the nearest ten", f"{more} M", round(more, -1) == named)


CHECKS.add("Claim: our tokenizer reconstructs better than SOLAMI", "1")(best("table1", "Our"))
CHECKS.add("Claim: I2VM outperforms the baseline", "2", "where the baseline has numbers")(
    best("table2", "Ours")
)
CHECKS.add("Claim: s=1/36 B=512 reconstructs best", "5")(best("table5", FINAL, keys=POSE))


@CHECKS.add("Claim: one token a frame is inadequate", "5")
def _worst(paper: Paper) -> Finding:
    single = "s=1/1 B=512"
    others = [label for label in paper.rows["table5"] if label != single]
    broken = [o for o in others if not all(is_ahead(paper, "table5", o, [single], POSE).values())]
    return unbroken(f"{single} worst in {len(POSE)} columns", broken)


CHECKS.add("Claim: the 6D representation is superior", "6")(best("table6", "6D Representation"))
CHECKS.add("Claim: both tasks and own embeddings help V2M", "7")(best("table7", "Our"))
CHECKS.add("Claim: both tasks and own embeddings help I2VM", "8")(best("table8", "Ours"))
CHECKS.add("Claim: the baseline leads in smoothness and flickering alone", "9")(
    best("table9", "Ours", but=("motion_smoothness", "temporal_flickering"))
)


@CHECKS.add(
    "Claim: V2M does not surpass all others everywhere",
    "11, text",
    "the claim of comparable results names no measure",
)
def _not_best_everywhere(paper: Paper) -> Finding:
    wins = []
    for dataset in ("3DPW", "RICH"):
        others = [f"{method}, {dataset}" for method in ("4DHuman", "GVHMR")]
        wins += is_ahead(paper, "table11", f"Our, {dataset}", others, POSE).values()
    won = sum(wins)
    return Finding(f"Our best in fewer than {len(wins)}", f"best in {won}", won < len(wins))


CHECKS.add("Claim: a larger codebook is used less", "5")(
    along_codebooks("utilisation falls as B grows", "codebook_util_pct", falls=True)
)
CHECKS.add("Claim: a larger codebook is less accurate", "5", "true from B=512 to 1024 only")(
    along_codebooks("MPJPE grows as B grows", "mpjpe", falls=False)
)


@CHECKS.add(
    "More codes in use are more accurate",
    "5",
    "an implausibly sharp optimum at B=512; do not expect to reproduce it",
)
def _error_falls_with_use(paper: Paper) -> Finding:
    texts, broken = [], []
    for tokens in (24, 36):
        points = []
        for label in (f"s=1/{tokens} B={size}" for size in (256, 512, 1024)):
            percent, error = paper.values("table5", label, "codebook_util_pct", "mpjpe")
            points.append(((percent * codes_of(label) / 100).quantize(Decimal(1)), error))
        points.sort()
        texts.append(", ".join(f"{error} with {codes}" for codes, error in points))
        if any(later >= earlier for (_, earlier), (_, later) in pairwise(points)):
            broken.append(texts[-1])
    return unbroken("MPJPE falls as more codes are in use", broken, "; ".join(texts))


@CHECKS.add(
    "Parameters grow in proportion to the codes added",
    "5",
    "s=1/36: B=256 to 512, then 512 to 1024",
)
def _in_proportion(paper: Paper) -> Finding:
    first = added(paper, "s=1/36 B=256", FINAL)
    return same_growth(2 * first, added(paper, FINAL, "s=1/36 B=1024"))


@CHECKS.add(
    "Parameters grow by the codes added",
    "5, text",
    "s=1/36, B=256 to 512; the growth is not the codebook",
)
def _codes_alone(paper: Paper) -> Finding:
    more = added(paper, "s=1/36 B=256", FINAL)
    codes = 256 * paper.value("text", "length of a code") / MILLION
    return same_growth(round_like(codes, more), more)


@CHECKS.add("PVE exceeds MPJPE", POSE_TABLES, _SUSPECT)
def _surface(paper: Paper) -> Finding:
    rows = paper.pose_rows()
    broken = (
        f"{place}: PVE {row['pve']}, MPJPE {row['mpjpe']}"
        for place, row in rows.items()
        if row["pve"] <= row["mpjpe"]
    )
    return unbroken(f"PVE above MPJPE in {len(rows)} rows", broken)


@CHECKS.add("PVE and MPJPE go together", "11", _SUSPECT)
def _surface_ratio(paper: Paper) -> Finding:
    ratios = {label: row["pve"] / row["mpjpe"] for label, row in paper.rows["table11"].items()}
    low, middle, high = (f(ratios.values()) for f in (min, median, max))
    broken = [f"{k}: {v:.2f}" for k, v in ratios.items() if abs(v / middle - 1) > Decimal("0.25")]
    return unbroken(f"PVE/MPJPE within 25 % of {middle:.2f}", broken, f"{low:.2f} to {high:.2f}")


@CHECKS.add(
    "GVHMR scores as its authors publish",
    "11",
    "3DPW, then RICH; another protocol, which the paper does not describe",
)
def _published(paper: Paper) -> Finding:
    own = paper.published["table11"]
    labels = [label for label in own if label.startswith("GVHMR")]
    theirs = [own[label][key] for label in labels for key in POSE]
    printed = [value for label in labels for value in paper.values("table11", label, *POSE)]
    holds = [*map(round_like, printed, theirs)] == theirs
    return Finding(join(theirs), join(printed), holds)


@CHECKS.add("A clip of 65 frames lasts 3 seconds", "text", "rounded wording, or videos resampled")
def _frame_rate(paper: Paper) -> Finding:
    frames, seconds = (paper.value("text", f"{what} of a clip") for what in ("frames", "seconds"))
    rate = frames / seconds
    printed = f"{frames} frames / {seconds} s = {rate:.2f} a second"
    return Finding("24, 25 or 30 frames a second", printed, rate in (24, 25, 30))


@CHECKS.add("A column has one precision", "1-3, 5-11", "formatting")
def _one_precision(paper: Paper) -> Finding:
    broken = []
    for table in (name for name in TABLES if name != "table4"):  # table 4 has no columns
        for column in paper.columns[table]:
            odd = odd_decimals(row[column.key] for row in paper.rows[table].values())
            broken += [f"table {table[5:]} {column.label} {value}" for value in odd]
    return unbroken("one precision in every column", broken)


@CHECKS.add("Scores have one precision", "9", "formatting")
def _one_precision_of_scores(paper: Paper) -> Finding:
    odd = odd_decimals(value for row in paper.rows["table9"].values() for value in row.values())
    return unbroken("one precision in table 9", map(str, odd))
