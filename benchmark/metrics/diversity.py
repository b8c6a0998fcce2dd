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
from typing import TYPE_CHECKING

import numpy as np

from benchmark.api.clips import Clips
from benchmark.api.errors import Unavailable
from benchmark.api.method import Progress
from benchmark.api.metric import POOLED, Evaluation, Metric, MetricContext, Score
from benchmark.metrics.features.distances import (
    frechet_distance,
    mean_pairwise_distance,
    normalise,
)
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
_SAME = 0.01  # relative difference of two rates that are one: 29.97 and 30


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
