"""The lens model against closed forms, and pictures undistorted by it."""

import tracemalloc

import numpy as np

from datasets.adapters.formats.distortion import Undistortion, distort, source_pixels

LENS = np.array([-0.12, 0.05, 0.002, -0.003, 0.01])
K = np.array([[80.0, 0, 31.0], [0, 82.0, 47.0], [0, 0, 1]])
WIDTH, HEIGHT = 64, 96


def test_no_distortion_moves_nothing():
    points = np.random.default_rng(0).normal(size=(5, 7, 2))
    assert np.array_equal(distort(points, np.zeros(5)), points)

    columns, rows = np.moveaxis(source_pixels(K, np.zeros(5), WIDTH, np.arange(HEIGHT)), -1, 0)
    assert np.allclose(rows, np.arange(HEIGHT)[:, None])
    assert np.allclose(columns, np.arange(WIDTH))

    picture = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    undistorted = Undistortion(K, np.zeros(5), WIDTH, HEIGHT)(picture)
    assert np.array_equal(undistorted, picture)


def test_each_coefficient_has_opencvs_place_and_closed_form():
    x, y = 0.3, -0.2
    r2 = x * x + y * y
    expected = [
        (x * (1 + r2), y * (1 + r2)),
        (x * (1 + r2**2), y * (1 + r2**2)),
        (x + 2 * x * y, y + r2 + 2 * y * y),
        (x + r2 + 2 * x * x, y + 2 * x * y),
        (x * (1 + r2**3), y * (1 + r2**3)),
    ]
    for coefficients, point in zip(np.eye(5), expected, strict=True):
        assert np.allclose(distort([x, y], coefficients), point)


def test_the_axis_of_a_radial_lens_stays_where_it_is():
    assert np.array_equal(distort([0.0, 0.0], LENS), [0, 0])
    assert source_pixels(K, LENS, WIDTH, np.array([47]))[0, 31].tolist() == [31, 47]


def test_a_spot_comes_back_to_where_a_pinhole_camera_sees_it():
    ideal = np.array([[(10.0, 20.0), (50.0, 30.0), (22.0, 70.0), (31.0, 47.0)]])
    focal, centre = K[[0, 1], [0, 1]], K[:2, 2]
    taken = distort((ideal - centre) / focal, LENS) * focal + centre
    assert np.abs(taken - ideal).max() > 0.5
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    for (x, y), (u, v) in zip(ideal[0], taken[0], strict=True):
        blob = 255 * np.exp(-((columns - u) ** 2 + (rows - v) ** 2) / 8)
        picture = np.repeat(np.rint(blob)[..., None], 3, axis=2).astype(np.uint8)
        out = Undistortion(K, LENS, WIDTH, HEIGHT)(picture)[..., 0].astype(float)
        found = (columns * out).sum() / out.sum(), (rows * out).sum() / out.sum()
        assert np.allclose(found, (x, y), atol=0.1)


def test_between_pixels_the_picture_is_interpolated_and_the_outside_is_black():
    width, height = 9, 37  # more than two strips
    lens, camera = (
        np.array([0.9, 0.4, 0.05, -0.04, 0.2]),
        np.array([[8.0, 0, 4], [0, 9, 17], [0, 0, 1]]),
    )
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    padded = np.zeros((height + 2, width + 2, 3))
    padded[1:-1, 1:-1] = picture
    expected = np.zeros((height, width, 3))
    source = source_pixels(camera, lens, width, np.arange(height))
    inside = np.all((source > -1) & (source < [width, height]), axis=-1)
    assert 20 < inside.sum() < inside.size - 20
    for row, column in np.argwhere(inside):
        u, v = source[row, column] + 1
        left, top = int(u), int(v)
        across, down = u - left, v - top
        rows = padded[top : top + 2, left : left + 2]
        upper, lower = rows[:, 0] + across * (rows[:, 1] - rows[:, 0])
        expected[row, column] = upper + down * (lower - upper)
    found = Undistortion(camera, lens, width, height)(picture)
    assert found.dtype == np.uint8
    assert np.abs(found - expected).max() < 0.501
    assert not found[~inside].any()


def test_a_large_picture_takes_little_memory():
    width, height = 800, 600
    tracemalloc.start()
    try:
        undistortion = Undistortion(K, LENS, width, height)
        held, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert undistortion is not None
    assert held < 13 * width * height  # bytes
    assert most < 20 * width * height
