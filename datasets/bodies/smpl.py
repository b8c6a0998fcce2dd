"""The SMPL body of the user's files: parameters -> the 6890 vertices, in metres.

Official labels of 3DPW and results of 4D-Humans are SMPL. Its shapes and poses are not those of
SMPL-X and cannot be converted, so these motions are evaluated on SMPL's own mesh. Equal to the
forward of ``smplx.SMPL`` to float32 rounding (tests/datasets/bodies/test_smpl.py).
"""

import functools

import numpy as np
import torch

from datasets.bodies.smpl_file import NUM_JOINTS, NUM_VERTICES, find_smpl, read_smpl
from datasets.bodies.smplx_file import BodyFile
from datasets.motion import NUM_SMPL_CHANNELS

_POSE = 3 * NUM_JOINTS
_CHUNK = 16  # frames skinned at once: 12 planes of 6890 float32 each are then 5 MB


class SmplBody:
    """A neutral, female or male SMPL body.

    Attributes:
        name: ``smpl-neutral``, ``smpl-female`` or ``smpl-male``.
        sha256: of the model file.
        faces: (13776, 3) int64 vertex indices.
    """

    def __init__(self, file: BodyFile):
        self.name, self.sha256 = file.name, file.sha256
        arrays = read_smpl(file.path)
        self.faces = arrays["f"]
        self._parents = torch.from_numpy(arrays["kintree_table"][0])
        template, shapedirs = arrays["v_template"], arrays["shapedirs"][:, :, :10]
        regressor = arrays["J_regressor"]
        # Meshes are kept as planes of x, y and z, which skinning runs through one after the other.
        self._template = _float(template.T)
        self._shapedirs = _float(shapedirs.transpose(2, 1, 0).reshape(10, -1))
        self._posedirs = _float(arrays["posedirs"].transpose(2, 1, 0).reshape(207, -1))
        self._weights = _float(arrays["weights"].T)
        self._joint_template = _float(regressor @ template)
        self._joint_shapedirs = _float(np.einsum("jv,vck->jck", regressor, shapedirs))

    def vertices(self, channels: np.ndarray) -> np.ndarray:
        """Posed vertices (T, 6890, 3) float32 of SMPL channels (T, 85), in their frame.

        Channels: global_orient 3, body_pose 69 (both axis-angle, radians), betas 10, transl 3
        (metres).

        Raises:
            ValueError: another shape.
        """
        channels = np.asarray(channels, np.float32)
        if channels.ndim != 2 or channels.shape[1] != NUM_SMPL_CHANNELS:
            raise ValueError(f"SMPL motion has shape {channels.shape}, expected (T, 85)")
        out = np.empty((len(channels), NUM_VERTICES, 3), np.float32)
        for start in range(0, len(channels), _CHUNK):
            piece = slice(start, start + _CHUNK)
            self._skin(torch.from_numpy(np.array(channels[piece])), out[piece])
        return out

    @torch.no_grad()
    def _skin(self, channels: torch.Tensor, out: np.ndarray) -> None:
        """Vertices of F frames (F, 85) into `out` (F, 6890, 3); linear blend skinning of SMPL."""
        from smplx.lbs import batch_rigid_transform, batch_rodrigues

        frames = len(channels)
        poses, betas, transl = channels.split([_POSE, 10, 3], dim=1)
        rotations = batch_rodrigues(poses.reshape(-1, 3)).view(frames, NUM_JOINTS, 3, 3)
        rest = self._joint_template + torch.einsum("jck,fk->fjc", self._joint_shapedirs, betas)
        _, transforms = batch_rigid_transform(rotations, rest, self._parents)
        transforms = transforms[:, :, :3].clone()
        transforms[..., 3] += transl[:, None]
        bend = (rotations[:, 1:] - torch.eye(3)).flatten(1)
        shaped = betas @ self._shapedirs + bend @ self._posedirs
        shaped = shaped.view(frames, 3, -1) + self._template
        moves = transforms.permute(0, 2, 3, 1).reshape(frames * 12, NUM_JOINTS)
        field = (moves @ self._weights).view(frames, 3, 4, -1)
        posed = field[:, :, 3]
        for axis in range(3):
            posed = torch.addcmul(posed, field[:, :, axis], shaped[:, axis, None])
        out[:] = posed.transpose(1, 2).numpy()


def _float(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))


def load_smpl(gender: str = "neutral") -> SmplBody:
    """The user's SMPL body of a gender, looked for as `datasets.bodies.smpl_file.find_smpl` does.

    Raises:
        FileNotFoundError: it is not there; the message says how to get it.
        ValueError: the file is not an SMPL model.
    """
    return _load(find_smpl(gender))


@functools.lru_cache(maxsize=3)
def _load(file: BodyFile) -> SmplBody:
    return SmplBody(file)
