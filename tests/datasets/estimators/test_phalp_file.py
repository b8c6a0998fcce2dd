"""4D-Humans: what PHALP writes as the motion of a clip."""

import numpy as np
import pytest

from datasets.adapters.formats.phalp_file import read_track
from datasets.estimators import EstimateError
from datasets.estimators.phalp import to_motion
from datasets.rotation import axis_angle_to_matrix
from tests.datasets.estimators.phalp_files import FOCAL, HEIGHT, WIDTH, clip, entry, frame, write


def motion_of(file, clip):
    return to_motion(read_track(file), clip, WIDTH, HEIGHT)


def test_a_person_in_every_frame(tmp_path):
    rng = np.random.default_rng(0)
    people = [entry(rng, (100 + 3 * i, 90)) for i in range(12)]
    frames = [frame(i, [(7, 0, person)]) for i, person in enumerate(people)]
    motion = motion_of(write(tmp_path / "x.pkl", frames), clip(12))
    assert (motion.body, motion.space, motion.gender, motion.fps) == (
        "smpl",
        "camera",
        "neutral",
        30,
    )
    turned = axis_angle_to_matrix(motion.body_pose.reshape(12, 23, 3).astype(float))
    for i, person in enumerate(people):
        np.testing.assert_allclose(turned[i], person["smpl"]["body_pose"], atol=1e-6)
        root = axis_angle_to_matrix(motion.global_orient[i].astype(float))
        np.testing.assert_allclose(root, person["smpl"]["global_orient"][0], atol=1e-6)
    betas = np.mean([person["smpl"]["betas"] for person in people], axis=0)
    np.testing.assert_allclose(motion.betas, betas, atol=1e-6)


def test_the_person_stays_where_it_is_in_the_picture_and_as_large(tmp_path):
    rng = np.random.default_rng(0)
    people = [entry(rng, (100 + 3 * i, 80 - i)) for i in range(12)]
    frames = [frame(i, [(7, 0, person)]) for i, person in enumerate(people)]
    transl = motion_of(write(tmp_path / "x.pkl", frames), clip(12)).transl.astype(float)
    pixels = transl[:, :2] / transl[:, 2:] * [400, 410] + [250, 256]
    np.testing.assert_allclose(pixels, [(100 + 3 * i, 80 - i) for i in range(12)], atol=1e-2)
    depth = np.array([person["camera"][2] for person in people])
    np.testing.assert_allclose(400 / transl[:, 2], FOCAL / depth, rtol=1e-5)  # pixels a metre


def test_the_pelvis_stays_where_it_is_in_the_picture_and_not_the_origin_of_smpl(tmp_path):
    rng = np.random.default_rng(0)
    J0 = rng.normal(size=3), rng.normal(size=(10, 3)) * 0.1  # linear in the betas
    frames, pelves, betas = [], [], []
    for i in range(12):
        person = entry(rng, (100 + 3 * i, 80 - i))
        betas.append(person["smpl"]["betas"])
        rest = J0[0] + betas[-1] @ J0[1]
        path, facts = frame(i, [(7, 0, person)])
        facts["3d_joints"][0][8] = rest
        frames.append((path, facts))
        pelves.append(person["camera"] + rest)
    motion = motion_of(write(tmp_path / "x.pkl", frames), clip(12))
    found = motion.transl + J0[0] + np.mean(betas, axis=0) @ J0[1]
    pelves = np.array(pelves)
    was = FOCAL * pelves[:, :2] / pelves[:, 2:] + [WIDTH / 2, HEIGHT / 2]
    np.testing.assert_allclose(
        found[:, :2] / found[:, 2:] * [400, 410] + [250, 256], was, atol=0.01
    )
    np.testing.assert_allclose(400 / found[:, 2], FOCAL / pelves[:, 2], rtol=1e-5)


def test_ghosts_are_left_out(tmp_path):
    rng = np.random.default_rng(0)
    people = [entry(rng) for _ in range(8)]
    frames = [
        frame(i, [(7, 0, person)]) if i not in (3, 4) else frame(i, [(7, i - 2, people[2])])
        for i, person in enumerate(people)
    ]
    file = write(tmp_path / "x.pkl", frames)
    assert read_track(file).images.tolist() == [1, 2, 3, 6, 7, 8]
    filled = motion_of(file, clip(8))
    assert len(filled) == 8
    held = filled.global_orient[2]
    assert not np.allclose(filled.global_orient[3], held)  # interpolated, not the ghost's


def test_tracked_ids_are_not_positions_in_the_other_lists(tmp_path):
    rng = np.random.default_rng(0)
    left, right = (
        [entry(rng, (80, 90)) for _ in range(6)],
        [entry(rng, (240, 90)) for _ in range(6)],
    )
    for person in right:
        person["bbox"][2:] += 10  # the larger one
    # In frame 2 the left one, first in the lists, is a ghost: tracked_ids are of the right one.
    frames = [frame(i, [(1, int(i == 2), left[i]), (2, 0, right[i])]) for i in range(6)]
    largest = motion_of(write(tmp_path / "x.pkl", frames), clip(6))
    root = axis_angle_to_matrix(largest.global_orient.astype(float))
    expected = [person["smpl"]["global_orient"][0] for person in right]
    np.testing.assert_allclose(root, expected, atol=1e-6)


def test_the_person_with_the_largest_summed_area_is_taken(tmp_path):
    rng = np.random.default_rng(0)
    frames = []
    for i in range(10):
        passer_by, person = entry(rng), entry(rng)
        passer_by["bbox"][2:] *= 2
        people = [(5, 0, passer_by)] * (i < 2) + [(9, 0, person)]
        frames.append(frame(i, people))
    assert len(read_track(write(tmp_path / "x.pkl", frames)).images) == 10


@pytest.mark.parametrize("seen", [range(31, 65), range(34), [0, 32, 64]])
def test_too_much_missing_is_an_error(tmp_path, seen):
    rng = np.random.default_rng(0)
    frames = [frame(i, [(7, 0, entry(rng))] if i in seen else []) for i in range(65)]
    file = write(tmp_path / "x.pkl", frames)
    with pytest.raises(EstimateError, match=r"no_person: .* of 65 frames"):
        motion_of(file, clip(65))
    with pytest.raises(EstimateError, match="more than the clip's 20 frames"):
        motion_of(file, clip(20))


def test_images_numbered_from_0_are_not_taken_for_their_successors(tmp_path):
    rng = np.random.default_rng(0)
    frames = [frame(i - 1, [(7, 0, entry(rng))]) for i in range(8)]
    with pytest.raises(EstimateError, match="from 0, not from 1"):
        motion_of(write(tmp_path / "x.pkl", frames), clip(8))


def test_numbers_that_are_not_finite(tmp_path):
    person = entry(np.random.default_rng(0))
    person["camera"][0] = np.nan
    file = write(tmp_path / "x.pkl", [frame(0, [(7, 0, person)])])
    with pytest.raises(EstimateError, match="nan"):
        motion_of(file, clip(1))
