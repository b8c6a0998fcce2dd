"""A plain stage for motions without pictures: a floor with a grid, a camera that goes along."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from datasets import rotation
from datasets.bodies.smplx import BodyModel
from datasets.motion import JOINTS, Camera, Motion

_SOLE = 0.03  # m from the lowest joint, in the foot, to the ground
_AIM, _HEIGHT, _DISTANCE = 0.95, 1.5, 4.4  # m: aimed at, camera above the floor, camera to person
_ASIDE = np.radians(30)  # from straight before the person
_FOCAL = 1.5  # per picture width
_SMOOTH = 0.5  # s, standard deviation of what the camera does not follow
_GRID, _LINE = 0.5, 0.012  # m between lines, and their width
_WALL, _FLOOR, _INK = 0.93, 0.83, 0.64  # grey of 0..1
_HAZE = 7.0  # m at which the floor fades into the wall
# Joint, radius (m) and darkness of the soft shadow below it.
_SHADOWS = (("pelvis", 0.22, 0.3), ("left_foot", 0.09, 0.35), ("right_foot", 0.09, 0.35))


@dataclass(frozen=True, eq=False)
class Stage:
    """A motion on the stage."""

    motion: Motion  # as the camera sees it
    view: Camera  # the camera that goes along
    floor: float  # height of the floor, metres
    joints: np.ndarray  # (T, 22, 3) metres, world

    @classmethod
    def of(cls, motion: Motion, body: BodyModel, size: int) -> "Stage":
        """Put a motion in pictures of `size` x `size`.

        One in the camera frame is stood upright as if its camera had been level.
        """
        rest = body.rest_joints(motion.betas)[..., 0, :]
        if motion.space == "camera":
            motion = motion.transformed(np.diag([1.0, -1, -1, 1]), rest, space="world")
        joints = body.joints(motion.to_channels()).astype(np.float64)
        floor = float(np.percentile(joints[..., 1].min(axis=1), 5)) - _SOLE
        aim = gaussian_filter1d(joints[:, 0], _SMOOTH * motion.fps, axis=0, mode="nearest")
        aim[:, 1] = floor + _AIM
        ahead = rotation.axis_angle_to_matrix(motion.global_orient[:1].astype(np.float64))[0][:, 2]
        heading = np.arctan2(ahead[0], ahead[2]) + _ASIDE
        out = np.array([np.sin(heading), 0, np.cos(heading)]) * _DISTANCE
        out[1] = _HEIGHT - _AIM
        forward = -out / np.linalg.norm(out)
        right = np.cross([0, -1, 0], forward)
        right /= np.linalg.norm(right)
        turn = np.stack([right, np.cross(forward, right), forward])
        T_w2c = np.tile(np.eye(4), (len(motion), 1, 1))
        T_w2c[:, :3, :3] = turn
        T_w2c[:, :3, 3] = -(aim + out) @ turn.T
        K = np.array([[_FOCAL * size, 0, size / 2], [0, _FOCAL * size, size / 2], [0, 0, 1]])
        view = Camera(np.tile(K, (len(motion), 1, 1)), T_w2c, size, size)
        return cls(motion.transformed(T_w2c, rest, space="camera"), view, floor, joints)

    def pictures(self) -> Iterator[np.ndarray]:
        """Yield the T pictures (size, size, 3) uint8 of the empty stage."""
        size = self.view.width
        turn = self.view.T_w2c[0, :3, :3].astype(np.float64)
        centres = -self.view.T_w2c[:, :3, 3].astype(np.float64) @ turn
        pixel = np.stack(np.meshgrid(*[(np.arange(size) + 0.5) / size - 0.5] * 2), axis=-1)
        rays = np.concatenate([pixel / _FOCAL, np.ones((size, size, 1))], axis=-1) @ turn
        # Where the rays meet the floor, from below the camera; nowhere above the horizon.
        down = np.maximum(-rays[..., 1], 1e-3)
        away = (rays[..., [0, 2]] * (_HEIGHT / down)[..., None]).astype(np.float32)
        distance = np.hypot(*np.moveaxis(away, -1, 0))
        haze = np.where(rays[..., 1] < 0, np.exp(-((distance / _HAZE) ** 2)), 0)
        # Length on the floor of one pixel down, the coarser direction: lines blur over it.
        blur = np.hypot(*np.moveaxis(np.gradient(away, axis=0), -1, 0)) + 1e-6
        for centre, joints in zip(centres, self.joints, strict=True):
            at = away + centre[[0, 2]].astype(np.float32)
            to_line = np.abs(at - _GRID * np.round(at / _GRID)).min(axis=-1)
            line = np.clip(0.5 + (_LINE / 2 - to_line) / blur, 0, 1)
            grey = _FLOOR + (_INK - _FLOOR) * line * np.minimum(1, 2 * _LINE / blur)
            for name, radius, darkness in _SHADOWS:
                joint = joints[JOINTS.index(name)]
                square = ((at - joint[[0, 2]].astype(np.float32)) ** 2).sum(axis=-1)
                strength = darkness * np.exp(-max(joint[1] - self.floor, 0.0))
                grey = grey * (1 - strength * np.exp(-square / (2 * radius**2)))
            grey = _WALL + (grey - _WALL) * haze
            yield np.repeat((255 * grey + 0.5).astype(np.uint8)[..., None], 3, axis=2)
