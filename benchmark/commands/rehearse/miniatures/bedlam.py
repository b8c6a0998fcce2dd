"""A miniature BEDLAM: the release's files with 64x36 pictures and the packaged body.

The numbers of the processed file and the pixels are computed frame by frame from what is written to
the CSVs and motion files, in the steps of the official ``df_full_body.py``.
"""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from datasets.bodies.smplx import load_body
from datasets.rotation import axis_angle_to_matrix, matrix_to_axis_angle

Arrays = dict[str, np.ndarray]
Body = tuple[str, int, float, float, float, float]  # as in `BODIES`

ZOOM = "20221018_1_250_batch01hand_zoom_suburb_b"
CLOSEUP = "20221011_1_250_batch01hand_closeup_suburb_a"
CROWD = "20221020-3-8_250_highbmihand_zoom_highSchoolGym_a"
AMBIGUOUS = "20221017_1_250_batch01hand_closeup_suburb_a"
SIX_FPS = "20221010_3_1000_batch01hand_6fps"
MOTIONS = "neutral_ground_truth_motioninfo"
PROCESSED = "all_npz_12_training"

T = 80  # frames of a motion
PICTURES = 70  # of a sequence
LONG, SHORT = 64, 36
GAP = 9  # a picture without a row in the processed labels

# scene -> sequence -> bodies: name, start_frame, X, Y, Z (cm), Yaw (degrees)
BODIES = {
    ZOOM: {
        "seq_000000": [("rp_aaron_posed_002_1000", 5, 400.0, 20.0, 10.0, 30.0)],
        "seq_000001": [("rp_aaron_posed_002_1001", 5, 400.0, 0.0, 0.0, 0.0)],  # 6 fps pictures
        "seq_000002": [("None", 5, 400.0, 0.0, 0.0, 0.0)],
        "seq_000003": [("rp_nobody_posed_001_1000", 5, 400.0, 0.0, 0.0, 0.0)],  # no motion file
        # One picture more than the motion lasts, and one more than the official scripts notice.
        # Of the 250 that the folder's name counts the first of the test split.
        "seq_000200": [("rp_aaron_posed_002_1001", 12, 420.0, -30.0, 0.0, -70.0)],
    },
    CLOSEUP: {"seq_000000": [("rp_alison_posed_007_0003", 5, 300.0, -10.0, 0.0, 200.0)]},
    CROWD: {
        "seq_000000": [
            ("rp_aaron_posed_002_1000", 5, 400.0, -60.0, 0.0, 80.0),
            ("rp_alison_posed_007_0003", 5, 450.0, 40.0, 0.0, -20.0),
            ("rp_walker_posed_009_0001", 5, 420.0, 0.0, 0.0, 90.0),  # leaves the picture
        ]
    },
    AMBIGUOUS: {"seq_000000": [("rp_aaron_posed_002_1000", 5, 400.0, 0.0, 0.0, 0.0)]},
}


def build(root: Path) -> dict[tuple[str, str, str], np.ndarray]:
    """Write the miniature below `root`.

    Returns:
        (sequence, camera, person) -> (M, 2) pixels of the upright picture where the pelvis is, from
        the corner of the first pixel, NaN where the motion has ended.
    """
    motions = {
        name: motion(seed, speed)
        for seed, (name, speed) in enumerate(
            [
                ("rp_aaron_posed_002_1000", 0.004),
                ("rp_aaron_posed_002_1001", 0.0),
                ("rp_alison_posed_007_0003", 0.002),
                ("rp_walker_posed_009_0001", 0.06),
            ]
        )
    }
    for name, arrays in motions.items():
        person, _, take = name.rpartition("_")
        folder = root / MOTIONS / person / take
        folder.mkdir(parents=True)
        np.savez(folder / "motion_seq.npz", **arrays)
    pixels = {}
    for scene, sequences in BODIES.items():
        write_be_seq(root / scene / "be_seq.csv", sequences)
        for sequence, bodies in sequences.items():
            track = camera_track(scene)
            write_camera(root / scene / "ground_truth/camera" / f"{sequence}_camera.csv", track)
            seen = {
                body[0]: processed(motions[body[0]], body, track, "closeup" in scene)
                for body in bodies
                if body[0] in motions
            }
            numbers = range(0, PICTURES, 5 if (scene, sequence) == (ZOOM, "seq_000001") else 1)
            first = next(iter(seen.values()), None)
            write_pictures(root / scene / "png" / sequence, numbers, first, "closeup" in scene)
            write_processed(root / PROCESSED / scene, sequence, seen)
            if scene != AMBIGUOUS and len(numbers) == PICTURES:
                for name, rows in seen.items():
                    pixels[f"{scene}/{sequence}", "0", name] = rows["pelvis_pixel"]
    write_pictures(root / SIX_FPS / "png" / "seq_000000", range(0, PICTURES, 5), None, False)
    return pixels


