"""Two systems measured on the same clips: difference of their means, interval, test, clips.

Scores are (sum, count) over frames, as in `benchmark.stats`. What is compared are pooled means:
sum(sums) / sum(counts) of one system minus that of the other. Clips, not frames, are resampled.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, t, wilcoxon

from benchmark.spec import Score
from benchmark.stats import clip_draws, pooled_mean


@dataclass(frozen=True, eq=False)
class Pairs:
    """One column of two systems, first and second, on the same n clips.

    Attributes:
        ids: n clip ids, sorted; only clips with frames.
        sums: (2, n) sum over the frames of each clip.
        counts: (2, n) number of those frames, positive.
    """

    ids: tuple[str, ...]
    sums: np.ndarray
    counts: np.ndarray

    @property
    def difference(self) -> float:
        """Pooled mean of the first minus that of the second."""
        first, second = map(pooled_mean, self.sums, self.counts)
        return first - second

    @property
    def differences(self) -> np.ndarray:
        """(n,) mean over each clip's frames of the first minus that of the second."""
        means = self.sums / self.counts
        return means[0] - means[1]


def join(first: Sequence[Score], second: Sequence[Score]) -> Pairs:
    """Pair the scores of one column by clip id, whatever their order.

    Clips without frames, too short for the column, are left out.

    Raises:
        ValueError: a clip is scored on one side only, or twice; or has frames on one side only.
    """
    sides = [_by_clip(first), _by_clip(second)]
    alone = sorted(sides[0].keys() ^ sides[1].keys())
    if alone:
        raise ValueError(f"{len(alone)} clips are scored on one side only, as {alone[0]}")
    ids = sorted(sides[0])
    counts = np.array([[side[name].count for name in ids] for side in sides], np.float64)
    sums = np.array([[side[name].sum for name in ids] for side in sides], np.float64)
    used = counts > 0
    uneven = np.flatnonzero(used[0] != used[1])
    if len(uneven):
        raise ValueError(f"{len(uneven)} clips have frames on one side only, as {ids[uneven[0]]}")
    kept = used[0]
    ids = tuple(name for name, keep in zip(ids, kept, strict=True) if keep)
    return Pairs(ids, sums[:, kept], counts[:, kept])


def _by_clip(scores: Sequence[Score]) -> dict[str, Score]:
    found = {score.clip_id: score for score in scores}
    if len(found) != len(scores):
        raise ValueError(f"{len(scores) - len(found)} clips are scored more than once")
    return found


def difference_interval(
    pairs: Pairs, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[float, float] | None:
    """Bootstrap interval of `Pairs.difference`: both systems on the same resampled clips.

    The percentiles are moved outwards as Student's t asks for, since the bootstrap is too narrow
    on few clips: the expanded percentile interval of Hesterberg, "What teachers should know about
    the bootstrap" (The American Statistician, 2015).

    Args:
        pairs: of one column.
        level: coverage of the interval.
        resamples: number of bootstrap samples.
        seed: of the draws.

    Returns:
        Lower and upper bound, or None for fewer than two clips.
    """
    clips = len(pairs.ids)
    if clips < 2:
        return None
    draws = clip_draws(clips, resamples=resamples, seed=seed)
    means = (draws @ pairs.sums.T) / (draws @ pairs.counts.T)
    tail = norm.cdf(np.sqrt(clips / (clips - 1)) * t.ppf((1.0 - level) / 2.0, clips - 1))
    low, high = np.quantile(means[:, 0] - means[:, 1], [tail, 1.0 - tail])
    # Where all clips differ alike, draws differ from the difference by rounding: it lies inside.
    difference = pairs.difference
    return float(min(low, difference)), float(max(high, difference))


def signed_rank(differences: Sequence[float]) -> float:
    """Two-sided p of Wilcoxon's signed-rank test that differences are symmetric about zero.

    Zeros say nothing and are left out; 1 where there are only zeros.
    """
    differences = np.asarray(differences, np.float64)
    differences = differences[differences != 0.0]
    return float(wilcoxon(differences).pvalue) if len(differences) else 1.0


def holm(values: Sequence[float]) -> list[float]:
    """P-values corrected for being several, after Holm (1979), in the order given.

    The k-th smallest of m is multiplied by m - k + 1; none gets smaller than one before it, or
    larger than 1.
    """
    values = np.asarray(values, np.float64)
    order = np.argsort(values, kind="stable")
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(
        1.0, np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    )
    return corrected.tolist()
