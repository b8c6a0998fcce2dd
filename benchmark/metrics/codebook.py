"""How much of a tokenizer's codebook is used: utilisation (the paper's table 5) and perplexity."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmark.api.method import Progress
from benchmark.api.metric import Evaluation, MetricContext, Score
from benchmark.metrics.arrays import to_numpy

SAMPLE = 100  # clips whose tokens are pooled, as in the caption of the paper's table 5


def utilisation(tokens: Any, size: int) -> tuple[int, float]:
    """Number n of distinct codes among pooled tokens, and the share n/size of the codebook.

    The share grows with the number of tokens, so it means little without the sample it was taken
    from; the paper's is the tokens of 100 random test clips.

    Args:
        tokens: integer code indices of any shape, numpy or torch.
        size: number of codes in the codebook.

    Raises:
        ValueError: no tokens, tokens that are not integers or not in [0, size).
    """
    used = int(np.count_nonzero(_counts(tokens, size)))
    return used, used / size


def perplexity(tokens: Any, size: int) -> float:
    """exp(-sum p ln p) of the code frequencies p: from 1 (one code) to `size` (all alike).

    Args:
        tokens: as in `utilisation`.
        size: as in `utilisation`.

    Raises:
        ValueError: as in `utilisation`.
    """
    counts = _counts(tokens, size)
    share = counts[counts > 0] / counts.sum()
    return float(np.exp(-np.sum(share * np.log(share))))


def _counts(tokens: Any, size: int) -> np.ndarray:
    """(size,) occurrences of each code."""
    tokens = to_numpy(tokens)
    if tokens.size == 0:
        raise ValueError("no tokens: codebook use is not defined")
    if tokens.dtype.kind not in "iu":
        raise ValueError(f"tokens must be integers, got dtype {tokens.dtype}")
    if tokens.min() < 0 or tokens.max() >= size:
        raise ValueError(
            f"tokens range over {tokens.min()}..{tokens.max()}, outside a codebook of {size}"
        )
    return np.bincount(tokens.ravel().astype(np.int64), minlength=size)


class CodebookMetric:
    """Codebook utilisation of table 5 in percent, over the tokens of `SAMPLE` random clips."""

    version = 1
    columns = ("codebook_util_pct",)

    def protocol(self, context: MetricContext) -> str:
        """See `benchmark.api.metric.Metric`."""
        return f"n/B, n distinct tokens of {SAMPLE} clips drawn with the run's seed (all, if fewer)"

    def missing(self, context: MetricContext) -> dict[str, str]:
        """Nothing ever is."""
        return {}

    def score(self, evaluation: Evaluation, *, progress: Progress) -> list[Score]:
        """One pooled score, none for a method without tokens; see `benchmark.api.metric.Metric`."""
        tokens = evaluation.tokens
        if tokens is None:
            return []
        rng = np.random.default_rng(evaluation.context.seed)
        sample = rng.permutation(len(tokens))[:SAMPLE]
        used, _ = utilisation(tokens[sample], evaluation.codebook_size)
        return [Score("pooled", *self.columns, 100.0 * used, evaluation.codebook_size, len(sample))]

    def absent(self, evaluation: Evaluation) -> dict[str, str]:
        """Nothing; see `benchmark.api.metric.Metric`."""
        return {}

    def notes(self, scores: Sequence[Score]) -> list[str]:
        """Nothing to add."""
        return []


METRIC = CodebookMetric()
