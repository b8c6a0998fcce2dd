"""The types that everything shares: `Motion` and `Camera` (sequences: `datasets.sequence`).

Frames of reference: ``camera`` is OpenCV's (x right, y down, z forward), ``world`` has y up.
Angles are radians, lengths metres. All arrays are float32 unless a docstring says otherwise and
all of it is checked on construction, so whoever holds one of these holds finite, well-shaped data.
"""

import dataclasses
from dataclasses import dataclass
from typing import Literal

import numpy as np

from datasets import rotation

Space = Literal["camera", "world"]
BODY_POSE_CHANNELS = {"smplx": 63, "smpl": 69}
# Largest plausible magnitude of a Motion's arrays, and what a larger one means.
_PLAUSIBLE = {
    "body_pose": (20, "rad: are these degrees?"),
    "global_orient": (20, "rad: are these degrees?"),
    "betas": (100, "standard deviations: are these body measurements?"),
    "transl": (10_000, "m: are these millimetres?"),
}
# Channel order of `Motion.to_channels`: the order is fixed once, here.
CHANNELS = {"global_orient": 3, "body_pose": 63, "betas": 10, "transl": 3}
NUM_CHANNELS = sum(CHANNELS.values())
NUM_SMPL_CHANNELS = NUM_CHANNELS - 63 + 69  # the same of an SMPL motion, whose body has two hands
# The 22 SMPL-X body joints that global_orient and body_pose turn, in that order.
JOINTS = (
    *("pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2"),
    *("left_ankle", "right_ankle", "spine3", "left_foot", "right_foot", "neck"),
    *("left_collar", "right_collar", "head", "left_shoulder", "right_shoulder"),
    *("left_elbow", "right_elbow", "left_wrist", "right_wrist"),
)
# Joint -> the same one of the other side.
OTHER_SIDE = tuple(
    JOINTS.index(name.replace("left", "RIGHT").replace("right", "left").lower()) for name in JOINTS
)


