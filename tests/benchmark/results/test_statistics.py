"""Pooled means and bootstrap intervals from (sum, count) rows."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from benchmark.results import statistics
from benchmark.results.statistics import pooled_mean


def bootstrap_interval(sums, counts, **options):
    """The interval where every clip is a group by itself."""
    return statistics.bootstrap_interval(sums, counts, range(len(sums)), **options)


def test_every_frame_has_equal_weight():
    clips = [np.array([1.0, 2.0, 3.0]), np.array([10.0]), np.array([])]
    sums, counts = [c.sum() for c in clips], [len(c) for c in clips]
    assert pooled_mean(sums, counts) == pytest.approx(np.concatenate(clips).mean())


def test_the_interval_is_deterministic_and_holds_the_mean():
    rng = np.random.default_rng(0)
    counts = rng.integers(20, 65, size=50)
    sums = counts * rng.normal(80, 10, size=50)
    low, high = bootstrap_interval(sums, counts)
    assert low < pooled_mean(sums, counts) < high
    assert (low, high) == bootstrap_interval(sums, counts)
    assert (low, high) != bootstrap_interval(sums, counts, seed=1)
    wider = bootstrap_interval(sums, counts, level=0.99)
    assert wider[0] < low and wider[1] > high


def test_the_width_is_that_of_the_standard_error():
    rng = np.random.default_rng(1)
    values = rng.normal(80, 10, size=400)
    low, high = bootstrap_interval(values, np.ones(400), resamples=20000)
    expected = 2 * 1.96 * values.std() / np.sqrt(400)
    assert high - low == pytest.approx(expected, rel=0.03)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(200):
        values = rng.normal(5.0, 1.0, size=60)
        low, high = bootstrap_interval(values, np.ones(60), resamples=300)
        covered += low <= 5.0 <= high
    assert 0.88 < covered / 200 < 0.99


def test_equal_clips_leave_no_doubt_and_one_clip_no_interval():
    low, high = bootstrap_interval([10.0, 20.0, 30.0], [1, 2, 3])
    assert low == pytest.approx(10.0) and high == pytest.approx(10.0)
    assert bootstrap_interval([10.0], [3]) is None
    assert bootstrap_interval([10.0, 0.0], [3, 0]) is None  # the second clip has no frame


@pytest.mark.parametrize(
    ("sums", "counts", "message"),
    [
        ([1.0, 2.0], [1], "must be equal"),
        ([[1.0]], [[1]], "must be equal"),
        ([np.nan], [1], "not finite"),
        ([1.0], [-1], "not a number of frames"),
        ([0.0], [0], "no clip has a frame"),
        ([], [], "no clip has a frame"),
    ],
)
def test_bad_rows_are_refused(sums, counts, message):
    for statistic in (pooled_mean, bootstrap_interval):
        with pytest.raises(ValueError, match=message):
            statistic(sums, counts)


def test_an_interval_of_equal_clips_holds_their_mean():
    for value in np.random.default_rng(0).uniform(0, 50, 100):
        sums, counts = [value * 65] * 7, [65] * 7
        low, high = bootstrap_interval(sums, counts)
        assert low <= pooled_mean(sums, counts) <= high


def test_clips_of_one_group_are_drawn_together():
    rng = np.random.default_rng(3)
    level = rng.normal(50, 5, size=12)  # of twelve takes; their clips differ but little
    values = (level[:, None] + rng.normal(0, 0.1, size=(12, 20))).ravel()
    groups = [f"take {take}" for take in range(12) for _ in range(20)]
    order = rng.permutation(240)
    low, high = statistics.bootstrap_interval(
        values[order], np.ones(240), np.array(groups)[order], resamples=20000
    )
    # Twenty clips of a take say hardly more than one: the interval is that of twelve means.
    alone = bootstrap_interval(values.reshape(12, 20).mean(1), np.ones(12), resamples=20000)
    assert (low, high) == pytest.approx(alone, rel=0.01)
    assert high - low > 3 * np.subtract(*bootstrap_interval(values, np.ones(240))[::-1])
    assert statistics.bootstrap_interval(values, np.ones(240), ["one take"] * 240) is None


def coverage(groups, sizes, *, clips_alone=False):
    """Of 400 intervals, how many hold the mean: groups with a level of their own, noise within.

    `sizes` are the clips of each group. All use one seed, hence one set of bootstrap draws.
    """
    rng, covered = np.random.default_rng(groups), 0
    for _ in range(400):
        member = np.repeat(np.arange(groups), rng.permutation(sizes))
        values = rng.normal(5.0, 1.0, groups)[member] + rng.normal(0, 0.5, len(member))
        of = range(len(member)) if clips_alone else member
        low, high = statistics.bootstrap_interval(values, np.ones(len(member)), of, resamples=500)
        covered += low <= 5.0 <= high
    return covered / 400


@pytest.mark.parametrize("groups", [2, 3, 4, 5, 6, 8, 12, 30])
@pytest.mark.parametrize("sizes", ["equal", "uneven"])
def test_the_interval_of_grouped_clips_covers_the_truth_as_often_as_it_says(groups, sizes):
    clips = np.full(groups, 5) if sizes == "equal" else np.resize([1, 8, 3, 6, 2, 7, 4, 5], groups)
    # The plain bootstrap: 0.50, 0.74, 0.87, 0.90 for 2 to 5.
    assert 0.92 <= coverage(groups, clips) <= 0.98
    if groups == 30:  # what it would be without
        assert coverage(groups, clips, clips_alone=True) < 0.8


def test_of_few_groups_it_is_students_t_over_their_means():
    values = [4.0, 5.0, 9.0]
    low, high = bootstrap_interval(values, np.ones(3))
    expected = scipy_stats.t.interval(0.95, 2, np.mean(values), scipy_stats.sem(values))
    assert (low, high) == pytest.approx(expected)
    kinds = [statistics.interval_method(groups) for groups in (0, 1, 2, 15, 16)]
    assert kinds == ["", "", "t", "t", "bootstrap"]


def test_a_group_whose_clips_are_too_short_does_not_count():
    whole = statistics.bootstrap_interval([1.0, 2.0, 3.0], [1, 1, 1], list("abb"))
    assert statistics.bootstrap_interval([1.0, 2.0, 3.0, 0.0], [1, 1, 1, 0], list("abbc")) == whole
