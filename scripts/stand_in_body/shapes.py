"""Linear shape and expression spaces from sample bodies."""

import numpy as np

PELVIS = np.array([0.0, -0.35, 0.01])  # metres: where the mean pelvis stands, as in SMPL-X


def align(vertices: np.ndarray, joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Put the vertex means of all bodies on one point and the mean pelvis at `PELVIS`.

    One shift for all after the alignment, so that the pelvis still depends on the shape, as it
    does in SMPL-X.

    Args:
        vertices: (N, V, 3).
        joints: (N, 55, 3).
    """
    centre = vertices.mean(axis=1, keepdims=True)
    shift = PELVIS - (joints - centre)[:, 0].mean(axis=0)
    return vertices - centre + shift, joints - centre + shift


def shape_space(vertices: np.ndarray, components: int) -> tuple[np.ndarray, np.ndarray]:
    """Principal components of bodies (N, V, 3), scaled so that the samples' betas have variance 1.

    Returns:
        The mean body (V, 3) and the directions (V, 3, components), metres per unit of beta; a
        positive beta makes the body taller.
    """
    mean = vertices.mean(axis=0)
    directions = _principal_directions(vertices - mean, components, degrees=len(vertices) - 1)
    low, high = mean[:, 1].argmin(), mean[:, 1].argmax()
    taller = directions[high, 1] - directions[low, 1]
    return mean, directions * np.where(taller < 0, -1.0, 1.0)


def expression_space(displacements: np.ndarray, components: int) -> np.ndarray:
    """Main directions (V, 3, components) of facial actions (N, V, 3), about the neutral face.

    Scaled so that full single actions have coefficients of mean square 1 in each component; the
    sign makes the largest displacement point up, or else forward.
    """
    directions = _principal_directions(displacements, components, degrees=len(displacements))
    largest = np.linalg.norm(directions, axis=1).argmax(axis=0)
    vector = directions[largest, :, np.arange(components)]
    upward = np.where(np.abs(vector[:, 1]) > 1e-9, vector[:, 1], vector[:, 2])
    return directions * np.where(upward < 0, -1.0, 1.0)


def _principal_directions(fields: np.ndarray, components: int, *, degrees: int) -> np.ndarray:
    """The leading right singular vectors of (N, V, 3), each times singular value / sqrt(degrees).

    Returns:
        (V, 3, components)
    """
    flat = fields.reshape(len(fields), -1)
    _, scale, basis = np.linalg.svd(flat, full_matrices=False)
    scaled = basis[:components] * (scale[:components, None] / np.sqrt(degrees))
    return scaled.T.reshape(*fields.shape[1:], components)
