"""FID and DIV in closed form, under hostile input, and as a metric of the harness."""

import dataclasses
import math
import warnings

import numpy as np
import pytest

from benchmark.api.clips import Clips
from benchmark.api.errors import Unavailable
from benchmark.api.metric import Evaluation, MetricContext, Score
from benchmark.metrics.diversity import METRIC, common_rate
from benchmark.metrics.features.distances import (
    frechet_distance,
    mean_pairwise_distance,
    normalise,
)
from benchmark.metrics.features.motion import (
    geometric_features,
    joints24_from_smplx,
    kinetic_features,
)
from datasets.adapters.embedded_shots import EmbeddedShots
from datasets.bodies.smplx import load_body
from datasets.bodies.smplx_file import STAND_IN, find_body


def test_normalised_reference_has_mean_zero_and_deviation_one():
    rng = np.random.default_rng(0)
    x, reference = rng.normal(size=(30, 5)), rng.normal([[1, 2, 3, 4, 5]], [[1e-3, 1, 2, 3, 1e3]])
    reference = reference + rng.normal(size=(50, 5)) * [1e-3, 1, 2, 3, 1e3]
    own = normalise(reference, reference)
    np.testing.assert_allclose(own.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(own.std(axis=0), 1, rtol=1e-6)
    expected = (x - reference.mean(axis=0)) / (reference.std(axis=0, ddof=0) + 1e-10)
    np.testing.assert_array_equal(normalise(x, reference), expected)


def test_columns_constant_in_the_reference_are_left_out_of_both_sets():
    rng = np.random.default_rng(0)
    x, reference = rng.normal(size=(40, 6)), rng.normal(size=(60, 6))
    varying = normalise(x[:, [0, 2, 3, 5]], reference[:, [0, 2, 3, 5]])
    reference[:, 1] = 1.0
    reference[:, 4] = 0.3 + 1e-9 * reference[:, 4]
    with pytest.warns(UserWarning, match="2 of 6 features are constant .* columns 1, 4: left out"):
        kept = normalise(x, reference)
    np.testing.assert_allclose(kept, varying, rtol=1e-9)
    with pytest.warns(UserWarning):
        true = normalise(reference, reference)
    assert 0 < frechet_distance(kept, true) < 10  # 1e15 and more with these columns
    with pytest.raises(ValueError, match="columns 1, 4"):
        normalise(x, reference, constant="raise")
    with pytest.raises(ValueError, match="all 6 features are constant"):
        normalise(x, reference[:1])


def with_moments(mean, deviation, rows=200, seed=0):
    """Rows whose mean is `mean` and whose covariance is diagonal, exactly."""
    noise = np.random.default_rng(seed).normal(size=(rows, len(mean)))
    basis, _ = np.linalg.qr(noise - noise.mean(axis=0))
    return mean + basis * deviation * math.sqrt(rows - 1)


def test_fid_of_diagonal_covariances_in_closed_form():
    rng = np.random.default_rng(1)
    mean_x, mean_y = rng.normal(size=(2, 72))
    std_x, std_y = rng.uniform(0.1, 2, size=(2, 72))
    x, y = with_moments(mean_x, std_x), with_moments(mean_y, std_y, rows=300, seed=1)
    expected = np.sum((mean_x - mean_y) ** 2) + np.sum((std_x - std_y) ** 2)
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-12)
    assert frechet_distance(x, x + 0.5) == pytest.approx(72 * 0.25, rel=1e-12)


@pytest.mark.parametrize(("rows_x", "rows_y"), [(300, 200), (40, 30), (2, 90)])
def test_fid_equals_the_matrix_square_root_and_is_symmetric(rows_x, rows_y):
    rng = np.random.default_rng(2)
    mix_x, mix_y = rng.normal(size=(2, 32, 32)) / 5
    x, y = rng.normal(size=(rows_x, 32)) @ mix_x + 0.3, rng.normal(size=(rows_y, 32)) @ mix_y
    cov_x, cov_y = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    values, vectors = np.linalg.eigh(cov_x)
    half = vectors * np.sqrt(np.clip(values, 0, None)) @ vectors.T
    roots = np.sqrt(np.clip(np.linalg.eigvalsh(half @ cov_y @ half), 0, None))
    shift = x.mean(axis=0) - y.mean(axis=0)
    expected = shift @ shift + np.trace(cov_x) + np.trace(cov_y) - 2 * roots.sum()
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(y, x) == pytest.approx(frechet_distance(x, y), rel=1e-12)
    assert 0 <= frechet_distance(x, x) < 1e-12
    assert frechet_distance(x, rng.permutation(x)) < 1e-12
    turn, _ = np.linalg.qr(rng.normal(size=(32, 32)))
    assert frechet_distance(x @ turn, y @ turn) == pytest.approx(frechet_distance(x, y), rel=1e-9)


