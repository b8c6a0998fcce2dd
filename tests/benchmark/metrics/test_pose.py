"""Pose metrics against plain per-frame formulas, invariances and hostile input."""

import numpy as np
import pytest
import torch

from benchmark.api.clips import Clips
from benchmark.api.metric import Evaluation, MetricContext
from benchmark.metrics.pose import METRIC, pose_errors, procrustes
from datasets.bodies.smplx import load_body
from datasets.bodies.smplx_file import STAND_IN, find_body
from datasets.rotation import axis_angle_to_matrix

HIPS = (1, 2)


def random_clip(seed=0, frames=9, joints=22, vertices=50):
    """Predicted and true joints and vertices, a few metres away from the origin."""
    rng = np.random.default_rng(seed)
    joints_true = rng.normal(size=(frames, joints, 3)) * 0.5 + [1.0, -2.0, 5.0]
    vertices_true = rng.normal(size=(frames, vertices, 3)) * 0.5 + [1.0, -2.0, 5.0]
    return (
        joints_true + rng.normal(size=joints_true.shape) * 0.1,
        joints_true,
        vertices_true + rng.normal(size=vertices_true.shape) * 0.1,
        vertices_true,
    )


def reference_errors(pred, true, pred_vertices, true_vertices, pelvis, fps):
    """The textbook formulas, one frame, one joint at a time."""
    mpjpe, pa_mpjpe, pve, centred = [], [], [], []
    for t in range(len(pred)):
        root_p = sum(pred[t, j] for j in pelvis) / len(pelvis)
        root_t = sum(true[t, j] for j in pelvis) / len(pelvis)
        p, g = pred[t] - root_p, true[t] - root_t
        centred.append((p, g))
        mpjpe.append(np.mean([np.linalg.norm(a - b) for a, b in zip(p, g, strict=True)]) * 1000)
        pv, gv = pred_vertices[t] - root_p, true_vertices[t] - root_t
        pve.append(np.mean([np.linalg.norm(a - b) for a, b in zip(pv, gv, strict=True)]) * 1000)
        x1, x2 = (p - p.mean(0)).T, (g - g.mean(0)).T
        u, _, vt = np.linalg.svd(x1 @ x2.T)
        z = np.diag([1, 1, np.sign(np.linalg.det(u @ vt))])
        rot = vt.T @ z @ u.T
        scale = np.trace(rot @ x1 @ x2.T) / np.sum(x1**2)
        aligned = (scale * rot @ p.T).T + g.mean(0) - scale * rot @ p.mean(0)
        pa_mpjpe.append(np.mean(np.linalg.norm(aligned - g, axis=1)) * 1000)
    accel = []
    for t in range(1, len(pred) - 1):
        second = [
            centred[t - 1][side] - 2 * centred[t][side] + centred[t + 1][side] for side in (0, 1)
        ]
        accel.append(np.mean(np.linalg.norm(second[0] - second[1], axis=1)) * fps**2)
    return {"mpjpe": mpjpe, "pa_mpjpe": pa_mpjpe, "pve": pve, "accel": accel}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_equals_the_textbook_formulas(dtype):
    clip = [array.astype(dtype) for array in random_clip()]
    errors = pose_errors(*clip, pelvis=HIPS, fps=21.7)
    expected = reference_errors(*(a.astype(np.float64) for a in clip), HIPS, 21.7)
    assert set(errors) == {"mpjpe", "pa_mpjpe", "pve", "accel"}
    for name, values in errors.items():
        assert values.dtype == np.float64
        np.testing.assert_allclose(values, expected[name], atol=1e-4, rtol=1e-9, err_msg=name)


def test_many_clips_at_once_equal_one_at_a_time():
    clips = [random_clip(seed) for seed in range(5)]
    rates = np.array([24.0, 25.0, 30.0, 60.0, 120.0])
    stacked = map(np.stack, zip(*clips, strict=True))
    together = pose_errors(*stacked, pelvis=HIPS, fps=rates, accel="wham")
    for row, clip in enumerate(clips):
        alone = pose_errors(*clip, pelvis=HIPS, fps=rates[row], accel="wham")
        for name, values in alone.items():
            np.testing.assert_allclose(together[name][row], values, rtol=1e-12)


