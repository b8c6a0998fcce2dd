"""A miniature 3DPW in the official layout, its labels pickled as Python 2 did."""

import pickle
import struct
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from datasets.bodies.smplx import load_body

FRAMES = 70
REST_SHIFT = np.array([0.02, 0.05, -0.03])  # SMPL's pelvis is not where the packaged body's is
PEOPLE = {
    "courtyard_fake_00": 1,
    "outdoors_fake_00": 1,
    "downtown_fake_00": 2,
    "courtyard_fake_01": 1,
    "downtown_fake_01": 1,
}
FOLDERS = {
    "courtyard_fake_00": "train",
    "courtyard_fake_01": "train",
    "outdoors_fake_00": "validation",
    "downtown_fake_00": "test",
    "downtown_fake_01": "test",  # of one person, as an estimator and the test set need it
}
SIZES = dict.fromkeys(PEOPLE, (128, 72))
SIZES["downtown_fake_00"] = (72, 128)  # portrait, as many are
NO_LABELS = "downtown_cafe_01"


class Python2Pickler(pickle._Pickler):
    """Writes what Python 2's cPickle wrote at protocol 2: text is bytes, names are numpy 1's."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def __init__(self, file):
        super().__init__(file, protocol=2, fix_imports=True)

    def save_bytes(self, value):
        """Write text or bytes as Python 2's text."""
        raw = value.encode("ascii") if isinstance(value, str) else value
        if len(raw) < 256:
            self.write(pickle.SHORT_BINSTRING + bytes([len(raw)]) + raw)
        else:
            self.write(pickle.BINSTRING + struct.pack("<i", len(raw)) + raw)
        self.memoize(value)

    def save_name(self, value, name=None):
        """Write a class or function by the name that numpy 1 had for it."""
        module = value.__module__.replace("numpy._core", "numpy.core")
        self.write(pickle.GLOBAL + f"{module}\n{name or value.__name__}\n".encode())
        self.memoize(value)

    def reducer_override(self, value):
        """Describe a data type as numpy 1 did."""
        if isinstance(value, np.dtype):
            rest = (-1, -1, 0) if value.kind not in "SU" else (value.itemsize, 1, 0)
            order = value.byteorder if value.byteorder != "=" else "<"
            return np.dtype, (value.str[1:], 0, 1), (3, order, None, None, None, *rest)
        return NotImplemented

    dispatch[str] = dispatch[bytes] = save_bytes
    dispatch[type] = save_name
    dispatch[type(np.sum)] = save_name
    dispatch[type(np.array(0).__reduce__()[0])] = save_name