def motion(seed: int, speed: float) -> Arrays:
    """Return a ``motion_seq.npz`` of the neutral release: y up, 11 betas, a gender not to use."""
    rng = np.random.default_rng(seed)
    time = np.linspace(0, 4, T)[:, None]
    poses = np.zeros((T, 165))
    poses[:, 1:2] = 0.5 * np.sin(time + seed)
    poses[:, 3:66] = 0.2 * rng.normal(size=63) * np.sin(time + rng.normal(size=63))
    poses[:, 75:] = 0.3 * rng.normal(size=90)
    trans = np.array([0.1, 1.3, 0.2]) + np.arange(T)[:, None] * [0.3 * speed, 0, speed]
    return {
        "poses": poses,
        "trans": trans,
        "betas": rng.normal(scale=0.5, size=11).astype(np.float32),
        "global_ori": poses[:, :3].copy(),
        "mocap_frame_rate": np.array(30),
        "gender": np.array("female"),
        "gender_sub": np.array("female"),
        "motion_info": np.array(["walk", "a", "b", "CMU/01/01_01_poses.npz", "120.0", "0.0"]),
    }


def camera_track(scene: str) -> Arrays:
    """Return the camera columns of a sequence, one row a picture: cm, degrees, mm."""
    i = np.arange(PICTURES)
    turning = 0.2 if scene == CROWD else 0.0
    zoom = 0.0 if scene == CLOSEUP else 0.1
    return {
        "x": -10 + 0.1 * i,
        "y": 5 * np.sin(i / 20),
        "z": 105 + 0.0 * i,
        "yaw": 2 - turning * i,
        "pitch": -2 + 3 * np.sin(i / 15),
        "roll": (90 if "closeup" in scene else 0) + 4 * np.sin(i / 10),
        "focal_length": 36.905 + zoom * i,
        "sensor_width": np.full(PICTURES, 36.0),
        "sensor_height": np.full(PICTURES, 20.25),
    }


def processed(arrays: Arrays, body: Body, track: Arrays, rotated: bool) -> Arrays:
    """Return one person's labels as the official processing makes them, a row a picture."""
    _, start, *position, body_yaw = body
    model = load_body()
    betas = arrays["betas"]
    rest = model.rest_joints(betas[:10])[0].astype(np.float64)
    width, height, sensor = (SHORT, LONG, (20.25, 36)) if rotated else (LONG, SHORT, (36, 20.25))
    found = {"pelvis_pixel": np.full((PICTURES, 2), np.nan)}
    rows = {name: [] for name in ("number", "pose_cam", "pose_world", "trans_cam", "trans_world")}
    rows |= {name: [] for name in ("shape", "cam_int", "cam_ext", "gtkps")}
    for i in range(PICTURES):
        if start + i >= T:
            break
        pose, trans = arrays["poses"][start + i], arrays["trans"][start + i]
        pitch, yaw, roll = (-track[name][i] for name in ("pitch", "yaw", "roll"))
        roll += 90 if rotated else 0
        focal = track["focal_length"][i]
        cam_int = np.array(
            [
                [focal / sensor[0] * width, 0, width / 2],
                [0, focal / sensor[1] * height, height / 2],
                [0, 0, 1],
            ]
        )
        offset = np.array([position[1], -position[2], position[0]]) / 100
        offset = offset - np.array([track["y"][i], -track["z"][i], track["x"][i]]) / 100
        tilt = turn(2, roll) @ turn(0, pitch)
        upright = turn(1, body_yaw - 90 + yaw) @ np.diag([1.0, -1, -1])
        cam_ext = np.eye(4)
        cam_ext[:3, :3] = tilt
        cam_ext[:3, 3] = tilt @ turn(1, yaw) @ offset
        root_world = upright @ axis_angle_to_matrix(pose[:3])
        at = upright @ (rest + trans)
        pose_world, pose_cam = pose.copy(), pose.copy()
        pose_world[:3] = matrix_to_axis_angle(root_world)
        pose_cam[:3] = matrix_to_axis_angle(tilt @ root_world)
        trans_cam = tilt @ at - rest
        channels = np.concatenate([pose_cam[:66], betas[:10], trans_cam])
        joints = model.joints(channels[None])[0] + cam_ext[:3, 3]
        pixels = (joints @ cam_int.T)[:, :2] / joints[:, 2:]
        pelvis = cam_int @ (tilt @ at + cam_ext[:3, 3])
        found["pelvis_pixel"][i] = pelvis[:2] / pelvis[2]
        inside = ((pixels >= 0) & (pixels <= [width, height])).all(axis=1).sum()
        if inside < 8 or (joints[:, 2] < 0).any():
            continue
        row = (i, pose_cam, pose_world, trans_cam, at - rest, betas, cam_int, cam_ext, pixels)
        for name, value in zip(rows, row, strict=True):
            rows[name].append(value)
    return {**found, **{name: np.array(values) for name, values in rows.items()}}


