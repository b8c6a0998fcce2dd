"""The motion of a body whose landmarks lie where a network saw them.

The metres of the network tell which limbs point towards the camera, mainly through the start; the
picture and the lengths of the bones tell the rest.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from datasets.estimators.landmark_fit.landmarks import BodyPoints, Landmarks
from datasets.estimators.landmark_fit.misfit import Misfit
from datasets.estimators.landmark_fit.posed import Posed, Skeleton, sixd_rotations
from datasets.estimators.landmark_fit.start import start
from datasets.motion import Motion
from datasets.rotation import matrix_to_axis_angle, matrix_to_sixd

VERSION = 1  # raised when the same landmarks give another motion
_STEPS, _WARM_UP = 200, 10
_RATE, _ROOT_RATE, _LAST = 0.04, 0.02, 0.02  # the last step's rate is this part of the first's
_OUTSIDE = 0.1  # weight of landmarks outside the picture, which the network invents
_VISIBLE = 0.5


@dataclass(frozen=True, eq=False)
class Fit:
    """The outcome of a fit.

    Attributes:
        motion: of the N pictures with a person, in the camera's frame.
        reprojection_px: median distance of the visible landmarks from those of the motion, pixels;
            NaN where none is visible.
    """

    motion: Motion
    reprojection_px: float


def fit(
    landmarks: Landmarks,
    K: np.ndarray,
    *,
    size: tuple[int, int],
    fps: float,
    body: BodyPoints,
) -> Fit:
    """Return the motion of a body that has these landmarks, the same bits on any number of cores.

    Args:
        landmarks: of N pictures, one at least.
        K: (N, 3, 3) intrinsics of these pictures, in pixels.
        size: width and height of the pictures.
        fps: frames per second of the clip.
        body: the landmarks of the body.

    Raises:
        ValueError: the fit is not finite.
    """
    K = np.asarray(K, np.float64)
    inside = ((landmarks.image >= 0) & (landmarks.image <= size)).all(-1)
    visibility = landmarks.visibility * np.where(inside, 1, _OUTSIDE)
    homogeneous = np.concatenate([landmarks.image, np.ones((*inside.shape, 1))], -1)
    rays = np.einsum("nij,nlj->nli", np.linalg.inv(K), homogeneous)[..., :2]
    world = landmarks.world_in_camera(K)
    first = start(world, rays, visibility)
    misfit = Misfit(
        world=world,
        rays=rays,
        visibility=visibility,
        depth=first.pelvis[:, 2],
        adjacent=landmarks.frames[2:] - landmarks.frames[:-2] == 2,
        fps=fps,
    )
    skeleton = Skeleton(body)
    parts = (matrix_to_sixd(first.root), first.body_pose, np.zeros(10), first.pelvis)
    with _one_thread():
        sixd, body_pose, betas, pelvis = _minimise(
            skeleton, misfit, [torch.tensor(part, dtype=torch.float32) for part in parts]
        )
        posed = skeleton.pose(sixd_rotations(sixd), body_pose, betas, pelvis)
        transl = pelvis - skeleton.rest(betas)[0]
    motion = Motion(
        body_pose=body_pose.flatten(1).numpy(),
        global_orient=matrix_to_axis_angle(posed.rotations[:, 0].double().numpy()),
        betas=betas.numpy(),
        transl=transl.numpy(),
        fps=fps,
        space="camera",
    )
    return Fit(motion, _reprojection(posed, K, landmarks.image, visibility > _VISIBLE))


def _minimise(
    skeleton: Skeleton, misfit: Misfit, variables: list[torch.Tensor]
) -> list[torch.Tensor]:
    """Return the variables (6D root, pose, betas, pelvis) at the least misfit, by Adam."""
    for variable in variables:
        variable.requires_grad_()
    rates = (_ROOT_RATE, _RATE, _RATE, _RATE)
    groups = [
        {"params": [variable], "lr": rate} for variable, rate in zip(variables, rates, strict=True)
    ]
    optimiser = torch.optim.Adam(groups, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, _schedule)
    sixd, body_pose, betas, pelvis = variables
    for _ in range(_STEPS):
        optimiser.zero_grad()
        posed = skeleton.pose(sixd_rotations(sixd), body_pose, betas, pelvis)
        misfit(posed, body_pose, betas).backward()
        optimiser.step()
        schedule.step()
    return [variable.detach() for variable in variables]


def _schedule(step: int) -> float:
    """Return the rate of a step, as a part of the largest: a short rise, then half a cosine."""
    falling = (1 + math.cos(math.pi * min(1.0, step / _STEPS))) / 2
    return min(1.0, (step + 1) / _WARM_UP) * (falling * (1 - _LAST) + _LAST)


def _reprojection(posed: Posed, K: np.ndarray, image: np.ndarray, seen: np.ndarray) -> float:
    drawn = np.einsum("nij,nlj->nli", K, posed.points.double().numpy())
    distance = np.linalg.norm(drawn[..., :2] / drawn[..., 2:] - image, axis=-1)[seen]
    return float(np.median(distance)) if len(distance) else math.nan


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute with one thread: sums in another order would give other last digits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
