"""Checks of what is counted: codes, parameters, tokens, frames."""

from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise

from benchmark.commands.audit.paper import Paper
from benchmark.commands.audit.rules import Finding, Rule, equal, join, or_else, round_like

_MILLION = 10**6
_FINAL = "s=1/36 B=512"


def whole_codes(paper: Paper) -> Finding:
    """Each utilisation of table 5 is n/B for a whole number n of codes."""
    used, broken = [], []
    for label, row in paper.rows["table5"].items():
        percent, size = row["codebook_util_pct"], Decimal(label.rpartition("=")[2])
        count = (percent * size / 100).quantize(Decimal(1))
        used.append(f"{count}")
        if not 0 < count <= size or round_like(100 * count / size, percent) != percent:
            broken.append(f"{label}: {percent} %")
    told = f"n = {', '.join(used)}"
    return Finding(f"n/B, n whole, in {len(used)} rows", or_else(broken, told), not broken)


def extra_parameters(paper: Paper) -> Finding:
    """Expansion adds the millions of parameters that the text says, to the nearest ten."""
    said = paper.value("text", "parameters that expansion adds, millions")
    added = _millions(paper, _FINAL) - _millions(paper, "s=1/1 B=512")
    return Finding(f"{said} M to the nearest ten", f"{added} M", round(added, -1) == said)


def same_step(first: tuple[str, str], second: tuple[str, str]) -> Rule:
    """The parameters grow alike between two pairs of rows of table 5."""

    def find(paper: Paper) -> Finding:
        steps = [
            _millions(paper, after) - _millions(paper, before) for before, after in (first, second)
        ]
        return Finding(f"{steps[0]:+} M", f"{steps[1]:+} M", steps[0] == steps[1])

    return find


def parameters_continued(paper: Paper) -> Finding:
    """The parameters at s=1/24 B=1024 continue the steps in B and in s of their neighbours."""
    small, middle = _millions(paper, "s=1/24 B=256"), _millions(paper, "s=1/24 B=512")
    by_codes = middle + (middle - small)
    by_tokens = middle + (_millions(paper, "s=1/36 B=1024") - _millions(paper, _FINAL))
    printed = _millions(paper, "s=1/24 B=1024")
    return Finding(
        f"{by_codes} M by the step in B, {by_tokens} M by the step in s",
        f"{printed} M",
        printed == by_codes == by_tokens,
    )


def parameters_in_proportion(paper: Paper) -> Finding:
    """512 more codes cost twice what 256 more do."""
    small, middle, large = (_millions(paper, f"s=1/36 B={size}") for size in (256, 512, 1024))
    expected = 2 * (middle - small)
    return Finding(f"{expected:+} M", f"{large - middle:+} M", large - middle == expected)


def parameters_of_codes(paper: Paper) -> Finding:
    """256 more codes add the numbers that 256 codes have."""
    added = _millions(paper, _FINAL) - _millions(paper, "s=1/36 B=256")
    codes = 256 * paper.value("text", "length of a code") / _MILLION
    expected = round_like(codes, added)
    return Finding(f"{expected:+} M", f"{added:+} M", added == expected)


def tokens(paper: Paper) -> Finding:
    """Visual, motion and special tokens of a clip make table 4's number."""
    text = {label: cells["value"] for label, cells in paper.rows["text"].items()}
    frames, each = text["frames of a clip"], text["tokens of a frame"]
    latents = (frames - 1) / text["frames to a latent"] + 1
    side = text["pixels of a side"] / text["pixels to a latent"]
    special = text["special tokens of a sequence"]
    total = latents * side * side + frames * each + special
    printed = paper.value("table4", "Number of Tokens")
    return Finding(
        f"{latents} x {side} x {side} + {frames} x {each} + {special} = {total}",
        f"{printed}",
        printed == total,
    )


