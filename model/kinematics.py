"""Rotations, forward kinematics and joint distances in torch, for training."""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from datasets.bodies.smplx import PELVIS_HIPS, load_body


def sixd_to_matrix(sixd: Tensor) -> Tensor:
    """6D rotations (..., 6) (`datasets.rotation`: two columns) to matrices (..., 3, 3)."""
    first = normalize(sixd[..., :3], dim=-1)
    second = sixd[..., 3:] - (first * sixd[..., 3:]).sum(-1, keepdim=True) * first
    second = normalize(second, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=-1)


def joints_from_rotations(rotations: Tensor, rest: Tensor, parents: list[int]) -> Tensor:
    """Posed joints (N, J, 3) about the pelvis, which stays at the origin.

    Args:
        rotations: (N, J, 3, 3) of each joint against its parent, the pelvis first.
        rest: (N, J, 3) or (J, 3) joints of the rest pose.
        parents: of the J joints; a parent comes before its children.
    """
    bones = rest - rest[..., [max(parent, 0) for parent in parents], :]
    turned, joints = [rotations[:, 0]], [torch.zeros_like(rotations[:, 0, 0])]
    for joint in range(1, len(parents)):
        parent = parents[joint]
        bone = bones[..., joint, :].expand(len(rotations), 3)
        joints.append(joints[parent] + (turned[parent] @ bone[..., None])[..., 0])
        turned.append(turned[parent] @ rotations[:, joint])
    return torch.stack(joints, dim=1)


def centred_joints(channels: np.ndarray) -> np.ndarray:
    """Joints (..., T, 22, 3) about the middle of the hips, metres, of motion channels (..., T, 79).

    What training looks at; scores of a benchmark are `benchmark.metrics.pose`'s.
    """
    joints = load_body().joints(channels).astype(np.float64)
    return joints - joints[..., list(PELVIS_HIPS), :].mean(axis=-2, keepdims=True)


def joint_distance(found: np.ndarray, wanted: np.ndarray) -> float:
    """Mean distance in millimetres of centred joints (..., J, 3)."""
    return 1000.0 * float(np.linalg.norm(found - wanted, axis=-1).mean())
