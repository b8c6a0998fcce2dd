"""Errors of a reconstructed body against the true one: MPJPE, PA-MPJPE, PVE and Accel.

Definitions of WHAM (``lib/eval/eval_utils.py``) and GVHMR (``hmr4d/utils/eval/eval_utils.py``),
which agree except for the trimming of Accel. Per-frame numbers are returned, so that the mean
over the frames of all clips gives every frame the same weight, as both code bases do.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmark.api.errors import Unavailable
from benchmark.api.method import Progress
from benchmark.api.metric import Evaluation, Metric, MetricContext, Score
from benchmark.metrics.arrays import numeric, to_numpy
from benchmark.metrics.bodies import protocols
from datasets.motion import require

ACCEL_VARIANTS = ("gvhmr", "wham", "mm_per_frame2")
# Below this sum of squared distances from the mean (metres^2) a prediction is a single point.
_POINT = 1e-20
_LEFT_OUT = "left out: "  # begins the column of a score that says why a clip has no errors
_CHUNK = 8  # frames per piece of a mesh: 10475 float32 vertices are then 1 MB, inside a CPU's L2


def pose_errors(
    pred_joints: Any,
    true_joints: Any,
    pred_vertices: Any = None,
    true_vertices: Any = None,
    *,
    pelvis: Sequence[int],
    fps: float | np.ndarray = 30.0,
    accel: str = "gvhmr",
    mask: Any = None,
) -> dict[str, np.ndarray]:
    """Errors of one clip of T frames, or of many clips of equal length at once.

    With joints and vertices moved so that the mean of the `pelvis` joints is the origin,

    * `mpjpe` = mean over joints of |P - G|, and `pve` the same over vertices;
    * `pa_mpjpe` = the same over joints after the similarity (scale included, no reflection) that
      fits each frame of P to G best in the sum of squares;
    * `accel` = mean over joints of |A_P - A_G|, A(t) = X(t-1) - 2 X(t) + X(t+1): times fps^2 in
      m/s^2 for ``gvhmr`` and for ``wham``, which drops the first and the last value of a clip;
      in mm/frame^2, whatever the fps, for ``mm_per_frame2``.

    Args:
        pred_joints: (..., T, J, 3) predicted joints, metres; numpy or torch, like all arrays here.
        true_joints: (..., T, J, 3) true joints in the same frame of reference.
        pred_vertices: (..., T, V, 3) metres, or None.
        true_vertices: (..., T, V, 3) metres, or None.
        pelvis: indices of the joints whose mean is the root, e.g. ``(1, 2)``, the hips of SMPL.
        fps: frames per second, for Accel; a number, or one per clip (...,).
        accel: ``gvhmr``, ``wham`` or ``mm_per_frame2``.
        mask: (T,) bool, for a single clip: the frames that count. The others are removed before
            anything else, so second differences run across the gaps (as in GVHMR), and may hold
            anything, even NaN.

    Returns:
        `mpjpe`, `pa_mpjpe` and, where vertices are given, `pve`: (..., F) float64 over the F
        frames that count, mm; `accel`: (..., F - 2) float64, (..., F - 4) for ``wham``, empty for
        shorter clips.

    Raises:
        ValueError: shapes that do not fit, numbers that are not finite, an unknown `accel`.
    """
    require(accel in ACCEL_VARIANTS, f"unknown accel {accel!r}: choose {', '.join(ACCEL_VARIANTS)}")
    pred, true = _pair("joints", pred_joints, true_joints, mask)
    pred, true = pred.astype(np.float64, copy=False), true.astype(np.float64, copy=False)
    fps = np.asarray(fps, np.float64)
    require(bool(np.all(np.isfinite(fps) & (fps > 0))), f"fps must be positive, got {fps}")
    require(
        fps.shape in ((), pred.shape[:-3]),
        f"fps has shape {fps.shape}, expected one number or one per clip {pred.shape[:-3]}",
    )
    pelvis, joints = list(pelvis), pred.shape[-2]
    require(
        len(pelvis) > 0 and all(0 <= index < joints for index in pelvis),
        f"pelvis must name some of the {joints} joints, got {pelvis}",
    )
    pred_root = pred[..., pelvis, :].mean(axis=-2, keepdims=True)
    true_root = true[..., pelvis, :].mean(axis=-2, keepdims=True)
    difference = (pred - pred_root) - (true - true_root)
    errors = {
        "mpjpe": 1000.0 * _mean_norm(difference),
        "pa_mpjpe": 1000.0 * _mean_norm(procrustes(pred, true) - true),
        "accel": _accel_error(difference, fps=fps[..., None], variant=accel),
    }
    if pred_vertices is not None or true_vertices is not None:
        pred_vertices, true_vertices = _pair("vertices", pred_vertices, true_vertices, mask)
        require(
            pred_vertices.shape[:-2] == pred.shape[:-2],
            f"vertices are for {pred_vertices.shape[:-2]} frames, joints for {pred.shape[:-2]}",
        )
        errors["pve"] = 1000.0 * _vertex_error(pred_vertices, true_vertices, pred_root - true_root)
    return errors


def procrustes(pred: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Each frame of `pred` (..., J, 3) moved onto `true` by the best similarity, float64.

    Scaled rotation (det +1) plus shift that minimises the sum of squared distances (Umeyama 1991).
    A prediction whose points coincide has no such similarity; it becomes the mean of `true`.
    """
    true_mean = true.mean(axis=-2, keepdims=True)
    source = pred - pred.mean(axis=-2, keepdims=True)
    # Rows are points, so rotations act from the right: minimise |scale * source @ R - target|.
    u, singular, vt = np.linalg.svd(np.swapaxes(source, -1, -2) @ (true - true_mean))
    sign = np.ones_like(singular)
    sign[..., 2] = np.sign(np.linalg.det(u @ vt))
    spread = np.sum(source**2, axis=(-2, -1))
    fits = spread > _POINT
    scale = np.where(fits, np.sum(singular * sign, axis=-1) / np.where(fits, spread, 1.0), 0.0)
    return source @ (scale[..., None, None] * ((u * sign[..., None, :]) @ vt)) + true_mean


