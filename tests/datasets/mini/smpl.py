"""Model files in SMPL's format with random numbers, as this program and ``smplx`` read them."""

from pathlib import Path

import numpy as np

VERTICES, FACES = 6890, 13776
PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)


def arrays(seed: int = 0, *, betas: int = 10) -> dict[str, np.ndarray]:
    """A body of about two metres with pose correctives of about a centimetre."""
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


def write(folder: Path, *genders: str) -> None:
    """``SMPL_<GENDER>.npz``, a body of its own for each gender."""
    folder.mkdir(parents=True, exist_ok=True)
    for gender in genders:
        seed = ("neutral", "female", "male").index(gender)
        np.savez(folder / f"SMPL_{gender.upper()}.npz", **arrays(seed))
