"""Checks of what the text claims, then of what one would expect of such numbers.

Of the latter a failure proves nothing.
"""

from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from statistics import median

from benchmark.commands.audit import rules
from benchmark.commands.audit.paper import TABLES, Paper
from benchmark.commands.audit.rules import (
    FINAL,
    POSE,
    Check,
    Finding,
    added,
    best,
    is_ahead,
    odd_decimals,
    unbroken,
)

_SUSPECT = "suspect, not proven wrong"


def checks(paper: Paper) -> Iterator[Check]:
    """Yield the checks in the order in which they are printed."""
    yield from _claims(paper)
    yield from _expected_of_tokenizers(paper)
    yield from _expected_of_errors(paper)
    yield from _expected_of_print(paper)


def _claims(paper: Paper) -> Iterator[Check]:
    named = paper.value("text", "parameters that expansion adds, millions")
    more = added(paper, "s=1/1 B=512", FINAL)
    found = Finding(f"{named} M to the nearest ten", f"{more} M", round(more, -1) == named)
    yield Check("Claim: expansion adds about 30 M parameters", "5, text", found)
    name = "Claim: our tokenizer reconstructs better than SOLAMI"
    yield Check(name, "1", best(paper, "table1", "Our"))
    name = "Claim: I2VM outperforms the baseline"
    yield Check(name, "2", best(paper, "table2", "Ours"), "where the baseline has numbers")
    name = "Claim: s=1/36 B=512 reconstructs best"
    yield Check(name, "5", best(paper, "table5", FINAL, keys=POSE))
    single = "s=1/1 B=512"
    others = [label for label in paper.rows["table5"] if label != single]
    broken = [o for o in others if not all(is_ahead(paper, "table5", o, [single], POSE).values())]
    found = unbroken(f"{single} worst in {len(POSE)} columns", broken)
    yield Check("Claim: one token a frame is inadequate", "5", found)
    name = "Claim: the 6D representation is superior"
    yield Check(name, "6", best(paper, "table6", "6D Representation"))
    name = "Claim: both tasks and own embeddings help"
    yield Check(f"{name} V2M", "7", best(paper, "table7", "Our"))
    yield Check(f"{name} I2VM", "8", best(paper, "table8", "Ours"))
    found = best(paper, "table9", "Ours", but=("motion_smoothness", "temporal_flickering"))
    yield Check("Claim: the baseline leads in smoothness and flickering alone", "9", found)
    wins: list[bool] = []
    for dataset in ("3DPW", "RICH"):
        others = [f"{method}, {dataset}" for method in ("4DHuman", "GVHMR")]
        wins += is_ahead(paper, "table11", f"Our, {dataset}", others, POSE).values()
    won, all_of = sum(wins), len(wins)
    yield Check(
        "Claim: V2M does not surpass all others everywhere",
        "11, text",
        Finding(f"Our best in fewer than {all_of}", f"best in {won}", won < all_of),
        "the claim of comparable results names no measure",
    )
    rule, key = "utilisation falls as B grows", "codebook_util_pct"
    found = rules.along_codebooks(paper, rule, key, falls=True)
    yield Check("Claim: a larger codebook is used less", "5", found)
    found = rules.along_codebooks(paper, "MPJPE grows as B grows", "mpjpe", falls=False)
    name = "Claim: a larger codebook is less accurate"
    yield Check(name, "5", found, "true from B=512 to 1024 only")


def _expected_of_tokenizers(paper: Paper) -> Iterator[Check]:
    texts, broken = [], []
    for tokens in (24, 36):
        points = []
        for label in (f"s=1/{tokens} B={size}" for size in (256, 512, 1024)):
            percent, error = paper.values("table5", label, "codebook_util_pct", "mpjpe")
            codes = (percent * rules.codes_of(label) / 100).quantize(Decimal(1))
            points.append((codes, error))
        points.sort()
        texts.append(", ".join(f"{error} with {codes}" for codes, error in points))
        if any(later >= earlier for (_, earlier), (_, later) in pairwise(points)):
            broken.append(texts[-1])
    yield Check(
        "More codes in use are more accurate",
        "5",
        unbroken("MPJPE falls as more codes are in use", broken, "; ".join(texts)),
        "an implausibly sharp optimum at B=512; do not expect to reproduce it",
    )
    first, then = added(paper, "s=1/36 B=256", FINAL), added(paper, FINAL, "s=1/36 B=1024")
    yield Check(
        "Parameters grow in proportion to the codes added",
        "5",
        rules.same_growth(2 * first, then),
        "s=1/36: B=256 to 512, then 512 to 1024",
    )
    codes = 256 * paper.value("text", "length of a code") / rules.MILLION
    yield Check(
        "Parameters grow by the codes added",
        "5, text",
        rules.same_growth(rules.round_like(codes, first), first),
        "s=1/36, B=256 to 512; the growth is not the codebook",
    )


def _expected_of_errors(paper: Paper) -> Iterator[Check]:
    rows = paper.pose_rows()
    broken = [
        f"{place}: PVE {row['pve']}, MPJPE {row['mpjpe']}"
        for place, row in rows.items()
        if row["pve"] <= row["mpjpe"]
    ]
    found = unbroken(f"PVE above MPJPE in {len(rows)} rows", broken)
    yield Check("PVE exceeds MPJPE", rules.POSE_TABLES, found, _SUSPECT)
    ratios = {label: row["pve"] / row["mpjpe"] for label, row in paper.rows["table11"].items()}
    low, middle, high = (f(ratios.values()) for f in (min, median, max))
    broken = [f"{k}: {v:.2f}" for k, v in ratios.items() if abs(v / middle - 1) > Decimal("0.25")]
    expected = f"PVE/MPJPE within 25 % of {middle:.2f}"
    found = unbroken(expected, broken, f"{low:.2f} to {high:.2f}")
    yield Check("PVE and MPJPE go together", "11", found, _SUSPECT)
    own = paper.published["table11"]
    labels = [label for label in own if label.startswith("GVHMR")]
    theirs = [own[label][key] for label in labels for key in POSE]
    printed = [value for label in labels for value in paper.values("table11", label, *POSE)]
    holds = [*map(rules.round_like, printed, theirs)] == theirs
    yield Check(
        "GVHMR scores as its authors publish",
        "11",
        Finding(rules.join(theirs), rules.join(printed), holds),
        "3DPW, then RICH; another protocol, which the paper does not describe",
    )


def _expected_of_print(paper: Paper) -> Iterator[Check]:
    frames, seconds = (paper.value("text", f"{what} of a clip") for what in ("frames", "seconds"))
    rate = frames / seconds
    printed = f"{frames} frames / {seconds} s = {rate:.2f} a second"
    found = Finding("24, 25 or 30 frames a second", printed, rate in (24, 25, 30))
    name = "A clip of 65 frames lasts 3 seconds"
    yield Check(name, "text", found, "rounded wording, or videos resampled")
    broken = []
    for table in (name for name in TABLES if name != "table4"):  # table 4 has no columns
        for column in paper.columns[table]:
            odd = odd_decimals(row[column.key] for row in paper.rows[table].values())
            broken += [f"table {table[5:]} {column.label} {value}" for value in odd]
    found = unbroken("one precision in every column", broken)
    yield Check("A column has one precision", "1-3, 5-11", found, "formatting")
    odd = odd_decimals(value for row in paper.rows["table9"].values() for value in row.values())
    found = unbroken("one precision in table 9", map(str, odd))
    yield Check("Scores have one precision", "9", found, "formatting")
