"""BlazePose's steps, by numbers of hand."""

import numpy as np
import pytest
from PIL import Image

from datasets.estimators.blazepose import steps


def test_anchors_are_the_centres_of_the_detectors_cells():
    centres = steps.anchors()
    assert centres.shape == (2254, 2)
    np.testing.assert_allclose(centres[[0, 1, 2]], [[1 / 56] * 2, [1 / 56] * 2, [3 / 56, 1 / 56]])
    np.testing.assert_allclose(centres[2 * 28 * 28], [1 / 28] * 2)
    np.testing.assert_allclose(centres[-6:], [[13 / 14] * 2] * 6)


def test_a_crop_has_the_person_upright_and_its_margin():
    about = steps.crop_about
    assert about(np.array([10.0, 20]), np.array([10.0, 16])) == pytest.approx((10, 20, 10, 0))
    lying = about(np.array([10.0, 20]), np.array([14.0, 20]))  # the head is at the right
    assert lying == pytest.approx((10, 20, 10, np.pi / 2))


def test_pixels_of_a_crop_come_from_where_its_map_says():
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8))
    picture = np.asarray(small.resize((200, 150), Image.Resampling.BICUBIC))
    image = Image.fromarray(picture)
    for crop, mirrored in (
        (steps.Crop(90, 70, 80, 0.6), False),
        (steps.Crop(100, 80, 64, -2.0), True),
    ):
        pixels, to_picture = steps.cut(image, crop, 64, mirrored=mirrored)
        for row, column in ((20, 40), (50, 10)):
            x, y = to_picture @ [column / 64, row / 64, 1]
            nearest = picture[round(y), round(x)] / 255
            assert np.abs(pixels[row, column] - nearest).max() < 0.08
    outside, _ = steps.cut(image, steps.Crop(0, 0, 50, 0), 32)
    assert outside[0, 0].tolist() == [0, 0, 0]


def test_windows_cover_the_picture_and_overlap_by_half():
    assert steps.windows((640, 360), 1) == [
        steps.Crop(320, 180, 640, 0)
    ]  # with bars above and below
    halves = steps.windows((640, 360), 2)
    assert sorted({w.x for w in halves}) == [160, 320, 480]
    assert len(steps.windows((512, 512), 4)) == 49


def test_detections_of_one_person_are_one():
    boxes = np.array([[0, 0, 10, 10], [100, 0, 110, 10], [1, 0, 11, 10.0]])
    assert steps.groups(np.array([0.6, 0.7, 0.9]), boxes) == [[2, 0], [1]]
    assert steps.overlap(boxes[0], boxes[2]) == pytest.approx(90 / 110)
    people = [
        steps.Person(0.9, steps.Crop(50, 50, 100, 0), boxes[0]),
        steps.Person(0.8, steps.Crop(65, 50, 60, 2.0), boxes[1]),  # the same hips, cut by a window
        steps.Person(0.7, steps.Crop(90, 50, 100, 0), boxes[1]),
    ]
    assert steps.distinct(people) == [people[0], people[2]]


def test_places_move_to_the_middle_of_their_heat():
    heat = np.full((64, 64, 39), -20.0)
    heat[10, 20, 0] = heat[10, 21, 0] = 20.0
    place = np.full((39, 2), 0.5)
    place[0] = [21.7 / 64, 11.2 / 64]
    out = steps.refined(place, heat)
    np.testing.assert_allclose(out[0], [20.5 / 64, 10 / 64])
    assert (out[1:] == 0.5).all()
