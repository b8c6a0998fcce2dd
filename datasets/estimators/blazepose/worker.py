"""BlazePose inside its own environment; started by `worker_main`, imports none of our code.

A detector finds people, and a second network places landmarks in a crop about one of them, which
also place the crop in the next picture. The networks run in LiteRT. MediaPipe itself, which would
need a gigabyte of packages, is not imported; its causal filters are left out.
"""

import importlib.metadata
import math
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

steps = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("steps.py"))))

NUM = 39  # landmarks: 33 of the body, 33 and 34 which place the next crop, and 4 without use
# Landmark -> the same one of the other side.
OTHER_SIDE = [0, 4, 5, 6, 1, 2, 3, 8, 7, 10, 9]
OTHER_SIDE += [side for left in range(11, 32, 2) for side in (left + 1, left)] + [*range(33, NUM)]
_LANDMARK_SIZE = 256
_SURE = 0.5  # least score of a person
_WINDOWS = (1, 2, 4)  # the picture is searched whole, then in windows of a half and a quarter
_SEARCH_EVERY = 10  # frames without a person between two searches in windows, which take 0.4 s


class Look(NamedTuple):
    """The landmarks of one person in one picture.

    Attributes:
        score: of a person being there, 0..1.
        image: (39, 2) pixels.
        world: (39, 3) metres about the hips, x right, y down, z away from the camera.
        visibility: (39,) 0..1.
    """

    score: float
    image: np.ndarray
    world: np.ndarray
    visibility: np.ndarray


def start(options):
    """Load the networks.

    Args:
        options: ``detector`` and ``landmarks``, the paths of the two files.
    """
    tracker = Tracker(Network(options["detector"]), Network(options["landmarks"]))
    version = importlib.metadata.version("ai-edge-litert")
    return {"ai-edge-litert": version}, lambda request: _track(tracker, request)


def _track(tracker, request):
    """Answer for consecutive pictures: ``pictures`` (.npy), ``out`` (.npz), ``first`` of a clip."""
    if request["first"]:
        tracker.reset()
    looks = [tracker.look(picture) for picture in np.load(request["pictures"], mmap_mode="r")]
    np.savez(
        request["out"], **{name: np.stack([look[name] for look in looks]) for name in looks[0]}
    )
    return {"people": tracker.people}


class Network:
    """A network of LiteRT, on one thread: it computes the same numbers on any machine."""

    def __init__(self, path):
        self._interpreter = Interpreter(str(path), num_threads=1)
        self._interpreter.allocate_tensors()
        (given,) = self._interpreter.get_input_details()
        self._input = given["index"]
        self._outputs = {
            tuple(found["shape"][1:].tolist()): found["index"]
            for found in self._interpreter.get_output_details()
        }

    def __call__(self, picture):
        """Return the outputs by their shapes, for one picture (n, n, 3) float32."""
        self._interpreter.set_tensor(self._input, np.ascontiguousarray(picture[None], np.float32))
        self._interpreter.invoke()
        return {
            shape: self._interpreter.get_tensor(index)[0] for shape, index in self._outputs.items()
        }