def test_whole_numbers_and_half_precision_are_points_too():
    true = np.zeros((3, 22, 3), np.int64)
    pred = true.copy()
    pred[:, 1:3] += [0, 3, 4]  # the hips, so that all others seem to move
    for dtype in (np.int64, np.float16):
        points = (pred.astype(dtype), true.astype(dtype))
        errors = pose_errors(*points, *points, pelvis=HIPS)
        np.testing.assert_allclose(errors["mpjpe"], 5000 * 20 / 22)
        np.testing.assert_allclose(errors["pve"], 5000 * 20 / 22)


def test_torch_tensors_on_a_graph_are_accepted():
    clip = random_clip()
    tensors = [torch.tensor(array, requires_grad=True) for array in clip]
    errors = pose_errors(*tensors, pelvis=HIPS, mask=torch.ones(9, dtype=torch.bool))
    for name, values in pose_errors(*clip, pelvis=HIPS).items():
        np.testing.assert_allclose(errors[name], values, rtol=1e-12)


@pytest.mark.parametrize("offset", [[0.31, -0.17, 2.9], [-31.7, 0.3, 83.1]])
def test_float32_meshes_keep_their_accuracy_far_from_the_truth(offset):
    _, joints, _, _ = random_clip()
    rng = np.random.default_rng(3)
    true = (rng.normal(size=(9, 3000, 3)) * 0.5 + [40.0, 0.0, 90.0]).astype(np.float32)
    pred = (true + rng.normal(size=true.shape) * 0.01 + offset).astype(np.float32)
    exact = 1000 * np.linalg.norm(np.float64(pred) - np.float64(true) - offset, axis=-1).mean(-1)
    errors = pose_errors(joints + offset, joints, pred, true, pelvis=HIPS)
    np.testing.assert_allclose(errors["pve"], exact, atol=1e-4)


def test_closed_forms():
    true = random_clip(frames=4)[1]
    pred = true.copy()
    pred[:, 10:] += [0.003, 0.0, 0.004]  # 5 mm, in 12 of 22 joints, none of them a hip
    errors = pose_errors(pred, true, pred, true, pelvis=HIPS)
    np.testing.assert_allclose(errors["mpjpe"], 5 * 12 / 22)
    np.testing.assert_allclose(errors["pve"], 5 * 12 / 22)
    np.testing.assert_allclose(errors["accel"], 0, atol=1e-9)

    time = np.arange(8)[:, None, None]
    falling = np.tile(true[:1], (8, 1, 1))
    falling[:, 5:] += 0.5 * 9.81 * (time / 25.0) ** 2 * np.array([0.0, 1.0, 0.0])
    still = np.tile(true[:1], (8, 1, 1))
    accel = pose_errors(falling, still, pelvis=HIPS, fps=25.0)["accel"]
    np.testing.assert_allclose(accel, 9.81 * 17 / 22)


def test_accel_variants_differ_in_unit_and_trimming_only():
    pred, true, _, _ = random_clip()
    by = {
        name: pose_errors(pred, true, pelvis=HIPS, fps=25.0, accel=name)["accel"]
        for name in ("gvhmr", "wham", "mm_per_frame2")
    }
    assert [len(by[name]) for name in by] == [7, 5, 7]
    np.testing.assert_array_equal(by["wham"], by["gvhmr"][1:-1])
    np.testing.assert_allclose(by["gvhmr"], by["mm_per_frame2"] * 25.0**2 / 1000)