def test_div_is_the_mean_over_all_pairs():
    x = np.random.default_rng(3).normal(size=(17, 5))
    pairs = [np.linalg.norm(x[i] - x[j]) for i in range(17) for j in range(i + 1, 17)]
    assert mean_pairwise_distance(x) == pytest.approx(np.mean(pairs), rel=1e-12)
    assert mean_pairwise_distance([[0, 0], [3, 4]]) == 5
    assert mean_pairwise_distance(np.ones((4, 3))) == 0
    shuffled = np.random.default_rng(4).permutation(x)
    assert mean_pairwise_distance(shuffled) == pytest.approx(mean_pairwise_distance(x), rel=1e-12)


@pytest.mark.parametrize(("width", "bound"), [(72, 12.02), (32, 8.01)])
def test_div_of_normalised_truth_is_bounded(width, bound):
    features = np.random.default_rng(5).standard_t(3, size=(300, width))
    own = mean_pairwise_distance(normalise(features, features))
    assert 0.7 * bound < own <= math.sqrt(2 * width * 300 / 299) == pytest.approx(bound, abs=5e-3)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.eye(4), "4 and 3 features|3 and 4 features"),
        (np.ones(3), r"shape \(3,\), expected \(clips, features\)"),
        (np.empty((3, 0)), r"shape \(3, 0\), expected"),
        (np.full((3, 3), np.nan), "NaN or infinite"),
        (np.empty((0, 3)), "0 clips, at least"),
        (np.array([["a"]]), "not numeric"),
    ],
)
def test_bad_features_are_refused(x, message):
    for function in (frechet_distance, normalise):
        for pair in ((x, np.eye(3)), (np.eye(3), x)):
            with pytest.raises(ValueError, match=message):
                function(*pair)
    if x.shape != (4, 4):
        with pytest.raises(ValueError, match=message):
            mean_pairwise_distance(x)


def test_constant_features_are_dropped_or_refused_and_nothing_else():
    with pytest.raises(ValueError, match="choose drop or raise"):
        normalise(np.eye(3), np.eye(3), constant="keep")


def test_one_clip_has_neither_fid_nor_div():
    for function in (mean_pairwise_distance, lambda x: frechet_distance(x, np.eye(3))):
        with pytest.raises(ValueError, match="x has 1 clips, at least 2 are needed"):
            function(np.ones((1, 3)))


@pytest.fixture(scope="module")
def shots(tmp_path_factory):
    """28 built-in shots of 17 frames in camera space."""
    sequences = list(EmbeddedShots(num_train=1, num_test=4).sequences(split="test"))
    return Clips(
        ids=[f"shot{index:03d}" for index in range(len(sequences))],
        channels=np.stack([sequence.camera_motion.to_channels() for sequence in sequences]),
        fps=np.full(len(sequences), 30.0),
        spaces=["camera"] * len(sequences),
        genders=["neutral"] * len(sequences),
        store=tmp_path_factory.mktemp("store"),
    )


def context_of(clips, task="i2vm", rates=None):
    return MetricContext(
        task=task,
        body=find_body(STAND_IN),
        seed=0,
        dataset="",
        cache=clips.store,
        rates=rates or {},
    )


def scored(clips, motion, task="i2vm", rates=None):
    """The scores of some motions."""
    context = context_of(clips, task, rates)
    evaluation = Evaluation(context=context, clips=clips, motion=motion, truth=None)
    return METRIC.score(evaluation, progress=lambda *_: None)


def values(clips, motion, rates=None):
    """Column -> value."""
    found = scored(clips, motion, rates=rates)
    return {score.column: score.sum / score.count for score in found}


