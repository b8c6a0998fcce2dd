"""BEDLAM's CSV files, in Unreal's units: who stands where, and the camera of each picture.

Unreal counts in centimetres and degrees, x forward, y right, z up, with a left-handed yaw. What
leaves this module is in metres and in OpenCV's camera frame. The formulas are those of the official
label processing (pixelite1201/BEDLAM, ``data_processing/df_full_body.py``).
"""

import csv
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from datasets.motion import require

CAMERA_COLUMNS = (
    *("x", "y", "z", "yaw", "pitch", "roll"),
    *("focal_length", "sensor_width", "sensor_height"),
)


@dataclass(frozen=True)
class PlacedBody:
    """A ``Body`` row of ``be_seq.csv``: a motion put into the scene."""

    name: str  # ``<person>_<seqid>``
    start_frame: int  # frame of the motion that the first picture shows
    position: tuple[float, float, float]  # X, Y, Z of its origin in Unreal's world, cm
    yaw: float  # of the motion, degrees


@dataclass(frozen=True)
class Group:
    """A ``Group`` row of ``be_seq.csv`` and the bodies in the rows below it: one sequence."""

    name: str  # of the sequence; of the line, where it cannot be read
    bodies: tuple[PlacedBody, ...]  # the people in it
    problem: str = ""  # what is wrong with a row of the group, which is then not usable; else empty


def read_groups(path: Path) -> list[Group]:
    """Return the sequences of a ``be_seq.csv``, in its order.

    Read as text: pandas would turn the word None in the column Body into a NaN. A row that cannot
    be read costs its own group.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not such a file.
    """
    groups: list[Group] = []
    for line, row in enumerate(_rows(path, ("Type", "Body", "X", "Y", "Z", "Yaw", "Comment")), 2):
        if row["Type"] not in ("Group", "Body"):
            continue
        if row["Type"] == "Group":
            groups.append(Group(f"{path.name} line {line}", ()))
        require(bool(groups), f"{path.name}: line {line} is a body before the first group")
        group = groups[-1]
        facts = dict(word.partition("=")[::2] for word in row["Comment"].split(";"))
        try:
            if row["Type"] == "Group":
                groups[-1] = replace(group, name=facts["sequence_name"])
            else:
                groups[-1] = replace(group, bodies=(*group.bodies, _placed(row, facts)))
        except (KeyError, ValueError) as error:
            problem = f"{path.name}: line {line} is not understood ({error!r})"
            groups[-1] = replace(group, problem=group.problem or problem)
    return groups


def _placed(row: dict[str, str], facts: dict[str, str]) -> PlacedBody:
    start_frame = int(facts["start_frame"])
    require(abs(start_frame) < 2**31, "no motion has a frame of such a number")
    return PlacedBody(
        name=row["Body"],
        start_frame=start_frame,
        position=(float(row["X"]), float(row["Y"]), float(row["Z"])),
        yaw=float(row["Yaw"]),
    )


def read_camera(path: Path) -> dict[str, np.ndarray]:
    """`CAMERA_COLUMNS` of a ``seq_XXXXXX_camera.csv``, each (N,) float64; row i is picture i.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not such a file.
    """
    rows = list(_rows(path, CAMERA_COLUMNS))
    try:
        return {name: np.array([float(row[name]) for row in rows]) for name in CAMERA_COLUMNS}
    except ValueError as error:
        raise ValueError(f"{path.name}: not a number ({error})") from error


def intrinsics(
    camera: dict[str, np.ndarray], width: int, height: int, *, rotated: bool
) -> np.ndarray:
    """(N, 3, 3) pixels of upright pictures, counted from the corner of the first pixel.

    Args:
        camera: of `read_camera`; lens and sensor in millimetres.
        width: of the upright picture.
        height: of the upright picture.
        rotated: the file lies on its side, so that the sensor's width runs down the upright
            picture.
    """
    across, down = ("sensor_height", "sensor_width") if rotated else CAMERA_COLUMNS[-2:]
    K = np.zeros((len(camera["x"]), 3, 3))
    K[:, 0, 0] = camera["focal_length"] / camera[across] * width
    K[:, 1, 1] = camera["focal_length"] / camera[down] * height
    K[:, :, 2] = width / 2, height / 2, 1
    return K


def world_to_camera(
    camera: dict[str, np.ndarray], body: PlacedBody, *, rotated: bool
) -> np.ndarray:
    """(N, 4, 4) from the body's own motion file (metres, y up, static) to the camera.

    The origin is the motion's, so each body of a picture has another transform. The official labels
    spread it: rotation over ``pose_cam`` and ``cam_ext``, translation into ``cam_ext``.

    Args:
        camera: of `read_camera`.
        body: the motion in the scene.
        rotated: the pictures lie on their side; the frame is that of the upright ones.
    """
    roll = -camera["roll"] + (90 if rotated else 0)
    tilt = Rotation.from_euler("xz", np.stack([-camera["pitch"], roll], 1), degrees=True)
    heading = Rotation.from_euler("y", -camera["yaw"][:, None], degrees=True)
    facing = Rotation.from_euler("y", body.yaw - 90 - camera["yaw"][:, None], degrees=True)
    eye = np.stack([camera["x"], camera["y"], camera["z"]], 1)
    T_w2c = np.tile(np.eye(4), (len(eye), 1, 1))
    T_w2c[:, :3, :3] = (tilt * facing).as_matrix() * [1, -1, -1]  # y up, z back -> y down, z ahead
    T_w2c[:, :3, 3] = (tilt * heading).apply(_opencv(np.array(body.position)) - _opencv(eye))
    return T_w2c


def _opencv(points: np.ndarray) -> np.ndarray:
    """Unreal's points (..., 3) in cm, x ahead, y right, z up, as x right, y down, z ahead in m."""
    return points[..., [1, 2, 0]] * [0.01, -0.01, 0.01]


def _rows(path: Path, needed: tuple[str, ...]) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, restval="")
        try:
            rows = list(reader)
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{path.name}: not a readable CSV file ({error})") from error
    missing = [name for name in needed if name not in (reader.fieldnames or ())]
    if missing:
        raise ValueError(f"{path.name}: no column {missing[0]}")
    return rows
