"""SMPL model files: where they are, and their arrays. Nothing here loads torch.

The user's own files, in the folder ``$UNIMO_SMPL``: ``SMPL_NEUTRAL``, ``SMPL_FEMALE`` and
``SMPL_MALE`` as ``.npz`` or ``.pkl``, or under the official names, such as
``basicmodel_m_lbs_10_207_0_v1.1.0.pkl``. The official pickles hold chumpy's and scipy's objects
beside plain arrays; they are read without either package, and nothing in them is ever run
(`datasets.tools.safe_pickle`).
"""

import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from datasets.bodies.smplx_file import BodyFile, fits
from datasets.tools import safe_pickle
from datasets.tools.files import sha256_of
from datasets.tools.npz import npz_names, read_npz_arrays

ENV_SMPL = "UNIMO_SMPL"
NUM_VERTICES = 6890
NUM_JOINTS = 24
GENDERS = ("neutral", "female", "male")

# The arrays that are used; the betas K are ten or more.
_LAYOUT = {
    "v_template": (NUM_VERTICES, 3),
    "f": (13776, 3),
    "shapedirs": (NUM_VERTICES, 3, None),
    "posedirs": (NUM_VERTICES, 3, 207),
    "J_regressor": (NUM_JOINTS, NUM_VERTICES),
    "weights": (NUM_VERTICES, NUM_JOINTS),
    "kintree_table": (2, NUM_JOINTS),
}
_OFFICIAL = re.compile(r"basicmodel_(neutral|f|m)_lbs_10_207_0_v[\d.]+\.pkl", re.IGNORECASE)
_BELOW = ("", "smpl", "models", "smpl/models", "models/smpl")  # as archives unpack


def find_smpl(gender: str = "neutral") -> BodyFile:
    """The user's SMPL file of a gender, with the name ``smpl-neutral`` (``-female``, ``-male``).

    Raises:
        FileNotFoundError: ``$UNIMO_SMPL`` is not set, or holds no model of that gender.
    """
    name = f"SMPL_{gender.upper()}"
    hint = (
        f"download SMPL (https://smpl.is.tue.mpg.de) and set ${ENV_SMPL} to the folder that holds "
        f"{name}.pkl or .npz"
    )
    wanted = os.environ.get(ENV_SMPL)
    if not wanted:
        raise FileNotFoundError(f"no {name}: {hint}")
    for below in _BELOW:
        if file := _file_in(Path(wanted) / below, name, gender):
            return BodyFile(file, f"smpl-{gender}", sha256_of(file))
    raise FileNotFoundError(f"no {name} in ${ENV_SMPL}: {hint}")


def _file_in(folder: Path, name: str, gender: str) -> Path | None:
    for suffix in (".npz", ".pkl"):
        if (folder / f"{name}{suffix}").is_file():
            return folder / f"{name}{suffix}"
    letter = gender if gender == "neutral" else gender[0]
    official = (
        file
        for file in folder.glob("*.pkl")
        if (found := _OFFICIAL.fullmatch(file.name)) and found[1].lower() == letter
    )
    return max(official, key=lambda file: file.name.lower(), default=None)  # the latest release


def read_smpl(file: Path) -> dict[str, np.ndarray]:
    """Return the arrays of an SMPL file, float64 but for `f` and `kintree_table`, which are int64.

    `v_template` (6890, 3) metres, `f` (13776, 3), `shapedirs` (6890, 3, K >= 10), `posedirs`
    (6890, 3, 207), `J_regressor` (24, 6890), `weights` (6890, 24), `kintree_table` (2, 24).

    Raises:
        OSError: the file cannot be read.
        ValueError: damaged, another kind of file, or an array is missing, has another shape or
            holds a number that is not finite.
    """
    stored = _read_npz(file) if file.suffix == ".npz" else _read_pickle(file)
    arrays = {}
    for name, shape in _LAYOUT.items():
        if name not in stored:
            raise ValueError(f"{file} is not an SMPL model, it has no {name}")
        try:
            array = _plain(stored[name])
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{file} has a damaged {name}: {error}") from error
        is_numeric = array.dtype.kind in "fiu"
        if not is_numeric or not fits(array.shape, shape) or not np.isfinite(array).all():
            raise ValueError(
                f"{file} is not an SMPL model, its {name} is {array.dtype}{array.shape}"
            )
        arrays[name] = array.astype(np.int64 if name in ("f", "kintree_table") else np.float64)
    if arrays["shapedirs"].shape[2] < 10:
        raise ValueError(f"{file} has fewer than ten shape directions")
    parents = arrays["kintree_table"][0, 1:]
    if not np.all((parents >= 0) & (parents < np.arange(1, NUM_JOINTS))):
        raise ValueError(f"{file} is not an SMPL model, its kintree_table is no tree")
    return arrays