def dump(path: Path, value: object) -> None:
    """Write a value as Python 2 did."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        Python2Pickler(file).dump(value)


def labels(sequence: str, *, seed: int = 0) -> tuple[dict, np.ndarray]:
    """Return what a sequence's pkl holds, and the pelvis pixels (people, frames, 2)."""
    rng = np.random.default_rng(seed)
    people, (width, height) = PEOPLE[sequence], SIZES[sequence]
    time = np.arange(FRAMES) / 30
    K = np.array([[130.79, 0, width / 2], [0, 131.28, height / 2], [0, 0, 1]])
    cam_poses = np.tile(np.eye(4), (FRAMES, 1, 1))
    cos, sin = np.cos(0.3 * time), np.sin(0.3 * time)
    cam_poses[:, 0, [0, 2]] = np.stack([cos, sin], 1)
    cam_poses[:, 2, [0, 2]] = np.stack([-sin, cos], 1)
    cam_poses[:, :3, :3] = np.diag([1.0, -1, -1]) @ cam_poses[:, :3, :3]  # y up -> y down
    cam_poses[:, :3, 3] = np.stack([0.1 * time, 1.2 + 0 * time, 4 + 0.2 * time], 1)
    found = {name: [] for name in ("poses", "trans", "betas", "genders", "jointPositions")}
    found |= {name: [] for name in ("poses2d", "campose_valid", "poses_60Hz", "trans_60Hz")}
    found |= {name: [] for name in ("betas_clothed", "v_template_clothed", "texture_maps")}
    pixels = []
    for person in range(people):
        gender = "mf"[person]
        betas = np.concatenate([rng.normal(size=10), np.full(290, 50.0)])
        rest = load_body(gender={"m": "male", "f": "female"}[gender]).rest_joints(betas[:10])[0]
        rest = rest.astype(np.float64) + REST_SHIFT
        phase = rng.uniform(0, 6, 72)
        poses = 0.3 * np.sin(2 * time[:, None] + phase)
        trans = np.stack([0.3 * np.sin(time) + person, 1.1 + 0 * time, 0.2 * time], 1)
        joints = np.tile((rest + trans), (1, 24)) + np.repeat(rng.normal(size=24), 3)
        joints[:, :3] = rest + trans
        seen = np.einsum("tij,tj->ti", cam_poses[:, :3, :3], rest + trans) + cam_poses[:, :3, 3]
        pixels.append(seen[:, :2] / seen[:, 2:] * [K[0, 0], K[1, 1]] + [K[0, 2], K[1, 2]])
        poses2d = np.concatenate(
            [rng.uniform(0, width, (FRAMES, 2, 18)), np.ones((FRAMES, 1, 18))], 1
        )
        found["poses"].append(poses)
        found["trans"].append(trans)
        found["betas"].append(betas)
        found["genders"].append(gender)
        found["jointPositions"].append(joints)
        found["poses2d"].append(poses2d)
        found["campose_valid"].append(np.ones(FRAMES, np.uint8))
        found["poses_60Hz"].append(np.repeat(poses, 2, axis=0))
        found["trans_60Hz"].append(np.repeat(trans, 2, axis=0))
        found["betas_clothed"].append(betas[:10])
        found["v_template_clothed"].append(np.zeros((6890, 3)))
        found["texture_maps"].append(np.zeros((2, 2, 3), np.uint8))
    found |= {
        "sequence": sequence,
        "img_frame_ids": 2 * np.arange(FRAMES).astype(np.uint16),
        "cam_poses": cam_poses,
        "cam_intrinsics": K,
    }
    return found, np.array(pixels)


def picture(frame: int) -> int:
    """Return the grey of picture `frame`, by which tests tell pictures."""
    return 20 + 3 * frame


def write_pictures(folder: Path, size: tuple[int, int], frames: range) -> None:
    """Write pictures of one grey each."""
    folder.mkdir(parents=True, exist_ok=True)
    for frame in frames:
        Image.new("RGB", size, (picture(frame),) * 3).save(folder / f"image_{frame:05d}.jpg")


def build(root: Path) -> dict[tuple[str, str, str], np.ndarray]:
    """Write the copy; return the pelvis's pixels (frames, 2) of every person."""
    truth = {}
    for seed, sequence in enumerate(PEOPLE):
        found, pixels = labels(sequence, seed=seed)
        if sequence == "courtyard_fake_00":
            found["trans"][0][0] = np.nan
            found["poses2d"][0][1] = 0  # fewer than six joints were found
            found["campose_valid"][0][69] = 0
        if sequence == "downtown_fake_00":
            found["campose_valid"][0][:3] = 0
            found["campose_valid"][1][69] = 0
        missing_picture = sequence == "outdoors_fake_00"
        dump(root / "sequenceFiles" / FOLDERS[sequence] / f"{sequence}.pkl", found)
        folder = root / "imageFiles" / sequence
        write_pictures(folder, SIZES[sequence], range(int(missing_picture), FRAMES))
        for person, points in enumerate(pixels):
            truth[sequence, "0", str(person)] = points
    write_pictures(root / "imageFiles" / NO_LABELS, (128, 72), range(2))
    return truth
