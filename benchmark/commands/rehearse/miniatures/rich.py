"""A miniature copy of RICH in the owner's layout.

What is in it, and why:

* test ``Gym_011_fake1``: frames 4 to 73 have a body, 2 to 73 a picture but for 5; the body of frame
  6 is NaN and that of frame 7 cut short. Cameras 3 and 5, of which 5 stands on its side, and the
  moving camera 10. The table has no header and no list of cameras, as in one of its versions.
* train ``Pavallion_003_018_tossball``: a man and a woman; camera 1 has no calibration, 2 is not
  among the usable ones, 3 stands on its side.
* train ``BBQ_001_juggle``: no ``multicam2world`` file; the gender is in the table only.
* train ``BBQ_001_guitar``: the same, another take; so there are two of one person alone.
* val ``LectureHall_018_wipingspray1``: of the scan with chairs, which only the table says;
  pictures of a quarter of the size in ``images_ds4``.

Camera 0 looks down, so that its frame is not aligned with gravity; the world of ``multicam2world``
has z up and another unit.
"""

import json
import pickle
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation

from datasets.bodies.smplx import load_body

FRAMES = range(4, 74)
NO_PICTURE, NO_NUMBERS, NO_FILE = 5, 6, 7  # frames of Gym_011_fake1
UNIT = 0.8  # c of every multicam2world file
TURN = {"LectureHall_yoga": 75}  # degrees about z, by which the scans' worlds differ
TINY, QUARTER = (128, 94), (1028, 752)
PORTRAIT = {("Gym", 5), ("Pavallion", 3)}
CAMERAS = {"Gym": (3, 5, 10), "Pavallion": (0, 1, 2, 3), "BBQ": (0,), "LectureHall": (2,)}
NOT_CALIBRATED = {("Gym", 10), ("Pavallion", 1)}
LEFT_OUT = NOT_CALIBRATED | {("Pavallion", 2)}
TRAIN_HEADER = "sequence_name\tcapture_name\tscan_name\tid\tmoving_cam\tgender\tview_id\n"


def build(root: Path) -> dict[tuple[str, str, str], np.ndarray]:
    """Write the copy; return the pelvis's pixels (M, 2) by sequence, camera and person."""
    _write_scenes(root)
    _write_metadata(root / "resource")
    pixels = _write_sequence(root, "test", "Gym_011_fake1", {"011": 0.0}, ".jpeg")
    pixels |= _write_sequence(
        root, "train", "Pavallion_003_018_tossball", {"003": -0.4, "018": 0.4}, ".png"
    )
    for take in ("juggle", "guitar"):
        pixels |= _write_sequence(root, "train", f"BBQ_001_{take}", {"001": 0.1}, ".bmp")
    pixels |= _write_sequence(root, "val", "LectureHall_018_wipingspray1", {"018": 0.0}, ".jpeg")
    _damage(root)
    return pixels


def pose(camera: int) -> np.ndarray:
    """Return (4, 4) from a scene with z up, in which people stand about the origin, to a camera."""
    angle = np.radians(20 * camera)
    place = np.array([4 * np.sin(angle), -4 * np.cos(angle), 2.4])
    forward = np.array([0, 0, 1.0]) - place
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    turn = np.stack([right, np.cross(forward, right), forward])
    return np.block([[turn, -turn @ place[:, None]], [np.zeros((1, 3)), np.ones((1, 1))]])


def intrinsics(place: str, camera: int) -> np.ndarray:
    """Return (3, 3) of full-size pictures, pixels counted from their centre."""
    centre = (1483, 2077) if (place, camera) in PORTRAIT else (2086, 1484)
    return np.array([[3570.0, 0, centre[0]], [0, 3570, centre[1]], [0, 0, 1]])


def _write_scenes(root: Path) -> None:
    for place, cameras in CAMERAS.items():
        folder = root / "scan_calibration" / place / "calibration"
        folder.mkdir(parents=True)
        for camera in cameras:
            if (place, camera) not in NOT_CALIBRATED:
                matrix = (pose(camera) @ np.linalg.inv(pose(0)))[:3]
                _write_calibration(folder / f"{camera:03d}.xml", matrix, intrinsics(place, camera))
    folder = root / "multicam2world"
    folder.mkdir()
    for scan in ("Gym", "Pavallion", "LectureHall_chair", "LectureHall_yoga"):
        about_z = Rotation.from_euler("z", TURN.get(scan, 30), degrees=True).as_matrix()
        turn = about_z @ pose(0)[:3, :3].T
        stored = {"R": turn.T.tolist(), "t": [0.3, -1.0, 2.0], "c": UNIT}
        (folder / f"{scan}_multicam2world.json").write_text(json.dumps(stored))


def _write_calibration(file: Path, matrix: np.ndarray, K: np.ndarray) -> None:
    nodes = {"CameraMatrix": matrix, "Intrinsics": K, "Distortion": np.array([[-0.08, 0.11]])}
    text = '<?xml version="1.0"?>\n<opencv_storage>\n'
    for name, array in nodes.items():
        rows, columns = array.shape
        numbers = " ".join(f"{number:.17g}" for number in array.flat)
        text += f'<{name} type_id="opencv-matrix">\n  <rows>{rows}</rows>\n'
        text += f"  <cols>{columns}</cols>\n  <dt>d</dt>\n  <data>\n    {numbers}</data></{name}>\n"
    file.write_text(text + "</opencv_storage>\n")