@dataclass(frozen=True, eq=False)
class Motion:
    """SMPL-X (or SMPL) parameters of one person over T frames.

    Attributes:
        body_pose: (T, 63) axis-angle of SMPL-X joints 1..21, or (T, 69) of SMPL joints 1..23.
        global_orient: (T, 3) axis-angle of the root, which rotates about the rest pelvis J0(betas).
        betas: (10,), or (T, 10) where a source varies them per frame.
        transl: (T, 3) metres; the pelvis is at J0(betas) + transl.
        fps: frames per second of the source, never a nominal value.
        space: ``camera`` (OpenCV) or ``world`` (y up).
        body: ``smplx`` or ``smpl``.
        gender: ``neutral``, ``female`` or ``male``: the body the betas belong to.

    Raises:
        ValueError: a shape, a non-finite number, no frame, an unknown space, body or gender, or a
            magnitude that only a wrong unit explains.
    """

    body_pose: np.ndarray
    global_orient: np.ndarray
    betas: np.ndarray
    transl: np.ndarray
    fps: float
    space: Space = "world"
    body: Literal["smplx", "smpl"] = "smplx"
    gender: Literal["neutral", "female", "male"] = "neutral"

    def __post_init__(self):
        require(self.space in ("camera", "world"), f"unknown space {self.space!r}")
        require(self.body in BODY_POSE_CHANNELS, f"unknown body {self.body!r}")
        require(self.gender in ("neutral", "female", "male"), f"unknown gender {self.gender!r}")
        require(np.isfinite(self.fps) and self.fps > 0, f"fps must be positive, got {self.fps}")
        require(self.fps >= 0.1, f"fps is {self.fps:g}: are these seconds per frame?")
        require(self.fps <= 1000, f"fps is {self.fps:g}: are these microseconds per frame?")
        pose = np.asarray(self.body_pose)
        require(pose.ndim == 2 and len(pose) > 0, f"body_pose has shape {pose.shape}, not (T, n)")
        frames = len(pose)
        betas_shape = (10,) if np.ndim(self.betas) == 1 else (frames, 10)
        shapes = {
            "body_pose": (frames, BODY_POSE_CHANNELS[self.body]),
            "global_orient": (frames, 3),
            "betas": betas_shape,
            "transl": (frames, 3),
        }
        for name, shape in shapes.items():
            array = checked_array(name, getattr(self, name), shape)
            largest, unit = _PLAUSIBLE[name]
            found = np.abs(array).max()
            require(bool(found <= largest), f"{name} reaches {found:g} {unit}")
            object.__setattr__(self, name, array)
        object.__setattr__(self, "fps", float(self.fps))

    def __len__(self) -> int:
        return len(self.body_pose)

    def __getitem__(self, frames: slice | np.ndarray) -> "Motion":
        """Return the motion of some frames; `transl` stays absolute."""
        return dataclasses.replace(
            self,
            body_pose=self.body_pose[frames],
            global_orient=self.global_orient[frames],
            betas=self.betas if self.betas.ndim == 1 else self.betas[frames],
            transl=self.transl[frames],
        )

    def to_channels(self) -> np.ndarray:
        """(T, 79) float32, SMPL-X only: global_orient 3, body_pose 63, betas 10, transl 3."""
        require(self.body == "smplx", "only SMPL-X motions have the 79 channels")
        betas = np.broadcast_to(self.betas, (len(self), 10))
        return np.concatenate([self.global_orient, self.body_pose, betas, self.transl], axis=1)

    @classmethod
    def from_channels(cls, channels: np.ndarray, *, fps: float, space: Space) -> "Motion":
        """Inverse of `to_channels`: (T, 79) to a neutral SMPL-X motion.

        Betas that are equal in every frame become one (10,) vector.
        """
        channels = np.asarray(channels)
        require(
            channels.ndim == 2 and channels.shape[1] == NUM_CHANNELS,
            f"channels have shape {channels.shape}, not (T, {NUM_CHANNELS})",
        )
        parts = split_channels(channels)
        return cls(
            body_pose=parts["body_pose"],
            global_orient=parts["global_orient"],
            betas=constant_betas(parts["betas"]),
            transl=parts["transl"],
            fps=fps,
            space=space,
        )

    def transformed(
        self, transform: np.ndarray, pelvis_rest: np.ndarray, *, space: Space
    ) -> "Motion":
        """Return the same motion seen from another frame of reference.

        The root rotates about the rest pelvis J0, not the origin, so with x' = R x + t:
        phi' = R phi and tau' = R (J0 + tau) + t - J0.

        Args:
            transform: (4, 4) or (T, 4, 4), maps this motion's frame to the new one.
            pelvis_rest: (3,) or (T, 3) metres, J0(betas) of this motion's body.
            space: the new frame's name, ``camera`` or ``world``.
        """
        rot = np.asarray(transform, np.float64)[..., :3, :3]
        shift = np.asarray(transform, np.float64)[..., :3, 3]
        root = rotation.axis_angle_to_matrix(self.global_orient.astype(np.float64))
        pelvis = np.asarray(pelvis_rest, np.float64) + self.transl
        moved = np.einsum("...ij,...j->...i", rot, pelvis) + shift - pelvis_rest
        return dataclasses.replace(
            self, global_orient=rotation.matrix_to_axis_angle(rot @ root), transl=moved, space=space
        )


def constant_betas(betas: np.ndarray) -> np.ndarray:
    """Betas (T, 10) as one (10,) where they are equal in every frame."""
    return betas[0] if np.all(betas == betas[:1]) else betas


def split_channels(channels: np.ndarray) -> dict[str, np.ndarray]:
    """Return views of (..., 79) channels by name: global_orient, body_pose, betas, transl."""
    bounds = np.cumsum(list(CHANNELS.values()))[:-1]
    return dict(zip(CHANNELS, np.split(channels, bounds, axis=-1), strict=True))


