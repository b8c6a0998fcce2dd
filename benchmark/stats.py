"""Means and intervals from per-clip scores, which are stored as (sum, count) over frames."""

import functools
from collections.abc import Sequence

import numpy as np


def pooled_mean(sums: Sequence[float], counts: Sequence[int]) -> float:
    """Mean over all frames of all clips, every frame with equal weight: sum(sums) / sum(counts).

    Args:
        sums: (n,) sum of a score over the frames of each clip.
        counts: (n,) number of those frames; 0 for a clip too short for the score.

    Raises:
        ValueError: shapes differ, a sum is not finite, a count is negative, or no frame at all.
    """
    sums, counts = _rows(sums, counts)
    return float(sums.sum() / counts.sum())


def bootstrap_interval(
    sums: Sequence[float],
    counts: Sequence[int],
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float] | None:
    """Percentile bootstrap interval of `pooled_mean`, resampling whole clips with replacement.

    Clips, not frames, are resampled: frames of one clip are far from independent. The draws depend
    only on `seed` and the number of clips with frames, so equal rows give equal intervals.

    Args:
        sums: as in `pooled_mean`.
        counts: as in `pooled_mean`.
        level: coverage of the interval.
        resamples: number of bootstrap samples.
        seed: of the draws.

    Returns:
        Lower and upper bound, or None where fewer than two clips have frames.

    Raises:
        ValueError: as in `pooled_mean`.
    """
    sums, counts = _rows(sums, counts)
    clips = len(sums)
    if clips < 2:
        return None
    draws = clip_draws(clips, resamples=resamples, seed=seed)
    means = (draws @ sums) / (draws @ counts)
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(means, [tail, 1.0 - tail])
    # Of equal clips the draws differ from the mean by rounding: it still lies in the interval.
    mean = sums.sum() / counts.sum()
    return float(min(low, mean)), float(max(high, mean))


@functools.lru_cache(maxsize=1)  # the columns of a table ask for the same draws, one by one
def clip_draws(clips: int, *, resamples: int, seed: int) -> np.ndarray:
    """(resamples, clips) float64, read-only: how often each bootstrap sample draws each clip."""
    draws = np.random.default_rng(seed).multinomial(
        clips, np.full(clips, 1.0 / clips), size=resamples
    )
    draws = draws.astype(np.float64)
    draws.flags.writeable = False
    return draws


def _rows(sums: Sequence[float], counts: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Checked float64 sums and counts of the clips that have frames."""
    sums, counts = np.asarray(sums, np.float64), np.asarray(counts, np.float64)
    if sums.ndim != 1 or sums.shape != counts.shape:
        raise ValueError(f"sums {sums.shape} and counts {counts.shape} must be equal (n,) arrays")
    if not np.isfinite(sums).all():
        raise ValueError("a clip's sum is not finite")
    if not (np.isfinite(counts).all() and (counts >= 0).all()):
        raise ValueError("a clip's count is not a number of frames")
    used = counts > 0
    if not used.any():
        raise ValueError("no clip has a frame: the mean is not defined")
    return sums[used], counts[used]
