"""RICH's files: bodies, calibrations, the scans' worlds and the toolkit's metadata."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from datasets.motion import require
from datasets.rotation import is_rotation, up_to_y
from datasets.tools.command_line import and_more
from datasets.tools.files import read_json
from datasets.tools.safe_pickle import load

# What every body file must have: arrays (1, k) of SMPL-X parameters.
LABELS = ("global_orient", "body_pose", "betas", "transl")


@dataclass(frozen=True)
class Metadata:
    """The facts in the toolkit's ``resource`` folder on a sequence; every file of it is optional.

    Attributes:
        folder: ``resource``.
        rows: of this sequence in its table ``meta/<split>.txt``, one a subject, without the name:
            capture, scan, subject, moving camera, gender and, in later versions of the table,
            others of which the last is the comma list of usable cameras.
    """

    folder: Path
    rows: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, folder: Path, split: str, sequence: str) -> "Metadata":
        """Return the rows of a sequence."""
        file = folder / "meta" / f"{split}.txt"
        lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
        rows = [tuple(line.split()) for line in lines]
        return cls(folder, tuple(row[1:] for row in rows if len(row) >= 6 and row[0] == sequence))

    @property
    def scan(self) -> str | None:
        """Name of the scan of the place, if the table is there."""
        return self.rows[0][1] if self.rows else None

    @property
    def cameras(self) -> set[int] | None:
        """Numbers of the usable cameras, if the table names them."""
        last = self.rows[0][-1] if self.rows else ""
        return set(map(int, last.split(","))) if re.fullmatch(r"\d+(,\d+)*", last) else None

    def gender(self, person: str) -> str:
        """``female`` or ``male``: of a subject, not of a sequence, which may have two.

        Raises:
            ValueError: it is stated nowhere.
        """
        genders = {int(row[2]): row[4] for row in self.rows if row[2].isdecimal()}
        file = self.folder / "gender.json"
        if file.is_file():
            stored = _table(file)
            genders |= {int(number): stored[number] for number in stored if number.isdecimal()}
        gender = genders.get(int(person), "")
        require(
            gender in ("female", "male"),
            f"the gender of subject {person} is neither in resource/gender.json nor in a table of "
            "resource/meta: put the toolkit's resource folder there",
        )
        return gender


def read_bodies(files: Sequence[Path]) -> tuple[dict[str, np.ndarray], dict[str, list[str]]]:
    """Return stored parameters (M, k) by name, NaN where a file is not usable.

    And the names (frame/subject) of the files that are not, by what is wrong with them.

    Raises:
        ValueError: none is usable.
    """
    bodies: dict[int, dict[str, np.ndarray]] = {}
    problems: dict[str, list[str]] = {}
    for row, file in enumerate(files):
        try:
            body = _read_body(file)
            first = next(iter(bodies.values()), body)
            layout = {name: array.shape for name, array in body.items()}
            require(
                layout == {name: array.shape for name, array in first.items()},
                f"{file} holds other arrays than the first body",
            )
            bodies[row] = body
        except (OSError, ValueError) as error:
            reason = str(error).removeprefix(f"{file} ")
            problems.setdefault(reason, []).append("/".join(file.parts[-2:]))
    require(bool(bodies), f"no usable body: {in_words(problems)}")
    native = {}
    for name, array in next(iter(bodies.values())).items():
        native[name] = np.full((len(files), *array.shape[1:]), np.nan, array.dtype)
        native[name][list(bodies)] = np.concatenate([body[name] for body in bodies.values()])
    return native, problems


def in_words(problems: dict[str, list[str]]) -> str:
    """Return the faults of body files, each reason once, with the first file and how many more."""
    return "; ".join(f"{and_more(names)}: {reason}" for reason, names in problems.items())


def _read_body(file: Path) -> dict[str, np.ndarray]:
    """Return the arrays (1, k) of one body."""
    body = load(file, encoding="latin1")
    require(isinstance(body, dict), f"{file} holds no dictionary")
    arrays = {
        name: value
        for name, value in body.items()
        if isinstance(name, str)
        and isinstance(value, np.ndarray)
        and value.dtype.kind == "f"
        and value.shape[:1] == (1,)
    }
    missing = [name for name in LABELS if name not in arrays]
    require(not missing, f"{file} has no array {', '.join(missing)} of one row")
    return arrays


def read_calibration(file: Path) -> dict[str, np.ndarray]:
    """CameraMatrix (3, 4) camera 0 -> camera in metres, Intrinsics (3, 3), Distortion (n,).

    Raises:
        ValueError: the file is damaged, or one of them is missing or not what it should be.
    """
    try:
        tree = ElementTree.parse(file)
    except ElementTree.ParseError as error:
        raise ValueError(f"{file.name} is damaged: {error}") from error
    found = {}
    for name, shape in {"CameraMatrix": (3, 4), "Intrinsics": (3, 3), "Distortion": None}.items():
        numbers = np.array((tree.findtext(f"{name}/data") or "").split(), np.float64)
        require(
            np.isfinite(numbers).all() and (shape is None or numbers.size == np.prod(shape)),
            f"{file.name} has no usable {name}",
        )
        found[name] = numbers if shape is None else numbers.reshape(shape)
    require(is_rotation(found["CameraMatrix"][:, :3]), f"{file.name}: no rotation in CameraMatrix")
    return found


def read_world(file: Path, down: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the world of a ``multicam2world`` file, and its numbers as stored.

    Without the file it is camera 0's frame, turned so that y is up.

    The file says ``x_world = c * x_cam0 @ R + t``, with R stored for row vectors. The scale c is
    divided out, so that lengths stay those of the body in metres, and the axis that points up is
    turned to y. Which one that is the files do not say: the nearest to the way up in the pictures.

    Args:
        file: need not be there.
        down: (3,) the mean direction of image y, in camera 0's frame.

    Returns:
        (4, 4) from camera 0's frame to the y-up world; R, t and c, nothing without the file.

    Raises:
        ValueError: the file holds something else.
    """
    world = np.eye(4)
    if not file.is_file():
        world[:3, :3] = up_to_y(-down)
        return world, {}
    stored = _table(file)
    wrong = f"{file.name} does not hold a rotation R, a shift t and a scale c"
    try:
        native = {key: np.array(stored.get(key), np.float64) for key in ("R", "t", "c")}
    except (TypeError, ValueError) as error:
        raise ValueError(wrong) from error
    turn, shift, scale = native.values()
    require(
        turn.shape == (3, 3) and is_rotation(turn) and shift.size == 3 and scale.size == 1, wrong
    )
    require(
        bool(np.isfinite(shift).all() and np.isfinite(scale).all() and (scale > 0).all()), wrong
    )
    up = -turn.T @ down
    axis = np.abs(up).argmax()
    to_y_up = up_to_y(np.sign(up[axis]) * np.eye(3)[axis])
    world[:3, :3] = to_y_up @ turn.T
    world[:3, 3] = to_y_up @ shift.reshape(3) / scale
    return world, {f"multicam2world_{key}": array for key, array in native.items()}


def _table(file: Path) -> dict:
    stored = read_json(file)
    require(stored is not None, f"{file.name} cannot be read as a JSON object")
    return stored