def test_translating_the_prediction_per_frame_changes_nothing():
    pred, true, pred_vertices, true_vertices = random_clip()
    shift = np.random.default_rng(1).normal(size=(9, 1, 3))
    before = pose_errors(pred, true, pred_vertices, true_vertices, pelvis=HIPS)
    after = pose_errors(pred + shift, true, pred_vertices + shift, true_vertices, pelvis=HIPS)
    for name in before:
        np.testing.assert_allclose(after[name], before[name], atol=1e-9)


def test_pa_mpjpe_ignores_similarities_but_not_reflections():
    _, true, _, _ = random_clip()
    rng = np.random.default_rng(2)
    turn = axis_angle_to_matrix(rng.normal(size=(9, 3)))
    scale = rng.uniform(0.2, 3.0, size=(9, 1, 1))
    similar = scale * true @ np.swapaxes(turn, 1, 2) + rng.normal(size=(9, 1, 3))
    np.testing.assert_allclose(pose_errors(similar, true, pelvis=HIPS)["pa_mpjpe"], 0, atol=1e-9)
    mirrored = similar * [-1.0, 1.0, 1.0]
    assert (pose_errors(mirrored, true, pelvis=HIPS)["pa_mpjpe"] > 10).all()


def test_no_other_similarity_fits_better():
    pred, true, _, _ = random_clip()
    best = np.sum((procrustes(pred, true) - true) ** 2, axis=(1, 2))
    centred = pred - pred.mean(1, keepdims=True)
    rng = np.random.default_rng(4)
    for _ in range(200):
        turn = axis_angle_to_matrix(rng.normal(size=(9, 3)) * 2)
        other = centred @ turn * rng.uniform(0, 2) + true.mean(1, keepdims=True)
        assert (best <= np.sum((other - true) ** 2, axis=(1, 2)) + 1e-12).all()


@pytest.mark.parametrize("point", [[0.0, 0.0, 0.0], [0.1, -7.3, 1e3]])
def test_a_prediction_of_a_single_point_becomes_the_mean(point):
    _, true, _, _ = random_clip()
    aligned = procrustes(np.broadcast_to(np.array(point), true.shape), true)
    np.testing.assert_allclose(aligned, np.broadcast_to(true.mean(1, keepdims=True), true.shape))


def test_flat_collinear_and_pointlike_bodies_stay_finite():
    pred, true, _, _ = random_clip()
    line = np.linspace(0, 1, 22)[None, :, None] * np.ones((9, 1, 3))
    flat = true * [1.0, 1.0, 0.0]
    for a, b in [(line, true), (true, line), (flat, true), (true, flat), (pred, 0 * true)]:
        errors = pose_errors(a, b, pelvis=HIPS)
        assert all(np.isfinite(values).all() for values in errors.values())
    np.testing.assert_allclose(pose_errors(line, -3 * line, pelvis=HIPS)["pa_mpjpe"], 0, atol=1e-9)
    mirrored = flat * [-1.0, 1.0, 1.0]  # in a plane a reflection is a rotation about an axis in it
    np.testing.assert_allclose(pose_errors(mirrored, flat, pelvis=HIPS)["pa_mpjpe"], 0, atol=1e-9)


@pytest.mark.parametrize("accel", ["gvhmr", "wham", "mm_per_frame2"])
@pytest.mark.parametrize("frames", [0, 1, 2, 3, 4])
def test_short_clips_have_short_accel(frames, accel):
    clip = random_clip(frames=frames)
    errors = pose_errors(*clip, pelvis=HIPS, accel=accel)
    trim = 4 if accel == "wham" else 2
    assert [len(errors[name]) for name in ("mpjpe", "pa_mpjpe", "pve")] == [frames] * 3
    assert len(errors["accel"]) == max(0, frames - trim)


