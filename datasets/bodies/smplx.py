"""The SMPL-X body through the ``smplx`` package: parameters -> joints and vertices, in metres.

Two paths, both equal to ``smplx``'s own forward to float32 rounding
(tests/datasets/bodies/test_smplx.py): `BodyModel.joints` regresses the rest joints once per shape
and only runs the kinematic chain (`BodyModel.joints55`: with the face's and the fingers' joints);
`BodyModel.vertices` also skins the mesh. Hands and face stay flat and neutral, as in the paper.

Which body: the path given, else the file or folder in ``$UNIMO_BODY_MODEL``, else the packaged
stand-in (datasets/bodies/stand_in/NOTICE), which has SMPL-X's layout but is not SMPL-X. Errors
measured on different bodies are not comparable, so every report names the body and its sha256.
"""

import contextlib
import copy
import functools
import io
import tempfile
from pathlib import Path

import numpy as np
import torch

from datasets.bodies.smplx_file import BodyFile, find_body, read_arrays

BODY_JOINTS = 22  # pelvis and the 21 joints of body_pose; the other 33 are face and fingers
_POSE_BASIS = 9 * (BODY_JOINTS - 1)  # pose correctives of the body joints
PELVIS_HIPS = (1, 2)  # WHAM's pelvis: the mean of the two hips
_CHUNK = 256  # frames per vertex chunk: 10475 vertices x 256 frames x 12 bytes = 32 MB


