"""FID and DIV of motions, on the kinetic and geometric features of AIST++ and Duolando.

The formulas are those of Duolando (``utils/metrics.py``, ``utils/features``), whose features are
AIST++'s (``aist_plusplus/features``). In order: `joints24_from_smplx`; one vector per clip, of
`kinetic_features` or of `geometric_features`; `normalise` both sets by the true one; FID is the
`frechet_distance` between them, DIV the `mean_pairwise_distance` of the predicted one. Papers write
FID_k, DIV_k for the kinetic features and FID_g (or FID_m), DIV_g for the geometric ones.

Both values depend on the number of clips, on their length and on their frame rate: compare sets
that agree in all three. FID of the kinetic features needs more than 72 clips, better several
hundred; with fewer, covariances are singular and FID mostly measures the number of clips.

Positions are in metres in a frame whose y axis points up. Camera space (y down) is not one; its
joints (x, y, z) become (x, -y, -z), upright where the camera is level.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.api.clips import Clips
from benchmark.api.errors import Unavailable
from benchmark.api.method import Progress
from benchmark.api.metric import Evaluation, Metric, MetricContext, Score
from benchmark.metrics.arrays import finite
from benchmark.metrics.features.motion import (
    geometric_features,
    joints24_from_smplx,
    kinetic_features,
)
from datasets.motion import NUM_CHANNELS, require

if TYPE_CHECKING:
    from datasets.bodies.smplx import BodyModel

# Suffix of the columns -> the features that they are made of.
_FEATURES: dict[str, Callable] = {"": kinetic_features, "_g": geometric_features}
_NAMES = {"": "72 kinetic", "_g": "32 geometric"}
_KINETIC = 72
_CAMERA_TO_Y_UP = np.array([1.0, -1.0, -1.0])
_CONSTANT = 1e-6  # a feature whose standard deviation is below this is constant


def normalise(x: Any, reference: Any, *, constant: str = "drop") -> np.ndarray:
    """Features in units of the reference's spread: (x - mean) / (standard deviation + 1e-10).

    Duolando ``normalize``, standard deviation over n rather than n - 1. There, a feature that is
    constant in the reference divides by 1e-10, and one clip that differs makes FID about 1e15; here
    such a feature is left out, from any `x` with that reference, and a warning names its column.

    Args:
        x: (n, d) features, one row per clip.
        reference: (m, d) features of the true clips.
        constant: what becomes of columns constant in the reference: ``drop`` or ``raise``.

    Returns:
        (n, d - number of constant columns) float64.

    Raises:
        ValueError: shapes that do not fit, numbers that are not finite, every column constant, or
            one constant under ``raise``.
    """
    require(constant in ("drop", "raise"), f"unknown constant {constant!r}: choose drop or raise")
    x, reference = _features("x", x), _features("reference", reference)
    _same_width(x, reference)
    spread = reference.std(axis=0)
    still = spread < _CONSTANT
    require(not still.all(), f"all {len(still)} features are constant in the reference")
    if still.any():
        message = (
            f"{np.count_nonzero(still)} of {len(still)} features are constant in the reference, "
            f"columns {', '.join(map(str, np.flatnonzero(still)))}"
        )
        require(constant == "drop", message)
        warnings.warn(f"{message}: left out", stacklevel=2)
    return (x - reference.mean(axis=0))[:, ~still] / (spread[~still] + 1e-10)


def frechet_distance(x: Any, y: Any) -> float:
    """Squared Fréchet distance of the normal distributions fitted to two sets (FID).

    |mu_x - mu_y|^2 + tr(S_x) + tr(S_y) - 2 tr((S_x S_y)^(1/2)), covariances over n - 1. The last
    trace is the sum of the square roots of the eigenvalues of S_x^(1/2) S_y S_x^(1/2), which is
    symmetric, so nothing complex can come out; with S = R' R for both, it is the sum of the
    singular values of R_x R_y', which needs no square root of a rounding error where a covariance
    is singular.

    Args:
        x: (n, d) normalised features, one row per clip, n >= 2.
        y: (m, d) those of the other set, m >= 2.

    Raises:
        ValueError: shapes that do not fit, fewer than two rows, numbers that are not finite.
    """
    x, y = _features("x", x, rows=2), _features("y", y, rows=2)
    _same_width(x, y)
    shift = x.mean(axis=0) - y.mean(axis=0)
    root_x, root_y = _covariance_root(x), _covariance_root(y)
    overlap = np.linalg.svd(root_x @ root_y.T, compute_uv=False).sum()
    distance = shift @ shift + np.sum(root_x**2) + np.sum(root_y**2) - 2.0 * overlap
    return max(float(distance), 0.0)  # equal sets end a rounding error beside zero


def mean_pairwise_distance(x: Any) -> float:
    """Mean distance |x_i - x_j| over all pairs i < j of the rows of (n, d) features (DIV).

    Duolando ``calculate_avg_distance``: every pair counts once, none is sampled. Of features
    normalised by themselves it is at most sqrt(2 d n / (n - 1)).

    Args:
        x: (n, d) normalised features, one row per clip, n >= 2.

    Raises:
        ValueError: another shape, fewer than two rows, numbers that are not finite.
    """
    x = _features("x", x, rows=2)
    # Row by row: all differences at once take n^2 d numbers, 52 MB for 300 clips.
    total = sum(np.linalg.norm(x[row + 1 :] - x[row], axis=1).sum() for row in range(len(x) - 1))
    return float(total / (len(x) * (len(x) - 1) / 2))


def _covariance_root(x: np.ndarray) -> np.ndarray:
    """R (min(n, d), d) with R' R the covariance of the rows of x."""
    return np.linalg.qr((x - x.mean(axis=0)) / np.sqrt(len(x) - 1), mode="r")