class Tracker:
    """Follows one person through the pictures of a clip, the largest and most central one."""

    def __init__(self, detector, landmarks):
        self._detector, self._landmarks = detector, landmarks
        self._anchors = steps.anchors()
        self.reset()

    def reset(self):
        """Forget all pictures."""
        self._crop = self._last = None
        self._empty = 0  # pictures without a person since the last one with one
        self.people = 0  # in the first picture with one

    def look(self, picture):
        """Return the landmarks of the next picture (height, width, 3) uint8, by name.

        ``seen`` is False and all numbers are 0 where nobody is found.
        """
        image = Image.fromarray(np.asarray(picture))
        crop = self._crop
        found = self._sure(image, crop)
        if found is None:
            crop = self._find(image)
            found = self._sure(image, crop)
        if found is not None:
            self._empty = 0
            self._last = self._crop = steps.crop_about(*found.image[33:35])
            return {
                "seen": np.True_,
                "crop": np.array(crop),
                "image": found.image,
                "world": found.world,
                "visibility": found.visibility,
            }
        self._crop = None
        self._empty += 1
        return {
            "seen": np.False_,
            "crop": np.zeros(4),
            "image": np.zeros((NUM, 2)),
            "world": np.zeros((NUM, 3)),
            "visibility": np.zeros(NUM),
        }

    def _find(self, image):
        """Return the crop of the person to follow, or None."""
        thorough = self._empty % _SEARCH_EVERY == 0
        for parts in _WINDOWS if thorough else _WINDOWS[:1]:
            found = [
                person
                for window in steps.windows(image.size, parts)
                for person in self._detect(image, window)
            ]
            people = steps.distinct(found)
            if people:
                self.people = self.people or len(people)
                return max(people, key=lambda person: self._rank(person, image.size)).crop
        return None

    def _rank(self, person, size):
        """Return a number that is largest for the person to follow."""
        longest = max(size)
        near = self._last or steps.Crop(size[0] / 2, size[1] / 2, 0, 0)
        off = math.hypot(person.crop.x - near.x, person.crop.y - near.y) / longest
        return person.score * person.crop.size / longest - (2 if self._last else 0.5) * off

    def _detect(self, image, window):
        """Return the people in a window."""
        pixels, _ = steps.cut(image, window, steps.DETECTOR_SIZE)
        out = self._detector(pixels * 2 - 1)
        scores = steps.sigmoid(out[(len(self._anchors), 1)][:, 0])
        sure = scores >= _SURE
        # Of each anchor: centre and size of the box, then four points (x, y) of which two are used.
        numbers = out[(len(self._anchors), 12)][sure].reshape(-1, 6, 2) / steps.DETECTOR_SIZE
        numbers[:, [0, 2, 3, 4, 5]] += self._anchors[sure, None]
        corner = np.array([window.x, window.y]) - window.size / 2
        points = numbers[:, 2:4] * window.size + corner
        centre, half = numbers[:, 0] * window.size + corner, numbers[:, 1] * window.size / 2
        boxes = np.concatenate([centre - half, centre + half], 1)
        scores, people = scores[sure], []
        for group in steps.groups(scores, boxes):
            weight = scores[group] / scores[group].sum()
            hips, top = np.einsum("n,nij->ij", weight, points[group])
            box = weight @ boxes[group]
            people.append(steps.Person(float(scores[group[0]]), steps.crop_about(hips, top), box))
        return people

    def _sure(self, image, crop):
        """Return the mean look at a crop and at its mirror image; None where nobody is there."""
        if crop is None:
            return None
        looks = zip(
            *(self._once(image, crop, mirrored=flip) for flip in (False, True)), strict=True
        )
        mean = Look(*((first + second) / 2 for first, second in looks))
        return mean if mean.score >= _SURE else None

    def _once(self, image, crop, *, mirrored):
        pixels, to_picture = steps.cut(image, crop, _LANDMARK_SIZE, mirrored=mirrored)
        out = self._landmarks(pixels)
        numbers = out[(5 * NUM,)].reshape(NUM, 5).astype(float)
        place = steps.refined(
            numbers[:, :2] / _LANDMARK_SIZE, out[(steps.HEATMAP_SIZE, steps.HEATMAP_SIZE, NUM)]
        )
        world = out[(3 * NUM,)].reshape(NUM, 3).astype(float)
        if mirrored:
            world = world * [-1, 1, 1]
        cos, sin = math.cos(crop.angle), math.sin(crop.angle)
        world = world @ np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]).T
        order = OTHER_SIDE if mirrored else slice(None)
        return Look(
            score=float(out[(1,)][0]),
            image=(place @ to_picture[:, :2].T + to_picture[:, 2])[order],
            world=world[order],
            visibility=steps.sigmoid(numbers[:, 3])[order],
        )