class BodyModel:
    """An SMPL-X-layout body; inputs and outputs are float32 numpy arrays.

    Attributes:
        name: as `datasets.bodies.smplx_file.BodyFile.name`.
        sha256: of the model file.
        faces: (F, 3) int64 vertex indices.
        parents: (55,) parent joint of each joint, -1 for the pelvis.
    """

    def __init__(self, file: BodyFile):
        self.path, self.name, self.sha256 = file.path, file.name, file.sha256
        layer = _load_layer(self.path)
        self.faces = np.asarray(layer.faces, dtype=np.int64)
        self.parents = layer.parents.numpy()
        self._template = layer.v_template
        self._shapedirs = layer.shapedirs[:, :, :10]
        joint_regressor = layer.J_regressor
        self._joint_template = joint_regressor @ self._template
        self._joint_shapedirs = torch.einsum("jv,vck->jck", joint_regressor, self._shapedirs)
        self._carriers = _carriers(self.parents)
        self._weights = _fold_weights(layer.lbs_weights, self._carriers)
        # Pose correctives of the 21 body joints; None where the body has none (the stand-in).
        self._posedirs = layer.posedirs if bool(layer.posedirs.any()) else None

    @property
    def num_vertices(self) -> int:
        """10475 for SMPL-X and the stand-in."""
        return len(self._template)

    def rest_joints(self, betas: np.ndarray) -> np.ndarray:
        """Joints (..., 55, 3) of the rest pose for shapes (..., 10); index 0 is J0(betas)."""
        shapes = torch.from_numpy(np.array(betas, dtype=np.float32))
        offsets = torch.einsum("jck,...k->...jc", self._joint_shapedirs, shapes)
        return (self._joint_template + offsets).numpy()

    def joints(self, channels: np.ndarray) -> np.ndarray:
        """Posed body joints (..., T, 22, 3) of motion channels (..., T, 79) (`datasets.motion`)."""
        joints, _ = self._chain(np.asarray(channels, np.float32))
        return joints.numpy().reshape(*channels.shape[:-1], BODY_JOINTS, 3)

    @torch.no_grad()
    def joints55(self, channels: np.ndarray) -> np.ndarray:
        """All posed joints (..., T, 55, 3) of motion channels (..., T, 79).

        The jaw, the eyes and the fingers hang rigidly on the body joint that carries them.
        """
        channels = np.asarray(channels, np.float32)
        joints, transforms = self._chain(channels)
        rest = self.rest_joints(channels.reshape(-1, channels.shape[-1])[:, 66:76])
        moves = transforms[:, self._carriers[BODY_JOINTS:]]
        hung = (moves[..., :3] @ torch.from_numpy(rest)[:, BODY_JOINTS:, :, None])[..., 0]
        whole = torch.cat([joints, hung + moves[..., 3]], dim=1)
        return whole.numpy().reshape(*channels.shape[:-1], *whole.shape[1:])

    def vertices(self, channels: np.ndarray) -> np.ndarray:
        """Posed vertices (..., T, V, 3) of motion channels (..., T, 79).

        Shapes that stay constant over the frames given are blended once.
        """
        channels = np.asarray(channels, np.float32)
        flat = channels.reshape(-1, channels.shape[-1])
        out = np.empty((len(flat), self.num_vertices, 3), np.float32)
        for start in range(0, len(flat), _CHUNK):
            self._skin(flat[start : start + _CHUNK], out[start : start + _CHUNK])
        return out.reshape(*channels.shape[:-1], self.num_vertices, 3)

    def subset(self, vertices: np.ndarray, faces: np.ndarray) -> "BodyModel":
        """Return the same body with a smaller mesh; its joints stay as they are.

        Args:
            vertices: (N,) indices of the vertices to keep.
            faces: (F, 3) triangles of these, indices into `vertices`.
        """
        part = copy.copy(self)
        part.faces = faces
        part._template = self._template[vertices]
        part._shapedirs = self._shapedirs[vertices]
        part._weights = self._weights[vertices]
        if self._posedirs is not None:
            part._posedirs = self._posedirs.unflatten(1, (-1, 3))[:, vertices].flatten(1)
        return part

    @torch.no_grad()
    def _chain(self, channels: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Posed joints (F, 22, 3) and skinning transforms (F, 22, 3, 4) of F flattened frames."""
        from smplx.lbs import batch_rigid_transform, batch_rodrigues

        flat = torch.from_numpy(channels.reshape(-1, channels.shape[-1]))
        poses, betas, transl = flat[:, :66], flat[:, 66:76], flat[:, 76:79]
        rest = torch.from_numpy(self.rest_joints(betas.numpy()))[:, :BODY_JOINTS]
        rotations = batch_rodrigues(poses.reshape(-1, 3)).view(-1, BODY_JOINTS, 3, 3)
        joints, transforms = batch_rigid_transform(
            rotations, rest, torch.from_numpy(self.parents[:BODY_JOINTS])
        )
        transforms = transforms[:, :, :3].clone()
        transforms[..., 3] += transl[:, None]
        return joints + transl[:, None], transforms

    @torch.no_grad()
    def _skin(self, channels: np.ndarray, out: np.ndarray) -> None:
        """Vertices of F frames (F, 79) into `out` (F, V, 3)."""
        _, transforms = self._chain(channels)
        betas = torch.from_numpy(np.ascontiguousarray(channels[:, 66:76]))
        constant = bool((betas == betas[:1]).all())
        shaped = self._template + torch.einsum(
            "vck,fk->fvc", self._shapedirs, betas[:1] if constant else betas
        )
        if self._posedirs is None and constant:
            # v' = sum_j w_j (R_j v + t_j) is linear in (R, t): with one rest mesh the whole chunk
            # is one product (V, 22*4) @ (22*4, F*3) instead of a (F, V, 3, 4) transform field.
            homogeneous = torch.cat([shaped[0], torch.ones(self.num_vertices, 1)], 1)
            basis = (self._weights[:, :, None] * homogeneous[:, None]).flatten(1)
            moves = transforms.permute(1, 3, 0, 2).reshape(BODY_JOINTS * 4, -1)
            posed = (basis @ moves).view(self.num_vertices, len(channels), 3)
            out[:] = posed.permute(1, 0, 2).numpy()
            return
        if self._posedirs is not None:
            from smplx.lbs import batch_rodrigues

            body = torch.from_numpy(np.ascontiguousarray(channels[:, 3:66]))
            feature = (
                batch_rodrigues(body.reshape(-1, 3)).view(len(body), -1, 9) - torch.eye(3).flatten()
            )
            shaped = shaped + (feature.flatten(1) @ self._posedirs).view(len(body), -1, 3)
        for frame in range(len(channels)):
            field = (self._weights @ transforms[frame].flatten(1)).view(-1, 3, 4)
            rest = shaped[min(frame, len(shaped) - 1)]
            posed = (field[..., :3] @ rest[..., None])[..., 0] + field[..., 3]
            out[frame] = posed.numpy()


def load_body(path: str | Path | None = None, *, gender: str = "neutral") -> BodyModel:
    """The body of a file, looked for as `datasets.bodies.smplx_file.find_body` does, on every call.

    Raises:
        FileNotFoundError: a path was given (or set in the environment) and holds no model.
        ValueError: the file is not an SMPL-X model.
    """
    return _load(find_body(path, gender=gender))


@functools.lru_cache(maxsize=4)
def _load(file: BodyFile) -> BodyModel:
    return BodyModel(file)


def _load_layer(path: Path):
    """Return the ``smplx.SMPLX`` module of a file, without ever unpickling any of its entries.

    ``smplx`` opens files with ``allow_pickle=True``; official files do carry pickled extras that it
    never uses. Only the arrays it reads are handed to it, in a temporary file.
    """
    import smplx

    arrays = read_arrays(path)
    # Only those of the body: fingers stay at rest, and all of them are most of the file.
    arrays["posedirs"] = arrays["posedirs"][..., :_POSE_BASIS].astype(np.float32)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        plain = Path(folder) / "SMPLX_NEUTRAL.npz"  # smplx takes the type from the file name
        np.savez(plain, **arrays)  # type: ignore[arg-type]
        del arrays
        return smplx.create(
            str(plain), model_type="smplx", use_pca=False, flat_hand_mean=True, num_betas=10
        )


def _carriers(parents: np.ndarray) -> np.ndarray:
    """(55,) the body joint that moves each joint: itself, or the next one towards the pelvis."""
    carriers = np.arange(len(parents))
    for joint in range(BODY_JOINTS, len(parents)):
        carriers[joint] = carriers[parents[joint]]
    return carriers


def _fold_weights(weights: torch.Tensor, carriers: np.ndarray) -> torch.Tensor:
    """Skinning weights (V, 22) with the rigid face and finger joints added to their body joint."""
    folded = weights[:, :BODY_JOINTS].clone()
    for joint in range(BODY_JOINTS, weights.shape[1]):
        folded[:, carriers[joint]] += weights[:, joint]
    return folded
