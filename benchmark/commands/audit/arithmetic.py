"""Checks of arithmetic and of numbers printed twice, which must agree."""

from collections.abc import Iterator
from decimal import Decimal

from benchmark.commands.audit import rules
from benchmark.commands.audit.paper import Paper
from benchmark.commands.audit.rules import (
    FINAL,
    POSE,
    POSE_TABLES,
    Check,
    Finding,
    added,
    equal,
    repeated,
    round_like,
    same_growth,
)


def checks(paper: Paper) -> Iterator[Check]:
    """Yield the checks in the order in which they are printed."""
    yield from _repeated(paper)
    yield from _tokenizers(paper)
    yield from _configuration(paper)
    ratios = {place: row["pa_mpjpe"] / row["mpjpe"] for place, row in paper.pose_rows().items()}
    yield Check(
        "PA-MPJPE does not exceed MPJPE",
        POSE_TABLES,
        rules.unbroken(
            f"PA-MPJPE at most MPJPE in {len(ratios)} rows",
            [place for place, ratio in ratios.items() if ratio > 1],
            f"ratios {min(ratios.values()):.3f} to {max(ratios.values()):.3f}",
        ),
        "alignment minimises squares, so this is all but certain to hold for means",
    )


def _repeated(paper: Paper) -> Iterator[Check]:
    """Yield the checks of means and of numbers that several tables print."""
    appearance = ("subject_consistency", "background_consistency", "aesthetic_quality")
    yield Check(
        "Appearance overall is the mean of its three scores",
        "9",
        rules.means(paper, "appearance_overall", *appearance),
        "raw VBench scores, neither normalised nor weighted",
    )
    motion = ("motion_smoothness", "temporal_flickering", "dynamic_degree")
    name = "Visual motion overall is the mean of its three scores"
    yield Check(name, "9", rules.means(paper, "motion_overall", *motion))
    overall, shown = (
        paper.values(table, "Baseline", *keys) + paper.values(table, "Ours", *keys)
        for table, keys in (
            ("table9", ("appearance_overall", "motion_overall")),
            ("table2", ("app", "mot")),
        )
    )
    yield Check("App. and Mot. are the overall scores", "2, 9", equal(overall, shown))
    i2vm = ("table2", "Ours"), ("table8", "Ours")
    own = repeated(paper, *i2vm, keys=("accel", "fid", "div", "app", "mot"))
    yield Check("Ours on I2VM is printed twice alike", "2, 8", own)
    full, printed = (paper.values(*row, *POSE[:3]) for row in i2vm)
    yield Check(
        "Ours on I2VM in two decimals is the rounded value",
        "2, 8",
        equal([*map(round_like, full, printed)], printed),
        "41.3058 was cut, not rounded",
    )
    tokenizer = ("table1", "Our"), ("table5", FINAL), ("table6", "6D Representation")
    name = "The final tokenizer is printed three times alike"
    yield Check(name, "1, 5, 6", repeated(paper, *tokenizer))
    v2m = ("table3", "Our"), ("table7", "Our"), ("table10", "Our")
    yield Check("Our on V2M is printed three times alike", "3, 7, 10", repeated(paper, *v2m))
    human = ("table3", "4DHuman"), ("table10", "4DHuman")
    name = "4DHuman on V2M is printed twice alike"
    yield Check(f"{name}: positions", "3, 10", repeated(paper, *human, keys=POSE[:3]))
    yield Check(
        f"{name}: Accel",
        "3, 10",
        repeated(paper, *human, keys=("accel",)),
        "a misprint; the paper does not let us decide in which",
    )


def _tokenizers(paper: Paper) -> Iterator[Check]:
    """Yield the checks of table 5's codebooks and parameters."""
    used, broken = [], []
    for label, row in paper.rows["table5"].items():
        percent, size = row["codebook_util_pct"], rules.codes_of(label)
        used.append((percent * size / 100).quantize(Decimal(1)))
        if not 0 < used[-1] <= size or round_like(100 * used[-1] / size, percent) != percent:
            broken.append(f"{label}: {percent} %")
    whole = f"n/B, n whole, in {len(used)} rows"
    found = rules.unbroken(whole, broken, f"n = {rules.join(used)}")
    yield Check("Utilisation is a whole number of codes", "5", found)
    own, other = (added(paper, f"s=1/{s} B=256", f"s=1/{s} B=512") for s in (36, 24))
    name = "Parameters grow alike from B=256 to 512 at s=1/24 and 1/36"
    yield Check(name, "5", same_growth(own, other))
    own, other = (added(paper, f"s=1/24 B={size}", f"s=1/36 B={size}") for size in (512, 256))
    name = "Parameters grow alike from s=1/24 to 1/36 at B=256 and 512"
    yield Check(name, "5", same_growth(own, other))
    middle, printed = (paper.value("table5", f"s=1/24 B={b}", "params_m") for b in (512, 1024))
    by_codes = middle + added(paper, "s=1/24 B=256", "s=1/24 B=512")
    by_tokens = middle + added(paper, FINAL, "s=1/36 B=1024")
    expected = f"{by_codes} M by the step in B, {by_tokens} M by the step in s"
    yield Check(
        "Parameters of s=1/24 B=1024 continue both steps",
        "5",
        Finding(expected, f"{printed} M", printed == by_codes == by_tokens),
        "almost certainly a misprint for 116.51",
    )


def _configuration(paper: Paper) -> Iterator[Check]:
    """Yield the checks of table 4 against the text and Cosmos."""
    text = {label: cells["value"] for label, cells in paper.rows["text"].items()}
    frames, each = text["frames of a clip"], text["tokens of a frame"]
    latents = (frames - 1) / text["frames to a latent"] + 1
    side = text["pixels of a side"] / text["pixels to a latent"]
    special = text["special tokens of a sequence"]
    total = latents * side * side + frames * each + special
    printed = paper.value("table4", "Number of Tokens")
    expected = f"{latents} x {side} x {side} + {frames} x {each} + {special} = {total}"
    yield Check(
        "Tokens of a clip add up",
        "4, text",
        Finding(expected, f"{printed}", printed == total),
        "latents, motion tokens, special tokens",
    )
    cosmos, sizes = (
        [paper.value(block, label) for label in paper.rows["cosmos"]]
        for block in ("cosmos", "table4")
    )
    name = "Table 4 is the configuration of Cosmos 4B"
    yield Check(name, "4", equal(cosmos, sizes), "against cosmos-predict1")
    # Attention with shared keys and values, three matrices in each feed-forward network, separate
    # tables of visual tokens before and after: the architecture of Cosmos.
    layers, width, vocabulary, hidden, heads, shared = sizes
    attention = width * width * (2 + 2 * shared / heads)
    total = layers * (attention + 3 * width * hidden) + 2 * vocabulary * width
    named = text["parameters of Cosmos-AR-4B, billions"]
    billions = round_like(total / rules.MILLION / 1000, Decimal("0.01"))
    holds = round_like(billions, named) == named
    found = Finding(f"{named} B", f"sizes that make {billions} B", holds)
    yield Check("Table 4 makes a model of 4 billion parameters", "4, text", found)
    named, printed = (
        text["learning rate of the AR model"],
        paper.value("table4", "Base Learning Rate"),
    )
    found = Finding(f"{named:e}", f"{printed:e}", named == printed)
    yield Check("The learning rate is the text's", "4, text", found)