def turn(axis: int, degrees: float) -> np.ndarray:
    """Return the rotation (3, 3) about a coordinate axis."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.eye(3)
    a, b = (axis + 1) % 3, (axis + 2) % 3
    matrix[a, a], matrix[a, b], matrix[b, a], matrix[b, b] = c, -s, s, c
    return matrix


def write_be_seq(path: Path, sequences: Mapping[str, Iterable[Body]]) -> None:
    """Write a scene's ``be_seq.csv``: who stands where in which sequence."""
    path.parent.mkdir(parents=True)
    rows = [["Comment", "None", 0, 0, 0, 0, 0, 0, "bodies_min=1;bodies_max=1;x_offset=0.0"]]
    for name, bodies in sequences.items():
        comment = f"sequence_name={name};frames={PICTURES};camera_hfov=52.0"
        rows.append(["Group", "None", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, comment])
        for body, start, *place in bodies:
            comment = f"start_frame={start};texture_body=skin_m_1.png;texture_clothing=texture_01"
            rows.append(["Body", body, *place, 0.0, 0.0, comment])
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        file.write("Index,Type,Body,X,Y,Z,Yaw,Pitch,Roll,Comment\n")
        writer.writerows([index, *row] for index, row in enumerate(rows))


def write_camera(path: Path, track: Arrays) -> None:
    """Write a sequence's camera CSV from the columns of `camera_track`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["name", *track, "hfov"])
        for i, row in enumerate(zip(*track.values(), strict=True)):
            name = f"{path.stem.removesuffix('_camera')}_{i:04d}.png"
            writer.writerow([name, *(float(value) for value in row), 52.0])


def write_pictures(
    folder: Path, numbers: Iterable[int], person: Arrays | None, rotated: bool
) -> None:
    """Write black pictures with a white pixel where the first person's pelvis is."""
    folder.mkdir(parents=True)
    for number in numbers:
        picture = np.zeros((LONG, SHORT, 3) if rotated else (SHORT, LONG, 3), np.uint8)
        if person is not None and np.isfinite(person["pelvis_pixel"][number]).all():
            across, down = person["pelvis_pixel"][number].astype(int)
            picture[down, across] = 255
        stored = np.rot90(picture) if rotated else picture  # 90 degrees clockwise is upright again
        Image.fromarray(stored).save(folder / f"{folder.name}_{number:04d}.png")


def write_processed(path: Path, sequence: str, seen: Mapping[str, Arrays]) -> None:
    """Write ``<scene>.npz`` with the rows of one more sequence; the picture `GAP` has none."""
    if not seen:
        return
    path.parent.mkdir(exist_ok=True)
    file = path.with_name(f"{path.name}.npz")
    columns: dict[str, list] = {}
    for name, rows in seen.items():
        for k, number in enumerate(rows["number"]):
            if number == GAP:
                continue
            facts = {key: rows[key][k] for key in rows if key not in ("number", "pelvis_pixel")}
            facts["imgname"] = f"{sequence}/{sequence}_{number:04d}.png"
            facts |= {"sub": name.rpartition("_")[0], "gender": "female"}
            facts["gtkps"] = np.zeros((127, 3)) + np.pad(facts["gtkps"], ((0, 105), (0, 1)))
            for key, value in facts.items():
                columns.setdefault(key, []).append(value)
    found = {name: np.array(values) for name, values in columns.items()}
    if file.exists():
        with np.load(file) as before:
            found = {name: np.concatenate([before[name], found[name]]) for name in found}
    np.savez(file, **found)
