"""The checks of the audit, in the order they are printed.

First arithmetic and numbers printed twice, which must agree; then what the text claims; then what
one would expect of such numbers, where a failure proves nothing.
"""

from dataclasses import dataclass

from benchmark.commands.audit import counts, rules
from benchmark.commands.audit.rules import POSE, Rule


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        name: what is checked, in one phrase.
        tables: numbers of the tables it reads, and ``text`` for the running text.
        find: compares expected and printed.
        note: how to read it.
    """

    name: str
    tables: tuple[str, ...]
    find: Rule
    note: str = ""


_SUSPECT = "suspect, not proven wrong"

CHECKS = (
    Check(
        "Appearance overall is the mean of its three scores",
        ("9",),
        rules.means(
            "appearance_overall",
            "subject_consistency",
            "background_consistency",
            "aesthetic_quality",
        ),
        "raw VBench scores, neither normalised nor weighted",
    ),
    Check(
        "Visual motion overall is the mean of its three scores",
        ("9",),
        rules.means("motion_overall", "motion_smoothness", "temporal_flickering", "dynamic_degree"),
    ),
    Check("App. and Mot. are the overall scores", ("2", "9"), rules.overall_repeated),
    Check(
        "Ours on I2VM is printed twice alike",
        ("2", "8"),
        rules.repeated(
            ("table2", "Ours"), ("table8", "Ours"), keys=("accel", "fid", "div", "app", "mot")
        ),
    ),
    Check(
        "Ours on I2VM in two decimals is the rounded value",
        ("2", "8"),
        rules.rounded(("table2", "Ours"), ("table8", "Ours"), ("mpjpe", "pa_mpjpe", "pve")),
        "41.3058 was cut, not rounded",
    ),
    Check(
        "The final tokenizer is printed three times alike",
        ("1", "5", "6"),
        rules.repeated(
            ("table1", "Our"), ("table5", "s=1/36 B=512"), ("table6", "6D Representation")
        ),
    ),
    Check(
        "Our on V2M is printed three times alike",
        ("3", "7", "10"),
        rules.repeated(("table3", "Our"), ("table7", "Our"), ("table10", "Our")),
    ),
    Check(
        "4DHuman on V2M is printed twice alike: positions",
        ("3", "10"),
        rules.repeated(
            ("table3", "4DHuman"), ("table10", "4DHuman"), keys=("mpjpe", "pa_mpjpe", "pve")
        ),
    ),
    Check(
        "4DHuman on V2M is printed twice alike: Accel",
        ("3", "10"),
        rules.repeated(("table3", "4DHuman"), ("table10", "4DHuman"), keys=("accel",)),
        "a misprint; the paper does not let us decide in which",
    ),
    Check("Utilisation is a whole number of codes", ("5",), counts.whole_codes),
    Check(
        "Parameters grow alike from B=256 to 512 at s=1/24 and 1/36",
        ("5",),
        counts.same_step(("s=1/36 B=256", "s=1/36 B=512"), ("s=1/24 B=256", "s=1/24 B=512")),
    ),
    Check(
        "Parameters grow alike from s=1/24 to 1/36 at B=256 and 512",
        ("5",),
        counts.same_step(("s=1/24 B=512", "s=1/36 B=512"), ("s=1/24 B=256", "s=1/36 B=256")),
    ),
    Check(
        "Parameters of s=1/24 B=1024 continue both steps",
        ("5",),
        counts.parameters_continued,
        "almost certainly a misprint for 116.51",
    ),
    Check(
        "Tokens of a clip add up",
        ("4", "text"),
        counts.tokens,
        "latents, motion tokens, special tokens",
    ),
    Check(
        "Table 4 is the configuration of Cosmos 4B",
        ("4",),
        counts.cosmos,
        "against cosmos-predict1",
    ),
    Check("Table 4 makes a model of 4 billion parameters", ("4", "text"), counts.size),
    Check("The learning rate is the text's", ("4", "text"), counts.learning_rate),
    Check(
        "PA-MPJPE does not exceed MPJPE",
        ("1-3", "5-8", "10", "11"),
        rules.aligned_is_smaller,
        "alignment minimises squares, so this is all but certain to hold for means",
    ),
    Check("Claim: expansion adds about 30 M parameters", ("5", "text"), counts.extra_parameters),
    Check(
        "Claim: our tokenizer reconstructs better than SOLAMI", ("1",), rules.best("table1", "Our")
    ),
    Check(
        "Claim: I2VM outperforms the baseline",
        ("2",),
        rules.best("table2", "Ours"),
        "where the baseline has numbers",
    ),
    Check(
        "Claim: s=1/36 B=512 reconstructs best",
        ("5",),
        rules.best("table5", "s=1/36 B=512", keys=POSE),
    ),
    Check("Claim: one token a frame is inadequate", ("5",), rules.worst("table5", "s=1/1 B=512")),
    Check(
        "Claim: the 6D representation is superior",
        ("6",),
        rules.best("table6", "6D Representation"),
    ),
    Check("Claim: both tasks and own embeddings help V2M", ("7",), rules.best("table7", "Our")),
    Check("Claim: both tasks and own embeddings help I2VM", ("8",), rules.best("table8", "Ours")),
    Check(
        "Claim: the baseline leads in smoothness and flickering alone",
        ("9",),
        rules.best("table9", "Ours", but=("motion_smoothness", "temporal_flickering")),
    ),
    Check(
        "Claim: V2M does not surpass all others everywhere",
        ("11", "text"),
        rules.not_best_everywhere,
        "the claim of comparable results names no measure",
    ),
    Check("Claim: a larger codebook is used less", ("5",), counts.utilisation_falls),
    Check(
        "Claim: a larger codebook is less accurate",
        ("5",),
        counts.error_grows,
        "true from B=512 to 1024 only",
    ),
    Check(
        "More codes in use are more accurate",
        ("5",),
        counts.error_falls_with_use,
        "an implausibly sharp optimum at B=512; do not expect to reproduce it",
    ),
    Check(
        "Parameters grow in proportion to the codes added",
        ("5",),
        counts.parameters_in_proportion,
        "s=1/36: B=256 to 512, then 512 to 1024",
    ),
    Check(
        "Parameters grow by the codes added",
        ("5", "text"),
        counts.parameters_of_codes,
        "s=1/36, B=256 to 512; the growth is not the codebook",
    ),
    Check("PVE exceeds MPJPE", ("1-3", "5-8", "10", "11"), rules.surface_is_larger, _SUSPECT),
    Check("PVE and MPJPE go together", ("11",), rules.surface_ratio, _SUSPECT),
    Check(
        "GVHMR scores as its authors publish",
        ("11",),
        rules.published,
        "3DPW, then RICH; another protocol, which the paper does not describe",
    ),
    Check(
        "A clip of 65 frames lasts 3 seconds",
        ("text",),
        counts.frame_rate,
        "rounded wording, or videos resampled",
    ),
    Check("A column has one precision", ("1-3", "5-11"), rules.equal_decimals, "formatting"),
    Check("Scores have one precision", ("9",), rules.equal_decimals_of_scores, "formatting"),
)
