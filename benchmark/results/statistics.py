"""Means and intervals from per-clip scores, which are stored as (sum, count) over frames.

Clips of one group (a take, an actor, a source video: what no split separates) are alike, and
frames of one clip even more so. Intervals therefore treat groups as the independent units: a
bootstrap draws whole groups, and Student's t is over the means of groups.
"""

import functools
from collections.abc import Sequence

import numpy as np
from scipy.stats import norm, t

# With fewer groups than this, percentiles of a bootstrap cover less than they say, most of all
# where groups differ in size; `tests/benchmark/results/test_statistics.py` measures both kinds.
FEW_GROUPS = 16


def pooled_mean(sums: Sequence[float], counts: Sequence[float]) -> float:
    """Mean over all frames of all clips, every frame with equal weight: sum(sums) / sum(counts).

    Args:
        sums: (n,) sum of a score over the frames of each clip.
        counts: (n,) number of those frames; 0 for a clip too short for the score.

    Raises:
        ValueError: shapes differ, a sum is not finite, a count is negative, or no frame at all.
    """
    totals, frames = _checked(sums, counts)
    return float(totals.sum() / frames.sum())


def by_group(rows: np.ndarray, groups: Sequence[str]) -> np.ndarray:
    """(..., n) rows of n clips added up to (..., g), one a group, in the order of their names."""
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    totals = np.zeros((*rows.shape[:-1], len(names)))
    np.add.at(totals, (..., member), rows)  # type: ignore[arg-type]
    return totals


def bootstrap_interval(
    sums: Sequence[float],
    counts: Sequence[float],
    groups: Sequence[str],
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float] | None:
    """Interval of `pooled_mean` over groups of clips; `interval_method` says which kind it is.

    From `FEW_GROUPS` groups on, a bootstrap resamples whole groups with replacement. Its draws
    depend only on `seed` and the number of groups with frames, so equal rows give equal intervals.
    Of fewer groups it is Student's t over the means of groups, see `t_interval`.

    Args:
        sums: as in `pooled_mean`.
        counts: as in `pooled_mean`.
        groups: (n,) name of the group of each clip.
        level: coverage of the interval.
        resamples: number of bootstrap samples.
        seed: of the draws.

    Returns:
        Lower and upper bound, or None where fewer than two groups have frames.

    Raises:
        ValueError: as in `pooled_mean`.
    """
    totals, frames = by_group(np.stack(_checked(sums, counts)), groups)
    totals, frames = totals[frames > 0], frames[frames > 0]
    if len(totals) < 2:
        return None
    mean = float(totals.sum() / frames.sum())
    if len(totals) < FEW_GROUPS:
        return t_interval(mean, totals / frames, frames, level=level)
    draws = draw(len(totals), resamples=resamples, seed=seed)
    means = (draws @ totals) / (draws @ frames)
    return expanded_interval(means, mean, groups=len(totals), level=level)


def interval_method(groups: int) -> str:
    """``t``, ``bootstrap``, or an empty string: how the interval over so many groups is made."""
    if groups < 2:
        return ""
    return "t" if groups < FEW_GROUPS else "bootstrap"


def t_interval(
    mean: float, values: np.ndarray, counts: np.ndarray, *, level: float
) -> tuple[float, float]:
    """Student's t interval of a mean weighted by frames, from the values of g groups.

    Groups are taken as draws with one variance, estimated without weights from their values with
    g - 1 degrees of freedom; the weighted mean has the sum of squared weights times that variance.

    Args:
        mean: the weighted mean, the middle of the interval.
        values: (g,) value of each group, g >= 2.
        counts: (g,) frames of each group, its weight.
        level: coverage of the interval.
    """
    weights = counts / counts.sum()
    half = t.ppf((1.0 + level) / 2.0, len(values) - 1)
    half *= values.std(ddof=1) * np.sqrt((weights**2).sum())
    return float(mean - half), float(mean + half)


def expanded_interval(
    means: np.ndarray, mean: float, *, groups: int, level: float
) -> tuple[float, float]:
    """Percentiles of bootstrap means, moved outwards as Student's t asks for.

    The plain ones are too narrow for few groups: the expanded percentile interval of Hesterberg,
    "What teachers should know about the bootstrap" (The American Statistician, 2015).

    Args:
        means: (resamples,) of the bootstrap samples.
        mean: of the sample itself.
        groups: number of groups that were drawn from, at least 2.
        level: coverage of the interval.
    """
    tail = norm.cdf(np.sqrt(groups / (groups - 1)) * t.ppf((1.0 - level) / 2.0, groups - 1))
    low, high = np.quantile(means, [tail, 1.0 - tail])
    # Where all groups are equal, draws differ from the mean by rounding: it still lies inside.
    return float(min(low, mean)), float(max(high, mean))


@functools.lru_cache(maxsize=1)  # the columns of a table ask for the same draws, one by one
def draw(groups: int, *, resamples: int, seed: int) -> np.ndarray:
    """(resamples, groups) float64, read-only: how often each bootstrap sample draws each group."""
    draws = np.random.default_rng(seed).multinomial(
        groups, np.full(groups, 1.0 / groups), size=resamples
    )
    draws = draws.astype(np.float64)
    draws.flags.writeable = False
    return draws


def _checked(sums: Sequence[float], counts: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Return checked float64 sums and counts; sums are zero where counts are."""
    totals, frames = np.asarray(sums, np.float64), np.asarray(counts, np.float64)
    if totals.ndim != 1 or totals.shape != frames.shape:
        raise ValueError(f"sums {totals.shape} and counts {frames.shape} must be equal (n,) arrays")
    if not np.isfinite(totals).all():
        raise ValueError("a clip's sum is not finite")
    if not (np.isfinite(frames).all() and (frames >= 0).all()):
        raise ValueError("a clip's count is not a number of frames")
    used = frames > 0
    if not used.any():
        raise ValueError("no clip has a frame: the mean is not defined")
    return np.where(used, totals, 0.0), frames