def mirrored_channels(channels: np.ndarray, pelvis_rest: np.ndarray) -> np.ndarray:
    """Camera-space channels (..., 79) of the mirror image, the principal point in its middle.

    Left and right change places; with M = diag(-1, 1, 1) a rotation R becomes M R M, so that an
    axis-angle vector (x, y, z) becomes (x, -y, -z), and a pelvis p becomes M p.

    Args:
        channels: (..., 79) float.
        pelvis_rest: (..., 3) metres, J0 of each frame's shape.
    """
    out = np.array(channels)
    turns = out[..., :66].reshape(*out.shape[:-1], len(JOINTS), 3)
    turns[:] = turns[..., OTHER_SIDE, :] * np.array([1, -1, -1], out.dtype)
    out[..., :66] = turns.reshape(*out.shape[:-1], 66)
    out[..., 76] = -out[..., 76] - 2 * pelvis_rest[..., 0]
    return out


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera over T frames.

    Attributes:
        K: (T, 3, 3) intrinsics in pixels.
        T_w2c: (T, 4, 4) rigid world -> camera, or None where the world is unknown.
        width: image width in pixels.
        height: image height in pixels.
        pixel_origin: where (0, 0) is: the ``corner`` of the first pixel (intrinsics made from
            width / 2), or its ``centre`` (intrinsics from a calibration with OpenCV).

    Raises:
        ValueError: wrong shapes, non-finite numbers, no positive focal length, not a rotation.
    """

    K: np.ndarray
    T_w2c: np.ndarray | None
    width: int
    height: int
    pixel_origin: Literal["corner", "centre"] = "corner"

    def __post_init__(self):
        frames = len(self.K)
        require(frames > 0, "the camera has no frame")
        object.__setattr__(self, "K", checked_array("K", self.K, (frames, 3, 3)))
        require(np.all(self.K[:, [0, 1], [0, 1]] > 0), "K has a focal length that is not positive")
        require(self.width > 0 and self.height > 0, "image width and height must be positive")
        require(
            self.pixel_origin in ("corner", "centre"), f"unknown pixel origin {self.pixel_origin!r}"
        )
        if self.T_w2c is not None:
            object.__setattr__(self, "T_w2c", checked_array("T_w2c", self.T_w2c, (frames, 4, 4)))
            rotated = rotation.is_rotation(self.T_w2c[:, :3, :3])
            require(rotated.all(), "T_w2c is not a rotation")

    def __getitem__(self, frames: slice) -> "Camera":
        T_w2c = None if self.T_w2c is None else self.T_w2c[frames]
        return dataclasses.replace(self, K=self.K[frames], T_w2c=T_w2c)

    def __len__(self) -> int:
        return len(self.K)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels (T, N, 2) of camera-frame points (T, N, 3) in metres; nan behind the camera."""
        points = np.asarray(points, np.float64)
        ahead = points[..., 2:] > 0
        flat = np.where(ahead, points / np.where(ahead, points[..., 2:], 1), np.nan)
        return np.einsum("tij,tnj->tni", self.K[:, :2].astype(np.float64), flat)

    @property
    def is_static(self) -> bool | None:
        """True if the camera stands still in the world; None where the world is unknown."""
        return None if self.T_w2c is None else bool(np.ptp(self.T_w2c, axis=0).max() < 1e-5)


def require(condition: bool, message: str) -> None:
    """Raise `ValueError` with `message` unless `condition`."""
    if not condition:
        raise ValueError(message)


def checked_array(name: str, value, shape: tuple[int, ...], dtype: type = float) -> np.ndarray:
    """`value` as a read-only array of `shape`; float32, int32 or bool (`dtype` float, int, bool).

    Raises:
        ValueError: another shape, not numeric, or a number that is not finite or does not fit.
    """
    array = np.asarray(value)
    require(array.dtype.kind in "fiub", f"{name} is not numeric (dtype {array.dtype})")
    require(array.shape == shape, f"{name} has shape {array.shape}, expected {shape}")
    if dtype is float:
        bad = np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(axis=1))
        require(
            bad.size == 0,
            f"{name} is not finite in {bad.size} of {len(array)} rows (first: {bad[:1]})",
        )
    if dtype is int:
        require(bool(np.all(array == np.floor(array))), f"{name} are not all whole numbers")
        require(bool(np.all(np.abs(array) < 2**31)), f"{name} do not fit 32-bit integers")
    with np.errstate(over="ignore"):  # an overflow is reported just below
        array = array.astype({float: np.float32, int: np.int32, bool: np.bool_}[dtype])
    if dtype is float:
        require(bool(np.isfinite(array).all()), f"{name} overflows float32")
    array.flags.writeable = False
    return array