def _accel_error(difference: np.ndarray, *, fps: np.ndarray, variant: str) -> np.ndarray:
    """Accel (..., T-2) from pelvis-aligned joint differences (..., T, J, 3).

    Second differences are linear: A_P - A_G is that of P - G.
    """
    before, at, after = (
        difference[..., :-2, :, :],
        difference[..., 1:-1, :, :],
        difference[..., 2:, :, :],
    )
    error = _mean_norm(before - 2.0 * at + after)
    if variant == "mm_per_frame2":
        return 1000.0 * error
    return fps**2 * (error[..., 1:-1] if variant == "wham" else error)


def _vertex_error(pred: np.ndarray, true: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """(..., T) mean |pred - true - shift| of (..., T, V, 3) meshes, shift (..., T, 1, 3), metres.

    In the meshes' own precision, which is 2.5 times as fast in float32 as a detour over float64,
    and a few frames at a time, in cache. The shift is taken off in two parts: its rounding to
    float32 alone would move every vertex of a frame the same way, by 1e-4 mm at 2 m.
    """
    error = np.empty(pred.shape[:-2])
    flat_error = error.reshape(-1)
    pred, true = (mesh.reshape(-1, *mesh.shape[-2:]) for mesh in (pred, true))
    shift = shift.reshape(-1, 1, 3)
    for start in range(0, len(pred), _CHUNK):
        piece = slice(start, start + _CHUNK)
        difference = pred[piece] - true[piece]
        coarse = shift[piece].astype(difference.dtype)
        difference -= coarse
        difference -= (shift[piece] - coarse).astype(difference.dtype)
        flat_error[piece] = _mean_norm(difference)
    return error


def _mean_norm(vectors: np.ndarray) -> np.ndarray:
    """Float64 mean over points of the lengths of (..., P, 3) vectors."""
    squares = vectors * vectors
    # Three plain additions: a sum over an axis of length three is several times slower in numpy.
    lengths = np.sqrt(squares[..., 0] + squares[..., 1] + squares[..., 2])
    return lengths.mean(axis=-1, dtype=np.float64)


def _pair(what: str, pred: Any, true: Any, mask: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return checked predicted and true points (..., F, P, 3), masked frames removed."""
    require(pred is not None and true is not None, f"give both pred_{what} and true_{what}")
    pred, true = _points(f"pred_{what}", pred), _points(f"true_{what}", true)
    require(
        pred.shape == true.shape,
        f"pred_{what} and true_{what} differ in shape: {pred.shape} and {true.shape}",
    )
    if mask is not None:
        mask = to_numpy(mask)
        require(
            mask.dtype == bool and pred.ndim == 3 and mask.shape == pred.shape[:1],
            f"mask must be a bool array over the frames of one clip; got {mask.dtype} "
            f"{mask.shape} for {what} {pred.shape}",
        )
        pred, true = pred[mask], true[mask]
    for name, value in ((f"pred_{what}", pred), (f"true_{what}", true)):
        require(bool(np.isfinite(value).all()), f"{name} holds NaN or infinite values")
    return pred, true


def _points(name: str, value: Any) -> np.ndarray:
    """(..., T, P, 3) float32 or float64 array."""
    array = numeric(name, value)
    require(
        array.ndim >= 3 and array.shape[-1] == 3 and array.shape[-2] > 0,
        f"{name} has shape {array.shape}, expected (..., T, points, 3)",
    )
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)


class PoseMetric(Metric):
    """The four pose columns of the paper's tables (`benchmark.metrics.bodies.protocols`)."""

    version = 3
    columns = ("mpjpe", "pa_mpjpe", "pve", "accel")

    def protocol(self, context: MetricContext) -> str:
        return protocols.describe(protocols.choose(context), context)

    def missing(self, context: MetricContext) -> dict[str, str]:
        """Return what official labels need; other data can always be measured on some body."""
        lacking = protocols.lacking(protocols.choose(context), context)
        return dict.fromkeys(self.columns, "; ".join(lacking)) if lacking else {}

    def score(self, evaluation: Evaluation, *, progress: Progress) -> list[Score]:
        """Return sums and counts per clip and column.

        A clip that cannot be measured has one score with count 0 instead, whose column says why.

        Raises:
            Unavailable: no clip can be measured.
        """
        context, clips = evaluation.context, evaluation.clips
        nothing = evaluation.motion is None or evaluation.truth is None
        if nothing or self.missing(context):
            return []
        from benchmark.metrics.bodies.points import Bodies

        protocol = protocols.choose(context)
        bodies = Bodies(protocol, context, clips.store)
        scores = []
        # Clip by clip: a mesh takes 126 kB a frame, and a shape that is constant is blended once.
        for index, clip_id in enumerate(clips.ids):
            try:
                pred, true = bodies.pair(
                    clip_id,
                    evaluation.motion[index],
                    evaluation.truth[index],
                    space=clips.spaces[index],
                    gender=clips.genders[index],
                )
            except Unavailable as reason:
                scores.append(Score(clip_id, f"{_LEFT_OUT}{reason}", sum=0.0, count=0.0))
                continue
            errors = pose_errors(
                pred.joints,
                true.joints,
                pred.vertices,
                true.vertices,
                pelvis=protocol.pelvis,
                fps=clips.fps[index],
            )
            for column in self.columns:
                values = errors[column]
                scores.append(Score(clip_id, column, sum=float(values.sum()), count=len(values)))
            progress("pose errors", index + 1, len(clips.ids))
        reasons = _left_out(scores)
        if scores and reasons.total() == len(scores):
            raise Unavailable("; ".join(reasons))
        return scores

    def notes(self, scores: Sequence[Score]) -> list[str]:
        """Say how many clips were left out, for each reason."""
        return [
            f"pose errors: {number} clip{'s' if number > 1 else ''} left out: {reason}"
            for reason, number in _left_out(scores).items()
        ]


def _left_out(scores: Sequence[Score]) -> Counter[str]:
    """Count the clips without errors by reason."""
    columns = (score.column for score in scores)
    return Counter(
        column.removeprefix(_LEFT_OUT) for column in columns if column.startswith(_LEFT_OUT)
    )


METRIC = PoseMetric()
