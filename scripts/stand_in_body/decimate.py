"""Decimation by half-edge collapse: the vertices that remain are a subset of the given ones.

So whatever belongs to a vertex (skinning weights, blend shapes) carries over by indexing. Error
measure: quadrics of Garland & Heckbert, "Surface simplification using quadric error metrics"
(SIGGRAPH 1997), with each vertex's optimum restricted to the neighbour it collapses onto.
"""

import heapq

import numpy as np

_MIN_NORMAL_COSINE = 0.2  # a triangle that would turn further than this vetoes a collapse
_LENGTH_WEIGHT = 1e-3  # of a squared edge length against a squared distance to a plane


def decimate(
    vertices: np.ndarray,
    faces: np.ndarray,
    target: int,
    *,
    locked: np.ndarray,
    importance: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Collapse the cheapest edges of a closed mesh until `target` vertices remain.

    The mesh stays a closed manifold of the same topology and no triangle turns over.

    Args:
        vertices: (V, 3).
        faces: (F, 3) consistently oriented triangles of a closed manifold.
        target: number of vertices to keep.
        locked: indices of vertices that must remain.
        importance: (V,) factor on the error made at each vertex.

    Returns:
        Indices (target,) of the vertices kept, ascending, and faces (F', 3) that index into them.

    Raises:
        ValueError: no legal collapse is left before the target is reached.
    """
    mesh = _Mesh(vertices, faces, importance)
    locked_set = set(np.asarray(locked).tolist())
    heap: list[tuple[float, int, int, int, int]] = []

    def push(source: int, onto: int) -> None:
        if source not in locked_set:
            age = (mesh.age[source], mesh.age[onto])
            heapq.heappush(heap, (mesh.cost(source, onto), source, onto, *age))

    for source in range(len(vertices)):
        for onto in sorted(mesh.neighbours(source)):
            push(source, onto)
    remaining = len(vertices)
    while remaining > target:
        if not heap:
            raise ValueError(f"decimation stops at {remaining} vertices, {target} were asked for")
        _, source, onto, source_age, onto_age = heapq.heappop(heap)
        if (mesh.age[source], mesh.age[onto]) != (source_age, onto_age):
            continue  # the neighbourhood changed since; a newer entry exists, or the vertex is gone
        if not mesh.may_collapse(source, onto):
            continue
        mesh.collapse(source, onto)
        remaining -= 1
        # What surrounds the collapse has new quadrics or new triangles: weigh its edges again.
        around = sorted(mesh.neighbours(onto))
        for vertex in [onto, *around]:
            mesh.age[vertex] += 1
        for vertex in [onto, *around]:
            for other in sorted(mesh.neighbours(vertex)):
                push(vertex, other)
                if other not in around and other != onto:
                    push(other, vertex)
    return mesh.compact()


class _Mesh:
    """Triangles with the adjacency that a collapse needs; dead triangles leave `faces_of`."""

    def __init__(self, vertices: np.ndarray, faces: np.ndarray, importance: np.ndarray):
        self.vertices = np.asarray(vertices, dtype=np.float64)
        self.faces = np.array(faces, dtype=np.int64)
        self.faces_of: list[set[int]] = [set() for _ in range(len(vertices))]
        for index, face in enumerate(self.faces.tolist()):
            for vertex in face:
                self.faces_of[vertex].add(index)
        self.quadrics = _quadrics(self.vertices, self.faces) * importance[:, None, None]
        # Area around each vertex, the unit of the quadrics; scales the edge-length term alike.
        self.mass = np.trace(self.quadrics[:, :3, :3], axis1=1, axis2=2)
        self.age = [0] * len(vertices)

    def neighbours(self, vertex: int) -> set[int]:
        rows = self.faces[list(self.faces_of[vertex])]
        return set(rows.ravel().tolist()) - {vertex}

    def cost(self, source: int, onto: int) -> float:
        """Error of moving `source` onto `onto`, in area x squared distance."""
        point = np.append(self.vertices[onto], 1.0)
        edge = self.vertices[source] - self.vertices[onto]
        error = point @ (self.quadrics[source] + self.quadrics[onto]) @ point
        return float(error + _LENGTH_WEIGHT * self.mass[source] * (edge @ edge))

    def may_collapse(self, source: int, onto: int) -> bool:
        """Return True if the mesh stays a manifold (link condition) and no triangle turns over."""
        shared = self.faces_of[source] & self.faces_of[onto]
        around_source, around_onto = self.neighbours(source), self.neighbours(onto)
        if len(shared) != 2 or len(around_source & around_onto) != 2:
            return False
        if len(around_source | around_onto) == 4:  # a tetrahedron, the smallest closed mesh
            return False
        before = self.faces[list(self.faces_of[source] - shared)]
        after = np.where(before == source, onto, before)
        old, new = _normals(self.vertices, before), _normals(self.vertices, after)
        cosine = (old * new).sum(axis=1)
        lengths = np.linalg.norm(old, axis=1) * np.linalg.norm(new, axis=1)
        return bool(np.all(cosine > _MIN_NORMAL_COSINE * lengths))

    def collapse(self, source: int, onto: int) -> None:
        """Move `source` onto `onto`: the two triangles between them vanish."""
        for index in self.faces_of[source] & self.faces_of[onto]:
            for vertex in self.faces[index].tolist():
                self.faces_of[vertex].discard(index)
        moved = list(self.faces_of[source])
        self.faces[moved] = np.where(self.faces[moved] == source, onto, self.faces[moved])
        self.faces_of[onto].update(moved)
        self.faces_of[source].clear()
        self.quadrics[onto] += self.quadrics[source]
        self.mass[onto] += self.mass[source]
        self.age[source] = -1

    def compact(self) -> tuple[np.ndarray, np.ndarray]:
        """Return indices of the vertices that remain, and the faces in terms of them."""
        kept = np.array([v for v, own in enumerate(self.faces_of) if own])
        alive = sorted(set().union(*self.faces_of))
        return kept, np.searchsorted(kept, self.faces[alive])


def _quadrics(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V, 4, 4) sums of area-weighted squared distances to the planes around each vertex."""
    normals = _normals(vertices, faces)
    double_area = np.linalg.norm(normals, axis=1, keepdims=True)
    unit = normals / np.maximum(double_area, np.finfo(float).tiny)
    offset = -(unit * vertices[faces[:, 0]]).sum(axis=1, keepdims=True)
    planes = np.concatenate([unit, offset], axis=1)
    per_face = 0.5 * double_area[:, :, None] * planes[:, :, None] * planes[:, None]
    quadrics = np.zeros((len(vertices), 4, 4))
    for corner in range(3):
        np.add.at(quadrics, faces[:, corner], per_face)
    return quadrics


def _normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(F, 3) face normals, twice the area long."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    return np.cross(b - a, c - a)