def test_masked_frames_are_removed_before_differencing():
    pred, true, pred_vertices, true_vertices = random_clip()
    mask = np.array([1, 1, 0, 1, 1, 1, 0, 0, 1], bool)
    kept = pose_errors(
        pred[mask], true[mask], pred_vertices[mask], true_vertices[mask], pelvis=HIPS
    )
    pred[~mask], pred_vertices[~mask] = np.nan, np.inf
    masked = pose_errors(pred, true, pred_vertices, true_vertices, pelvis=HIPS, mask=mask)
    assert len(masked["accel"]) == 4
    for name in kept:
        np.testing.assert_array_equal(masked[name], kept[name])
    nothing = pose_errors(pred, true, pelvis=HIPS, mask=np.zeros(9, bool))
    assert all(len(values) == 0 for values in nothing.values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(pred_joints=np.full((9, 22, 3), np.nan)), "pred_joints holds NaN"),
        (dict(true_vertices=np.full((9, 50, 3), np.inf)), "true_vertices holds NaN"),
        (dict(pred_joints=np.zeros((8, 22, 3))), "differ in shape"),
        (dict(pred_joints=np.zeros((9, 22, 2))), "expected \\(..., T, points, 3\\)"),
        (dict(pred_joints=np.zeros((9, 66))), "expected \\(..., T, points, 3\\)"),
        (dict(pred_joints=np.full((9, 22, 3), "x")), "not numeric"),
        (dict(true_vertices=None), "give both"),
        (
            dict(pred_vertices=np.zeros((8, 50, 3)), true_vertices=np.zeros((8, 50, 3))),
            "vertices are for",
        ),
        (dict(pelvis=(22,)), "pelvis"),
        (dict(pelvis=()), "pelvis"),
        (dict(fps=0.0), "fps"),
        (dict(fps=np.array([25.0, 30.0])), "one per clip"),
        (dict(accel="GVHMR"), "unknown accel 'GVHMR'"),
        (dict(mask=np.ones(8, bool)), "mask must be a bool array"),
        (dict(mask=np.ones(9)), "mask must be a bool array"),
    ],
)
def test_bad_input_is_refused_in_one_line(change, message):
    names = ("pred_joints", "true_joints", "pred_vertices", "true_vertices")
    arguments = dict(zip(names, random_clip(), strict=True)) | {"pelvis": HIPS} | change
    with pytest.raises(ValueError, match=message) as caught:
        pose_errors(**arguments)
    assert "\n" not in str(caught.value)


def test_the_metric_scores_clips_on_a_body(tmp_path):
    rng = np.random.default_rng(5)
    true = np.zeros((2, 5, 79), np.float32)
    true[..., :66] = rng.normal(size=(2, 1, 66)) * 0.2
    pred = true.copy()
    pred[1, ..., 76:] += [1.0, 2.0, 3.0]  # a translation is no error
    pred[1, 2, 3:66] += 0.2
    body = load_body(STAND_IN)
    context = MetricContext(
        task="tokenizer", body=find_body(STAND_IN), seed=0, dataset="", cache=tmp_path
    )
    clips = Clips(
        ids=["a", "b"],
        channels=true,
        fps=np.array([25.0, 50.0]),
        spaces=["world", "world"],
        genders=["neutral"] * 2,
        store=tmp_path,
    )
    evaluation = Evaluation(context=context, clips=clips, motion=pred, truth=true)
    assert METRIC.missing(context) == {}
    assert METRIC.protocol(context).startswith(f"smplx22: body {context.body_id}; ")
    done = []
    scores = METRIC.score(evaluation, progress=lambda what, now, total: done.append((now, total)))
    assert done == [(1, 2), (2, 2)] and METRIC.notes(scores) == []
    rows = {(score.clip_id, score.column): score for score in scores}
    assert max(rows["a", column].sum for column in METRIC.columns) < 1e-9
    assert [rows["a", column].count for column in METRIC.columns] == [5, 5, 5, 3]
    expected = pose_errors(body.joints(pred[1]), body.joints(true[1]), pelvis=HIPS, fps=50.0)
    assert rows["b", "mpjpe"].sum == pytest.approx(expected["mpjpe"][2], abs=1e-3)
    assert rows["b", "accel"].sum == pytest.approx(expected["accel"].sum(), abs=1e-3)
    assert rows["b", "pve"].sum > 1
