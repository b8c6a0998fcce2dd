"""The matrices of GVHMR's evaluation: SMPL-X mesh -> SMPL mesh -> joints.

They are files of the package ``gvhmr`` (``gvhmr/utils/body_model/``), under its licence, and are
read where the user installed it; they are no part of this program.
"""

import functools
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.api.errors import Unavailable
from datasets.tools import isolated
from datasets.tools.files import sha256_of

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_TOOL = "gvhmr"
_CURE = f"run `python -m benchmark.run setup {_TOOL}`"
_SECONDS = 60  # for an interpreter to say where a package is; slow disks take a few
# Looks the package up without importing it. The last line: start-up files may print, too.
_WHERE = (
    "import importlib.util as u; s = u.find_spec('gvhmr');"
    "print(next(iter(s.submodule_search_locations)) if s else '')"
)
_TOLERANCE = 1e-3  # of a row's sum; those of the released files are within 4e-4 of 1


@dataclass(frozen=True)
class JointRegressor:
    """One of the files: rows are points, each a weighted mean of vertices."""

    name: str
    shape: tuple[int, int]

    def path(self) -> Path:
        """Return the path of the user's copy.

        Raises:
            Unavailable: it is not there; the message says how to get it.
        """
        file = _folder() / self.name
        if not file.is_file():
            raise Unavailable(f"{self.name} is not in the gvhmr package ({file.parent}): {_CURE}")
        return file

    def sha256(self) -> str:
        """Return the hash of the user's copy.

        Raises:
            Unavailable: see `path`.
        """
        return sha256_of(self.path())

    def load(self) -> "csr_matrix":
        """Return the matrix, float64, every row scaled to the sum 1.

        The released rows miss 1 by up to 4e-4, as much of a point's distance from the origin; the
        scaled ones give root-aligned errors that do not depend on where the person stands.

        Raises:
            Unavailable: see `path`.
            ValueError: the file is damaged or holds another matrix.
        """
        return _load(self, self.path(), self.sha256())


SMPLX_TO_SMPL = JointRegressor("smplx2smpl_sparse.pt", (6890, 10475))
SMPL24 = JointRegressor("smpl_neutral_J_regressor.pt", (24, 6890))
LSP14 = JointRegressor("smpl_3dpw14_J_regressor_sparse.pt", (14, 6890))


def _folder() -> Path:
    """Return the folder of the files.

    Raises:
        Unavailable: the environment is not there, or without the package.
    """
    try:
        python = isolated.python(_TOOL)
    except isolated.ToolMissing as error:
        raise Unavailable(str(error)) from error
    package = _package(python)
    if package is None:
        raise Unavailable(f"{python} has no package {_TOOL}: {_CURE}")
    return package / "utils" / "body_model"


@functools.lru_cache(maxsize=4)
def _package(python: Path) -> Path | None:
    """Return the package's folder in an interpreter's environment, None where it has none."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    try:
        output = subprocess.run(
            [str(python), "-c", _WHERE],
            env=environment | {"PYTHONSAFEPATH": "1"},  # not what lies in the current folder
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
        ).stdout.splitlines()
    except (OSError, subprocess.TimeoutExpired):
        return None
    return Path(output[-1]) if output and output[-1] else None


@functools.lru_cache(maxsize=4)
def _load(regressor: JointRegressor, path: Path, sha256: str) -> "csr_matrix":
    import numpy as np
    import torch
    from scipy.sparse import csr_matrix, diags

    wrong = f"{path} is not GVHMR's {regressor.name}"
    try:
        # Indices that point outside would be followed otherwise.
        with torch.sparse.check_sparse_tensor_invariants(True):
            tensor = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of torch, zipfile or pickle, as the damage will have it
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{wrong} ({reason}): install gvhmr again") from error
    if not isinstance(tensor, torch.Tensor) or tuple(tensor.shape) != regressor.shape:
        found = tuple(tensor.shape) if isinstance(tensor, torch.Tensor) else type(tensor).__name__
        raise ValueError(f"{wrong}: it holds {found}, expected {regressor.shape}")
    sparse = tensor.to_sparse_coo().coalesce()
    rows, columns = sparse.indices().numpy()
    matrix = csr_matrix((sparse.values().double().numpy(), (rows, columns)), regressor.shape)
    sums = np.asarray(matrix.sum(axis=1)).reshape(-1)
    if not np.all(np.abs(sums - 1) <= _TOLERANCE):  # not so for NaN either
        raise ValueError(f"{wrong}: its rows do not sum to 1")
    return (diags(1 / sums) @ matrix).tocsr()
