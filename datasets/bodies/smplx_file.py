"""The body model file that is used, and its arrays. Nothing here loads torch."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datasets.tools.files import sha256_of
from datasets.tools.npz import read_npz_arrays

ENV_BODY = "UNIMO_BODY_MODEL"
STAND_IN = Path(__file__).parent / "stand_in" / "SMPLX_NEUTRAL.npz"

# Entries that ``smplx`` reads from an SMPL-X file; a letter stands for the same number throughout.
LAYOUT = {
    "v_template": ("V", 3),
    "f": ("F", 3),
    "shapedirs": ("V", 3, "K"),
    "posedirs": ("V", 3, 486),
    "J_regressor": (55, "V"),
    "weights": ("V", 55),
    "kintree_table": (2, 55),
    "hands_componentsl": ("H", 45),
    "hands_componentsr": ("H", 45),
    "hands_meanl": (45,),
    "hands_meanr": (45,),
    "lmk_faces_idx": (51,),
    "lmk_bary_coords": (51, 3),
}
_SMPLX_FACES = 20908
_HINT = (
    "download SMPL-X (v1.1, neutral) from https://smpl-x.is.tue.mpg.de and set "
    f"${ENV_BODY} to its SMPLX_NEUTRAL.npz, or unset it to use the packaged stand-in"
)


@dataclass(frozen=True)
class BodyFile:
    """A body model file.

    Attributes:
        path: of the ``.npz``.
        name: ``stand-in`` for the packaged file, ``smplx-neutral`` (``-female``, ``-male``) for
            SMPL-X's, else ``other``.
        sha256: of the file.
    """

    path: Path
    name: str
    sha256: str


def find_body(path: str | Path | None = None, *, gender: str = "neutral") -> BodyFile:
    """The file named by `path`, ``$UNIMO_BODY_MODEL`` or the packaged stand-in, in that order.

    The stand-in serves every gender; a user's female and male files lie beside the neutral one.

    Args:
        path: an ``SMPLX_*.npz`` file, or a folder that holds ``SMPLX_NEUTRAL.npz`` (itself or
            under ``smplx/`` or ``models/smplx/``).
        gender: ``neutral``, ``female`` or ``male``.

    Raises:
        FileNotFoundError: a path was given (or set in the environment) and holds no model of that
            gender.
        ValueError: the file is not a body model, or the neutral one is SMPL-X's female or male.
    """
    wanted = path or os.environ.get(ENV_BODY)
    file = _find(Path(wanted)) if wanted else STAND_IN
    if wanted and gender != "neutral":
        file = file.with_name(f"SMPLX_{gender.upper()}.npz")
        if not file.is_file():
            raise FileNotFoundError(
                f"no {file}: labels of {gender} bodies need it; put the {gender} SMPL-X model "
                f"(v1.1, https://smpl-x.is.tue.mpg.de) beside the neutral one"
            )
        return BodyFile(file, f"smplx-{gender}", sha256_of(file))
    return BodyFile(file, _name(file), sha256_of(file))


def read_arrays(path: Path, keys: Iterable[str] = LAYOUT) -> dict[str, np.ndarray]:
    """Arrays of a body model file by name; nothing in the file is ever unpickled.

    Raises:
        ValueError: damaged, another kind of file, or an array is missing or has another shape.
    """
    keys = list(keys)
    try:
        arrays = read_npz_arrays(path, keys)
    except KeyError as error:
        name = error.args[0]
        raise ValueError(f"{path} is not an SMPL-X model, it has no {name}: {_HINT}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}: {_HINT}") from error
    sizes: dict[str | int, int] = {}
    for key in keys:
        array = arrays[key]
        wanted = [n if isinstance(n, int) else sizes.get(n) for n in LAYOUT[key]]
        if array.dtype.kind not in "fiu" or not fits(array.shape, wanted):
            found = f"{array.dtype}{array.shape}"
            raise ValueError(f"{path} is not an SMPL-X model, its {key} is {found}: {_HINT}")
        sizes.update(zip(LAYOUT[key], array.shape, strict=True))
    return arrays


def fits(shape: tuple[int, ...], wanted: Sequence[int | None]) -> bool:
    """Return True if a shape is the one wanted, of which None may be any number."""
    return len(shape) == len(wanted) and all(
        n in (None, size) for size, n in zip(shape, wanted, strict=True)
    )


def _find(path: Path) -> Path:
    if path.is_file():
        return path
    for folder in (path, path / "smplx", path / "models" / "smplx"):
        if (folder / "SMPLX_NEUTRAL.npz").is_file():
            return folder / "SMPLX_NEUTRAL.npz"
    raise FileNotFoundError(f"no SMPLX_NEUTRAL.npz at {path}: {_HINT}")


def _name(file: Path) -> str:
    """`BodyFile.name`: the mesh tells SMPL-X from others, only the file's name tells its gender."""
    if sha256_of(file) == sha256_of(STAND_IN):
        return "stand-in"
    faces = read_arrays(file, ["f"])["f"]
    stem = file.stem.upper()
    if len(faces) == _SMPLX_FACES and stem.startswith(("SMPLX_FEMALE", "SMPLX_MALE")):
        raise ValueError(f"{file} is not the neutral body, whose betas are used here: {_HINT}")
    is_neutral = len(faces) == _SMPLX_FACES and stem.startswith("SMPLX_NEUTRAL")
    return "smplx-neutral" if is_neutral else "other"
