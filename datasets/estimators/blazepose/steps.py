"""The steps around BlazePose's networks: anchors, windows, detections, crops, heatmaps.

Bazarevsky et al., "BlazePose: On-device Real-time Body Pose tracking" (2020). The parameters are
those of the published networks: on nine pictures, landmarks agreed with MediaPipe's own to 0.2
pixels (median). Numpy and Pillow only, none of our code: the tool's environment runs it, too.

Positions are pixels of the picture, x right, y down, the corner of the first pixel at 0. Angles
turn x towards y.
"""

import math
from typing import NamedTuple

import numpy as np
from PIL import Image

DETECTOR_SIZE, HEATMAP_SIZE = 224, 64
_SAME = 0.3  # overlap (intersection over union) above which two boxes are one person's
_APART = 0.2  # least distance between the hips of two people, in sides of a crop
_MARGIN = 1.25  # side of a crop, in diameters of the circle about the person


class Crop(NamedTuple):
    """A square of the picture: centre and side in pixels, and its angle in radians."""

    x: float
    y: float
    size: float
    angle: float


class Person(NamedTuple):
    """A person that the detector found: score 0..1, its crop, the box (4,) of its head."""

    score: float
    crop: Crop
    box: np.ndarray


def sigmoid(x):
    """Return 1 / (1 + exp(-x)), without overflow."""
    return 1 / (1 + np.exp(-np.clip(np.asarray(x, float), -60, 60)))


def anchors():
    """Return the centres (2254, 2) of the detector's anchors, x and y in 0..1."""
    parts = []
    for stride, count in ((8, 2), (16, 2), (32, 6)):
        cells = DETECTOR_SIZE // stride
        y, x = (np.mgrid[:cells, :cells] + 0.5) / cells
        parts.append(np.stack([x, y], -1).reshape(-1, 2).repeat(count, 0))
    return np.concatenate(parts)


def windows(size, parts):
    """Return the square windows of 1/`parts` of a picture's longer side that cover it.

    Neighbours overlap by a half at least.
    """
    side = max(size) / parts

    def centres(length):
        if length <= side:
            return [length / 2]
        return np.linspace(side / 2, length - side / 2, math.ceil((length - side) / (side / 2)) + 1)

    return [Crop(x, y, side, 0) for x in centres(size[0]) for y in centres(size[1])]


def groups(scores, boxes):
    """Return the indices of each person's detections, the surest person and detection first."""
    left = [int(index) for index in np.argsort(-scores, kind="stable")]
    out = []
    while left:
        best = left[0]
        same = [n for n in left if n == best or overlap(boxes[best], boxes[n]) > _SAME]
        out.append(same)
        left = [n for n in left if n not in same]
    return out


def distinct(people):
    """Return the surest detection of each person, of detections in several windows.

    Windows cut people, so that boxes of the same one differ; people stand apart, and their hips do.
    """
    out = []
    for person in sorted(people, key=lambda person: -person.score):
        for other in out:
            size = max(person.crop.size, other.crop.size)
            apart = math.hypot(person.crop.x - other.crop.x, person.crop.y - other.crop.y)
            if overlap(person.box, other.box) > _SAME or apart < _APART * size:
                break
        else:
            out.append(person)
    return out


def overlap(a, b):
    """Return the intersection over the union of two boxes (left, top, right, bottom)."""
    sides = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None)
    both = np.prod(sides)
    return both / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - both + 1e-9)


def crop_about(hips, top):
    """Return the crop about a person, of the middle of the hips and a point of the circle about it.

    The crop is turned so that `top` (2,) is straight above `hips` (2,).
    """
    x, y = top - hips
    size = 2 * _MARGIN * math.hypot(x, y)
    return Crop(float(hips[0]), float(hips[1]), size, math.atan2(x, -y))


def cut(image, crop, num, *, mirrored=False):
    """Return a crop's pixels, and the map from the crop to the picture.

    Returns:
        (num, num, 3) float32 in 0..1, black outside the picture; and (2, 3), which maps places of
        the crop, x and y in 0..1, to pixels of the picture.
    """
    cos, sin = crop.size * math.cos(crop.angle), crop.size * math.sin(crop.angle)
    corner = [crop.x - (cos - sin) / 2, crop.y - (sin + cos) / 2]
    to_picture = np.array([[cos, -sin, corner[0]], [sin, cos, corner[1]]])
    if mirrored:
        to_picture = to_picture @ np.array([[-1, 0, 1], [0, 1, 0], [0, 0, 1.0]])
    each = to_picture @ np.diag([1 / num, 1 / num, 1])
    # The networks were trained on OpenCV's warp, whose pixel i samples the map at i; Pillow samples
    # at i + 1/2 and takes the result for the corner of a pixel.
    each[:, 2] += 0.5 - each[:, :2].sum(1) / 2
    pixels = image.transform(
        (num, num), Image.Transform.AFFINE, each.ravel().tolist(), Image.Resampling.BILINEAR
    )
    return np.asarray(pixels, np.float32) / 255, to_picture


def refined(place, heatmaps):
    """Return places (39, 2) in 0..1, moved to the mean of their heatmap near them.

    Args:
        place: (39, 2), x and y in 0..1.
        heatmaps: (64, 64, 39) logits; where none of the 7 x 7 about a place reaches 0.5, it stays.
    """
    out = place.copy()
    for index, (column, row) in enumerate((place * HEATMAP_SIZE).astype(int)):
        if not (0 <= column < HEATMAP_SIZE and 0 <= row < HEATMAP_SIZE):
            continue
        top, left = max(0, row - 3), max(0, column - 3)
        heat = sigmoid(heatmaps[top : row + 4, left : column + 4, index])
        if heat.max() >= 0.5:
            rows, columns = top + np.arange(heat.shape[0]), left + np.arange(heat.shape[1])
            mean = np.array([heat.sum(0) @ columns, heat.sum(1) @ rows]) / heat.sum()
            out[index] = mean / HEATMAP_SIZE
    return out
