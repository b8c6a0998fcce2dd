"""Named vertices and face landmarks of a T-posed body, found by geometry.

``smplx`` hard-codes the numbers of 21 vertices (nose, eyes, ears, finger tips, toes, heels); the
mesh is renumbered so that the right vertices carry them. The face landmarks are a rough layout
scaled to the face: enough to load and to draw, not to measure.
"""

import numpy as np

from scripts.stand_in_body.makehuman import JOINTS

# ``smplx.vertex_ids.vertex_ids["smplx"]``: interface facts of that package, by its names.
SMPLX_VERTEX_IDS = {
    "nose": 9120,
    "reye": 9929,
    "leye": 9448,
    "rear": 616,
    "lear": 6,
    "rthumb": 8079,
    "rindex": 7669,
    "rmiddle": 7794,
    "rring": 7905,
    "rpinky": 8022,
    "lthumb": 5361,
    "lindex": 4933,
    "lmiddle": 5058,
    "lring": 5169,
    "lpinky": 5286,
    "LBigToe": 5770,
    "LSmallToe": 5780,
    "LHeel": 8846,
    "RBigToe": 8463,
    "RSmallToe": 8474,
    "RHeel": 8635,
}


def named_vertices(vertices: np.ndarray, joints: np.ndarray, weights: np.ndarray) -> dict[str, int]:
    """Return the vertices that ``smplx`` knows by name, on a body in T-pose.

    Args:
        vertices: (V, 3), facing +z, y up, left is +x.
        joints: (55, 3).
        weights: (V, 55).
    """
    owner = weights.argmax(axis=1)

    def farthest(score: np.ndarray, allowed: np.ndarray) -> int:
        return int(np.where(allowed, score, -np.inf).argmax())

    x, y, z = vertices.T
    head = owner == JOINTS["head"]
    below_eyes = joints[JOINTS["left_eye"], 1] - y
    midline = (np.abs(x) < 0.005) & (below_eyes > 0.01) & (below_eyes < 0.06)
    found = {"nose": farthest(z, midline & head)}
    for side, sign in (("left", 1.0), ("right", -1.0)):
        short = side[0]
        found[f"{short}eye"] = farthest(z, owner == JOINTS[f"{side}_eye"])
        found[f"{short}ear"] = farthest(sign * x, head)
        for finger in ("thumb", "index", "middle", "ring", "pinky"):
            tip = JOINTS[f"{side}_{finger}3"]
            along = joints[tip] - joints[JOINTS[f"{side}_{finger}1"]]
            found[f"{short}{finger}"] = farthest(vertices @ along, owner == tip)
        ankle, foot = JOINTS[f"{side}_ankle"], JOINTS[f"{side}_foot"]
        # The foot joint is at the second toe: what is inside of it is the big toe. The heel is
        # the rear of the sole: a foot that stands has it on the floor.
        outward = sign * (x - joints[foot, 0])
        toes = owner == foot
        found[f"{short.upper()}BigToe"] = farthest(z, toes & (outward < 0))
        found[f"{short.upper()}SmallToe"] = farthest(outward + z, toes)
        found[f"{short.upper()}Heel"] = farthest(-z - y, owner == ankle)
    return found


def smplx_order(named: dict[str, int], count: int) -> np.ndarray:
    """Return the order (count,) of old vertex numbers that puts named ones at their SMPL-X number.

    The others keep their order.

    Raises:
        ValueError: two names share a vertex, or there are too few vertices.
    """
    if len(set(named.values())) < len(named):
        raise ValueError(f"two named vertices are the same: {named}")
    if count <= max(SMPLX_VERTEX_IDS.values()):
        raise ValueError(f"{count} vertices are too few for the vertex numbers of smplx")
    order = np.full(count, -1)
    for name, vertex in named.items():
        order[SMPLX_VERTEX_IDS[name]] = vertex
    order[order < 0] = np.setdiff1d(np.arange(count), list(named.values()))
    return order


def face_landmarks(
    vertices: np.ndarray, faces: np.ndarray, joints: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Triangles nearest to a canonical face, seen from the front.

    Returns:
        (51,) triangles in the order of the 68-point scheme without its contour, and the contour's
        (17,) triangles; each landmark is the centre of its triangle.
    """
    eyes = joints[[JOINTS["right_eye"], JOINTS["left_eye"]]]
    middle, unit = eyes.mean(axis=0), np.linalg.norm(eyes[1] - eyes[0])
    corners = vertices[faces]
    centres = corners.mean(axis=1)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    owner = weights[faces].sum(axis=1).argmax(axis=1)
    on_face = np.isin(owner, [JOINTS["head"], JOINTS["jaw"]])
    in_front = (normals[:, 2] > 0) & (centres[:, 2] > middle[2] - unit)
    candidates = np.flatnonzero(on_face & in_front)
    flat = (centres[candidates] - middle) / unit
    # Of the triangles behind one another (lips and teeth) the front one: depth counts a little.
    depth = 0.3 * (flat[:, 2].max() - flat[:, 2])

    def nearest(layout: np.ndarray) -> np.ndarray:
        distance = np.linalg.norm(layout[:, None] - flat[None, :, :2], axis=2)
        return candidates[np.hypot(distance, depth).argmin(axis=1)]

    return nearest(_inner_face()), nearest(_contour())


def _inner_face() -> np.ndarray:
    """(51, 2) points, x to the person's left, y up, origin between the eyes, unit: eye distance."""
    arc = np.linspace(0, 1, 5)
    brow = np.stack([1.0 - 0.75 * arc, 0.14 + 0.16 * np.sin(np.pi * (0.2 + 0.7 * arc))], axis=1)
    bridge = np.stack([np.zeros(4), np.linspace(0.0, -0.6, 4)], axis=1)
    nostrils = np.stack([np.linspace(-0.25, 0.25, 5), [-0.7, -0.75, -0.78, -0.75, -0.7]], axis=1)
    eye = np.array([[0.75, 0], [0.6, 0.1], [0.4, 0.1], [0.25, 0], [0.4, -0.1], [0.6, -0.1]])
    outer = _ellipse(12, half_width=0.45, half_height=0.17)
    inner = _ellipse(8, half_width=0.35, half_height=0.04)
    mirror = np.array([-1.0, 1.0])
    left_eye = eye[[3, 2, 1, 0, 5, 4]]  # both eyes run from the image's left to its right
    return np.concatenate(
        [brow * mirror, brow[::-1], bridge, nostrils, eye * mirror, left_eye, outer, inner]
    )


def _ellipse(count: int, *, half_width: float, half_height: float) -> np.ndarray:
    """(count, 2) points around the mouth from its right corner over the upper lip."""
    angle = np.pi - np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([half_width * np.cos(angle), -1.18 + half_height * np.sin(angle)], axis=1)


def _contour() -> np.ndarray:
    """(17, 2) points along the jaw from the right ear over the chin to the left ear."""
    angle = np.pi + np.linspace(0, np.pi, 17)
    return np.stack([1.1 * np.cos(angle), 1.8 * np.sin(angle)], axis=1)
