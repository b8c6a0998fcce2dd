"""Rotations: the 6D layout by hand, agreement with roma, angles near pi, degenerate 6D."""

import numpy as np
import pytest

from datasets import rotation

# A quarter turn about z takes x to y and y to -x.
QUARTER_Z = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
# Not symmetric under transposition of any kind: tells columns from rows.
MIXED = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])


def random_axis_angles(n=500, seed=0, largest=np.pi):
    rng = np.random.default_rng(seed)
    axis = rng.normal(size=(n, 3))
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    return axis * rng.uniform(0, largest, (n, 1))


def test_axis_angle_of_a_quarter_turn():
    matrix = rotation.axis_angle_to_matrix(np.array([0, 0, np.pi / 2]))
    np.testing.assert_allclose(matrix, QUARTER_Z, atol=1e-15)
    np.testing.assert_allclose(rotation.matrix_to_axis_angle(QUARTER_Z), [0, 0, np.pi / 2])


def test_6d_is_the_first_column_then_the_second():
    np.testing.assert_array_equal(rotation.matrix_to_sixd(QUARTER_Z), [0, 1, 0, -1, 0, 0])
    np.testing.assert_array_equal(rotation.matrix_to_sixd(MIXED), [0, 1, 0, 0, 0, 1])
    np.testing.assert_array_equal(rotation.sixd_to_matrix(np.array([0.0, 1, 0, 0, 0, 1])), MIXED)


def test_gram_schmidt_keeps_the_first_direction_and_drops_lengths():
    # First column along x whatever its length; the second loses its part along x.
    sixd = np.array([3.0, 0, 0, 5.0, 0, 2.0])
    expected = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    np.testing.assert_allclose(rotation.sixd_to_matrix(sixd), expected, atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 5, 7, 3), (0, 3)])
def test_shapes_and_dtypes_are_kept(shape, dtype):
    axis_angle = np.random.default_rng(0).normal(size=shape).astype(dtype)
    matrix = rotation.axis_angle_to_matrix(axis_angle)
    assert matrix.shape == (*shape[:-1], 3, 3) and matrix.dtype == dtype
    sixd = rotation.matrix_to_sixd(matrix)
    assert sixd.shape == (*shape[:-1], 6) and sixd.dtype == dtype
    back = rotation.sixd_to_matrix(sixd)
    assert back.shape == matrix.shape and back.dtype == dtype
    assert rotation.matrix_to_axis_angle(back).shape == shape


def test_round_trips():
    axis_angle = random_axis_angles(largest=np.pi - 1e-6)
    matrix = rotation.axis_angle_to_matrix(axis_angle)
    np.testing.assert_allclose(rotation.matrix_to_axis_angle(matrix), axis_angle, atol=1e-8)
    back = rotation.sixd_to_matrix(rotation.matrix_to_sixd(matrix))
    np.testing.assert_allclose(back, matrix, atol=1e-12)


def test_agreement_with_roma():
    roma = pytest.importorskip("roma")
    torch = pytest.importorskip("torch")
    axis_angle = random_axis_angles(seed=1)
    matrix = rotation.axis_angle_to_matrix(axis_angle)
    theirs = roma.rotvec_to_rotmat(torch.from_numpy(axis_angle)).numpy()
    np.testing.assert_allclose(matrix, theirs, atol=1e-12)
    # roma's 6D is the (3, 2) matrix of the two columns.
    sixd = np.random.default_rng(2).normal(size=(100, 6))
    columns = torch.from_numpy(np.stack([sixd[:, :3], sixd[:, 3:]], axis=-1))
    theirs = roma.special_gramschmidt(columns).numpy()
    np.testing.assert_allclose(rotation.sixd_to_matrix(sixd), theirs, atol=1e-12)


@pytest.mark.parametrize("gap", [0, 1e-12, 1e-9, 1e-7, 1e-5])
def test_angles_near_pi_survive(gap):
    axis = random_axis_angles(200, seed=3)
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    matrix = rotation.axis_angle_to_matrix(axis * (np.pi - gap))
    back = rotation.matrix_to_axis_angle(matrix)
    assert np.linalg.norm(back, axis=1).max() <= np.pi + 1e-12
    # At pi the axis has two signs; the rotation has one.
    np.testing.assert_allclose(rotation.axis_angle_to_matrix(back), matrix, atol=1e-9)


def test_tiny_and_zero_angles():
    np.testing.assert_array_equal(rotation.axis_angle_to_matrix(np.zeros(3)), np.eye(3))
    np.testing.assert_array_equal(rotation.matrix_to_axis_angle(np.eye(3)), np.zeros(3))
    tiny = random_axis_angles(100, seed=4) * 1e-9
    back = rotation.matrix_to_axis_angle(rotation.axis_angle_to_matrix(tiny))
    np.testing.assert_allclose(back, tiny, atol=1e-15)


