"""Joints and landmarks of a posed body, in torch: differentiable, in float32, on the CPU."""

from dataclasses import dataclass

import torch

from datasets.estimators.landmark_fit.landmarks import BodyPoints


@dataclass(frozen=True, eq=False)
class Posed:
    """A body in N frames, in the camera's frame.

    Attributes:
        joints: (N, 22, 3) metres.
        rotations: (N, 22, 3, 3) of the joints, from the rest pose.
        points: (N, L, 3) the landmarks, metres.
    """

    joints: torch.Tensor
    rotations: torch.Tensor
    points: torch.Tensor


class Skeleton:
    """The chain of body joints with the landmarks on it."""

    def __init__(self, body: BodyPoints):
        names = ("joints", "joint_shapes", "points", "point_shapes")
        arrays = (torch.tensor(getattr(body, name), dtype=torch.float32) for name in names)
        self._joints, self._joint_shapes, self._points, self._point_shapes = arrays
        self._parents = torch.tensor(body.parents)
        self._carriers = torch.tensor(body.carriers)
        depth = [0] * len(body.parents)
        for joint in range(1, len(depth)):
            depth[joint] = depth[body.parents[joint]] + 1
        # Joints of equal depth are turned together.
        self._levels = [
            [joint for joint in range(len(depth)) if depth[joint] == level]
            for level in range(1, max(depth) + 1)
        ]

    def rest(self, betas: torch.Tensor) -> torch.Tensor:
        """Return the joints (22, 3) of the rest pose, of betas (10,)."""
        return self._joints + self._joint_shapes @ betas

    def pose(
        self,
        root: torch.Tensor,
        body_pose: torch.Tensor,
        betas: torch.Tensor,
        pelvis: torch.Tensor,
    ) -> Posed:
        """Return the posed body.

        Args:
            root: (N, 3, 3) rotation of the pelvis.
            body_pose: (N, 21, 3) axis-angle.
            betas: (10,).
            pelvis: (N, 3) metres.
        """
        rest = self.rest(betas)
        bones = rest - rest[self._parents.clamp(min=0)]
        turns = rotation_matrices(body_pose)
        rotations, joints = [root] * len(rest), [pelvis] * len(rest)
        for level in self._levels:
            parents = self._parents[level].tolist()
            above = torch.stack([rotations[parent] for parent in parents], 1)
            origin = torch.stack([joints[parent] for parent in parents], 1)
            turned = above @ turns[:, [joint - 1 for joint in level]]
            moved = origin + (above @ bones[level][..., None])[..., 0]
            for place, joint in enumerate(level):
                rotations[joint], joints[joint] = turned[:, place], moved[:, place]
        rotation, joint_places = torch.stack(rotations, 1), torch.stack(joints, 1)
        local = self._points + self._point_shapes @ betas - rest[self._carriers]
        hung = (rotation[:, self._carriers] @ local[..., None])[..., 0]
        return Posed(joint_places, rotation, joint_places[:, self._carriers] + hung)


def rotation_matrices(axis_angle: torch.Tensor) -> torch.Tensor:
    """Return the rotations (..., 3, 3) of rotation vectors (..., 3), by Rodrigues' formula."""
    angle = torch.sqrt(axis_angle.square().sum(-1, keepdim=True) + 1e-12)  # not 0: for its gradient
    x, y, z = (axis_angle / angle).unbind(-1)
    none = torch.zeros_like(x)
    cross = torch.stack([none, -z, y, z, none, -x, -y, x, none], -1).unflatten(-1, (3, 3))
    angle = angle[..., None]
    return torch.eye(3) + torch.sin(angle) * cross + (1 - torch.cos(angle)) * (cross @ cross)


def sixd_rotations(sixd: torch.Tensor) -> torch.Tensor:
    """Return the rotations (..., 3, 3) of 6D vectors, `datasets.rotation` in torch."""
    first = torch.nn.functional.normalize(sixd[..., :3], dim=-1)
    second = sixd[..., 3:]
    second = second - (first * second).sum(-1, keepdim=True) * first
    second = torch.nn.functional.normalize(second, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], -1)
