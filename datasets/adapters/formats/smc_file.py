"""SMC files of DNA-Rendering: HDF5 with the pictures, calibrations and bodies of a recording.

Cameras go by their number without padding; files pad it to two digits in places. What is read lies
in the file itself: links, and data that is kept in other files, are refused.
"""

import functools
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

from datasets.adapters.formats.distortion import Undistortion
from datasets.motion import require
from datasets.tools.safe_pickle import MAX_BYTES

_CAMERA_GROUPS = ("Camera_5mp", "Camera_12mp")  # cameras 0 to 47, and 48 to 59
_CALIBRATION = {"K": (3, 3), "D": (5,), "RT": (4, 4)}


@dataclass(frozen=True, eq=False)
class TakenPictures:
    """The pictures of a camera as taken."""

    path: Path  # the recording's main file, opened anew by whoever reads: no handle is shared
    group: str  # the camera's HDF5 group in it
    frame_ids: tuple[int, ...]  # numbers of the pictures, increasing
    width: int  # in pixels
    height: int  # in pixels

    @property
    def camera(self) -> str:
        """Its number."""
        return self.group.rpartition("/")[2]

    def read(self, frame_ids: Sequence[int]) -> Iterator[np.ndarray]:
        """Yield (height, width, 3) uint8 RGB pictures.

        Raises:
            ValueError: one is missing, damaged or has another size.
        """
        with opened(self.path) as file:
            pictures = functools.reduce(_member, [*self.group.split("/"), "color"], file)
            for frame in frame_ids:
                try:
                    stored = _member(pictures, str(frame))
                    require(stored is not None, "it is not in the file")
                    encoded = io.BytesIO(stored[()].tobytes())
                    with Image.open(encoded, formats=["JPEG"]) as image:
                        require(
                            image.size == (self.width, self.height),
                            f"a picture of {image.width}x{image.height} among those of "
                            f"{self.width}x{self.height}",
                        )
                        picture = np.asarray(image.convert("RGB"))
                except Exception as error:  # of h5py or Pillow, as the damage will have it
                    where = f"{self.path}: picture {frame} of camera {self.camera}"
                    raise ValueError(f"{where}: {error}") from error
                yield picture


@dataclass(frozen=True, eq=False)
class UndistortedPictures:
    """A `datasets.sequence.FrameSource`: a camera's pictures without lens distortion, on its K."""

    taken: TakenPictures  # the pictures as they are
    frame_ids: np.ndarray  # (M,) numbers of the rows
    K: np.ndarray  # (3, 3) intrinsics, before and after
    distortion: np.ndarray  # (5,) coefficients of `datasets.adapters.formats.distortion`

    @property
    def width(self) -> int:
        """Width of every picture in pixels."""
        return self.taken.width

    @property
    def height(self) -> int:
        """Height of every picture in pixels."""
        return self.taken.height

    def frames(self, rows: Sequence[int]) -> Iterator[np.ndarray]:
        """See `datasets.sequence.FrameSource`."""
        pictures = self.taken.read(self.frame_ids[list(rows)])
        if not self.distortion.any():
            yield from pictures
            return
        yield from map(Undistortion(self.K, self.distortion, self.width, self.height), pictures)

    def paths(self, rows: Sequence[int]) -> list[Path]:
        """See `datasets.sequence.FrameSource`."""
        return [self.taken.path]


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Yield a file to read; whatever goes wrong with it inside is a ValueError."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except ValueError:
        raise
    except Exception as error:  # of h5py, as the damage will have it
        reason = " ".join(str(error).split())
        raise ValueError(f"{path.name} is damaged or has another layout: {reason}") from error


def read_main(path: Path) -> tuple[str, list[TakenPictures]]:
    """Return the actor's gender ('' if not stated) and the cameras, of a recording's main file.

    Raises:
        ValueError: the file is damaged, or its cameras have no size.
    """
    cameras = []
    with opened(path) as file:
        gender = file.attrs.get("gender", "")
        gender = gender.decode("ascii", "replace") if isinstance(gender, bytes) else str(gender)
        for group in _CAMERA_GROUPS:
            found = _member(file, group)
            if found is None:
                continue
            height, width = map(int, found.attrs["resolution"])
            for camera in sorted(filter(str.isdecimal, found), key=int):
                frames = _member(_member(found, camera), "color") or ()
                frame_ids = sorted(map(int, filter(str.isdecimal, frames)))
                name = f"{group}/{camera}"
                cameras.append(TakenPictures(path, name, tuple(frame_ids), width, height))
    return gender, cameras


def read_annotations(path: Path) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, np.ndarray]]:
    """Calibrations and body parameters as stored, of a recording's annotations file.

    Returns:
        Camera -> K (3, 3), D (5,) as in `datasets.adapters.formats.distortion` and RT (4, 4) camera
        -> world; those with missing or unusable numbers are left out. And ``SMPLx``: empty where
        there is none.

    Raises:
        ValueError: the file is damaged.
    """
    calibrations = {}
    with opened(path) as file:
        parameters = _member(file, "Camera_Parameter") or ()
        for padded in parameters:
            stored = _arrays(_member(parameters, padded))
            if padded.isdecimal() and all(
                name in stored and stored[name].shape == shape and np.isfinite(stored[name]).all()
                for name, shape in _CALIBRATION.items()
            ):
                calibrations[str(int(padded))] = stored
        return calibrations, _arrays(_member(file, "SMPLx") or {})


def _arrays(group: h5py.Group) -> dict[str, np.ndarray]:
    arrays = {}
    for name in group:
        member = _member(group, name)
        require(
            isinstance(member, h5py.Dataset) and member.nbytes <= MAX_BYTES,
            f"{group.name}/{name} is no array of at most {MAX_BYTES} bytes",
        )
        arrays[name] = np.asarray(member[()])
    return arrays


def _member(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset | None:
    """Return the item of a group by its name, None where there is none.

    Raises:
        ValueError: it is a link, or its data is in another file.
    """
    links = group.id.links  # `name in group` would follow a link
    if not links.exists(name.encode()):
        return None
    where = f"{group.name.rstrip('/')}/{name}"
    kind = links.get_info(name.encode()).type
    require(kind == h5py.h5l.TYPE_HARD, f"{where} is a link to something else: refused")
    found = group[name]
    if isinstance(found, h5py.Dataset):
        require(
            not found.external and not found.is_virtual,
            f"{where} keeps its data in another file: refused",
        )
    return found