def cosmos(paper: Paper) -> Finding:
    """Table 4 is the configuration of Cosmos 4B."""
    known = paper.rows["cosmos"]
    return equal(
        [paper.value("cosmos", label) for label in known],
        [paper.value("table4", label) for label in known],
    )


def size(paper: Paper) -> Finding:
    """The sizes of table 4 make a model of the named number of parameters.

    Attention with shared keys and values, three matrices in each feed-forward network, separate
    tables of visual tokens before and after: the architecture of Cosmos.
    """
    layers, width, vocabulary, hidden, heads, shared = (
        paper.value("table4", label)
        for label in (
            "Number of Transformer Layers",
            "Model Dimension",
            "Vocabulary Size",
            "FFN Hidden Dimension",
            "Number of Attention Heads",
            "Number of Key / Value Heads",
        )
    )
    attention = width * width * (2 + 2 * shared / heads)
    total = layers * (attention + 3 * width * hidden) + 2 * vocabulary * width
    named = paper.value("text", "parameters of Cosmos-AR-4B, billions")
    billions = round_like(total / _MILLION / 1000, Decimal("0.01"))
    return Finding(
        f"{named} B", f"sizes that make {billions} B", round_like(billions, named) == named
    )


def learning_rate(paper: Paper) -> Finding:
    """Table 4 and appendix A name one learning rate."""
    said = paper.value("text", "learning rate of the AR model")
    printed = paper.value("table4", "Base Learning Rate")
    return Finding(f"{said:e}", f"{printed:e}", said == printed)


def utilisation_falls(paper: Paper) -> Finding:
    """The larger the codebook, the smaller the part of it in use."""
    return _along_codebooks(
        paper, "utilisation falls as B grows", "codebook_util_pct", lambda a, b: a > b
    )


def error_grows(paper: Paper) -> Finding:
    """The larger the codebook, the larger the error."""
    return _along_codebooks(paper, "MPJPE grows as B grows", "mpjpe", lambda a, b: a < b)


def error_falls_with_use(paper: Paper) -> Finding:
    """The more codes are in use, the smaller the error."""
    broken, told = [], []
    for tokens_per_frame in (24, 36):
        points = []
        for label in _codebooks(tokens_per_frame):
            percent, error = paper.values("table5", label, "codebook_util_pct", "mpjpe")
            codes = percent * Decimal(label.rpartition("=")[2]) / 100
            points.append((codes.quantize(Decimal(1)), error))
        points.sort()
        text = ", ".join(f"{error} with {codes}" for codes, error in points)
        told.append(text)
        if any(later >= earlier for (_, earlier), (_, later) in pairwise(points)):
            broken.append(text)
    return Finding(
        "MPJPE falls as more codes are in use", or_else(broken, "; ".join(told)), not broken
    )


def frame_rate(paper: Paper) -> Finding:
    """A clip's frames last its seconds at a usual frame rate."""
    frames = paper.value("text", "frames of a clip")
    seconds = paper.value("text", "seconds of a clip")
    rate = frames / seconds
    told = f"{frames} frames / {seconds} s = {rate:.2f} a second"
    return Finding("24, 25 or 30 frames a second", told, rate in (24, 25, 30))


def _millions(paper: Paper, label: str) -> Decimal:
    return paper.value("table5", label, "params_m")


def _codebooks(tokens_per_frame: int) -> list[str]:
    """Rows of table 5 that differ in B alone."""
    return [f"s=1/{tokens_per_frame} B={size}" for size in (256, 512, 1024)]


def _along_codebooks(
    paper: Paper, rule: str, key: str, ordered: Callable[[Decimal, Decimal], bool]
) -> Finding:
    rows = [
        [paper.value("table5", label, key) for label in _codebooks(tokens_per_frame)]
        for tokens_per_frame in (24, 36)
    ]
    holds = all(ordered(*pair) for values in rows for pair in pairwise(values))
    return Finding(rule, "; ".join(map(join, rows)), holds)
