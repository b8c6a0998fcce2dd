"""3DPW: real videos with SMPL of one or two people, 30 fps.

``root`` holds ``imageFiles/<sequence>/image_00000.jpg`` and
``sequenceFiles/{train,validation,test}/<sequence>.pkl``. Row i of the labels is picture i; the
``img_frame_ids`` beside them count another stream, of 60 Hz, and are only kept. A person is the
index in the file. A frame is valid by the rule of 3DPW's evaluation code (its camera is aligned for
that person, and 2D joints were found) where its picture is there and its labels are finite.

The world is the dataset's: metres, y up; ``cam_poses`` lead from it into the camera. Labels are
SMPL, female or male. The rest pelvis is that of the tracked body, ``jointPositions`` of the root
minus ``trans``; where a file has none, or one that changes by more than a millimetre, it is that of
the SMPL-X body in use for the same betas, which is near but not the same.

Native labels are what belongs to the pictures: neither the motion at 60 Hz (``poses_60Hz``,
``trans_60Hz``) nor the clothed body (``betas_clothed``, ``v_template_clothed``, ``texture_maps``).
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from datasets.adapters.formats.root_folder import FolderDataset
from datasets.bodies.smplx import load_body
from datasets.motion import Camera, Motion, require
from datasets.sequence import PersonSequence, SkipLog, finite_rows, hold
from datasets.tools import safe_pickle
from datasets.video.frames import ImageFiles

FPS = 30.0

_SPLITS = {"train": "train", "val": "validation", "test": "test"}
_GENDERS = {"f": "female", "m": "male"}
# Labels that are kept as they are, with the shape of a row where there is one row a picture.
_OF_PERSON = {
    "poses": (72,),
    "trans": (3,),
    "jointPositions": (72,),
    "poses2d": (3, 18),
    "campose_valid": (),
    "betas": None,
    "genders": None,
}
_OF_CAMERA = {"cam_poses": (4, 4), "img_frame_ids": (), "cam_intrinsics": None}
_OPTIONAL = "jointPositions"
_SAME = 1e-3  # metres


def _sequences(root: Path, split: str | None, skipped: SkipLog) -> Iterator[PersonSequence]:
    """Yield one sequence for each person of each file."""
    files = {
        own: sorted((root / "sequenceFiles" / folder).glob("*.pkl"))
        for own, folder in _SPLITS.items()
    }
    labelled = {file.stem for own in files for file in files[own]}
    for folder in sorted((root / "imageFiles").iterdir()):
        if folder.is_dir() and folder.name not in labelled:
            skipped.add(folder.name, "pictures without labels: no such file in sequenceFiles")
    for own in _SPLITS if split is None else (split,):
        for file in files[own]:
            yield from _people(file, root / "imageFiles" / file.stem, own, skipped)


def _people(file: Path, pictures: Path, split: str, skipped: SkipLog) -> Iterator[PersonSequence]:
    try:
        labels = _read(file)
        source, there = _pictures(pictures, len(labels["cam_poses"]))
    except (OSError, ValueError) as error:
        skipped.add(file.stem, str(error))
        return
    for person in range(len(labels["poses"])):
        try:
            found = PersonSequence(
                dataset=DATASET.name,
                sequence=file.stem,
                camera="0",
                person=str(person),
                split=split,
                num_people=len(labels["poses"]),
                fps=FPS,
                frame_ids=np.arange(len(there)),
                source=source,
                files=(file,),
                **_labels_of(_native(labels, person), there, source),
            )
        except (OSError, ValueError) as error:
            skipped.add(f"{file.stem} person {person}", str(error))
            continue
        yield found


def _is_root(folder: Path) -> bool:
    return (folder / "imageFiles").is_dir() and (folder / "sequenceFiles").is_dir()


def _read(file: Path) -> dict:
    """A file's labels, written by Python 2; those of people are lists with one item a person.

    Raises:
        OSError: unreadable.
        ValueError: damaged, or some label is missing.
    """
    labels = safe_pickle.load(file, encoding="latin1")
    require(isinstance(labels, dict), f"{file} holds no dictionary of labels")
    wanted = {*_OF_PERSON, *_OF_CAMERA} - {_OPTIONAL}
    missing = sorted(wanted - labels.keys())
    require(not missing, f"{file} has no {', '.join(missing)}")
    require(np.ndim(labels["cam_poses"]) == 3, f"{file}: cam_poses are not one matrix a frame")
    for name in _OF_PERSON:
        people = labels.get(name, labels["poses"])  # one may be missing
        require(isinstance(people, list), f"{file}: {name} is not a list of people")
        require(
            len(people) == len(labels["poses"]),
            f"{file}: {name} is of {len(people)} people, poses of {len(labels['poses'])}",
        )
    return labels


def _pictures(folder: Path, frames: int) -> tuple[ImageFiles, np.ndarray]:
    """One file a frame, and (frames,) bool: whether it is there.

    Raises:
        OSError: the folder or a picture cannot be read.
        ValueError: there is no picture.
    """
    files = tuple(folder / f"image_{frame:05d}.jpg" for frame in range(frames))
    names = {path.name for path in folder.iterdir()}
    there = np.array([file.name in names for file in files], bool)
    require(bool(there.any()), f"{folder} has no picture image_00000.jpg, ...")
    # Many are portrait, so the size is always read.
    first = ImageFiles.of((files[np.argmax(there)],))
    return ImageFiles(files, first.width, first.height), there


def _native(labels: dict, person: int) -> dict[str, np.ndarray]:
    """One person's labels and the camera's as arrays.

    Raises:
        ValueError: the labels of different things are not as many, or have another shape.
    """
    native = {name: np.asarray(labels[name][person]) for name in _OF_PERSON if name in labels}
    native |= {name: np.asarray(labels[name]) for name in _OF_CAMERA}
    frames = len(labels["cam_poses"])
    for name, row in (_OF_PERSON | _OF_CAMERA).items():
        if row is not None and name in native:
            found, wanted = native[name].shape, (frames, *row)
            require(found == wanted, f"{name} has shape {found}, expected {wanted}")
            require(native[name].dtype.kind in "fiub", f"{name} is not numeric")
    return native


def _labels_of(native: dict[str, np.ndarray], there: np.ndarray, source: ImageFiles) -> dict:
    """Return the fields of a `PersonSequence` that come from the labels.

    Raises:
        OSError: there is no body of the person's gender.
        ValueError: no frame is valid, or something is not what it should be.
    """
    gender = _GENDERS.get(str(native["genders"]))
    require(gender is not None, f"gender is {str(native['genders'])!r}, expected 'm' or 'f'")
    betas = native["betas"]
    require(betas.ndim == 1 and len(betas) >= 10, f"betas have shape {betas.shape}, not (10,)")
    valid = (
        there
        & (native["campose_valid"] != 0)
        & native["poses2d"].any(axis=(1, 2))
        & finite_rows(native["poses"], native["trans"], native["cam_poses"])
    )
    poses = hold(native["poses"], valid)
    world = Motion(
        global_orient=poses[:, :3],
        body_pose=poses[:, 3:],
        betas=betas[:10],
        transl=hold(native["trans"], valid),
        fps=FPS,
        space="world",
        body="smpl",
        gender=gender,
    )
    T_w2c = hold(native["cam_poses"], valid)
    view = Camera(
        K=np.broadcast_to(native["cam_intrinsics"], (len(valid), 3, 3)),
        T_w2c=T_w2c,
        width=source.width,
        height=source.height,
        pixel_origin="corner",
    )
    rest = _pelvis_rest(native)
    if rest is None:
        rest = load_body(gender=gender).rest_joints(world.betas)[0]
    return {
        "valid": valid,
        "view": view,
        "world_motion": world,
        "camera_motion": world.transformed(T_w2c, rest, space="camera"),
        "pelvis_rest": rest,
        "native": native,
        "native_frames": frozenset(
            name for name, row in (_OF_PERSON | _OF_CAMERA).items() if row is not None
        )
        & native.keys(),
    }


def _pelvis_rest(native: dict[str, np.ndarray]) -> np.ndarray | None:
    """(3,) metres: the root joint without `trans`; None where it is not the same in all frames."""
    if "jointPositions" not in native:
        return None
    offsets = native["jointPositions"][:, :3] - native["trans"]
    offsets = offsets[finite_rows(offsets)]
    if not len(offsets):
        return None
    rest = np.median(offsets, axis=0)
    return rest if np.abs(offsets - rest).max() < _SAME else None


DATASET = FolderDataset(
    name="threedpw",
    version=1,
    is_root=_is_root,
    holds="3DPW's imageFiles and sequenceFiles",
    read=_sequences,
)
