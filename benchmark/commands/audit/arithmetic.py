"""Checks of arithmetic and of numbers printed twice, which must agree."""

from decimal import Decimal

from benchmark.commands.audit.paper import Paper
from benchmark.commands.audit.rules import (
    FINAL,
    MILLION,
    POSE,
    POSE_TABLES,
    Checks,
    Finding,
    added,
    codes_of,
    equal,
    join,
    means,
    repeated,
    round_like,
    same_growth,
    unbroken,
)

CHECKS = Checks()


CHECKS.add(
    "Appearance overall is the mean of its three scores",
    "9",
    "raw VBench scores, neither normalised nor weighted",
)(means("appearance_overall", "subject_consistency", "background_consistency", "aesthetic_quality"))
CHECKS.add("Visual motion overall is the mean of its three scores", "9")(
    means("motion_overall", "motion_smoothness", "temporal_flickering", "dynamic_degree")
)


@CHECKS.add("App. and Mot. are the overall scores", "2, 9")
def _overall(paper: Paper) -> Finding:
    scores = {"table9": ("appearance_overall", "motion_overall"), "table2": ("app", "mot")}
    return equal(
        *(
            paper.values(table, "Baseline", *keys) + paper.values(table, "Ours", *keys)
            for table, keys in scores.items()
        )
    )


CHECKS.add("Ours on I2VM is printed twice alike", "2, 8")(
    repeated(("table2", "Ours"), ("table8", "Ours"), keys=("accel", "fid", "div", "app", "mot"))
)


@CHECKS.add(
    "Ours on I2VM in two decimals is the rounded value", "2, 8", "41.3058 was cut, not rounded"
)
def _rounded(paper: Paper) -> Finding:
    full, printed = (paper.values(table, "Ours", *POSE[:3]) for table in ("table2", "table8"))
    return equal([*map(round_like, full, printed)], printed)


CHECKS.add("The final tokenizer is printed three times alike", "1, 5, 6")(
    repeated(("table1", "Our"), ("table5", FINAL), ("table6", "6D Representation"))
)
CHECKS.add("Our on V2M is printed three times alike", "3, 7, 10")(
    repeated(("table3", "Our"), ("table7", "Our"), ("table10", "Our"))
)
CHECKS.add("4DHuman on V2M is printed twice alike: positions", "3, 10")(
    repeated(("table3", "4DHuman"), ("table10", "4DHuman"), keys=POSE[:3])
)
CHECKS.add(
    "4DHuman on V2M is printed twice alike: Accel",
    "3, 10",
    "a misprint; the paper does not let us decide in which",
)(repeated(("table3", "4DHuman"), ("table10", "4DHuman"), keys=("accel",)))


@CHECKS.add("Utilisation is a whole number of codes", "5")
def _whole_codes(paper: Paper) -> Finding:
    used, broken = [], []
    for label, row in paper.rows["table5"].items():
        percent, size = row["codebook_util_pct"], codes_of(label)
        used.append((percent * size / 100).quantize(Decimal(1)))
        if not 0 < used[-1] <= size or round_like(100 * used[-1] / size, percent) != percent:
            broken.append(f"{label}: {percent} %")
    return unbroken(f"n/B, n whole, in {len(used)} rows", broken, f"n = {join(used)}")


@CHECKS.add("Parameters grow alike from B=256 to 512 at s=1/24 and 1/36", "5")
def _step_in_codes(paper: Paper) -> Finding:
    own, other = (added(paper, f"s=1/{s} B=256", f"s=1/{s} B=512") for s in (36, 24))
    return same_growth(own, other)


@CHECKS.add("Parameters grow alike from s=1/24 to 1/36 at B=256 and 512", "5")
def _step_in_tokens(paper: Paper) -> Finding:
    own, other = (added(paper, f"s=1/24 B={size}", f"s=1/36 B={size}") for size in (512, 256))
    return same_growth(own, other)


@CHECKS.add(
    "Parameters of s=1/24 B=1024 continue both steps", "5", "almost certainly a misprint for 116.51"
)
def _continued(paper: Paper) -> Finding:
    middle, printed = (paper.value("table5", f"s=1/24 B={b}", "params_m") for b in (512, 1024))
    by_codes = middle + added(paper, "s=1/24 B=256", "s=1/24 B=512")
    by_tokens = middle + added(paper, FINAL, "s=1/36 B=1024")
    return Finding(
        f"{by_codes} M by the step in B, {by_tokens} M by the step in s",
        f"{printed} M",
        printed == by_codes == by_tokens,
    )


@CHECKS.add("Tokens of a clip add up", "4, text", "latents, motion tokens, special tokens")
def _tokens(paper: Paper) -> Finding:
    text = {label: cells["value"] for label, cells in paper.rows["text"].items()}
    frames, each = text["frames of a clip"], text["tokens of a frame"]
    latents = (frames - 1) / text["frames to a latent"] + 1
    side = text["pixels of a side"] / text["pixels to a latent"]
    special = text["special tokens of a sequence"]
    total = latents * side * side + frames * each + special
    printed = paper.value("table4", "Number of Tokens")
    expected = f"{latents} x {side} x {side} + {frames} x {each} + {special} = {total}"
    return Finding(expected, f"{printed}", printed == total)


@CHECKS.add("Table 4 is the configuration of Cosmos 4B", "4", "against cosmos-predict1")
def _cosmos(paper: Paper) -> Finding:
    known = paper.rows["cosmos"]
    return equal(
        *([paper.value(block, label) for label in known] for block in ("cosmos", "table4"))
    )


@CHECKS.add("Table 4 makes a model of 4 billion parameters", "4, text")
def _size(paper: Paper) -> Finding:
    # Attention with shared keys and values, three matrices in each feed-forward network, separate
    # tables of visual tokens before and after: the architecture of Cosmos.
    layers, width, vocabulary, hidden, heads, shared = (
        paper.value("table4", label) for label in paper.rows["cosmos"]
    )
    attention = width * width * (2 + 2 * shared / heads)
    total = layers * (attention + 3 * width * hidden) + 2 * vocabulary * width
    named = paper.value("text", "parameters of Cosmos-AR-4B, billions")
    billions = round_like(total / MILLION / 1000, Decimal("0.01"))
    holds = round_like(billions, named) == named
    return Finding(f"{named} B", f"sizes that make {billions} B", holds)


@CHECKS.add("The learning rate is the text's", "4, text")
def _learning_rate(paper: Paper) -> Finding:
    text = paper.value("text", "learning rate of the AR model")
    printed = paper.value("table4", "Base Learning Rate")
    return Finding(f"{text:e}", f"{printed:e}", text == printed)


@CHECKS.add(
    "PA-MPJPE does not exceed MPJPE",
    POSE_TABLES,
    "alignment minimises squares, so this is all but certain to hold for means",
)
def _aligned(paper: Paper) -> Finding:
    ratios = {place: row["pa_mpjpe"] / row["mpjpe"] for place, row in paper.pose_rows().items()}
    low, high = min(ratios.values()), max(ratios.values())
    broken = [place for place, ratio in ratios.items() if ratio > 1]
    expected = f"PA-MPJPE at most MPJPE in {len(ratios)} rows"
    return unbroken(expected, broken, f"ratios {low:.3f} to {high:.3f}")