def _read_npz(file: Path) -> dict[str, np.ndarray]:
    try:
        return read_npz_arrays(file, npz_names(file) & _LAYOUT.keys())
    except ValueError as error:
        raise ValueError(f"{file}: {error}: use the official .pkl") from error


def _read_pickle(file: Path) -> dict:
    stored = safe_pickle.load(file, encoding="latin1", unpickler=_ModelUnpickler)
    if not isinstance(stored, dict):
        raise ValueError(f"{file} is not an SMPL model: it holds no dictionary")
    return stored


class _Stored:
    """Stands for an object of another package: it keeps the object's state and can do nothing."""

    state: dict

    def __new__(cls, *args: object) -> "_Stored":
        """Return an empty one; what the object was made from is in its state, too."""
        stored = object.__new__(cls)
        stored.state = {}
        return stored


class _Array(_Stored):
    """chumpy.ch.Ch: the array ``x``."""


class _Selection(_Stored):
    """chumpy.reordering.Select: the items ``idxs`` of ``a`` in the shape ``preferred_shape``."""


class _Columns(_Stored):
    """scipy's csc_matrix."""


class _Nothing(_Stored):
    """Stands for objects of no use here: sets, in which chumpy keeps what to compute again."""


def _rebuilt(stand_in: object, *of_base: object) -> object:
    """Below protocol 2, ``copy_reg._reconstructor(class, object, None)`` makes every object."""
    if not (isinstance(stand_in, type) and issubclass(stand_in, _Stored)):
        raise ValueError("an object of an unknown class")
    return stand_in()


_STAND_INS = {
    ("chumpy.ch", "Ch"): _Array,
    ("chumpy.reordering", "Select"): _Selection,
    ("scipy.sparse.csc", "csc_matrix"): _Columns,  # until scipy 1.7
    ("scipy.sparse._csc", "csc_matrix"): _Columns,
    ("copy_reg", "_reconstructor"): _rebuilt,
    ("copyreg", "_reconstructor"): _rebuilt,
    ("__builtin__", "object"): _Nothing,
    ("builtins", "object"): _Nothing,
    ("__builtin__", "set"): _Nothing,
    ("builtins", "set"): _Nothing,
}


class _ModelUnpickler(safe_pickle.Unpickler):
    """Knows the objects of SMPL's pickles as `_Stored` ones, besides what is data."""

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(safe_pickle.Unpickler.dispatch)

    def find_class(self, module: str, name: str) -> object:
        """Return the stand-in or the data behind a name in a pickle."""
        return _STAND_INS.get((module, name)) or super().find_class(module, name)

    def load_build(self) -> None:
        """Give a stand-in its state, as it is."""
        if not isinstance(self.stack[-2], _Stored):
            super().load_build()
            return
        state = self.stack.pop()
        if type(state) is not dict:
            raise ValueError("an object whose state is no dictionary")
        self.stack[-1].state = state

    dispatch[pickle.BUILD[0]] = load_build


def _plain(value: object) -> np.ndarray:
    """Return the array that a stored object stands for.

    Raises:
        ValueError, KeyError, IndexError, TypeError: it does not stand for one.
    """
    if isinstance(value, _Columns):
        return _dense(value.state)
    if isinstance(value, _Selection):
        array = _array(value.state["a"])
        items = _items(value.state["idxs"], array.size)
        return array.reshape(-1)[items].reshape(value.state["preferred_shape"])
    return _array(value)


def _array(value: object) -> np.ndarray:
    if isinstance(value, _Array):
        value = value.state["x"]
    if not isinstance(value, np.ndarray):
        raise ValueError("it is not an array")
    return value


def _items(numbers: object, size: int) -> np.ndarray:
    """Return indices (n,), checked: each of them names one of `size` items."""
    if not isinstance(numbers, np.ndarray) or numbers.dtype.kind not in "iu":
        raise ValueError("its indices are not whole numbers")
    if np.any((numbers < 0) | (numbers >= size)):
        raise ValueError("its indices point outside")
    return numbers.reshape(-1)


def _dense(state: dict) -> np.ndarray:
    """Return the matrix of a csc_matrix; only that of a `J_regressor` is ever asked for."""
    shape = tuple(state["_shape"])
    if shape != _LAYOUT["J_regressor"]:
        raise ValueError(f"a sparse matrix of shape {shape}")
    rows = _items(state["indices"], shape[0])
    counts = np.diff(state["indptr"])
    if len(counts) != shape[1] or np.any(counts < 0) or counts.sum() != len(rows):
        raise ValueError("a sparse matrix whose columns do not fit")
    dense = np.zeros(shape)
    np.add.at(dense, (rows, np.repeat(np.arange(shape[1]), counts)), state["data"])
    return dense
