"""RICH: people in scanned places, before up to eight fixed cameras (https://rich.is.tue.mpg.de).

``--root`` holds ``images/`` (or ``images_ds4/``, of a quarter of the size), ``bodies/``,
``scan_calibration/``, ``multicam2world/`` and ``resource/``, the metadata of the toolkit
(paulchhuang/rich_toolkit). A person-sequence is one subject before one camera, its rows are the
frames that have a body.

Labels are gendered SMPL-X in the frame of camera 0, which is not gravity aligned. Fingers stay
native: 12 PCA coefficients a hand, about the mean hand (``flat_hand_mean=False``).

The world is that of ``multicam2world`` in metres, with y up
(`datasets.adapters.formats.rich_files.read_world`). Where that file is missing it is the frame of
camera 0 with the mean "up" of all cameras turned to y, so that it leans by as much as the cameras
do together.

K is of full-size pictures, 4112x3008 or 3008x4112, and is scaled to the size of those found. Lens
distortion (k1, k2, ...) is left out, as the toolkit leaves it out, and kept native. The frame rate
is stored nowhere; 30 is what the field's evaluations use.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from datasets.adapters.formats.rich_files import (
    LABELS,
    Metadata,
    in_words,
    read_bodies,
    read_calibration,
    read_world,
)
from datasets.adapters.formats.root_folder import FolderDataset
from datasets.bodies.smplx import load_body
from datasets.motion import Camera, Motion, constant_betas, require
from datasets.sequence import PersonSequence, SkipLog, finite_rows, hold
from datasets.video.frames import ImageFiles

FPS = 30.0
SPLITS = ("train", "val", "test")
IMAGES = ("images", "images_ds4")
FULL_SIZE = (4112, 3008)  # of a landscape picture
MOVING_CAMERA = 10  # carried about, without a calibration (issue 7 of the toolkit)
_PICTURE = re.compile(r"(\d+)_\d+\.(?:bmp|png|jpe?g)", re.IGNORECASE)


def _sequences(root: Path, split: str | None, skipped: SkipLog) -> Iterator[PersonSequence]:
    """Yield every subject before every camera of every sequence, ordered by name."""
    for part in SPLITS if split is None else (split,):
        names = {
            path.name
            for parent in ("bodies", *IMAGES)
            for path in (root / parent / part).glob("*")
            if path.is_dir()
        }
        for name in sorted(names):
            try:
                yield from _recording(root, part, name, skipped)
            except (OSError, ValueError) as error:
                skipped.add(name, str(error))


@dataclass(frozen=True, eq=False)
class _Camera:
    """A calibrated camera and its pictures by frame; `pose` (4, 4) maps camera 0's frame to it."""

    name: str
    pictures: dict[int, Path]
    pixels: ImageFiles
    K: np.ndarray
    pose: np.ndarray
    native: dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class _Labels:
    """A subject's bodies in M frames; `motion` is in camera 0's frame."""

    frame_ids: np.ndarray
    usable: np.ndarray
    native: dict[str, np.ndarray]
    motion: Motion
    pelvis_rest: np.ndarray


def _recording(root: Path, split: str, name: str, skipped: SkipLog) -> Iterator[PersonSequence]:
    """Yield the subjects of one sequence, each before all cameras; bodies are read once."""
    subjects = _subjects(root / "bodies" / split / name)
    metadata = Metadata.of(root / "resource", split, name)
    place = name.partition("_")[0]
    calibrations = {}
    for file in sorted((root / "scan_calibration" / place / "calibration").glob("*.xml")):
        try:
            calibrations[int(file.stem)] = read_calibration(file)
        except (OSError, ValueError) as error:
            skipped.add(f"{name}/{file.name}", str(error))
    cameras = []
    for folder in _camera_folders(root, split, name):
        try:
            cameras.append(_camera(folder, calibrations, metadata.cameras))
        except (OSError, ValueError) as error:
            skipped.add(f"{name}/{folder.name}", str(error))
    if not cameras:
        return
    down = np.mean([each["CameraMatrix"][1, :3] for each in calibrations.values()], axis=0)
    if place == "LectureHall":  # scanned twice, with chairs and for yoga
        place += "_chair" if "chair" in (metadata.scan or name) else "_yoga"
    world, native = read_world(root / "multicam2world" / f"{place}_multicam2world.json", down)
    for person, files in sorted(subjects.items()):
        try:
            labels, problems = _labels(files, metadata.gender(person))
        except (OSError, ValueError) as error:
            skipped.add(f"{name}/{person}", str(error))
            continue
        if problems:
            unusable = sum(map(len, problems.values()))
            found = f"{unusable} of {len(files)} bodies are not usable: "
            skipped.add(f"{name}/{person}", found + in_words(problems))
        for camera in cameras:
            yield _seen(
                labels,
                camera,
                world,
                sequence=name,
                person=person,
                split=split,
                num_people=len(subjects),
                files=tuple(files.values()),
                # An estimate of the motion, which a store may hold in its place, has no gender.
                native={
                    **labels.native,
                    **camera.native,
                    **native,
                    "gender": np.array(labels.motion.gender),
                },
            )


