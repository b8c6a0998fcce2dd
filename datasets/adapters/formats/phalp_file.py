"""Result files of PHALP (4D-Humans): SMPL of every tracked person, image by image.

A result is a joblib pickle, image path -> facts of the image, most of them lists with one item a
track (github.com/brjathu/PHALP). A track that is not seen in an image still has an item with its
last values, a ghost, marked by ``tracked_time``; ``tracked_ids`` and ``tracked_bbox`` leave ghosts
out and so do not go with the other lists. Images are numbered from 1.

Cameras are pinholes with a focal length of 5000 / 256 of the longer side of the image, looking at
its centre; what a person's depth means in metres is anyone's guess.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datasets.motion import require
from datasets.tools import safe_pickle

FOCAL_PER_PIXEL = 5000 / 256
_PELVIS = 8  # the mid-hip of the 25 OpenPose joints, which is SMPL's pelvis
_SHAPES = {  # of one person in one image
    "global_orient": (1, 3, 3),
    "body_pose": (23, 3, 3),
    "betas": (10,),
    "camera": (3,),
    "pelvis_rest": (3,),
}


@dataclass(frozen=True, eq=False)
class PhalpTrack:
    """The person who fills most of the pictures, where it is seen: n images.

    Attributes:
        images: (n,) int64 numbers of the images, from 1 on, increasing.
        global_orient: (n, 1, 3, 3) float32, root in the camera frame (OpenCV's).
        body_pose: (n, 23, 3, 3) float32 rotations of SMPL's joints 1..23.
        betas: (n, 10) float32 of the neutral SMPL body, others in each image.
        camera: (n, 3) float32, SMPL's `transl` in the camera frame.
        num_people: seen at once in a fifth of the images or more; who is there for less does not
            count, and the track's own person always does.
        crowded: share of the images in which somebody else is seen, too.
        pelvis_rest: (n, 3) float32 J0(betas), or None where the file has no ``3d_joints``.
    """

    images: np.ndarray
    global_orient: np.ndarray
    body_pose: np.ndarray
    betas: np.ndarray
    camera: np.ndarray
    num_people: int
    crowded: float
    pelvis_rest: np.ndarray | None = None


class NobodySeen(ValueError):
    """A result in which no image shows anybody."""


def read_track(path: Path) -> PhalpTrack:
    """Return the track with the largest sum of box areas, ghosts not counted.

    Where items have no boxes, the track seen most often; where they have no track ids, the first
    person of each image.

    Raises:
        OSError: the file cannot be read.
        UnsafePickleError: it asks for something that is not data.
        NobodySeen: there is nobody in it.
        ValueError: it is empty, damaged, or not a PHALP result.
    """
    result = safe_pickle.load(path)
    try:
        return _largest(path, [(number, _seen(facts)) for number, facts in _images(result)])
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a PHALP result: {error!r}") from error


def _largest(path: Path, images: list[tuple[int, list[dict]]]) -> PhalpTrack:
    """Return the track that `read_track` describes, of the people seen in each numbered image."""
    # Of several items of one track, or without track ids, the first.
    tracks = [(number, {p["track"]: p for p in reversed(people)}) for number, people in images]
    areas: dict[object, list[float]] = {}
    for _, people in tracks:
        for track, person in people.items():
            areas.setdefault(track, []).append(person["area"])
    if not areas:
        raise NobodySeen(f"{path}: nobody is seen in any image")
    chosen = max(areas, key=lambda track: (sum(areas[track]), len(areas[track])))
    own = {number: people[chosen] for number, people in tracks if chosen in people}
    names = set(_SHAPES)
    if any(person["pelvis_rest"] is None for person in own.values()):
        names.remove("pelvis_rest")
    return PhalpTrack(
        images=np.array(list(own)),
        **{name: _stack(path, name, own.values()) for name in names},
        num_people=_num_people([len(people) for _, people in images]),
        crowded=float(np.mean([len(people) > 1 for _, people in tracks if chosen in people])),
    )


def _num_people(seen: list[int]) -> int:
    """The most people that at least a fifth of the images show, of the number seen in each."""
    fifth = -(-len(seen) // 5)
    return max(1, sorted(seen, reverse=True)[fifth - 1])


def _images(result: Mapping) -> list[tuple[int, Mapping]]:
    """Return number and facts of every image, in order."""
    numbered = []
    for name, facts in result.items():
        match = re.search(r"(\d+)\.(?:jpg|png)$", name)
        require(match is not None, f"the key {name!r:.80} is not the path of a numbered image")
        numbered.append((int(match[1]), facts))
    return sorted(numbered, key=lambda image: image[0])


def _seen(facts: Mapping) -> list[dict]:
    """The people seen in an image: values, track id, area of the box in pixels, rest pelvis."""
    smpl = facts["smpl"]

    def parallel(name: str, default: object) -> list:
        values = facts.get(name, ())
        return values if len(values) == len(smpl) else [default] * len(smpl)

    ids = parallel("tid", None)
    ages = parallel("tracked_time", 0)
    boxes = parallel("bbox", None)
    joints = parallel("3d_joints", None)
    found = []
    for i, (values, camera) in enumerate(zip(smpl, facts["camera"], strict=True)):
        if ages[i] == 0:
            found.append(
                {
                    **{name: values[name] for name in ("global_orient", "body_pose", "betas")},
                    "camera": camera,
                    "track": ids[i],
                    "area": 0.0 if boxes[i] is None else float(boxes[i][2] * boxes[i][3]),
                    "pelvis_rest": None if joints[i] is None else joints[i][_PELVIS],
                }
            )
    return found


def _stack(path: Path, name: str, people: Collection[dict]) -> np.ndarray:
    """One quantity of a person over the images, (n, *shape) float32."""
    shapes = {np.shape(person[name]) for person in people}
    require(shapes == {_SHAPES[name]}, f"{path}: {name} has shapes {shapes}, not {_SHAPES[name]}")
    return np.stack([person[name] for person in people]).astype(np.float32)
