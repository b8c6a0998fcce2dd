"""3DPW: every trap of its files, on a miniature in the official layout."""

import os
import pickle
import re
import shutil

import numpy as np
import pytest

from benchmark.commands.rehearse.miniatures.threedpw import (
    FRAMES,
    NO_LABELS,
    REST_SHIFT,
    SIZES,
    build,
    dump,
    labels,
    picture,
)
from datasets import rotation
from datasets.adapters.threedpw import DATASET
from datasets.bodies.smplx import load_body
from tests.datasets.mini import reading
from tests.pickle_trap import Trap

ONE, TWO, LATE = "courtyard_fake_00", "downtown_fake_00", "outdoors_fake_00"
MORE, ALONE = "courtyard_fake_01", "downtown_fake_01"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("3dpw") / "3DPW"
    build(root)
    return root


@pytest.fixture
def own_root(root, tmp_path):
    """A copy that a test may damage."""
    return shutil.copytree(root, tmp_path / "3DPW")


def read(root):
    found, skipped = reading.read(DATASET, root)
    return {(name, person): sequence for (name, _, person), sequence in found.items()}, skipped


@pytest.fixture(scope="module")
def whole(root):
    """The sequences of the miniature by name and person, and what was skipped."""
    return read(root)


def rewritten(root, sequence, folder, change):
    """Rewrite a sequence's labels after `change` was done to them."""
    found, _ = labels(sequence)
    change(found)
    dump(root / "sequenceFiles" / folder / f"{sequence}.pkl", found)


def test_splits_are_the_folders_and_validation_is_val(whole):
    found, _ = whole
    splits = {name: s.split for (name, _), s in found.items()}
    assert splits == {ONE: "train", MORE: "train", LATE: "val", TWO: "test", ALONE: "test"}


def test_labels_go_with_the_picture_of_their_row_not_with_img_frame_ids(whole):
    sequence = whole[0][ONE, "0"]
    np.testing.assert_array_equal(sequence.frame_ids, np.arange(FRAMES))
    np.testing.assert_array_equal(sequence.native["img_frame_ids"], 2 * np.arange(FRAMES))
    assert sequence.native["img_frame_ids"].dtype == np.uint16
    rows = [3, 40, 69]
    for row, frame in zip(rows, sequence.source.frames(rows), strict=True):
        assert abs(float(frame.mean()) - picture(row)) < 1.5
    assert sequence.fps == 30


def test_python_2_text_is_read_as_text(whole):
    found, _ = whole
    genders = {key: s.motion.gender for key, s in found.items()}
    assert genders == {
        (ONE, "0"): "male",
        (MORE, "0"): "male",
        (LATE, "0"): "male",
        (TWO, "0"): "male",
        (TWO, "1"): "female",
        (ALONE, "0"): "male",
    }
    assert found[TWO, "1"].native["genders"] == np.array("f")
    assert found[ONE, "0"].motion.body == "smpl"


def test_of_300_betas_ten_are_the_shape_and_all_are_kept(whole):
    sequence = whole[0][ONE, "0"]
    wanted = labels(ONE)[0]["betas"][0]
    np.testing.assert_allclose(sequence.camera_motion.betas, wanted[:10], rtol=1e-6)
    np.testing.assert_array_equal(sequence.native["betas"], wanted)


def test_cam_poses_lead_from_the_world_into_the_camera(whole):
    sequence = whole[0][ONE, "0"]
    wanted = labels(ONE)[0]["cam_poses"]
    rows = sequence.valid
    np.testing.assert_allclose(sequence.view.T_w2c[rows], wanted[rows], atol=1e-6)
    up = sequence.view.T_w2c[rows][:, :3, :3] @ np.array([0.0, 1, 0])
    np.testing.assert_allclose(up, np.tile([0, -1, 0], (rows.sum(), 1)), atol=1e-6)


def test_the_root_turns_about_the_pelvis_that_the_file_tells(whole):
    sequence = whole[0][ONE, "0"]
    found, _ = labels(ONE)
    rest = load_body(gender="male").rest_joints(found["betas"][0][:10])[0] + REST_SHIFT
    np.testing.assert_allclose(sequence.pelvis_rest, rest, atol=1e-5)
    rows = sequence.valid
    turned = found["cam_poses"][rows, :3, :3] @ rotation.axis_angle_to_matrix(
        found["poses"][0][rows, :3]
    )
    camera = rotation.axis_angle_to_matrix(sequence.camera_motion.global_orient[rows])
    np.testing.assert_allclose(camera, turned, atol=1e-5)


@pytest.mark.parametrize("spoil", ["moves", "missing"])
def test_without_a_steady_root_joint_the_bodys_own_pelvis_is_used(own_root, spoil):
    def change(found):
        if spoil == "missing":
            del found["jointPositions"]
        else:
            found["jointPositions"][0][:, 1] += np.linspace(0, 0.01, FRAMES)

    rewritten(own_root, ONE, "train", change)
    sequence = read(own_root)[0][ONE, "0"]
    rest = load_body(gender="male").rest_joints(sequence.camera_motion.betas)[0]
    np.testing.assert_allclose(sequence.pelvis_rest, rest, atol=1e-6)
    assert ("jointPositions" in sequence.native) == (spoil == "moves")


