"""The mesh that is drawn: a body's own, or a coarse one for small pictures."""

import functools
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from datasets.bodies.smplx import BodyModel
from datasets.bodies.smplx_file import read_arrays
from datasets.motion import NUM_CHANNELS

CELL = 0.03  # m: at 128 pixels, clusters of this size look like the whole mesh
_CLOTH = (*range(0, 7), 9, 13, 14, *range(16, 20))  # joints of the parts that clothes may cover
_DRAPE = 8  # rounds of smoothing: clothes hang over what is less than about 4 cm wide


@dataclass(frozen=True, eq=False)
class Figure:
    """A body and what its clothes are cut by, in the rest (T) pose of the mean shape."""

    body: BodyModel  # with the mesh that is drawn
    rest: np.ndarray  # (V, 3) metres, vertices
    joint: np.ndarray  # (V,) the joint, of 55, that moves each vertex most
    joints: np.ndarray  # (55, 3) metres

    @cached_property
    def _around(self) -> sparse.csr_matrix:
        """(V, F), 1 where a face touches a vertex."""
        faces = self.body.faces
        owner = np.repeat(np.arange(len(faces)), 3)
        ones = np.ones(faces.size, np.float32)
        return sparse.csr_matrix((ones, (faces.ravel(), owner)), (len(self.rest), len(faces)))

    @cached_property
    def _drape(self) -> sparse.csr_matrix:
        """(V, V) mean over each vertex and its neighbours under clothes, identity elsewhere."""
        shared = ((self._around @ self._around.T) > 0).astype(np.float32)
        cloth = sparse.diags(np.isin(self.joint, _CLOTH).astype(np.float32))
        linked = cloth @ shared @ cloth + sparse.diags(1 - cloth.diagonal())
        return sparse.csr_matrix(sparse.diags(1 / np.ravel(linked.sum(axis=1))) @ linked)

    def normals(self, vertices: np.ndarray) -> np.ndarray:
        """(V, 3) unit normals of posed vertices (V, 3), to shade by.

        Smooth over the faces around each vertex, and over more where clothes hide the skin's shape.
        """
        normals = unit(self._around @ face_normals(vertices[self.body.faces]))
        for _ in range(_DRAPE):
            normals = self._drape @ normals
        return unit(normals)


@functools.lru_cache(maxsize=4)
def fine(body: BodyModel) -> Figure:
    """Return the body with its own mesh."""
    rest = body.vertices(np.zeros((1, NUM_CHANNELS), np.float32))[0]
    joint = read_arrays(body.path, ["weights"])["weights"].argmax(axis=1)
    return Figure(body, rest, joint, body.rest_joints(np.zeros(10)))


@functools.lru_cache(maxsize=4)
def coarse(body: BodyModel) -> Figure:
    """The body with its vertices clustered in cells of 3 cm, joint by joint, in the rest pose.

    Of each cluster the vertex nearest to the mean stays, so it keeps its skinning weights; faces
    whose corners fall together vanish.
    """
    whole = fine(body)
    cells = np.floor(whole.rest / CELL).astype(np.int64)
    _, cluster = np.unique(np.column_stack([whole.joint, cells]), axis=0, return_inverse=True)
    cluster = cluster.reshape(-1)
    count = np.bincount(cluster)
    mean = np.stack([np.bincount(cluster, axis) / count for axis in whole.rest.T], axis=1)
    distance = np.linalg.norm(whole.rest - mean[cluster], axis=1)
    ranked = np.lexsort((distance, cluster))
    chosen = ranked[np.searchsorted(cluster[ranked], np.arange(len(count)))]
    faces = cluster[body.faces]
    faces = faces[np.all(faces != np.roll(faces, 1, axis=1), axis=1)]
    _, first = np.unique(np.sort(faces, axis=1), axis=0, return_index=True)
    small = body.subset(chosen, faces[np.sort(first)])
    return Figure(small, whole.rest[chosen], whole.joint[chosen], whole.joints)


def face_normals(corners: np.ndarray) -> np.ndarray:
    """(..., 3) outward normals of triangles (..., 3, 3), twice the area long."""
    a, b, c = corners[..., 0, :], corners[..., 1, :], corners[..., 2, :]
    return np.cross(b - a, c - a)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., 3) of length one; zero stays zero."""
    length = np.sqrt(np.einsum("...i,...i->...", vectors, vectors))
    return vectors / np.where(length > 0, length, 1)[..., None]