def _features(name: str, value: Any, *, rows: int = 1) -> np.ndarray:
    """Checked (n, d) float64 features."""
    array = finite(name, value)
    require(
        array.ndim == 2 and array.shape[1] > 0,
        f"{name} has shape {array.shape}, expected (clips, features)",
    )
    require(len(array) >= rows, f"{name} has {len(array)} clips, at least {rows} are needed")
    return array


def _same_width(x: np.ndarray, y: np.ndarray) -> None:
    require(
        x.shape[1] == y.shape[1],
        f"the two sets have {x.shape[1]} and {y.shape[1]} features, expected the same",
    )


class DiversityMetric(Metric):
    """FID and DIV of the paper's tables 2 and 8, pooled over all clips.

    ``fid`` and ``div`` are of the kinetic features, ``fid_g`` and ``div_g`` of the geometric ones.
    The paper does not say which it prints; its DIV of 12.25 is above what 300 true motions can
    reach on 32 features, 8.01, and near what they can on 72, 12.02 (`mean_pairwise_distance`).

    For the notes there are ``div_true``, the DIV of the true motions, ``constant``, the number of
    features that `normalise` left out, and ``div_true_g`` and ``constant_g``.
    """

    columns = ("fid", "div", "fid_g", "div_g")

    def protocol(self, context: MetricContext) -> str:
        return (
            "AIST++ features as in Duolando: FID and DIV of the 72 kinetic ones (with upstream's "
            "acceleration), FID_g and DIV_g of the 32 geometric ones; dt 1/60 s and 1/120 s at any "
            f"fps; 24 joints of body {context.body_id}, hands flat; root of frame 0 at the origin; "
            "camera (x, y, z) taken as level, y up as (x, -y, -z); reference: the true motion of "
            "the same test clips; z-scored by it, columns constant in it dropped"
        )

    def score(self, evaluation: Evaluation, *, progress: Progress) -> list[Score]:
        """Return pooled scores, none for another task.

        Raises:
            Unavailable: clips of different frame rates, in world space or too short, motion of
                another shape than the truth's, true bodies that do not stand upright.
        """
        if evaluation.context.task != "i2vm" or evaluation.motion is None:
            return []
        if len(evaluation.clips.ids) < 2:
            raise Unavailable("FID and DIV need at least two clips")
        try:
            return self._scores(evaluation, progress)
        except ValueError as error:
            raise Unavailable(str(error)) from error

    def _scores(self, evaluation: Evaluation, progress: Progress) -> list[Score]:
        from datasets.bodies.smplx import load_body

        clips, motion = evaluation.clips, evaluation.motion
        _check(clips, motion)

        # Sums depend on their order in the last digits: one order, however the clips come.
        order = sorted(range(len(clips.ids)), key=lambda row: clips.ids[row])
        body = load_body(evaluation.context.body.path)
        true_joints = _joints24(body, clips.channels[order], "joints of true motions", progress)
        own_joints = _joints24(body, motion[order], "joints of generated motions", progress)
        scores = []
        for suffix, extract in _FEATURES.items():
            # What a system generates may lie down or stand on its head; true bodies that do are a
            # sign of the wrong frame of reference.
            true, own = extract(true_joints), extract(own_joints, check_up=False)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # constant features: told by `notes`
                reference, scaled = normalise(true, true), normalise(own, true)
            values = {
                "fid": frechet_distance(scaled, reference),
                "div": mean_pairwise_distance(scaled),
                "div_true": mean_pairwise_distance(reference),
                "constant": float(true.shape[1] - reference.shape[1]),
            }
            scores += [
                Score("pooled", name + suffix, sum=value, count=1.0, clips=len(order))
                for name, value in values.items()
            ]
        return scores

    def notes(self, scores: Sequence[Score]) -> list[str]:
        """Say the number of clips and what it means for FID, the truth's DIV, features left out."""
        found = {score.column: score for score in scores}
        if "fid" not in found:
            return []
        clips = found["fid"].clips
        true = {suffix: found[f"div_true{suffix}"].sum for suffix in _FEATURES}
        notes = [f"FID and DIV are over {clips} clips."]
        if clips <= _KINETIC:
            notes[0] += (
                f" FID of {_KINETIC} kinetic features needs more than {_KINETIC}: with fewer their "
                "covariance is singular, and the value mostly measures the number of clips."
            )
        notes += [f"The true motions' own DIV is {true['']:.2f}, DIV_g {true['_g']:.2f}."]
        notes += [
            f"{found[f'constant{suffix}'].sum:.0f} of the {name} features are constant over the "
            f"true motions and left out of FID{suffix} and DIV{suffix}."
            for suffix, name in _NAMES.items()
            if found[f"constant{suffix}"].sum
        ]
        return notes