def _seen(labels: _Labels, camera: _Camera, world: np.ndarray, **facts: object) -> PersonSequence:
    """Return the labels before a camera; `world` (4, 4) maps camera 0's frame to the world.

    The other fields of the person-sequence are `facts`.
    """
    frames = labels.frame_ids.tolist()
    spare = next(iter(camera.pictures.values()))  # tells how a missing picture would be called
    number = camera.name.removeprefix("cam_")
    files = [
        camera.pictures.get(frame, spare.with_name(f"{frame:05d}_{number}{spare.suffix}"))
        for frame in frames
    ]
    rest = labels.pelvis_rest
    return PersonSequence(
        **facts,
        dataset=DATASET.name,
        camera=camera.name,
        frame_ids=labels.frame_ids,
        valid=labels.usable & np.isin(frames, list(camera.pictures)),
        fps=FPS,
        view=Camera(
            K=np.tile(camera.K, (len(frames), 1, 1)),
            T_w2c=np.tile(camera.pose @ np.linalg.inv(world), (len(frames), 1, 1)),
            width=camera.pixels.width,
            height=camera.pixels.height,
            pixel_origin="centre",
        ),
        camera_motion=labels.motion.transformed(camera.pose, rest, space="camera"),
        world_motion=labels.motion.transformed(world, rest, space="world"),
        native_frames=frozenset(labels.native),
        pelvis_rest=rest if rest.ndim == 1 else None,
        source=replace(camera.pixels, files=tuple(files)),
    )


def _subjects(folder: Path) -> dict[str, dict[int, Path]]:
    """Subject -> frame -> body file, ordered by frame.

    Raises:
        ValueError: there is none.
    """
    found: dict[str, dict[int, Path]] = {}
    frames = (path for path in folder.glob("*") if path.name.isdecimal())
    for frame in sorted(frames, key=lambda path: int(path.name)):
        for file in frame.glob("*.pkl"):
            if file.stem.isdecimal():
                found.setdefault(file.stem, {})[int(frame.name)] = file
    require(bool(found), f"no body in {'/'.join(folder.parts[-3:])}")
    return found


def _camera_folders(root: Path, split: str, name: str) -> list[Path]:
    for images in IMAGES:
        folders = sorted((root / images / split / name).glob("cam_*"))
        if folders := [folder for folder in folders if folder.name[4:].isdecimal()]:
            return folders
    raise ValueError(f"no pictures in images/{split}/{name}")


def _camera(folder: Path, calibrations: dict[int, dict], usable: set[int] | None) -> _Camera:
    number = int(folder.name[4:])
    require(number != MOVING_CAMERA, "this camera moves and is not calibrated")
    require(
        usable is None or number in usable, "not among the usable cameras of its resource/meta row"
    )
    require(number in calibrations, f"scan_calibration has no usable {number:03d}.xml")
    pictures = {}
    for file in sorted(folder.iterdir()):
        if match := _PICTURE.fullmatch(file.name):
            pictures[int(match[1])] = file
    require(bool(pictures), "no .bmp, .png, .jpg or .jpeg file in its folder")
    pixels = ImageFiles.of(tuple(pictures.values())[:1])
    calibration = calibrations[number]
    return _Camera(
        name=folder.name,
        pictures=pictures,
        pixels=pixels,
        K=_scaled(calibration["Intrinsics"], pixels.width, pixels.height),
        pose=np.concatenate([calibration["CameraMatrix"], [[0.0, 0.0, 0.0, 1.0]]]),
        native=calibration,
    )


def _scaled(K: np.ndarray, width: int, height: int) -> np.ndarray:
    """Calibrated intrinsics (3, 3) as those of pictures of another size.

    A principal point about the middle of the pictures shows that they are already theirs. Otherwise
    the pictures must be smaller copies of full-size ones.

    Raises:
        ValueError: they have other proportions.
    """
    size = np.array([width, height])
    if np.all(np.abs(K[:2, 2] / size - 0.5) < 0.25):
        return K
    scale = size / np.array(FULL_SIZE if width > height else FULL_SIZE[::-1])
    require(
        abs(scale[0] / scale[1] - 1) < 0.02,
        f"pictures of {width}x{height} are neither those that were calibrated nor smaller copies",
    )
    scaled = K.copy()
    scaled[:2, :2] *= scale[:, None]
    scaled[:2, 2] = (K[:2, 2] + 0.5) * scale - 0.5  # pixels are counted from their centre
    return scaled


def _labels(files: dict[int, Path], gender: str) -> tuple[_Labels, dict[str, list[str]]]:
    """Return a subject's labels, and the files of those that cannot be used, by what is wrong."""
    native, problems = read_bodies(list(files.values()))
    usable = finite_rows(*(native[name] for name in LABELS))
    held = {name: hold(native[name], usable) for name in LABELS}
    held["betas"] = constant_betas(held["betas"])
    labels = _Labels(
        frame_ids=np.array(list(files)),
        usable=usable,
        native=native,
        motion=Motion(**held, fps=FPS, space="camera", gender=gender),
        pelvis_rest=load_body(gender=gender).rest_joints(held["betas"])[..., 0, :],
    )
    return labels, problems


DATASET = FolderDataset(
    name="rich",
    version=2,
    is_root=lambda root: (root / "bodies").is_dir() and (root / "scan_calibration").is_dir(),
    holds="RICH's images/, bodies/, scan_calibration/, multicam2world/ and resource/",
    read=_sequences,
)
