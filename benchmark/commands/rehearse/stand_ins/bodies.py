"""SMPL and SMPL-X in the official layouts, with random numbers or another figure of the stand-in.

Meshes have the official numbers of vertices and faces, so nothing else tells them from the real.
"""

from pathlib import Path

import numpy as np

from datasets.bodies.smplx_file import STAND_IN, read_arrays

VERTICES, FACES = 6890, 13776
SMPLX_FACES = 20908
PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)
GENDERS = ("neutral", "female", "male")


def smpl_arrays(seed: int = 0, *, betas: int = 10) -> dict[str, np.ndarray]:
    """Return a body of about two metres with pose correctives of about a centimetre."""
    rng = np.random.default_rng(seed)
    weights = rng.uniform(size=(VERTICES, 24)).astype(np.float32) ** 8
    regressor = np.zeros((24, VERTICES), np.float32)
    columns = rng.permutation(VERTICES)[: 24 * 8]
    regressor[np.repeat(np.arange(24), 8), columns] = rng.dirichlet(np.ones(8), 24).ravel()
    kintree = np.array([PARENTS, range(24)])
    kintree[0, 0] = 2**32 - 1  # as the official files mark the root

    def spread(shape, size):
        return size * rng.standard_normal(shape, np.float32)

    return {
        "v_template": spread((VERTICES, 3), 0.4),
        "f": rng.integers(0, VERTICES, (FACES, 3)).astype(np.uint32),
        "shapedirs": spread((VERTICES, 3, betas), 0.03),
        "posedirs": spread((VERTICES, 3, 207), 0.001),
        "J_regressor": regressor,
        "weights": weights / weights.sum(axis=1, keepdims=True),
        "kintree_table": kintree.astype(np.uint32),
    }


def build_smpl(folder: Path, *genders: str) -> Path:
    """Write ``SMPL_<GENDER>.npz``, a body of its own for each gender."""
    folder.mkdir(parents=True, exist_ok=True)
    for gender in genders:
        arrays = smpl_arrays(GENDERS.index(gender))
        np.savez(folder / f"SMPL_{gender.upper()}.npz", **arrays)
    return folder


def write_smplx(file: Path, *, seed: int) -> None:
    """Write a body with SMPL-X's numbers of vertices and faces: the stand-in's, another figure."""
    rng = np.random.default_rng(seed)
    arrays = read_arrays(STAND_IN)
    arrays["f"] = arrays["f"][:SMPLX_FACES]
    arrays["posedirs"] = np.zeros(arrays["posedirs"].shape, np.int8)
    arrays["v_template"] = arrays["v_template"] * rng.uniform(0.9, 1.1, 3).astype(np.float32)
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez(file, **arrays)


def build_smplx(folder: Path) -> Path:
    """Write ``SMPLX_<GENDER>.npz``, another figure for each gender."""
    for seed, gender in enumerate(GENDERS):
        write_smplx(folder / f"SMPLX_{gender.upper()}.npz", seed=seed)
    return folder
