"""Padding and resizing: sizes, intrinsics and points agree with the picture that comes out."""

import numpy as np
import pytest

from datasets.motion import Camera
from datasets.video.pad_resize import PadResize

SIZES = [(1920, 1080), (1080, 1920), (812, 720), (100, 7), (33, 77), (512, 512), (64, 64), (1, 1)]


@pytest.mark.parametrize(
    ("size", "inner", "pads"),  # of the five datasets; pads left, top, right, bottom
    [
        ((1920, 1080), (512, 288), (0, 112, 0, 112)),
        ((1080, 1920), (288, 512), (112, 0, 112, 0)),
        ((1280, 720), (512, 288), (0, 112, 0, 112)),
        ((4112, 3008), (512, 375), (0, 68, 0, 69)),
        ((2048, 2448), (428, 512), (42, 0, 42, 0)),
        ((3000, 4096), (375, 512), (68, 0, 69, 0)),
        ((1000, 1), (512, 1), (0, 255, 0, 256)),
    ],
)
def test_sizes(size, inner, pads):
    resize = PadResize(*size, 512)
    assert resize.inner == inner
    assert resize.pads == pads


@pytest.mark.parametrize("size", SIZES)
def test_the_picture_and_its_bars_fill_the_square(size):
    resize = PadResize(*size, 64)
    left, top, right, bottom = resize.pads
    assert (left + resize.inner[0] + right, top + resize.inner[1] + bottom) == (64, 64)
    assert 0 <= right - left <= 1
    assert 0 <= bottom - top <= 1
    square = resize.image(np.full((size[1], size[0], 3), 200, np.uint8))
    assert (square[top : 64 - bottom, left : 64 - right] == 200).all()
    assert square.sum() == 200 * 3 * resize.inner[0] * resize.inner[1]  # the bars are black


@pytest.mark.parametrize("size", SIZES)
def test_corners_of_the_picture_are_corners_of_the_inner_picture(size):
    resize = PadResize(*size, 64)
    left, top = resize.pads[:2]
    ends = np.array([[left, top], np.add((left, top), resize.inner)], float)
    assert np.allclose(resize.points([[0, 0], size]), ends)
    # With whole numbers at pixel centres, corners are half a pixel before and behind.
    corners = np.array([[0, 0], size]) - 0.5
    assert np.allclose(resize.points(corners, "centre"), ends - 0.5)


@pytest.mark.parametrize("origin", ["corner", "centre"])
def test_the_camera_sees_points_where_the_square_shows_them(origin):
    rng = np.random.default_rng(0)
    K = np.tile(np.array([[1900, 0, 930], [0, 1950, 555], [0, 0, 1]], np.float32), (3, 1, 1))
    camera = Camera(K, None, 1920, 1080, origin)
    resize = PadResize(1920, 1080, 512)
    resized = resize.camera(camera)
    assert (resized.width, resized.height, resized.pixel_origin) == (512, 512, origin)
    points = rng.normal(0, 1, (3, 20, 3)) + [0, 0, 5]

    def project(K):
        image = np.einsum("tij,tpj->tpi", K.astype(np.float64), points)
        return image[..., :2] / image[..., 2:]

    expected = resize.points(project(camera.K), origin)
    assert np.allclose(project(resized.K), expected, atol=1e-3)


def test_intrinsics_of_both_conventions():
    """Centre cx' = cx sx + pad (corner), (cx + 0.5) sx - 0.5 + pad (centre); fx' = fx sx."""
    K = np.array([[[3567.0, 0, 2056], [0, 3567, 1504], [0, 0, 1]]])
    resize = PadResize(4112, 3008, 512)
    sx, sy = 512 / 4112, 375 / 3008
    for origin, cx, cy in (
        ("corner", 2056 * sx, 1504 * sy + 68),
        ("centre", 2056.5 * sx - 0.5, 1504.5 * sy - 0.5 + 68),
    ):
        camera = Camera(K, None, 4112, 3008, origin)
        expected = [[3567 * sx, 0, cx], [0, 3567 * sy, cy], [0, 0, 1]]
        assert np.allclose(resize.camera(camera).K[0], expected, rtol=1e-6)


@pytest.mark.parametrize("size", [(320, 180), (180, 320), (812, 720), (97, 131), (40, 30)])
@pytest.mark.parametrize("dot", [(0.1, 0.2), (0.5, 0.5), (0.93, 0.81)])
def test_a_dot_lands_where_points_says(size, dot):
    """The centroid of a small dot, in both conventions, well within half a pixel."""
    columns, rows = np.arange(size[0]), np.arange(size[1])[:, None]
    x, y = np.array(dot) * size - 0.5
    spot = np.exp(-(((columns - x) / 1.5) ** 2) - ((rows - y) / 1.5) ** 2)
    frame = np.repeat(np.round(255 * spot)[:, :, None], 3, axis=2).astype(np.uint8)
    resize = PadResize(*size, 128)
    before, after = _centroid(frame), _centroid(resize.image(frame))
    assert np.abs(after - resize.points(before, "centre")).max() < 0.1
    assert np.abs(after + 0.5 - resize.points(before + 0.5, "corner")).max() < 0.1


def _centroid(picture):
    """Centre (x, y) of what is bright, in whole numbers at pixel centres."""
    weight = picture[..., 0].astype(float)
    rows, columns = np.indices(weight.shape)
    return np.array([(columns * weight).sum(), (rows * weight).sum()]) / weight.sum()


def test_shrinking_averages():
    """A checkerboard of single pixels becomes grey, not black or white."""
    board = np.indices((64, 64)).sum(axis=0) % 2 * 255
    frame = np.repeat(board[:, :, None], 3, axis=2).astype(np.uint8)
    square = PadResize(64, 64, 16).image(frame)
    assert np.abs(square.astype(int) - 127.5).max() < 1


def test_a_picture_of_its_own_size_is_not_touched():
    frame = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    assert np.array_equal(PadResize(64, 64, 64).image(frame), frame)


def test_what_does_not_fit_is_refused():
    resize = PadResize(64, 32, 16)
    for shape in ((64, 32, 3), (32, 64), (32, 64, 4)):
        with pytest.raises(ValueError, match="picture"):
            resize.image(np.zeros(shape, np.uint8))
    camera = Camera(np.eye(3)[None], None, 32, 64)
    with pytest.raises(ValueError, match="32x64"):
        resize.camera(camera)
    for size in ((0, 10, 10), (10, 0, 10), (10, 10, 0)):
        with pytest.raises(ValueError, match="no picture"):
            PadResize(*size)
