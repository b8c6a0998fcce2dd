"""SOLAMI's motion features, and what they leave out.

A frame of the body part has 135 features, in a canonical frame of reference (y up, lowest joint of
the clip at height 0, pelvis of frame 0 at x = z = 0, facing +z in frame 0):

    0:2      horizontal velocity of the pelvis to the next frame (metres per frame), turned by the
             inverse of the root's heading
    2:3      height of the pelvis (metres)
    3:9      orientation of the root, 6D
    9:135    rotations of the 21 body joints, 6D

So shape and the place of a clip in its own frame of reference are not represented. `Placement`
keeps both, and `restore` puts them back: a favour to SOLAMI that a report must mention.

Source: SOLAMI (github.com/AlanJiang98/SOLAMI), ``process_smplx_feature``,
``recover_from_smplx_feature`` and ``preprocess_smplx`` in ``models/vla/motion/smplx_process.py``.
"""

from dataclasses import dataclass

import numpy as np

from datasets import rotation
from datasets.bodies.smplx import load_body
from datasets.motion import CHANNELS, NUM_CHANNELS, split_channels

NUM_FEATURES = 135
_FRAMES_AT_ONCE = 2**13  # bounds memory: 22 rotations and rigid transforms a frame, in float64

_LEFT_HIP, _RIGHT_HIP, _LEFT_SHOULDER, _RIGHT_SHOULDER = 1, 2, 16, 17
_ANKLES, _HEAD = [7, 8], 15
_UPSIDE_DOWN = np.diag([1.0, -1.0, -1.0])  # half a turn about x


@dataclass(frozen=True, eq=False)
class Placement:
    """The facts that the features of N clips of T frames leave out.

    Attributes:
        betas: (N, T, 10) shape.
        pelvis_rest: (N, T, 3) pelvis J0(betas) of the rest pose, metres.
        turn: (N, 3, 3) rotation from the clip's frame of reference to the canonical one.
        shift: (N, 1, 3) metres, to be added after the turn.
    """

    betas: np.ndarray
    pelvis_rest: np.ndarray
    turn: np.ndarray
    shift: np.ndarray


