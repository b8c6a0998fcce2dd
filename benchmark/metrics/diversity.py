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
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.api.clips import Clips
from benchmark.api.errors import Unavailable
from benchmark.api.method import Progress
from benchmark.api.metric import POOLED, Evaluation, Metric, MetricContext, Score
from benchmark.metrics.arrays import finite
from benchmark.metrics.features.motion import (
    geometric_features,
    joints24_from_smplx,
    kinetic_features,
    require_y_up,
)
from datasets.motion import NUM_CHANNELS, Motion, require
from datasets.prepare.retime import retimed_motion

if TYPE_CHECKING:
    from datasets.bodies.smplx import BodyModel

# Suffix of the columns -> the features that they are made of.
_FEATURES: dict[str, Callable] = {"": kinetic_features, "_g": geometric_features}
_NAMES = {"": "72 kinetic", "_g": "32 geometric"}
_KINETIC = 72
_CAMERA_TO_Y_UP = np.array([1.0, -1.0, -1.0])
_CONSTANT = 1e-6  # a feature whose standard deviation is below this is constant
_SAME = 0.01  # relative difference of two rates that are one: 29.97 and 30


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


def common_rate(rates: Mapping[float, int]) -> float | None:
    """Return the rate, in frames per second, at which clips of several rates are compared.

    It is that of most clips, which then stay as they are; of equals, the lowest. None for clips of
    one rate.

    Args:
        rates: frames per second -> number of clips.
    """
    return min(rates, key=lambda fps: (-rates[fps], fps)) if len(rates) > 1 else None


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
            f"fps; {_rates_text(context.rates)}24 joints of body {context.body_id}, hands flat; "
            "root of frame 0 at the origin; "
            "camera (x, y, z) taken as level, y up as (x, -y, -z); reference: the true motion of "
            "the same test clips; z-scored by it, columns constant in it dropped"
        )

    def needs_estimate(self, *, has_motion: bool) -> bool:
        return not has_motion

    def score(self, evaluation: Evaluation, *, progress: Progress) -> list[Score]:
        """Return pooled scores, none for another task.

        Raises:
            Unavailable: clips in world space or too short, of rates that `Evaluation.context` does
                not name, motion of another shape than the truth's, true bodies that do not stand
                upright.
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
        rate = common_rate(evaluation.context.rates)
        _check(clips, motion, rate)

        # Sums depend on their order in the last digits: one order, however the clips come.
        order = sorted(range(len(clips.ids)), key=lambda row: clips.ids[row])
        body = load_body(evaluation.context.body.path)
        rates = [(float(clips.fps[row]), rate or float(clips.fps[row])) for row in order]
        true_joints, own_joints = (
            list(_joints24(body, channels[order], rates, f"joints of {what} motions", progress))
            for channels, what in ((clips.channels, "true"), (motion, "generated"))
        )
        # What a system generates may lie down or stand on its head; true bodies that do are a sign
        # of the wrong frame of reference.
        require_y_up(np.concatenate(true_joints))
        scores = []
        for suffix, extract in _FEATURES.items():
            true, own = (_each_length(extract, joints) for joints in (true_joints, own_joints))
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
                Score(POOLED, name + suffix, sum=value, count=1.0, clips=len(order))
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


def _rates_text(rates: Mapping[float, int]) -> str:
    """The part of the protocol about clips of several rates; empty for one rate."""
    common = common_rate(rates)
    if common is None:
        return ""
    every = ", ".join(f"{fps:g} fps ({number} clips)" for fps, number in sorted(rates.items()))
    return (
        f"motions of {every} re-timed to {common:g} fps, the rate of most (slerp and linear; rates "
        f"within {_SAME:.0%} of it as they are); "
    )


def _check(clips: Clips, motion: np.ndarray, common: float | None) -> None:
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
        len(rates) == 1 or common is not None,
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


def _joints24(
    body: "BodyModel",
    channels: np.ndarray,
    rates: Sequence[tuple[float, float]],
    what: str,
    progress: Progress,
) -> Iterator[np.ndarray]:
    """Yield the joints (T', 24, 3) float64, y up, of each motion of (N, T, 79) in camera space.

    Args:
        body: of the motions.
        channels: of the motions.
        rates: frames per second of each motion, and those that it is re-timed to.
        what: for the progress.
        progress: see `benchmark.api.method.Progress`.
    """
    for index, (motion, (own, common)) in enumerate(zip(channels, rates, strict=True)):
        if abs(own / common - 1) > _SAME:
            known = Motion.from_channels(motion, fps=own, space="camera")
            motion = retimed_motion(known, common).to_channels()
        yield joints24_from_smplx(body.joints55(motion)) * _CAMERA_TO_Y_UP
        progress(what, index + 1, len(channels))


def _each_length(extract: Callable, joints: Sequence[np.ndarray]) -> np.ndarray:
    """(N, d) features of N clips (T', 24, 3) that may differ in length."""
    lengths = np.array([len(clip) for clip in joints])
    features = {}
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        found = extract(np.stack([joints[row] for row in rows]), check_up=False)
        features |= dict(zip(rows.tolist(), found, strict=True))
    return np.stack([features[row] for row in range(len(joints))])


METRIC = DiversityMetric()
