"""A miniature copy of DNA-Rendering in the owner's layout.

What is in it, and why:

* ``0007_01``: a man, cameras 0, 25 and, of another size, 48; the lens of 25 distorts. Frame 3 has
  no position; camera 0 lacks the picture of frame 2, and camera 30 has no calibration.
* ``0018_05``: a woman; one row of betas and 40 of expressions for 70 frames.
* ``0011_10``, the only one of the test split: pictures and cameras without labels, as in parts 3
  and later.
* ``0200_01`` has no annotations file, ``0300_01`` is cut short, ``0007_01_kinect`` is of the depth
  cameras.

The frame of the calibration has y down; its z axis leans by 10 degrees.
"""

import io
from pathlib import Path

import h5py
import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation

from datasets.bodies.smplx import load_body

FRAMES = 70
NO_PICTURE, NO_NUMBERS = 2, 3  # frames of 0007_01: of camera 0, of all
SIZES = {"Camera_5mp": (51, 61), "Camera_12mp": (60, 82)}  # width and height
CAMERAS = {0: "Camera_5mp", 25: "Camera_5mp", 48: "Camera_12mp"}
LENS = np.array([-0.45, 0.1, 0.01, -0.012, 0.02])  # k1, k2, p1, p2, k3 of camera 25
UPRIGHT = Rotation.from_euler("x", 190, degrees=True)  # from a y-up frame to the calibration's