def bent(clips):
    """The clips' motions with every body joint bent a few degrees, the same in all frames."""
    angles = np.random.default_rng(0).normal(0, 0.05, (len(clips.ids), 1, 79))
    angles[..., :3] = angles[..., 66:] = 0
    return (clips.channels + angles).astype(np.float32)


def test_the_truth_is_at_distance_zero_and_as_diverse_as_itself(shots):
    found = values(shots, shots.channels)
    assert set(METRIC.columns) < found.keys()
    assert 0 <= found["fid"] < 1e-9 and 0 <= found["fid_g"] < 1e-9
    assert found["div"] == found["div_true"] and found["div_g"] == found["div_true_g"]
    n = len(shots.ids)
    for column, width in (("div", 72), ("div_g", 32)):
        assert 0 < found[column] <= math.sqrt(2 * width * n / (n - 1))
    scores = scored(shots, shots.channels)
    assert {(score.clip_id, score.count, score.clips) for score in scores} == {("pooled", 1.0, n)}


def test_pictures_held_still_are_far_and_alike(shots):
    still = np.repeat(shots.channels[:, :1], shots.channels.shape[1], axis=1)
    found, near = values(shots, still), values(shots, bent(shots))
    assert found["fid"] > 3 * near["fid"] > 0
    assert found["div"] < 0.7 * found["div_true"]
    one = np.repeat(still[:1], len(still), axis=0)
    assert values(shots, one)["div"] == values(shots, one)["div_g"] == 0


def test_the_metric_is_the_functions_on_upright_joints(shots):
    motion, body = bent(shots), load_body(STAND_IN)
    true, own = (
        joints24_from_smplx(body.joints55(channels)) * [1, -1, -1]
        for channels in (shots.channels, motion)
    )
    found = values(shots, motion)
    with pytest.warns(UserWarning, match="of 32 features are constant"):
        for suffix, extract in (("", kinetic_features), ("_g", geometric_features)):
            reference = normalise(extract(true), extract(true))
            scaled = normalise(extract(own), extract(true))
            assert found["fid" + suffix] == pytest.approx(frechet_distance(scaled, reference))
            assert found["div" + suffix] == pytest.approx(mean_pairwise_distance(scaled))
            assert found["constant" + suffix] == extract(true).shape[1] - reference.shape[1]


def test_scores_do_not_depend_on_the_order_of_the_clips(shots):
    motion = bent(shots)
    order = np.random.default_rng(1).permutation(len(shots.ids))
    assert scored(shots[order], motion[order]) == scored(shots, motion)


def test_constant_features_are_told_in_a_note_not_in_a_warning(shots):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = scored(shots, bent(shots))
    (constant,) = (score for score in scores if score.column == "constant_g")
    assert constant.sum > 0
    count, diversity, *left_out = METRIC.notes(scores)
    assert count.startswith("FID and DIV are over 28 clips. ") and "more than 72" in count
    assert "own DIV is" in diversity
    assert f"{constant.sum:.0f} of the 32 geometric features are constant" in left_out[-1]
    many = [dataclasses.replace(score, clips=73) for score in scores]
    assert METRIC.notes(many)[0] == "FID and DIV are over 73 clips."
    assert METRIC.notes([Score("shot000", "mpjpe", sum=1.0, count=1.0)]) == []


def test_generated_bodies_may_be_upside_down_true_ones_may_not(shots):
    fallen = shots.channels.copy()
    fallen[..., :3] = [0.0, 0.0, 0.1]  # camera space: along +y, which points down
    assert values(shots, fallen)["fid"] > 0
    with pytest.raises(Unavailable, match="stand along -y"):
        scored(dataclasses.replace(shots, channels=fallen), shots.channels)


def test_nothing_is_scored_where_nothing_can_be(shots):
    with pytest.raises(Unavailable, match="at least two clips"):
        scored(shots[:1], shots.channels[:1])
    assert scored(shots, None) == []
    for task in ("v2m", "tokenizer"):
        assert scored(shots, shots.channels, task) == []
    assert len(scored(shots[:2], bent(shots)[:2])) == 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fps": np.array([29.97] + [30.0] * 27)}, "one frame rate, these have 29.97, 30 fps"),
        ({"spaces": ["camera"] * 27 + ["world"]}, "motion of shot027 is in world space: take"),
    ],
)
def test_clips_that_cannot_be_compared_are_refused(shots, change, message):
    with pytest.raises(Unavailable, match=message) as refusal:
        scored(dataclasses.replace(shots, **change), shots.channels)
    assert "\n" not in str(refusal.value)


