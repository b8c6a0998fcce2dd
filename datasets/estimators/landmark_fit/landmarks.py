"""Landmarks of one person in the pictures of a clip, and the points of a body that they are."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from datasets.bodies.smplx import BODY_JOINTS, BodyModel
from datasets.bodies.smplx_file import read_arrays


class Point(NamedTuple):
    """A landmark as a point of the body.

    Attributes:
        name: of the point.
        number: BlazePose's number of the landmark.
        carrier: the body joint that it hangs on rigidly.
        joint: the joint (of 55) that it is in the rest pose; None where it is a vertex.
        image_weight: of its place in the picture.
        world_weight: of its place in metres.
        offset: millimetres from the joint or vertex to the landmark at rest, x left, y up, z front.
    """

    name: str
    number: int
    carrier: int
    joint: int | None
    image_weight: float
    world_weight: float
    offset: tuple[float, float, float]


# Both sides of a point: name, landmarks, carriers, joints, weights, and the left one's offset.
# The offsets were measured on 1559 rendered frames of the packaged stand-in body, on which the
# network's landmarks lie so; without them its joints are 3 mm less exact.
_BOTH_SIDES = (
    ("eye", (2, 5), (15, 15), (23, 24), 0.5, 0.2, (-6, 0, -3)),
    ("ear", (7, 8), (15, 15), None, 0.7, 0.3, (-37, -9, 42)),
    ("shoulder", (11, 12), (16, 17), (16, 17), 1, 1, (-17, -2, 6)),
    ("elbow", (13, 14), (18, 19), (18, 19), 1, 1, (-5, 1, 13)),
    ("wrist", (15, 16), (20, 21), (20, 21), 1, 1, (10, -5, 1)),
    ("pinky", (17, 18), (20, 21), (31, 46), 0.4, 0.2, (-10, -4, 26)),
    ("index", (19, 20), (20, 21), (25, 40), 0.5, 0.2, (-18, -9, -19)),
    ("thumb", (21, 22), (20, 21), (38, 53), 0.3, 0.2, (15, 10, -28)),
    ("hip", (23, 24), (1, 2), (1, 2), 1, 1, (-18, -5, 21)),
    ("knee", (25, 26), (4, 5), (4, 5), 1, 1, (-7, 3, -3)),
    ("ankle", (27, 28), (7, 8), (7, 8), 1, 1, (3, 24, 5)),
    ("heel", (29, 30), (7, 8), None, 0.7, 1, (-8, 8, 19)),
    ("toe", (31, 32), (10, 11), None, 0.7, 1, (22, 11, -31)),
)


def _points() -> tuple[Point, ...]:
    points = [Point("nose", 0, 15, None, 1, 0.5, (0, 10, -20))]
    for name, numbers, carriers, joints, image, world, (x, y, z) in _BOTH_SIDES:
        for side, sign in enumerate((1, -1)):
            joint = None if joints is None else joints[side]
            label = f"{('left', 'right')[side]}_{name}"
            offset = (sign * x, y, z)
            points.append(Point(label, numbers[side], carriers[side], joint, image, world, offset))
    return tuple(points)


POINTS = _points()
INDEX = {point.name: index for index, point in enumerate(POINTS)}


@dataclass(frozen=True, eq=False, kw_only=True)
class Landmarks:
    """The landmarks `POINTS` of one person in N pictures of a clip, those that show it.

    Attributes:
        frames: (N,) numbers of these pictures in the clip, increasing.
        image: (N, L, 2) pixels of the picture.
        world: (N, L, 3) metres about any origin, in the axes of a camera that looks at
            `centre`: x right, y down, z away from it.
        visibility: (N, L) 0..1.
        centre: (N, 2) pixels, the centre of the crop that the network looked at.
        crop_size: (N,) pixels, the side of that crop.
    """

    frames: np.ndarray
    image: np.ndarray
    world: np.ndarray
    visibility: np.ndarray
    centre: np.ndarray
    crop_size: np.ndarray

    def world_in_camera(self, K: np.ndarray) -> np.ndarray:
        """Return `world` in the camera's own axes, (N, L, 3), from the middle of the hips.

        Args:
            K: (N, 3, 3) intrinsics in pixels.
        """
        ray = np.concatenate([self.centre, np.ones((len(self.centre), 1))], 1)
        ray = unit(np.linalg.solve(np.asarray(K, np.float64), ray[..., None])[..., 0])
        axis = np.cross([0, 0, 1.0], ray)
        sine = np.linalg.norm(axis, axis=1, keepdims=True)
        turn = Rotation.from_rotvec(unit(axis) * np.arctan2(sine, ray[:, 2:])).as_matrix()
        turned = np.einsum("nij,nlj->nli", turn, self.world)
        return turned - turned[:, _HIPS].mean(1, keepdims=True)


_HIPS = [INDEX["left_hip"], INDEX["right_hip"]]


@dataclass(frozen=True, eq=False)
class BodyPoints:
    """Joints and landmarks of a body in its rest pose, linear in the betas.

    Attributes:
        parents: (22,) of the body joints, -1 for the pelvis.
        joints: (22, 3) metres, of betas 0.
        joint_shapes: (22, 3, 10) metres a unit of each beta.
        points: (L, 3), of `POINTS`.
        point_shapes: (L, 3, 10).
        carriers: (L,) body joint of each point.
    """

    parents: np.ndarray
    joints: np.ndarray
    joint_shapes: np.ndarray
    points: np.ndarray
    point_shapes: np.ndarray
    carriers: np.ndarray


def body_points(body: BodyModel) -> BodyPoints:
    """Return the landmarks of a body.

    Vertices are found by where they lie on the rest mesh, so that any mesh will do. The offsets are
    those of the packaged body; other bodies have none.
    """
    channels = np.zeros((11, 79), np.float32)
    channels[1:, 66:76] = np.eye(10)
    joints, mesh = body.rest_joints(channels[:, 66:76]), body.vertices(channels)
    carrier_of_vertex = read_arrays(body.path, ["weights"])["weights"].argmax(1)
    points = np.empty((11, len(POINTS), 3))
    for index, point in enumerate(POINTS):
        if point.joint is None:
            points[:, index] = mesh[:, _vertex(point, mesh[0], joints[0], carrier_of_vertex)]
        else:
            points[:, index] = joints[:, point.joint]
    if body.name == "stand-in":
        points += np.array([point.offset for point in POINTS]) / 1000
    return BodyPoints(
        parents=body.parents[:BODY_JOINTS],
        joints=joints[0, :BODY_JOINTS],
        joint_shapes=np.moveaxis(joints[1:, :BODY_JOINTS] - joints[0, :BODY_JOINTS], 0, -1),
        points=points[0],
        point_shapes=np.moveaxis(points[1:] - points[0], 0, -1),
        carriers=np.array([point.carrier for point in POINTS]),
    )


def _vertex(point: Point, mesh: np.ndarray, joints: np.ndarray, carriers: np.ndarray) -> int:
    """Return the vertex of a landmark on the rest mesh, which faces +z with its left at +x."""
    x, y, z = mesh.T
    eyes, side = joints[[23, 24], 1].mean(), 1 if point.name.startswith("left") else -1
    if point.name == "nose":  # the foremost one below the eyes
        where = (abs(x) < 0.012) & (y < eyes) & (y > eyes - 0.08)
        score = z
    elif point.name.endswith("ear"):  # the outermost one beside the eyes
        where = (side * x > 0) & (abs(y - eyes + 0.02) < 0.04)
        score = side * x
    else:  # the hindmost one of the foot below the ankle, or the foremost
        ankle = 7 if side > 0 else 8
        heel = point.name.endswith("heel")
        low = y < joints[ankle, 1] - 0.03 if heel else np.ones_like(y, bool)
        where = np.isin(carriers, (ankle, ankle + 3)) & low
        score = -z if heel else z
    if point.carrier == 15:
        where &= np.isin(carriers, (15, 22, 23, 24))
    return int(np.flatnonzero(where)[score[where].argmax()])


def unit(vectors: np.ndarray) -> np.ndarray:
    """Return vectors (..., n) of length 1; those of length 0 stay."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
