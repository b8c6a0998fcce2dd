"""The use of a tokenizer's codebook (the paper's table 5)."""

from typing import Any

import numpy as np

from benchmark.api.method import Progress
from benchmark.api.metric import POOLED, Evaluation, Metric, MetricContext, Score
from benchmark.metrics.arrays import to_numpy

SAMPLE = 100  # clips whose tokens are pooled, as in the caption of the paper's table 5


def utilisation(tokens: Any, size: int) -> tuple[int, float]:
    """Count the distinct codes n among pooled tokens; returns n and the share n/size.

    The share grows with the number of tokens, so it means little without the size of the
    sample; the paper's is the tokens of 100 random test clips.

    Args:
        tokens: integer code indices of any shape, numpy or torch.
        size: number of codes in the codebook.

    Raises:
        ValueError: no tokens, tokens that are not integers or not in [0, size).
    """
    tokens = to_numpy(tokens)
    if tokens.size == 0:
        raise ValueError("no tokens: codebook use is not defined")
    if tokens.dtype.kind not in "iu":
        raise ValueError(f"tokens must be integers, got dtype {tokens.dtype}")
    if tokens.min() < 0 or tokens.max() >= size:
        raise ValueError(
            f"tokens range over {tokens.min()}..{tokens.max()}, outside a codebook of {size}"
        )
    used = len(np.unique(tokens))
    return used, used / size


class CodebookMetric(Metric):
    """Codebook utilisation of table 5 in percent, over the tokens of `SAMPLE` random clips."""

    columns = ("codebook_util_pct",)

    def protocol(self, context: MetricContext) -> str:
        return f"n/B, n distinct tokens of {SAMPLE} clips drawn with the run's seed (all, if fewer)"

    def score(self, evaluation: Evaluation, *, progress: Progress) -> list[Score]:
        """Return one pooled score, or none for a method without tokens."""
        tokens = evaluation.tokens
        if tokens is None:
            return []
        rng = np.random.default_rng(evaluation.context.seed)
        sample = rng.permutation(len(tokens))[:SAMPLE]
        size = evaluation.codebook_size
        used, _ = utilisation(tokens[sample], size)
        (column,) = self.columns
        return [Score(POOLED, column, sum=100.0 * used, count=size, clips=len(sample))]


METRIC = CodebookMetric()
