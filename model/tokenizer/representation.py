"""The input of the tokenizer's network: motion channels <-> normalised features.

Features are ordered as in the paper, (theta, beta, phi, tau): body pose, shape, root orientation,
translation. Translation is absolute in the first frame of a window and a displacement (metres per
frame) after it, so a prefix sum restores it (section 3.1).

    sixd        126 + 10 + 6 + 3 = 145 channels
    matrix      189 + 10 + 9 + 3 = 211
    axis_angle   63 + 10 + 3 + 3 =  79
"""

import numpy as np
import torch
from torch import Tensor, nn

from datasets import rotation as rotations
from datasets.motion import CHANNELS, NUM_CHANNELS, split_channels
from model.tokenizer.config import EXPERTS, expert_channels

ROTATION_EXPERTS = ("theta", "phi")
_FRAMES_AT_ONCE = 2**13  # of float64 rotations: bounds memory
STD_FLOOR = 1e-3  # a constant channel must not be blown up to noise


class Representation(nn.Module):
    """Converts between the two, with normalisation statistics kept as buffers.

    Every channel has zero mean over the training windows. Betas and tau have unit variance each,
    and frame 0 of tau (metres) statistics apart from those of later frames (metres per frame).
    The rotation numbers of an expert share one scale, the root mean square of their deviations:
    with one each, a joint that hardly turns would weigh as much as one that swings.
    """

    def __init__(self, rotation: str):
        super().__init__()
        self.rotation = rotation
        self.sizes = expert_channels(rotation)
        self.num_channels = sum(self.sizes.values())
        self.register_buffer("mean", torch.zeros(self.num_channels))
        self.register_buffer("std", torch.ones(self.num_channels))
        self.register_buffer("first_mean", torch.zeros(3))
        self.register_buffer("first_std", torch.ones(3))

    def prepare(self, channels: np.ndarray) -> Tensor:
        """Motion channels (..., T, 79) to rotation features (..., T, C), tau still absolute.

        The costly part of the conversion, independent of windows: done once for a training set.
        """
        channels = np.asarray(channels, np.float32)
        if channels.shape[-1] != NUM_CHANNELS:
            raise ValueError(f"channels have shape {channels.shape}, not (..., T, {NUM_CHANNELS})")
        flat = channels.reshape(-1, NUM_CHANNELS)
        features = np.empty((len(flat), self.num_channels), np.float32)
        for start in range(0, len(flat), _FRAMES_AT_ONCE):
            frames = slice(start, start + _FRAMES_AT_ONCE)
            parts = split_channels(flat[frames])
            encoded = [
                self._encode_rotations(parts["body_pose"]),
                parts["betas"],
                self._encode_rotations(parts["global_orient"]),
                parts["transl"],
            ]
            np.concatenate(encoded, axis=-1, out=features[frames])
        return torch.from_numpy(features.reshape(*channels.shape[:-1], self.num_channels))

    @torch.no_grad()
    def fit(self, prepared: Tensor, window: int) -> None:
        """Set the statistics to those of all windows of the clips (N, T, C).

        A frame weighs as many times as there are windows that cover it: frame 0 of tau is any
        frame that a window can start at, a displacement any frame that is not a window's first.

        Raises:
            ValueError: the clips are shorter than a window.
        """
        frames = prepared.shape[1]
        if frames < window:
            raise ValueError(f"clips of {frames} frames are shorter than a window of {window}")
        starts = frames - window + 1
        covering = np.convolve(np.ones(starts), np.ones(window))  # (T,) windows over each frame
        inner = np.convolve(np.ones(starts), np.ones(window - 1))  # (T - 1,) over each pair
        data = prepared.double()
        tau = data[..., -3:]
        mean, std = _weighted_statistics(data, covering)
        for name, part in zip(EXPERTS, std.split(list(self.sizes.values())), strict=True):
            if name in ROTATION_EXPERTS:
                part.fill_(part.square().mean().sqrt())
        mean[-3:], std[-3:] = _weighted_statistics(tau.diff(dim=1), inner)
        first_mean, first_std = _weighted_statistics(tau[:, :starts], np.ones(starts))
        self.mean.copy_(mean)
        self.std.copy_(std.clamp(min=STD_FLOOR))
        self.first_mean.copy_(first_mean)
        self.first_std.copy_(first_std.clamp(min=STD_FLOOR))

    def forward(self, windows: Tensor) -> Tensor:
        """Windows of prepared clips (B, T, C) to the network's normalised input (B, C, T)."""
        tau = windows[..., -3:]
        normal = (windows - self.mean) / self.std
        normal[:, 1:, -3:] = (tau.diff(dim=1) - self.mean[-3:]) / self.std[-3:]
        normal[:, 0, -3:] = (tau[:, 0] - self.first_mean) / self.first_std
        return normal.transpose(1, 2).contiguous()

    def inverse(self, output: Tensor) -> np.ndarray:
        """Turn the network's output (B, C, T) into motion channels (B, T, 79) float32.

        Rotations are projected (Gram-Schmidt, SVD, or to an angle of at most pi), betas averaged
        over the frames, and tau summed up, all in float64.
        """
        normal = output.detach().transpose(1, 2).double().cpu()
        data = (normal * self.std.cpu() + self.mean.cpu()).numpy()
        theta, beta, phi, tau = np.split(data, np.cumsum(list(self.sizes.values()))[:-1], axis=-1)
        tau[:, 0] = (normal[:, 0, -3:] * self.first_std.cpu() + self.first_mean.cpu()).numpy()
        parts = {
            "global_orient": self._decode_rotations(phi),
            "body_pose": self._decode_rotations(theta),
            "betas": np.broadcast_to(beta.mean(axis=1, keepdims=True), beta.shape),
            "transl": np.cumsum(tau, axis=1),
        }
        return np.concatenate([parts[name] for name in CHANNELS], axis=-1).astype(np.float32)

    def _encode_rotations(self, axis_angle: np.ndarray) -> np.ndarray:
        """(..., 3 J) axis-angle to (..., n J) numbers."""
        joints = axis_angle.reshape(*axis_angle.shape[:-1], -1, 3)
        if self.rotation == "axis_angle":
            numbers = rotations.canonical_axis_angle(joints)
        else:
            numbers = rotations.axis_angle_to_matrix(joints)
        if self.rotation == "sixd":
            numbers = rotations.matrix_to_sixd(numbers)
        return numbers.reshape(*axis_angle.shape[:-1], -1)

    def _decode_rotations(self, numbers: np.ndarray) -> np.ndarray:
        """(..., n J) numbers, not exact rotations, to (..., 3 J) axis-angle."""
        frames = numbers.shape[:-1]
        if self.rotation == "axis_angle":
            vectors = rotations.canonical_axis_angle(numbers.reshape(*frames, -1, 3))
        else:
            if self.rotation == "sixd":
                matrices = rotations.sixd_to_matrix(numbers.reshape(*frames, -1, 6))
            else:
                matrices = rotations.project_to_rotation(numbers.reshape(*frames, -1, 3, 3))
            vectors = rotations.matrix_to_axis_angle(matrices)
        return vectors.reshape(*frames, -1)


def _weighted_statistics(values: Tensor, weights: np.ndarray) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (C,) of (N, T, C), frame t weighing weights[t]."""
    share = torch.from_numpy(weights / (weights.sum() * len(values)))[:, None]
    mean = (values * share).sum(dim=(0, 1))
    return mean, ((values - mean).square() * share).sum(dim=(0, 1)).sqrt()