def test_motions_that_cannot_be_compared_are_refused(shots):
    with pytest.raises(Unavailable, match=r"shape \(28, 17, 79\), got \(28, 16, 79\)"):
        scored(shots, shots.channels[:, 1:])
    smpl = np.zeros((28, 17, 85), np.float32)
    with pytest.raises(Unavailable, match=r"SMPL-X .* got \(28, 17, 85\)"):
        scored(dataclasses.replace(shots, channels=smpl), smpl)
    two = dataclasses.replace(shots, channels=shots.channels[:, :2])
    with pytest.raises(Unavailable, match="2 frames; these features need at least 3"):
        scored(two, two.channels)
    with pytest.raises(Unavailable, match="NaN or infinite"):
        scored(shots, np.full_like(shots.channels, np.nan))


def test_the_protocol_names_what_numbers_depend_on(shots):
    context = context_of(shots)
    line = METRIC.protocol(context)
    assert context.body_id in line and "\n" not in line
    for fact in ("1/60", "1/120", "72 kinetic", "32 geometric", "(x, -y, -z)", "same test clips"):
        assert fact in line
    assert METRIC.missing(context) == {}
    assert METRIC.protocol(context_of(shots, rates={30.0: 28})) == line
    mixed = METRIC.protocol(context_of(shots, rates={15.0: 3, 30.0: 20, 29.97: 5}))
    assert "15 fps (3 clips), 29.97 fps (5 clips), 30 fps (20 clips) re-timed to 30 fps" in mixed


@pytest.mark.parametrize(
    ("rates", "common"),
    [
        ({}, None),
        ({24.0: 9}, None),
        ({15.0: 5, 30.0: 20}, 30.0),
        ({15.0: 20, 30.0: 5}, 15.0),
        ({50.0: 4, 25.0: 4, 60.0: 1}, 25.0),
    ],
)
def test_clips_of_several_rates_are_compared_at_that_of_most(rates, common):
    assert common_rate(rates) == common


def test_clips_of_several_rates_are_measured_as_if_taken_at_one(shots):
    motion, fast = bent(shots), np.arange(28) % 4 == 0
    mixed = dataclasses.replace(shots, fps=np.where(fast, 60.0, 30.0))
    found = values(mixed, motion, {30.0: 21, 60.0: 7})
    body = load_body(STAND_IN)

    def features(channels, extract):
        # At 30 fps a clip of 60 fps has every other frame.
        joints = [
            joints24_from_smplx(body.joints55(clip[:: 1 + quick])) * [1, -1, -1]
            for clip, quick in zip(channels, fast, strict=True)
        ]
        return np.stack([extract(clip, check_up=False) for clip in joints])

    with pytest.warns(UserWarning, match="of 32 features are constant"):
        for suffix, extract in (("", kinetic_features), ("_g", geometric_features)):
            true, own = features(shots.channels, extract), features(motion, extract)
            reference, scaled = normalise(true, true), normalise(own, true)
            expected = frechet_distance(scaled, reference)
            assert found["fid" + suffix] == pytest.approx(expected, rel=1e-3)
            expected = mean_pairwise_distance(scaled)
            assert found["div" + suffix] == pytest.approx(expected, rel=1e-3)
    assert found["fid"] != pytest.approx(values(shots, motion)["fid"], rel=0.01)
    order = np.random.default_rng(1).permutation(28)
    assert values(mixed[order], motion[order], {30.0: 21, 60.0: 7}) == found
    assert values(mixed, mixed.channels, {30.0: 21, 60.0: 7})["fid"] < 1e-9


def test_a_rate_beside_that_of_most_changes_nothing(shots):
    near = dataclasses.replace(shots, fps=np.array([29.97] + [30.0] * 27))
    assert values(near, bent(shots), {29.97: 1, 30.0: 27}) == values(shots, bent(shots))