def _write_metadata(folder: Path) -> None:
    (folder / "meta").mkdir(parents=True)
    (folder / "gender.json").write_text('{"3": "male", "11": "male", "18": "female"}')
    (folder / "imgext.json").write_text('{"Gym": "bmp", "Pavallion": "png", "BBQ": "bmp"}')
    (folder / "meta" / "train.txt").write_text(
        TRAIN_HEADER + "Pavallion_003_018_tossball\tPavallion\tscan_camcoord\t003\tX\tmale\t0,1,3\n"
        "Pavallion_003_018_tossball\tPavallion\tscan_camcoord\t018\tX\tfemale\t0,1,3\n"
        "BBQ_001_juggle\tBBQ\tscan_camcoord\t001\tX\tmale\t0\n"
        "BBQ_001_guitar\tBBQ\tscan_camcoord\t001\tX\tmale\t0\n"
    )
    (folder / "meta" / "val.txt").write_text(
        "LectureHall_018_wipingspray1\tLectureHall\tscan_chair_scene_camcoord\t018\tX\tfemale"
        "\tV\tX\tV\t2\n"
    )
    (folder / "meta" / "test.txt").write_text(
        "Gym_011_fake1\tGym\tscan_camcoord\t011\tV\tmale\tX\tV\tX\n"
    )


def _write_sequence(
    root: Path, split: str, name: str, people: dict[str, float], suffix: str
) -> dict[tuple[str, str, str], np.ndarray]:
    """Write bodies and pictures of all cameras; `people` stand at some x, in metres."""
    place = name.partition("_")[0]
    size, images = (TINY, "images") if place != "LectureHall" else (QUARTER, "images_ds4")
    pelvis = {
        person: _write_bodies(root / "bodies" / split / name, person, x)
        for person, x in people.items()
    }
    pixels = {}
    for camera in CAMERAS[place]:
        portrait = (place, camera) in PORTRAIT
        width, height = size[::-1] if portrait else size
        scale = np.array([width, height]) / ((3008, 4112) if portrait else (4112, 3008))
        move = pose(camera) @ np.linalg.inv(pose(0))
        for person, points in pelvis.items():
            seen = (points @ move[:3, :3].T + move[:3, 3]) @ intrinsics(place, camera).T
            full = seen[:, :2] / seen[:, 2:]
            pixels[name, f"cam_{camera:02d}", person] = (full + 0.5) * scale - 0.5
        folder = root / images / split / name / f"cam_{camera:02d}"
        folder.mkdir(parents=True)
        for row, frame in enumerate(FRAMES):
            picture = np.full((height, width, 3), 60, np.uint8)
            for person in people:
                u, v = np.rint(pixels[name, folder.name, person][row]).astype(int)
                picture[v - 4 : v + 5, u - 4 : u + 5] = 250
            file = folder / f"{frame:05d}_{camera:02d}{suffix}"
            Image.fromarray(picture).save(file, **({"quality": 95} if suffix == ".jpeg" else {}))
    return {key: value for key, value in pixels.items() if (place, int(key[1][4:])) not in LEFT_OUT}


def _write_bodies(folder: Path, person: str, x: float) -> np.ndarray:
    """Write one file a frame; return the pelvis (M, 3) in camera 0's frame."""
    rng = np.random.default_rng(int(person))
    betas = rng.normal(size=(1, 10)).astype(np.float32)
    rest = load_body().rest_joints(betas)[0, 0]
    time = np.arange(len(FRAMES)) / 30
    standing = np.stack([x + 0.2 * np.sin(time), 0.1 * time, 0.95 + 0.05 * np.sin(3 * time)], 1)
    pelvis = standing @ pose(0)[:3, :3].T + pose(0)[:3, 3]
    y_to_z = Rotation.from_euler("x", 90, degrees=True)
    upright = Rotation.from_rotvec(time[:, None] * [0, 0, 1.0]) * y_to_z
    orient = (Rotation.from_matrix(pose(0)[:3, :3]) * upright).as_rotvec()
    swing = 0.2 * np.sin(2 * time)[:, None] * rng.normal(size=63)
    small = {"left_hand_pose": 12, "right_hand_pose": 12, "jaw_pose": 3, "leye_pose": 3}
    small |= {"reye_pose": 3, "expression": 10}
    for row, frame in enumerate(FRAMES):
        body = {
            "betas": betas,
            "transl": (pelvis[row] - rest)[None],
            "global_orient": orient[row][None],
            "body_pose": swing[row][None],
        }
        body |= {name: rng.normal(size=(1, k)) for name, k in small.items()}
        body = {name: array.astype(np.float32) for name, array in body.items()}
        target = folder / f"{frame:05d}" / f"{person}.pkl"
        target.parent.mkdir(parents=True, exist_ok=True)
        # As numpy 1 wrote it: its modules had other names.
        pickled = pickle.dumps(body, protocol=3).replace(b"cnumpy._core.", b"cnumpy.core.")
        target.write_bytes(pickled)
    return pelvis


def _damage(root: Path) -> None:
    bodies = root / "bodies" / "test" / "Gym_011_fake1"
    file = bodies / f"{NO_NUMBERS:05d}" / "011.pkl"
    body = pickle.loads(file.read_bytes())
    body["transl"][:] = np.nan
    file.write_bytes(pickle.dumps(body, protocol=3))
    file = bodies / f"{NO_FILE:05d}" / "011.pkl"
    file.write_bytes(file.read_bytes()[:-40])
    for folder in (root / "images" / "test" / "Gym_011_fake1").iterdir():
        first = next(folder.glob(f"{FRAMES[0]:05d}_*"))
        for frame in (2, 3):
            name = first.name.replace(f"{FRAMES[0]:05d}", f"{frame:05d}")
            first.with_name(name).write_bytes(first.read_bytes())
        next(folder.glob(f"{NO_PICTURE:05d}_*")).unlink()
