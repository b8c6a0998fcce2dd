"""Two systems measured on the same clips: difference of their means, interval, test, clips.

Scores are (sum, count) over frames, as in `benchmark.results.statistics`. What is compared are
pooled means: sum(sums) / sum(counts) of one system minus that of the other. Intervals and tests
take what they are given as independent, so give them groups of clips, made by `grouped`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import wilcoxon

from benchmark.api.metric import Score
from benchmark.results.statistics import (
    FEW_GROUPS,
    by_group,
    draw,
    expanded_interval,
    pooled_mean,
    t_interval,
)


@dataclass(frozen=True, eq=False)
class Pairs:
    """One column of two systems, first and second, on the same n clips or groups of clips.

    Attributes:
        ids: n names, sorted; only of clips with frames.
        sums: (2, n) sum over the frames of each.
        counts: (2, n) number of those frames, positive.
    """

    ids: tuple[str, ...]
    sums: np.ndarray
    counts: np.ndarray

    @property
    def means(self) -> tuple[float, float]:
        """Pooled mean of the first and of the second."""
        first, second = map(pooled_mean, self.sums, self.counts)
        return first, second

    @property
    def difference(self) -> float:
        """Pooled mean of the first minus that of the second."""
        first, second = self.means
        return first - second

    @property
    def differences(self) -> np.ndarray:
        """(n,) mean over the frames of each, of the first minus that of the second."""
        means = self.sums / self.counts
        return means[0] - means[1]


def join(first: Sequence[Score], second: Sequence[Score]) -> Pairs:
    """Pair the scores of one column by clip id, of the clips that have frames on both sides.

    Raises:
        ValueError: a clip is scored twice.
    """
    sides = [_by_clip(first), _by_clip(second)]
    ids = sorted(sides[0].keys() & sides[1].keys())
    counts = np.array([[side[name].count for name in ids] for side in sides], np.float64)
    sums = np.array([[side[name].sum for name in ids] for side in sides], np.float64)
    return Pairs(tuple(ids), sums, counts)


def parts(first: Sequence[Score], second: Sequence[Score], group_of: Callable[[str], str]) -> bool:
    """Return True if two systems differ: the 95 % interval of their difference excludes zero.

    It is over groups of the clips that both have, and Student's t where groups are few.

    Args:
        first: scores of one column.
        second: the same of the other system.
        group_of: clip id -> name of its group.

    Raises:
        ValueError: fewer than two groups have frames on both sides.
    """
    pairs = join(first, second)
    interval = difference_interval(grouped(pairs, group_of))
    if interval is None:
        raise ValueError(f"{len(pairs.ids)} clips of one group: no test")
    return not interval[0] <= 0 <= interval[1]


def grouped(pairs: Pairs, group_of: Callable[[str], str]) -> Pairs:
    """Return the pairs of groups of clips.

    Args:
        pairs: of clips.
        group_of: clip id -> name of its group.
    """
    own = [group_of(name) for name in pairs.ids]
    return Pairs(tuple(sorted(set(own))), by_group(pairs.sums, own), by_group(pairs.counts, own))


def _by_clip(scores: Sequence[Score]) -> dict[str, Score]:
    found = {score.clip_id: score for score in scores}
    if len(found) != len(scores):
        raise ValueError(f"{len(scores) - len(found)} clips are scored more than once")
    return {name: score for name, score in found.items() if score.count}


def difference_interval(
    pairs: Pairs, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[float, float] | None:
    """Interval of `Pairs.difference` over groups; `statistics.interval_method` says which kind.

    A bootstrap has both systems on the same resampled groups; of few groups, Student's t is over
    their differences, weighted by frames.

    Args:
        pairs: of one column.
        level: coverage of the interval.
        resamples: number of bootstrap samples.
        seed: of the draws.

    Returns:
        Lower and upper bound, or None for fewer than two groups.
    """
    groups = len(pairs.ids)
    if groups < 2:
        return None
    if groups < FEW_GROUPS:
        frames = pairs.counts.sum(axis=0)
        return t_interval(pairs.difference, pairs.differences, frames, level=level)
    draws = draw(groups, resamples=resamples, seed=seed)
    means = (draws @ pairs.sums.T) / (draws @ pairs.counts.T)
    differences = means[:, 0] - means[:, 1]
    return expanded_interval(differences, pairs.difference, groups=groups, level=level)


def signed_rank(differences: Sequence[float]) -> float:
    """Two-sided p of Wilcoxon's signed-rank test that differences are symmetric about zero.

    Zeros say nothing and are left out; 1 where there are only zeros.
    """
    values = np.asarray(differences, np.float64)
    values = values[values != 0.0]
    return float(wilcoxon(values).pvalue) if len(values) else 1.0


def holm(values: Sequence[float]) -> list[float]:
    """P-values corrected for being several, after Holm (1979), in the order given.

    The k-th smallest of m is multiplied by m - k + 1; none gets smaller than one before it, or
    larger than 1.
    """
    p = np.asarray(values, np.float64)
    order = np.argsort(p, kind="stable")
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return corrected.tolist()
