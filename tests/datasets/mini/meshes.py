"""Small closed meshes, and what is checked of a mesh."""

import numpy as np


def grid_surface(rows, columns, place):
    """Triangles of a closed (rows, columns) grid that wraps around both ways."""
    index = np.arange(rows * columns).reshape(rows, columns)
    right, down = np.roll(index, -1, axis=1), np.roll(index, -1, axis=0)
    corner = np.roll(down, -1, axis=1)
    faces = np.concatenate(
        [
            np.stack([index, right, corner], axis=-1).reshape(-1, 3),
            np.stack([index, corner, down], axis=-1).reshape(-1, 3),
        ]
    )
    u, v = np.meshgrid(
        np.arange(rows) * 2 * np.pi / rows, np.arange(columns) * 2 * np.pi / columns, indexing="ij"
    )
    return place(u.ravel(), v.ravel()), faces


def torus():
    def place(u, v):
        ring = 1 + 0.4 * np.cos(v)
        return np.stack([ring * np.cos(u), ring * np.sin(u), 0.4 * np.sin(v)], axis=1)

    return grid_surface(24, 12, place)


def sphere():
    """A subdivided octahedron of radius 1."""
    vertices = np.array(
        [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], float
    )
    faces = np.array(
        [[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]]
    )
    for _ in range(3):
        vertices, faces = subdivide(vertices, faces)
        vertices /= np.linalg.norm(vertices, axis=1, keepdims=True)
    return vertices, faces


def subdivide(vertices, faces):
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    unique, inverse = np.unique(edges, axis=0, return_inverse=True)
    a, b, c = (inverse.ravel() + len(vertices)).reshape(3, -1)
    x, y, z = faces.T
    finer = [np.stack(t, axis=1) for t in ((x, a, c), (a, y, b), (c, b, z), (a, b, c))]
    return np.concatenate([vertices, vertices[unique].mean(axis=1)]), np.concatenate(finer)


def cube():
    """A finely triangulated unit cube."""
    vertices = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
    faces = [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1]]
    faces += [[2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]]
    faces = np.array(faces)
    for _ in range(3):
        vertices, faces = subdivide(vertices, faces)
    return vertices, faces


def euler_characteristic(vertices, faces):
    """V - E + F of a mesh that must be closed, oriented and without unused vertices."""
    directed = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    assert len(np.unique(directed, axis=0)) == len(directed), "an edge is used twice one way"
    backwards = np.unique(directed[:, ::-1], axis=0)
    assert np.array_equal(np.unique(directed, axis=0), backwards), "the mesh has a border"
    assert np.array_equal(np.unique(faces), np.arange(len(vertices)))
    return len(vertices) - len(directed) // 2 + len(faces)


def signed_volume(vertices, faces):
    return np.linalg.det(vertices[faces]).sum() / 6
