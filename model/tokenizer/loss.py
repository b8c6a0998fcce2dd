"""The reconstruction loss of equation 5: L1 with velocity and acceleration terms."""

import torch
from torch import Tensor


def expert_losses(
    output: Tensor,
    target: Tensor,
    sizes: dict[str, int],
    *,
    velocity_weight: float,
    acceleration_weight: float,
) -> dict[str, Tensor]:
    """L_rec of each expert; their sum is the reconstruction loss.

    Every expert has one mean of its own, so that ten betas weigh as much as 126 pose numbers
    (as Duolando's heads do). With D the difference of consecutive frames, an expert pays
    L1(x) + velocity_weight L1(D x) + acceleration_weight L1(D D x). tau holds displacements, which
    are velocities already: it pays L1(x) + acceleration_weight L1(D x), where D leaves out frame 0,
    an absolute position.

    Args:
        output: (B, C, T) the network's features.
        target: (B, C, T) the features to reconstruct.
        sizes: channels of each expert, in order; the last is ``tau``.
        velocity_weight: of first differences.
        acceleration_weight: of second differences.
    """
    error = output - target
    velocity = error.diff(dim=2)  # differences are linear: D output - D target = D error
    acceleration = velocity.diff(dim=2)
    tau = sizes["tau"]
    channels = _mean_abs(error)
    channels[:-tau] += velocity_weight * _mean_abs(velocity[:, :-tau])
    channels[:-tau] += acceleration_weight * _mean_abs(acceleration[:, :-tau])
    channels[-tau:] += acceleration_weight * _mean_abs(velocity[:, -tau:, 1:])
    experts = channels.split(list(sizes.values()))
    return {name: part.mean() for name, part in zip(sizes, experts, strict=True)}


def _mean_abs(values: Tensor) -> Tensor:
    """Mean magnitude (C,) of each channel of (B, C, T); 0 where a clip is too short for any."""
    if values.shape[2] == 0:
        return values.new_zeros(values.shape[1])
    return torch.linalg.vector_norm(values, ord=1, dim=(0, 2)) / (values.shape[0] * values.shape[2])
