"""GVHMR's regressor files in the official formats, with random numbers."""

import venv
from pathlib import Path

import numpy as np
import torch

SMPLX, SMPL = 10475, 6890


def sparse_rows(rows: int, columns: int, number: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Columns and weights (rows, number) of points that are weighted means, sums 1."""
    rng = np.random.default_rng(seed)
    where = np.stack([rng.choice(columns, number, replace=False) for _ in range(rows)])
    weights = rng.dirichlet(np.ones(number), rows).astype(np.float32)
    return where, weights


MATRICES = {
    "smplx2smpl_sparse.pt": (SMPL, SMPLX, 2, 0),
    "smpl_neutral_J_regressor.pt": (24, SMPL, 10, 1),
    "smpl_3dpw14_J_regressor_sparse.pt": (14, SMPL, 6, 2),
}


def tensor(name: str, *, seed: int | None = None) -> torch.Tensor:
    """The matrix of a file; dense where the official one is."""
    rows, columns, number, own = MATRICES[name]
    where, weights = sparse_rows(rows, columns, number, own if seed is None else seed)
    index = torch.from_numpy(np.stack([np.repeat(np.arange(rows), number), where.reshape(-1)]))
    matrix = torch.sparse_coo_tensor(
        index, torch.from_numpy(weights.reshape(-1)), (rows, columns), check_invariants=True
    )
    return matrix if "sparse" in name else matrix.to_dense()


def build_environment(folder: Path) -> Path:
    """An environment with a package ``gvhmr`` that cannot be imported; its files' folder."""
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    files = site / "gvhmr" / "utils" / "body_model"
    files.mkdir(parents=True)
    (site / "gvhmr" / "__init__.py").write_text("raise SystemExit('imported')\n")
    for name in MATRICES:
        torch.save(tensor(name), files / name)
    return files
