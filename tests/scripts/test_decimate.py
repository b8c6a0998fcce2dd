"""Decimation of small meshes: topology, shape, and which vertices stay."""

import numpy as np
import pytest

from scripts.stand_in_body.decimate import decimate
from tests.datasets.mini.meshes import cube, euler_characteristic, signed_volume, sphere, torus


def decimated(vertices, faces, target, *, locked=(), importance=1):
    importance = np.broadcast_to(importance, len(vertices)).astype(float)
    return decimate(vertices, faces, target, locked=np.array(locked, int), importance=importance)


@pytest.mark.parametrize(("surface", "euler"), [(sphere, 2), (torus, 0)])
def test_decimation_keeps_the_shape(surface, euler):
    vertices, faces = surface()
    assert euler_characteristic(vertices, faces) == euler
    kept, fewer = decimated(vertices, faces, len(vertices) // 2)
    assert len(kept) == len(vertices) // 2 and (np.diff(kept) > 0).all()
    assert signed_volume(vertices[kept], fewer) == pytest.approx(
        signed_volume(vertices, faces), rel=0.05
    )


@pytest.mark.parametrize(("surface", "euler", "target"), [(sphere, 2, 6), (torus, 0, 16)])
def test_decimation_keeps_a_closed_manifold_of_the_same_topology(surface, euler, target):
    vertices, faces = surface()
    for importance in (1, 0):  # 0: no collapse costs anything, only the vetoes are left
        kept, fewer = decimated(vertices, faces, target, importance=importance)
        assert euler_characteristic(vertices[kept], fewer) == euler


def test_decimation_keeps_locked_vertices():
    vertices, faces = sphere()
    locked = np.random.default_rng(0).choice(len(vertices), 20, replace=False)
    kept, _ = decimated(vertices, faces, 40, locked=locked)
    assert set(locked) <= set(kept)


def test_decimation_of_flat_faces_changes_nothing_that_can_be_seen():
    vertices, faces = cube()
    kept, fewer = decimated(vertices, faces, 40)
    assert set(range(8)) <= set(kept)
    assert signed_volume(vertices[kept], fewer) == pytest.approx(1, abs=1e-9)


def test_decimation_turns_no_face_over():
    vertices, faces = cube()
    edges = np.flatnonzero((np.abs(vertices - 0.5) == 0.5).sum(axis=1) > 1)
    kept, fewer = decimated(vertices, faces, len(edges) + 30, locked=edges, importance=0)
    a, b, c = vertices[kept][fewer].transpose(1, 0, 2)
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2
    assert area == pytest.approx(6, abs=1e-9)  # what is turned over covers others: more area


def test_decimation_spends_its_vertices_where_they_are_important():
    vertices, faces = sphere()
    top = vertices[:, 2] > 0
    kept, _ = decimated(vertices, faces, 130, importance=np.where(top, 4.0, 1.0))
    even, _ = decimated(vertices, faces, 130)
    assert top[kept].mean() > top[even].mean() + 0.1


@pytest.mark.parametrize("locked", [(), range(258)])
def test_decimation_says_when_it_cannot_go_on(locked):
    with pytest.raises(ValueError, match="decimation stops at"):
        decimated(*sphere(), 3, locked=locked)