def test_a_frame_counts_where_camera_joints_labels_and_picture_are_good(whole):
    found, _ = whole
    invalid = {key: np.flatnonzero(~s.valid).tolist() for key, s in found.items()}
    assert invalid == {
        (ONE, "0"): [0, 1, 69],  # nan, no 2D joints, no aligned camera
        (MORE, "0"): [],
        (LATE, "0"): [0],  # no picture
        (TWO, "0"): [0, 1, 2],
        (TWO, "1"): [69],
        (ALONE, "0"): [],
    }


def test_labels_that_are_not_numbers_stay_so_in_native_only(whole):
    sequence = whole[0][ONE, "0"]
    assert np.isnan(sequence.native["trans"][0]).all()
    np.testing.assert_array_equal(sequence.world_motion.transl[0], sequence.world_motion.transl[2])


def test_two_people_share_the_cameras_but_not_their_validity(whole):
    found, _ = whole
    first, second = found[TWO, "0"], found[TWO, "1"]
    assert (first.num_people, second.num_people, found[ONE, "0"].num_people) == (2, 2, 1)
    assert first.group == second.group == TWO
    both = first.valid & second.valid
    np.testing.assert_array_equal(first.view.T_w2c[both], second.view.T_w2c[both])
    assert not np.array_equal(first.valid, second.valid)


def test_portrait_pictures_are_portrait(whole):
    sequence = whole[0][TWO, "0"]
    assert (sequence.view.width, sequence.view.height) == SIZES[TWO] == (72, 128)
    assert sequence.view.pixel_origin == "corner"
    assert next(sequence.source.frames([5])).shape == (128, 72, 3)


def test_native_labels_are_what_the_file_holds(whole):
    sequence = whole[0][TWO, "1"]
    wanted, _ = labels(TWO, seed=2)
    for name in ("poses", "trans", "jointPositions", "poses2d"):
        np.testing.assert_array_equal(sequence.native[name], wanted[name][1])
        assert name in sequence.native_frames
    assert sequence.native["poses"].dtype == np.float64
    np.testing.assert_array_equal(sequence.native["cam_intrinsics"], wanted["cam_intrinsics"])
    assert "poses_60Hz" not in sequence.native


def test_a_file_among_the_folders_of_pictures_is_passed_over(own_root):
    (own_root / "imageFiles" / ".DS_Store").touch()
    assert ".DS_Store" not in read(own_root)[1]


def test_pictures_without_labels_are_told(whole):
    _, skipped = whole
    assert skipped == {NO_LABELS: "pictures without labels: no such file in sequenceFiles"}


def test_a_pickle_that_would_run_code_never_runs_and_stops_no_other(own_root, tmp_path):
    marker = tmp_path / "it ran"
    found = labels(ONE)[0] | {"betas_clothed": Trap(os.mkdir, str(marker))}
    (own_root / "sequenceFiles/train" / f"{ONE}.pkl").write_bytes(pickle.dumps(found, 2))
    people, skipped = read(own_root)
    assert not marker.exists()
    assert "which is not data: refused" in skipped[ONE]
    assert len(people) == 5


SPOILED = {
    "cameras of text": (lambda d: d.update(cam_poses="none"), "cam_poses are not one matrix"),
    "no list": (lambda d: d.update(poses=None), "poses is not a list of people"),
    "no cameras": (lambda d: d.pop("cam_poses"), "has no cam_poses"),
    "fewer people": (lambda d: d["betas"].clear(), "betas is of 0 people, poses of 1"),
    "fewer frames": (lambda d: d.update(trans=[d["trans"][0][1:]]), r"trans has shape \(69, 3\)"),
    "poses2d turned": (
        lambda d: d.update(poses2d=[d["poses2d"][0].transpose(0, 2, 1)]),
        r"poses2d has shape \(70, 18, 3\)",
    ),
    "a mirrored camera": (
        lambda d: d.update(cam_poses=d["cam_poses"] * np.array([1, 1, -1, 1])[:, None]),
        "T_w2c is not a rotation",
    ),
    "no valid frame": (lambda d: d["campose_valid"][0].fill(0), "no frame has a usable label"),
    "another gender": (lambda d: d.update(genders=["n"]), "gender is 'n'"),
    "nine betas": (lambda d: d.update(betas=[np.zeros(9)]), r"betas have shape \(9,\)"),
    "endless betas": (lambda d: d.update(betas=[np.full(10, np.inf)]), "betas is not finite"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_labels_that_are_not_3dpws_are_told_and_stop_no_other(own_root, name):
    change, reason = SPOILED[name]
    rewritten(own_root, ONE, "train", change)
    people, skipped = read(own_root)
    assert len(people) == 5
    (told,) = [text for key, text in skipped.items() if key.startswith(ONE)]
    assert re.search(reason, told), told


@pytest.mark.parametrize("content", [b"", b"\x80\x02", b"not a pickle"])
def test_damaged_label_files_are_told(own_root, content):
    (own_root / "sequenceFiles/train" / f"{ONE}.pkl").write_bytes(content)
    people, skipped = read(own_root)
    assert len(people) == 5
    assert f"{ONE}.pkl" in skipped[ONE]


def test_a_sequence_without_pictures_is_told(own_root):
    shutil.rmtree(own_root / "imageFiles" / ONE)
    people, skipped = read(own_root)
    assert len(people) == 5
    assert "imageFiles" in skipped[ONE]