def extract(channels: np.ndarray) -> tuple[np.ndarray, Placement]:
    """Features of motion channels; nothing is lost between the two results.

    SOLAMI's features of T frames are T - 1, velocities being differences. Here the last frame is
    repeated first, so that there are T.

    SOLAMI needs gravity along -y. Clips do not say what frame they are in: a camera's (y down)
    where a camera is known, else a world's (y up). So up is the side of y that the head is on, seen
    from the feet, on average over the clip; with a tilted camera that is off by the tilt.

    Args:
        channels: (N, T, 79) motion channels (`datasets.motion`).

    Returns:
        (N, T, 135) float32 features, and what they leave out.

    Raises:
        ValueError: another shape.
    """
    channels = np.asarray(channels, np.float32)
    if channels.ndim != 3 or channels.size == 0 or channels.shape[2] != NUM_CHANNELS:
        raise ValueError(f"channels have shape {channels.shape}, not (N, T, {NUM_CHANNELS})")
    clips = max(1, _FRAMES_AT_ONCE // channels.shape[1])
    pieces = [_extract(channels[i : i + clips]) for i in range(0, len(channels), clips)]
    features, placements = zip(*pieces, strict=True)
    names = Placement.__dataclass_fields__
    joined = {name: np.concatenate([getattr(p, name) for p in placements]) for name in names}
    return np.concatenate(features), Placement(**joined)


def restore(features: np.ndarray, placement: Placement) -> np.ndarray:
    """Motion channels (N, T, 79) float32 of features (N, T, 135), the inverse of `extract`.

    Args:
        features: need not be exact: rotations are orthonormalised by Gram-Schmidt.
        placement: of the clips that the features were made from.
    """
    features = np.asarray(features, np.float64)
    turn_back = np.swapaxes(placement.turn, -1, -2)[:, None]
    root = rotation.sixd_to_matrix(features[..., 3:9])
    body = rotation.sixd_to_matrix(features[..., 9:].reshape(*features.shape[:2], -1, 6))
    steps = np.zeros((*features.shape[:2], 3))
    steps[..., [0, 2]] = features[..., :2]
    steps = _apply(_heading(root), steps)
    pelvis = np.zeros_like(steps)
    pelvis[:, 1:] = np.cumsum(steps, axis=1)[:, :-1]
    pelvis[..., 1] = features[..., 2]
    parts = {
        "global_orient": rotation.matrix_to_axis_angle(turn_back @ root),
        "body_pose": rotation.matrix_to_axis_angle(body).reshape(*features.shape[:2], -1),
        "betas": placement.betas,
        "transl": _apply(turn_back, pelvis - placement.shift) - placement.pelvis_rest,
    }
    return np.concatenate([parts[name] for name in CHANNELS], axis=-1).astype(np.float32)


def _extract(channels: np.ndarray) -> tuple[np.ndarray, Placement]:
    parts = split_channels(channels)
    body = load_body()
    pelvis_rest = body.rest_joints(parts["betas"])[..., 0, :].astype(np.float64)
    pelvis = pelvis_rest + parts["transl"]
    turn, shift = _canonical_frame(body.joints(channels), pelvis[:, 0])

    pelvis = _apply(turn[:, None], pelvis) + shift
    root = turn[:, None] @ rotation.axis_angle_to_matrix(np.float64(parts["global_orient"]))
    joints = rotation.axis_angle_to_matrix(parts["body_pose"].reshape(*channels.shape[:2], -1, 3))
    steps = np.diff(pelvis, axis=1, append=pelvis[:, -1:])
    steps = _apply(np.swapaxes(_heading(root), -1, -2), steps)
    features = [
        steps[..., [0, 2]],
        pelvis[..., 1:2],
        rotation.matrix_to_sixd(root),
        rotation.matrix_to_sixd(joints).reshape(*channels.shape[:2], -1),
    ]
    placement = Placement(parts["betas"], pelvis_rest, turn, shift)
    return np.concatenate(features, axis=-1).astype(np.float32), placement


def _canonical_frame(joints: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn (N, 3, 3) and shift (N, 1, 3) of joints (N, T, 22, 3) and first pelvis (N, 3)."""
    joints = joints.astype(np.float64)
    tallness = joints[:, :, _HEAD, 1] - joints[:, :, _ANKLES, 1].mean(axis=-1)
    upright = tallness.mean(axis=1)[:, None, None] >= 0
    up = np.where(upright, np.eye(3), _UPSIDE_DOWN)
    # Forward is up x rightward, over hips and shoulders, without its vertical part.
    first = _apply(up[:, None], joints[:, 0])
    across = (first[:, _RIGHT_HIP] - first[:, _LEFT_HIP]) + (
        first[:, _RIGHT_SHOULDER] - first[:, _LEFT_SHOULDER]
    )
    turn = _about_y(-np.arctan2(across[:, 2], -across[:, 0])) @ up
    shift = -_apply(turn, start)
    shift[:, 1] = -_apply(turn[:, None, None], joints)[..., 1].min(axis=(1, 2))
    return turn, shift[:, None]


def _heading(root: np.ndarray) -> np.ndarray:
    """The turn (..., 3, 3) about y that SOLAMI takes for the heading of rotations (..., 3, 3).

    The angle of y in R = Rx Rz Ry ('yzx', extrinsic), not of the forward axis on the floor; the two
    agree for an upright root.
    """
    return _about_y(np.arctan2(root[..., 0, 2], root[..., 0, 0]))


def _about_y(angle: np.ndarray) -> np.ndarray:
    """Rotations (..., 3, 3) about y by angles (...) in radians."""
    matrix = np.zeros((*angle.shape, 3, 3))
    matrix[..., 0, 0] = matrix[..., 2, 2] = np.cos(angle)
    matrix[..., 0, 2] = np.sin(angle)
    matrix[..., 2, 0] = -matrix[..., 0, 2]
    matrix[..., 1, 1] = 1.0
    return matrix


def _apply(matrix: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Matrices (..., 3, 3) times vectors (..., 3), broadcast."""
    return (matrix @ vectors[..., None])[..., 0]