def test_canonical_axis_angle_is_the_short_way_round():
    np.testing.assert_allclose(
        rotation.canonical_axis_angle(np.array([0, 0, 1.5 * np.pi])), [0, 0, -np.pi / 2]
    )
    long = random_axis_angles(200, seed=5) * 7
    short = rotation.canonical_axis_angle(long)
    assert np.linalg.norm(short, axis=1).max() <= np.pi + 1e-12
    np.testing.assert_allclose(
        rotation.axis_angle_to_matrix(short), rotation.axis_angle_to_matrix(long), atol=1e-9
    )


@pytest.mark.parametrize(
    "sixd",
    [
        [0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 1, 0],
        [1, 0, 0, 0, 0, 0],
        [1, 0, 0, -2, 0, 0],
        [0, 3, 0, 0, 3, 0],
        [1, 1, 1, 2, 2, 2],
        [1e-30, 0, 0, 0, 1e-30, 0],
    ],
)
def test_degenerate_6d_is_still_a_rotation(sixd):
    matrix = rotation.sixd_to_matrix(np.array(sixd, dtype=np.float64))
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(matrix) == pytest.approx(1)


def test_one_degenerate_row_leaves_the_others_alone():
    matrix = rotation.axis_angle_to_matrix(random_axis_angles(5))
    sixd = rotation.matrix_to_sixd(matrix)
    sixd[2] = 0
    good = [0, 1, 3, 4]
    np.testing.assert_allclose(rotation.sixd_to_matrix(sixd)[good], matrix[good], atol=1e-12)


def test_projection_is_the_nearest_rotation():
    rng = np.random.default_rng(6)
    target = rotation.axis_angle_to_matrix(random_axis_angles(20, seed=6))
    noisy = target + 0.1 * rng.normal(size=target.shape)
    found = rotation.project_to_rotation(noisy)
    np.testing.assert_allclose(
        found @ np.swapaxes(found, 1, 2), np.tile(np.eye(3), (20, 1, 1)), atol=1e-12
    )
    distance = np.linalg.norm(found - noisy, axis=(1, 2))
    for _ in range(50):
        turn = rotation.axis_angle_to_matrix(rng.normal(size=(20, 3)) * 0.05)
        assert np.all(np.linalg.norm(turn @ found - noisy, axis=(1, 2)) >= distance)


def test_projection_of_a_mirror_is_no_mirror():
    assert np.linalg.det(rotation.project_to_rotation(np.diag([1.0, 1, -1]))) == pytest.approx(1)


def test_nearly_parallel_float32_columns_give_rotations():
    rng = np.random.default_rng(8)
    first = rng.normal(size=(2000, 3)) * 10.0 ** rng.uniform(-12, 12, (2000, 1))
    second = first * rng.normal(size=(2000, 1)) + first * rng.normal(0, 1e-7, (2000, 3))
    matrix = rotation.sixd_to_matrix(np.concatenate([first, second], 1).astype(np.float32))
    gram = matrix @ np.swapaxes(matrix, 1, 2)
    np.testing.assert_allclose(gram, np.tile(np.eye(3), (2000, 1, 1)), atol=1e-6)
    np.testing.assert_allclose(np.linalg.det(matrix), 1, atol=1e-6)


def test_float32_input_gives_the_float64_result_rounded():
    sixd = np.random.default_rng(9).normal(size=(100, 6)).astype(np.float32)
    exact = rotation.sixd_to_matrix(sixd.astype(np.float64))
    np.testing.assert_array_equal(rotation.sixd_to_matrix(sixd), exact.astype(np.float32))


@pytest.mark.parametrize(
    "up", [(0, 1, 0), (0, 0, 1), (0, 0, -1), (-1, 0, 0), (0, -1, 0), (0.2, -0.3, 2.0)]
)
def test_a_way_up_is_turned_to_y_by_the_shortest_rotation(up):
    turn = rotation.up_to_y(np.array(up, float))
    assert np.allclose(turn @ up, [0, np.linalg.norm(up), 0])
    assert np.linalg.det(turn) == pytest.approx(1)
    angle = np.linalg.norm(rotation.matrix_to_axis_angle(turn))
    assert np.cos(angle) == pytest.approx(up[1] / np.linalg.norm(up))


def test_mirrors_stretches_and_what_is_not_finite_are_no_rotations():
    good = rotation.axis_angle_to_matrix(random_axis_angles(6)).reshape(2, 3, 3, 3)
    rounded = good.astype(np.float16).astype(np.float64)  # as far as stored labels are exact
    assert rotation.is_rotation(good).all()
    assert rotation.is_rotation(rounded).shape == (2, 3) and rotation.is_rotation(rounded).all()
    for bad in (-np.eye(3), 1.01 * np.eye(3), np.zeros((3, 3)), np.full((3, 3), np.nan)):
        assert not rotation.is_rotation(bad)
