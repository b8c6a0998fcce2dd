"""Rotations: axis-angle <-> matrix <-> 6D, on arrays of any leading shape.

6D layout ("columns"): the first column of the matrix, then the second,
``[R00, R10, R20, R01, R11, R21]`` (Zhou et al. 2019, as SOLAMI and 4D-Humans use it). PyTorch3D
concatenates the first two *rows* instead: its vector is ours of the transposed matrix.
"""

import numpy as np
from scipy.spatial.transform import Rotation


def axis_angle_to_matrix(axis_angle: np.ndarray) -> np.ndarray:
    """Rotation vectors (..., 3) in radians to matrices (..., 3, 3), in the dtype given."""
    axis_angle = np.asarray(axis_angle)
    matrix = Rotation.from_rotvec(axis_angle.reshape(-1, 3).astype(np.float64)).as_matrix()
    return matrix.reshape(*axis_angle.shape[:-1], 3, 3).astype(_float_dtype(axis_angle))


def matrix_to_axis_angle(matrix: np.ndarray) -> np.ndarray:
    """Rotation matrices (..., 3, 3) to rotation vectors (..., 3), radians, angle in [0, pi]."""
    matrix = np.asarray(matrix)
    vector = Rotation.from_matrix(matrix.reshape(-1, 3, 3).astype(np.float64)).as_rotvec()
    return vector.reshape(*matrix.shape[:-2], 3).astype(_float_dtype(matrix))


def matrix_to_sixd(matrix: np.ndarray) -> np.ndarray:
    """Rotation matrices (..., 3, 3) to 6D (..., 6): first column, then second column."""
    matrix = np.asarray(matrix)
    return np.swapaxes(matrix[..., :2], -1, -2).reshape(*matrix.shape[:-2], 6)


def sixd_to_matrix(sixd: np.ndarray) -> np.ndarray:
    """6D (..., 6) to rotation matrices (..., 3, 3) by Gram-Schmidt on the two columns.

    Degenerate input (a zero or parallel column) still yields a rotation, with an arbitrary
    completion, so that one bad network output cannot put NaN into a batch.
    """
    columns = np.asarray(sixd, np.float64)
    first = _unit(columns[..., :3], np.array([1.0, 0.0, 0.0]))
    second = columns[..., 3:] - np.sum(first * columns[..., 3:], -1, keepdims=True) * first
    # The basis vector least aligned with the first column is a safe stand-in for the second.
    spare = np.eye(3)[np.argmin(np.abs(first), axis=-1)]
    spare = spare - np.sum(first * spare, -1, keepdims=True) * first
    # Less of the second column than this is rounding, and would not be orthogonal to the first.
    rounding = 1e-8 * np.linalg.norm(columns[..., 3:], axis=-1, keepdims=True)
    spare = spare / np.linalg.norm(spare, axis=-1, keepdims=True)
    second = _unit(second, spare, smallest=rounding)
    third = np.cross(first, second)
    return np.stack([first, second, third], -1).astype(_float_dtype(sixd))


def project_to_rotation(matrix: np.ndarray) -> np.ndarray:
    """Nearest rotation (Frobenius norm, det +1) to each 3x3 matrix (..., 3, 3), by SVD."""
    u, _, vt = np.linalg.svd(np.asarray(matrix, dtype=np.float64))
    sign = np.ones(matrix.shape[:-1])
    sign[..., 2] = np.linalg.det(u @ vt)
    return ((u * sign[..., None, :]) @ vt).astype(_float_dtype(matrix))


def is_rotation(matrix: np.ndarray) -> np.ndarray:
    """(...) bool: whether matrices (..., 3, 3) are rotations, as far as stored labels are exact."""
    skew = np.abs(matrix @ np.swapaxes(matrix, -1, -2) - np.eye(3)).max(axis=(-2, -1))
    with np.errstate(invalid="ignore"):  # what is not finite is none
        return (skew < 1e-3) & (np.linalg.det(matrix) > 0)


def canonical_axis_angle(axis_angle: np.ndarray) -> np.ndarray:
    """Return the same rotations (..., 3) with every angle in [0, pi]."""
    return matrix_to_axis_angle(axis_angle_to_matrix(np.asarray(axis_angle, np.float64))).astype(
        _float_dtype(axis_angle)
    )


def up_to_y(up: np.ndarray) -> np.ndarray:
    """Return the shortest rotation (3, 3) that turns the direction `up` (3,) to +y."""
    return Rotation.align_vectors(np.array([0.0, 1.0, 0.0]), up)[0].as_matrix()


def slerp(start: np.ndarray, end: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Rotations on the way from `start` to `end` (..., 3, 3), by weights (...) in [0, 1]."""
    start = start.reshape(-1, 3, 3)
    way = Rotation.from_matrix(np.swapaxes(start, 1, 2) @ end.reshape(-1, 3, 3)).as_rotvec()
    part = Rotation.from_rotvec(way * weight.reshape(-1, 1)).as_matrix()
    return (start @ part).reshape(end.shape)


def _unit(
    vector: np.ndarray, fallback: np.ndarray, *, smallest: np.ndarray | float = 0.0
) -> np.ndarray:
    norm = np.linalg.norm(vector, axis=-1, keepdims=True)
    usable = norm > smallest
    return np.where(usable, vector / np.where(usable, norm, 1.0), fallback)


def _float_dtype(array: np.ndarray) -> np.dtype:
    dtype = np.asarray(array).dtype
    return dtype if dtype.kind == "f" else np.dtype(np.float64)