def _check(clips: Clips, motion: np.ndarray) -> None:
    """Refuse motions that cannot be compared.

    Raises:
        ValueError: they cannot.
    """
    truth = clips.channels
    require(
        motion.shape == truth.shape and motion.shape[-1] == NUM_CHANNELS,
        f"FID and DIV take SMPL-X motion of the true one's shape {truth.shape}, got {motion.shape}",
    )
    rates = sorted({round(float(fps), 3) for fps in clips.fps})
    require(
        len(rates) == 1,
        f"FID and DIV need clips of one frame rate, these have "
        f"{', '.join(f'{rate:g}' for rate in rates)} fps: take clips of one rate",
    )
    for clip_id, space in zip(clips.ids, clips.spaces, strict=True):
        require(
            space == "camera",
            f"FID and DIV compare motions in camera space, the true motion of {clip_id} is in "
            f"{space} space: take clips with cameras, or estimate their motion "
            "(`python -m datasets.pseudo_gt --help`)",
        )


def _joints24(body: "BodyModel", channels: np.ndarray, what: str, progress: Progress) -> np.ndarray:
    """(N, T, 24, 3) float64 joints, y up, of (N, T, 79) motions in camera space."""
    joints = []
    for index, motion in enumerate(channels):
        joints.append(joints24_from_smplx(body.joints55(motion)) * _CAMERA_TO_Y_UP)
        progress(what, index + 1, len(channels))
    return np.stack(joints)


METRIC = DiversityMetric()
