"""The statistics of two systems on the same clips."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from benchmark.results.paired import Pairs, difference_interval, grouped, holm, join, signed_rank
from tests.benchmark.commands.comparing import scores

CLIPS, FRAMES, REPEATS = 100, 65, 1000
CLIP_SD, NOISE_SD, RHO = 3.0, 4.0, 0.9


def simulated(seed, *, shift=0.0):
    """Sums (2, REPEATS, CLIPS) of two systems' errors, and the counts (CLIPS,) of frames.

    A clip is as hard for both systems; each system's own error on it is constant plus noise that
    is correlated from frame to frame, AR(1). The first system's mean is larger by `shift`.
    """
    rng = np.random.default_rng(seed)
    counts = rng.integers(30, FRAMES + 1, size=CLIPS)
    shape = (2, REPEATS, CLIPS)
    level = rng.gamma(4.0, 10.0, size=shape[1:]) + rng.normal(0, CLIP_SD, size=shape)
    level[0] += shift
    noise, sums = rng.normal(0, NOISE_SD, size=shape), np.zeros(shape)
    for frame in range(FRAMES):
        sums += (frame < counts) * (level + noise)
        noise = RHO * noise + rng.normal(0, NOISE_SD * np.sqrt(1 - RHO**2), size=shape)
    return sums, counts


def closed_form_sd(counts):
    """Standard deviation of the simulated difference of pooled means, given the counts."""
    lags = np.arange(1, FRAMES)
    ar = [n + 2 * np.sum(np.clip(n - lags, 0, None) * RHO**lags) for n in counts]
    of_sums = 2 * (counts**2 * CLIP_SD**2 + NOISE_SD**2 * np.array(ar))
    return np.sqrt(of_sums.sum()) / counts.sum()


def each(sums, counts):
    ids = tuple(f"{number:03d}" for number in range(CLIPS))
    for repeat in range(REPEATS):
        yield Pairs(ids, sums[:, repeat], np.stack([counts, counts]).astype(float))


def test_the_interval_and_the_test_are_calibrated():
    sums, counts = simulated(0)
    pairs = list(each(sums, counts))
    differences = np.array([pair.difference for pair in pairs])
    assert differences.std() == pytest.approx(closed_form_sd(counts), rel=0.07)
    bounds = np.array([difference_interval(pair) for pair in pairs])
    covered = np.mean((bounds[:, 0] <= 0) & (bounds[:, 1] >= 0))
    assert 0.93 <= covered <= 0.97
    rejected = np.mean([signed_rank(pair.differences) < 0.05 for pair in pairs])
    assert 0.03 <= rejected <= 0.07


def test_a_shift_is_found_as_often_as_the_normal_approximation_says():
    _, counts = simulated(1)
    shift = 2.8 * closed_form_sd(counts)
    power = scipy_stats.norm.cdf(2.8 - 1.96)  # 0.80
    bounds = np.array([difference_interval(pair) for pair in each(*simulated(1, shift=shift))])
    assert np.mean(bounds[:, 0] > 0) == pytest.approx(power, abs=0.04)


@pytest.mark.parametrize("groups", [2, 3, 4, 5, 6, 8, 12, 30])
def test_on_few_groups_the_interval_is_wide_enough(groups):
    """Of groups with different numbers of frames, each as hard for both systems."""
    rng = np.random.default_rng(groups)
    names, covered = tuple(map(str, range(groups))), 0
    for _ in range(400):
        counts = np.tile(rng.integers(20, 160, groups).astype(float), (2, 1))
        level = rng.gamma(4.0, 10.0, groups) + rng.normal(0, 3, (2, groups))
        low, high = difference_interval(Pairs(names, level * counts, counts))
        covered += low <= 0 <= high
    assert 0.92 <= covered / 400 <= 0.98


def test_equal_scores_differ_by_exactly_zero():
    rng = np.random.default_rng(3)
    own = scores(rng.uniform(5, 90, 20), list(rng.integers(1, 65, 20)))
    pairs = join(own, own)
    assert pairs.difference == 0.0
    assert difference_interval(pairs) == (0.0, 0.0)
    assert signed_rank(pairs.differences) == 1.0


def test_a_constant_shift_leaves_no_doubt():
    pairs = join(scores([11.0, 22.0, 33.0], [1, 2, 3]), scores([10.0, 21.0, 32.0], [1, 2, 3]))
    low, high = difference_interval(pairs)
    assert low <= pairs.difference <= high
    assert (low, high) == pytest.approx((1.0, 1.0))
    assert difference_interval(join(scores([1.0]), scores([2.0]))) is None


def test_frames_not_clips_have_equal_weight():
    first, second = scores([1.0, 5.0], [30, 10]), scores([2.0, 2.0], [30, 10])
    assert join(first, second).difference == pytest.approx((30 * 1 + 10 * 5) / 40 - 2.0)


def test_clips_are_joined_by_id_whatever_their_order():
    first, second = scores([1.0, 2.0, 3.0]), scores([1.5, 2.5, 9.0])
    straight, turned = join(first, second), join(first[::-1], [second[1], second[2], second[0]])
    assert straight.ids == turned.ids == ("a", "b", "c")
    assert turned.differences.tolist() == [-0.5, -0.5, -6.0]
    assert difference_interval(straight) == difference_interval(turned)


def test_clips_with_frames_on_one_side_alone_are_left_out():
    assert join(scores([1.0, 0.0], [10, 0]), scores([2.0, 0.0], [10, 0])).ids == ("a",)
    pairs = join(scores([1.0, 7.0, 5.0], [10, 0, 10]), scores([2.0, 2.0]))
    assert (pairs.ids, pairs.means) == (("a",), (1.0, 2.0))
    with pytest.raises(ValueError, match="scored more than once"):
        join(scores([1.0]) * 2, scores([1.0]))


def test_signed_rank_is_scipys():
    rng = np.random.default_rng(4)
    for clips in (5, 12, 80):
        values = rng.normal(0.2, 1.0, clips)
        assert signed_rank(values) == scipy_stats.wilcoxon(values).pvalue
        assert signed_rank([*values, 0.0, 0.0]) == signed_rank(values)
    # Five clips, all worse: one of the 2^5 equally likely patterns of signs, and its mirror image.
    assert signed_rank([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(2 / 2**5)


def test_holm_is_the_step_down_of_the_definition():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.5]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


def test_groups_not_clips_are_independent():
    """Of pairs whose clips come in takes with a difference of their own."""
    rng = np.random.default_rng(6)
    takes, clips, repeats = 20, 7, 400
    group_of = {f"{take}-{clip}": str(take) for take in range(takes) for clip in range(clips)}
    of_take = rng.normal(0, 3, (repeats, 2, takes, 1)) + rng.normal(
        0, 1, (repeats, 2, takes, clips)
    )
    sums = 50 + of_take.reshape(repeats, 2, -1)
    pairs = [Pairs(tuple(group_of), own, np.ones_like(own)) for own in sums]
    rates, tests = {}, {}
    for name, own in (("groups", [grouped(p, group_of.get) for p in pairs]), ("clips", pairs)):
        bounds = np.array([difference_interval(pair, resamples=500) for pair in own])
        rates[name] = np.mean((bounds[:, 0] <= 0) & (bounds[:, 1] >= 0))
        tests[name] = np.mean([signed_rank(pair.differences) < 0.05 for pair in own])
    assert 0.92 < rates["groups"] < 0.98 and tests["groups"] < 0.08
    assert rates["clips"] < 0.75 and tests["clips"] > 0.2  # what they would be without


def test_a_group_has_the_mean_over_its_frames():
    first, second = scores([1.0, 5.0, 7.0], [30, 10, 20]), scores([2.0, 2.0, 2.0], [30, 10, 20])
    pairs = join(first, second)
    own = grouped(pairs, {"a": "y", "b": "y", "c": "x"}.get)
    assert own.ids == ("x", "y")
    assert own.differences == pytest.approx([5.0, (30 * 1 + 10 * 5) / 40 - 2.0])
    assert own.difference == pytest.approx(pairs.difference)