def build(root: Path) -> dict[tuple[str, str, str], np.ndarray]:
    """Write the copy; return the pelvis's pixels (M, 2) by sequence, camera and person."""
    (root / "main").mkdir(parents=True)
    (root / "annotations").mkdir()
    pixels = _write(root, "0007_01", "male")
    pixels |= _write(root, "0018_05", "female", short=True)
    pixels |= _write(root, "0011_10", "female", labelled=False)
    _write(root, "0200_01", "male")
    (root / "annotations" / "0200_01_annots.smc").unlink()
    _write(root, "0300_01", "male")
    for name in ("main/0300_01.smc", "annotations/0300_01_annots.smc"):
        whole = (root / name).read_bytes()
        (root / name).write_bytes(whole[: len(whole) // 2])
    with h5py.File(root / "main" / "0007_01_kinect.smc", "w") as file:
        file.create_group("Kinect")
    with h5py.File(root / "main" / "0007_01.smc", "a") as file:
        del file[f"Camera_5mp/0/color/{NO_PICTURE}"]
        file.copy("Camera_5mp/25", "Camera_5mp/30")
    with h5py.File(root / "annotations" / "0007_01_annots.smc", "a") as file:
        file["SMPLx/transl"][NO_NUMBERS] = np.nan
    return pixels


def pose(camera: int) -> np.ndarray:
    """Return (4, 4) world -> camera: three cameras around the origin, 0.4 m above it."""
    angle = np.radians(120 * list(CAMERAS).index(camera))
    place = np.array([2.5 * np.sin(angle), 0.4, 2.5 * np.cos(angle)])
    forward = -place / np.linalg.norm(place)
    right = np.cross(forward, [0, 1, 0])
    right /= np.linalg.norm(right)
    turn = np.stack([right, np.cross(forward, right), forward])
    w2c = np.eye(4)
    w2c[:3, :3] = turn @ UPRIGHT.as_matrix().T
    w2c[:3, 3] = -turn @ place
    return w2c


def intrinsics(camera: int) -> np.ndarray:
    """Return (3, 3), pixels counted from their centre."""
    width, height = SIZES[CAMERAS[camera]]
    return np.array([[1.1 * width, 0, width / 2 + 1], [0, 1.1 * width, height / 2 - 2], [0, 0, 1]])


def _write(
    root: Path, name: str, gender: str, *, labelled: bool = True, short: bool = False
) -> dict[tuple[str, str, str], np.ndarray]:
    actor, performance = name.split("_")
    smplx, pelvis = _body(int(actor))
    pixels = {}
    with (
        h5py.File(root / "main" / f"{name}.smc", "w") as main,
        h5py.File(root / "annotations" / f"{name}_annots.smc", "w") as annotations,
    ):
        facts = {"age": 30, "height": 170.0, "weight": 60.0, "ethnicity": "x", "text_label": "wave"}
        facts |= {"actor_id": actor, "performance_id": performance, "gender": gender}
        main.attrs.update(facts)
        for group, (width, height) in SIZES.items():
            attributes = main.create_group(group).attrs
            attributes["num_device"] = list(CAMERAS.values()).count(group)
            attributes["num_frame"] = FRAMES
            attributes["resolution"] = np.array([height, width])
        for camera, group in CAMERAS.items():
            w2c, K = pose(camera), intrinsics(camera)
            lens = LENS if camera == 25 else np.zeros(5)
            seen = pelvis @ w2c[:3, :3].T + w2c[:3, 3]
            x, y = seen[:, 0] / seen[:, 2], seen[:, 1] / seen[:, 2]
            pixels[name, str(camera), "0"] = np.stack([x, y, x**0], 1) @ K[:2].T
            bent = np.stack([*_bend(x, y, lens), x**0], 1) @ K[:2].T
            _write_pictures(main.create_group(f"{group}/{camera}/color"), SIZES[group], bent)
            calibration = annotations.create_group(f"Camera_Parameter/{camera:02d}")
            calibration["K"], calibration["D"], calibration["RT"] = K, lens, np.linalg.inv(w2c)
            calibration["Color_Calibration"] = np.tile([0.0, 1, 0], (3, 1))
        if labelled:
            if short:
                smplx |= {"betas": smplx["betas"][:1], "expression": smplx["expression"][:40]}
            for key, value in smplx.items():
                annotations[f"SMPLx/{key}"] = value
            annotations["Keypoints_3D/keypoints3d"] = np.zeros((FRAMES, 133, 4))
    return pixels


def _bend(x: np.ndarray, y: np.ndarray, lens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    k1, k2, p1, p2, k3 = lens
    r2 = x**2 + y**2
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    return (
        x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x**2),
        y * radial + p1 * (r2 + 2 * y**2) + 2 * p2 * x * y,
    )


def _write_pictures(group: h5py.Group, size: tuple[int, int], spots: np.ndarray) -> None:
    """Encoded pictures, brown with a soft white spot; their names are not padded."""
    columns, rows = np.meshgrid(*map(np.arange, size))
    for frame, (u, v) in enumerate(spots):
        spot = np.exp(-((columns - u) ** 2 + (rows - v) ** 2) / 8)[..., None]
        brown = np.array([100.0, 60, 20])
        buffer = io.BytesIO()
        picture = np.rint(brown + (255 - brown) * spot).astype(np.uint8)
        Image.fromarray(picture).save(buffer, "JPEG", quality=95, subsampling=0)
        group[str(frame)] = np.frombuffer(buffer.getvalue(), np.uint8)


def _body(seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The ``SMPLx`` group, and the pelvis (F, 3) in the calibration's frame."""
    rng = np.random.default_rng(seed)
    time = np.arange(FRAMES) / 15
    betas = np.tile(rng.normal(size=10), (FRAMES, 1))
    rest = load_body().rest_joints(betas[0])[0]
    place = np.stack([0.5 + 0.1 * np.sin(time), 0.5 + 0.05 * time, 0.3 * np.cos(time)], 1)
    pelvis = UPRIGHT.apply(place)
    pose = 0.2 * np.sin(2 * time)[:, None, None] * rng.normal(size=(55, 3))
    pose[:, 0] = (UPRIGHT * Rotation.from_rotvec(time[:, None] * [0, 1.0, 0])).as_rotvec()
    stored = {
        "betas": betas,
        "expression": rng.normal(size=(FRAMES, 10)),
        "fullpose": pose,
        "transl": pelvis - rest,
        "scale": np.float64(1.0),
    }
    return stored, pelvis
