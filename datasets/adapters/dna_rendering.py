"""DNA-Rendering: one actor inside a dome of sixty cameras (https://dna-rendering.github.io).

``--root`` holds ``main/`` with ``<actor>_<performance>.smc`` and ``annotations/`` with
``<actor>_<performance>_annots.smc``, both HDF5; pairs of folders with the owner's names,
``dna_rendering_part1_main`` and ``dna_rendering_part1_annotations``, will do too, and so will a
folder with several such parts (``Part 1/``, ``Part 2/``). A person-sequence is one camera of one
recording; frames are numbered from 0, 15 a second.

Labels are gendered SMPL-X in the frame of the calibration, whose up axis is documented nowhere. The
mean "up" of all cameras is taken for it, and the world is that frame turned to y up about its
origin. Fingers (about the mean hand, ``flat_hand_mean=False``), face and ``scale``, which the
owner's demo does not apply either, stay native. Shapes stored for fewer frames than poses are those
of the first frame. Recordings without labels (parts 3 and later) give pictures and cameras only.

Stored camera poses are camera -> world. Lenses distort; pictures are undistorted onto the same K.

There is no official split. An actor is one group, and one in five is the test split
(`datasets.store.splits.split_of` the actor's number).
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from datasets.adapters.formats.root_folder import FolderDataset
from datasets.adapters.formats.smc_file import (
    TakenPictures,
    UndistortedPictures,
    read_annotations,
    read_main,
)
from datasets.bodies.smplx import load_body
from datasets.motion import Camera, Motion, constant_betas, require
from datasets.rotation import up_to_y
from datasets.sequence import PersonSequence, SkipLog, finite_rows, hold, rows_at
from datasets.store.splits import split_of

FPS = 15.0
_LABELS = {"fullpose": 55 * 3, "transl": 3, "betas": 10}  # numbers a frame
_RECORDING = re.compile(r"(\d+)_\d+")


def _sequences(root: Path, split: str | None, skipped: SkipLog) -> Iterator[PersonSequence]:
    """Yield every camera of every recording, ordered by name and number."""
    for folder in _main_folders(root):
        annotations = folder.with_name(folder.name.removesuffix("main") + "annotations")
        for main in sorted(folder.glob("*.smc")):
            match = _RECORDING.fullmatch(main.stem)  # others are of the depth cameras
            if match is None or split not in (None, split_of(match[1])):
                continue
            try:
                yield from _recording(main, annotations / f"{main.stem}_annots.smc", skipped)
            except (OSError, ValueError) as error:
                skipped.add(main.stem, str(error))


def _recording(main: Path, annotations: Path, skipped: SkipLog) -> Iterator[PersonSequence]:
    """The cameras of one recording; both files are closed again before the first is yielded."""
    require(
        annotations.is_file(),
        f"no {annotations.parent.name}/{annotations.name}, which has the cameras",
    )
    gender, cameras = read_main(main)
    calibrations, stored = read_annotations(annotations)
    require(bool(calibrations), f"{annotations.name} has no usable Camera_Parameter")
    for name, numbers in _LABELS.items() if stored else ():
        array = stored.get(name, np.empty(()))
        require(
            array.dtype.kind == "f"
            and array.ndim > 1
            and array.size > 0
            and np.prod(array.shape[1:]) == numbers,
            f"{annotations.name} has no usable SMPLx/{name}",
        )
    world = np.eye(4)
    world[:3, :3] = up_to_y(-np.mean([each["RT"][:3, 1] for each in calibrations.values()], axis=0))
    for taken in cameras:
        try:
            require(bool(taken.frame_ids), "no pictures in the file")
            require(taken.frame_ids[-1] < 2**31, f"a picture numbered {taken.frame_ids[-1]}")
            require(
                taken.camera in calibrations,
                f"no usable Camera_Parameter/{taken.camera:0>2} in {annotations.name}",
            )
            yield _seen(
                taken, calibrations[taken.camera], stored, gender, world, (main, annotations)
            )
        except ValueError as error:
            skipped.add(f"{main.stem}/{taken.camera}", str(error))


def _seen(
    taken: TakenPictures,
    calibration: dict[str, np.ndarray],
    stored: dict[str, np.ndarray],
    gender: str,
    world: np.ndarray,
    files: tuple[Path, ...],
) -> PersonSequence:
    """One camera; `world` (4, 4) turns the frame of the calibration and of `stored` to y up."""
    frames = len(stored.get("fullpose", ()))
    frame_ids = np.array(sorted({*taken.frame_ids, *range(frames)}))
    valid = np.isin(frame_ids, taken.frame_ids)
    w2c = np.linalg.inv(calibration["RT"])
    camera_motion = world_motion = rest = None
    if stored:
        labels, usable, rest = _labels(stored, frame_ids, gender)
        camera_motion = labels.transformed(w2c, rest, space="camera")
        world_motion = labels.transformed(world, rest, space="world")
        valid &= usable
    # Rows that are missing become NaN, so only floats can be taken row by row.
    per_frame = {
        name
        for name, array in stored.items()
        if array.dtype.kind == "f" and array.ndim and len(array) == frames
    }
    native = {
        name: rows_at(array, frame_ids) if name in per_frame else array
        for name, array in stored.items()
    }
    actor = taken.path.stem.partition("_")[0]
    return PersonSequence(
        dataset=DATASET.name,
        sequence=taken.path.stem,
        camera=taken.camera,
        split=split_of(actor),
        group=f"actor_{actor}",
        frame_ids=frame_ids,
        valid=valid,
        fps=FPS,
        view=Camera(
            K=np.tile(calibration["K"], (len(frame_ids), 1, 1)),
            T_w2c=np.tile(w2c @ np.linalg.inv(world), (len(frame_ids), 1, 1)),
            width=taken.width,
            height=taken.height,
            pixel_origin="centre",
        ),
        camera_motion=camera_motion,
        world_motion=world_motion,
        native={**native, **calibration},
        native_frames=frozenset(per_frame),
        pelvis_rest=rest if rest is not None and rest.ndim == 1 else None,
        source=UndistortedPictures(taken, frame_ids, calibration["K"], calibration["D"]),
        files=files,
    )


def _labels(
    stored: dict[str, np.ndarray], frame_ids: np.ndarray, gender: str
) -> tuple[Motion, np.ndarray, np.ndarray]:
    """Return the motion in the calibration's frame, (M,) which rows are labelled, and J0(betas)."""
    require(gender in ("female", "male"), f"the main file's gender is {gender!r}")
    frames = len(stored["fullpose"])
    betas = stored["betas"]
    if len(betas) < frames:  # known defect of some files
        betas = np.tile(betas[:1], (frames, 1))
    pose = rows_at(stored["fullpose"].reshape(frames, -1), frame_ids)[:, :66]
    transl, betas = rows_at(stored["transl"], frame_ids), rows_at(betas, frame_ids)
    usable = finite_rows(pose, transl, betas)
    pose, transl, betas = (hold(array, usable) for array in (pose, transl, betas))
    betas = constant_betas(betas)
    motion = Motion(
        body_pose=pose[:, 3:],
        global_orient=pose[:, :3],
        betas=betas,
        transl=transl,
        fps=FPS,
        gender=gender,
    )
    return motion, usable, load_body(gender=gender).rest_joints(betas)[..., 0, :]


def _main_folders(root: Path) -> list[Path]:
    """The folders of main files: in `root`, or in its subfolders where at least two have some."""
    found = _main_folders_in(root)
    if not found and root.is_dir():
        parts = [_main_folders_in(folder) for folder in sorted(root.glob("*"))]
        parts = [folders for folders in parts if folders]
        found = [folder for folders in parts for folder in folders] if len(parts) > 1 else []
    return found


def _main_folders_in(root: Path) -> list[Path]:
    folders = [root / "main", *sorted(root.glob("*_main"))]
    return [folder for folder in folders if os.path.isdir(folder)]  # no error in a closed folder


DATASET = FolderDataset(
    name="dna_rendering",
    version=1,
    is_root=lambda root: bool(_main_folders(root)),
    holds="DNA-Rendering's main/ and annotations/",
    read=_sequences,
)
