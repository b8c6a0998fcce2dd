"""RICH: every trap of its layout and conventions, on a miniature copy."""

import json
import pickle
import shutil

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from benchmark.commands.rehearse.miniatures import rich as mini_rich
from datasets.adapters.rich import DATASET
from tests.datasets.mini import reading
from tests.pickle_trap import Trap

GYM, HALL = "Gym_011_fake1", "LectureHall_018_wipingspray1"
BALL, JUGGLE = "Pavallion_003_018_tossball", "BBQ_001_juggle"
GUITAR = "BBQ_001_guitar"


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    root = tmp_path_factory.mktemp("rich")
    return root, mini_rich.build(root)


@pytest.fixture(scope="module")
def read(original):
    """The sequences of the copy by name, camera and person, and what was skipped."""
    return sequences_of(original[0])


@pytest.fixture
def copy(original, tmp_path):
    """A copy of one sequence that a test may change."""
    root = tmp_path / "rich"
    for part in ("scan_calibration", "multicam2world", "resource"):
        shutil.copytree(original[0] / part, root / part)
    for part in ("bodies", "images"):
        shutil.copytree(original[0] / part / "test", root / part / "test")
    return root


def sequences_of(root, split=None):
    return reading.read(DATASET, root, split)


def pelvis(motion, sequence):
    return motion.transl + sequence.pelvis_rest


def up_of_body(motion):
    return Rotation.from_rotvec(motion.global_orient).as_matrix()[:, :, 1]


def test_frames_are_riches_own_numbers_and_need_a_body_and_a_picture(read):
    sequence = read[0][GYM, "cam_03", "011"]
    assert sequence.frame_ids.tolist() == list(mini_rich.FRAMES)  # not 2 and 3: no body
    bad = [mini_rich.NO_PICTURE, mini_rich.NO_NUMBERS, mini_rich.NO_FILE]
    assert sequence.frame_ids[~sequence.valid].tolist() == bad
    assert sequence.fps == 30


def test_a_damaged_body_file_is_told_and_costs_one_frame(read):
    assert "1 of 70" in read[1][f"{GYM}/011"]
    assert f"{mini_rich.NO_FILE:05d}" in read[1][f"{GYM}/011"]


def test_every_reason_why_bodies_are_not_usable_is_told(copy):
    folder = copy / "bodies" / "test" / GYM
    (folder / "00010" / "011.pkl").write_bytes(b"")
    (folder / "00012" / "011.pkl").write_bytes(b"")
    (folder / "00011" / "011.pkl").write_bytes(pickle.dumps(Trap(open, "never", "w")))
    told = sequences_of(copy)[1][f"{GYM}/011"]
    assert told.startswith("4 of 70 bodies are not usable: ")
    assert "00010/011.pkl and 1 more: is not a readable pickle: the file is empty" in told
    assert "00011/011.pkl: asks for" in told and "refused" in told
    assert str(copy) not in told


def test_the_moving_camera_10_is_left_out_even_if_it_had_a_calibration(read, copy):
    assert "moves" in read[1][f"{GYM}/cam_10"]
    folder = copy / "scan_calibration" / "Gym" / "calibration"
    shutil.copy(folder / "003.xml", folder / "010.xml")
    found, skipped = sequences_of(copy)
    assert {camera for _, camera, _ in found} == {"cam_03", "cam_05"}
    assert "moves" in skipped[f"{GYM}/cam_10"]


def test_a_camera_without_calibration_or_not_in_the_table_is_left_out(read):
    assert "001.xml" in read[1][f"{BALL}/cam_01"]
    assert "usable" in read[1][f"{BALL}/cam_02"]
    assert {key[1] for key in read[0] if key[0] == BALL} == {"cam_00", "cam_03"}


def test_bodies_are_in_the_frame_of_camera_0(read):
    sequence = read[0][BALL, "cam_00", "003"]
    np.testing.assert_allclose(sequence.camera_motion.transl, sequence.native["transl"], atol=1e-5)
    # That frame is not aligned with gravity: camera 0 looks down.
    assert up_of_body(sequence.camera_motion)[:, 1].max() > -0.97


def test_the_world_has_y_up_and_metres(read):
    for (name, *_), sequence in read[0].items():
        if name in (JUGGLE, GUITAR):  # has no multicam2world
            continue
        np.testing.assert_allclose(up_of_body(sequence.world_motion)[:, 1], 1, atol=1e-5)
        steps = [
            np.linalg.norm(np.diff(pelvis(motion, sequence), axis=0), axis=1)
            for motion in (sequence.world_motion, sequence.camera_motion)
        ]
        np.testing.assert_allclose(*steps, atol=1e-5)


def test_the_world_is_that_of_multicam2world_whose_rotation_is_stored_transposed(read, original):
    sequence = read[0][GYM, "cam_03", "011"]
    file = original[0] / "multicam2world" / "Gym_multicam2world.json"
    stored = {key: np.array(value) for key, value in json.loads(file.read_text()).items()}
    seen = read[0][GYM, "cam_03", "011"].native["transl"] + sequence.pelvis_rest
    z_up = (stored["c"] * seen @ stored["R"] + stored["t"]) / stored["c"]
    y_up = z_up @ np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]]).T
    good = sequence.valid
    np.testing.assert_allclose(pelvis(sequence.world_motion, sequence)[good], y_up[good], atol=1e-5)


def test_an_upright_world_is_found_whichever_axis_of_the_file_points_up(copy):
    file = copy / "multicam2world" / "Gym_multicam2world.json"
    stored = json.loads(file.read_text())
    for turn in Rotation.from_euler("xz", [[90, 0], [-90, 0], [180, 0], [0, 90]], degrees=True):
        turned = np.array(stored["R"]) @ turn.as_matrix().T
        file.write_text(json.dumps(stored | {"R": turned.tolist()}))
        world = sequences_of(copy)[0][GYM, "cam_03", "011"].world_motion
        np.testing.assert_allclose(up_of_body(world)[:, 1], 1, atol=1e-5)


def test_all_cameras_see_one_world(read):
    one, other = (read[0][GYM, camera, "011"] for camera in ("cam_03", "cam_05"))
    assert np.array_equal(one.world_motion.transl, other.world_motion.transl)
    assert not np.allclose(one.view.T_w2c, other.view.T_w2c)


def test_without_multicam2world_the_cameras_say_which_way_is_up(read, copy):
    only = read[0][JUGGLE, "cam_00", "001"]  # the only camera there
    np.testing.assert_allclose(only.view.T_w2c[:, 1], np.tile([0.0, -1, 0, 0], (70, 1)), atol=1e-6)
    shutil.rmtree(copy / "multicam2world")
    for sequence in sequences_of(copy)[0].values():
        assert sequence.view.is_static
        up = up_of_body(sequence.world_motion)[:, 1]
        assert np.all(up > np.cos(np.radians(35)))  # the cameras look down by 31 degrees
        assert not any(name.startswith("multicam2world") for name in sequence.native)


def test_the_lecture_halls_scan_is_the_tables_not_the_names(read, original, tmp_path):
    native = read[0][HALL, "cam_02", "018"].native
    folder = original[0] / "multicam2world"
    chair = json.loads((folder / "LectureHall_chair_multicam2world.json").read_text())
    yoga = json.loads((folder / "LectureHall_yoga_multicam2world.json").read_text())
    assert chair["R"] != yoga["R"]
    np.testing.assert_array_equal(native["multicam2world_R"], chair["R"])


def test_portrait_cameras_are_portrait(read):
    for key in ((GYM, "cam_05", "011"), (BALL, "cam_03", "018")):
        view = read[0][key].view
        assert (view.width, view.height) == (94, 128)
        assert view.K[0, 0, 2] < view.K[0, 1, 2]


@pytest.mark.parametrize(
    ("key", "scale"), [((HALL, "cam_02", "018"), 1 / 4), ((GYM, "cam_03", "011"), 128 / 4112)]
)
def test_smaller_pictures_have_smaller_intrinsics(read, key, scale):
    sequence = read[0][key]
    full = sequence.native["Intrinsics"]
    assert sequence.view.K[0, 0, 0] == pytest.approx(full[0, 0] * scale)
    assert sequence.view.K[0, 0, 2] == pytest.approx((full[0, 2] + 0.5) * scale - 0.5)
    assert sequence.view.pixel_origin == "centre"


def test_intrinsics_that_are_already_of_the_pictures_stay(copy):
    file = copy / "scan_calibration" / "Gym" / "calibration" / "003.xml"
    K = np.array([[110.0, 0, 66], [0, 110, 46], [0, 0, 1]])
    matrix = (mini_rich.pose(3) @ np.linalg.inv(mini_rich.pose(0)))[:3]
    mini_rich._write_calibration(file, matrix, K)
    np.testing.assert_array_equal(sequences_of(copy)[0][GYM, "cam_03", "011"].view.K[0], K)


def test_pictures_of_other_proportions_are_told(copy):
    from PIL import Image

    for file in (copy / "images" / "test" / GYM / "cam_03").iterdir():
        Image.new("RGB", (128, 128)).save(file)
    found, skipped = sequences_of(copy)
    assert "128x128" in skipped[f"{GYM}/cam_03"]
    assert list(found) == [(GYM, "cam_05", "011")]


def test_the_picture_shows_the_person_where_the_labels_are(read, original):
    for key, sequence in read[0].items():
        row = int(np.flatnonzero(sequence.valid)[-1])
        (picture,) = sequence.source.frames([row])
        u, v = np.rint(original[1][key][row]).astype(int)
        assert picture[v, u].min() > 200
        assert picture[0, 0].max() < 100


def test_gender_is_the_subjects_not_the_sequences(read):
    man, woman = (read[0][BALL, "cam_00", person] for person in ("003", "018"))
    assert (man.motion.gender, woman.motion.gender) == ("male", "female")
    assert (str(man.native["gender"]), str(woman.native["gender"])) == ("male", "female")
    assert man.num_people == woman.num_people == 2
    assert man.group == woman.group == BALL


def test_gender_comes_from_the_table_where_the_list_is_missing(read, copy):
    assert read[0][JUGGLE, "cam_00", "001"].motion.gender == "male"
    (copy / "resource" / "gender.json").write_text('{"remark": "nobody is listed"}')
    assert sequences_of(copy)[0][GYM, "cam_03", "011"].motion.gender == "male"
    (copy / "resource" / "gender.json").unlink()
    assert sequences_of(copy)[0][GYM, "cam_03", "011"].motion.gender == "male"
    (copy / "resource" / "meta" / "test.txt").unlink()
    found, skipped = sequences_of(copy)
    assert not found
    assert "gender of subject 011" in skipped[f"{GYM}/011"]


def test_hands_stay_twelve_coefficients_and_labels_stay_as_stored(read, original):
    sequence = read[0][GYM, "cam_03", "011"]
    assert sequence.native["left_hand_pose"].shape == (70, 12)
    file = original[0] / "bodies" / "test" / GYM / "00040" / "011.pkl"
    for name, array in pickle.loads(file.read_bytes()).items():
        kept = sequence.native[name][40 - mini_rich.FRAMES[0]]
        assert kept.dtype == array.dtype
        np.testing.assert_array_equal(kept, array[0])
    assert np.isnan(sequence.native["transl"][mini_rich.NO_NUMBERS - 4]).all()
    np.testing.assert_array_equal(sequence.native["Distortion"], [-0.08, 0.11])


def test_splits_are_the_folders(read):
    assert {key[0]: sequence.split for key, sequence in read[0].items()} == {
        **{GYM: "test", HALL: "val", BALL: "train", JUGGLE: "train", GUITAR: "train"}
    }


def test_a_body_that_would_run_code_does_not(copy, tmp_path):
    for file in (copy / "bodies" / "test" / GYM).glob("*/*.pkl"):
        file.write_bytes(pickle.dumps({"betas": Trap(open, str(tmp_path / "ran"), "w")}))
    found, skipped = sequences_of(copy)
    assert not found and not (tmp_path / "ran").exists()
    assert "refused" in skipped[f"{GYM}/011"]


def test_damaged_files_are_told_and_stop_nothing_else(copy):
    calibration = copy / "scan_calibration" / "Gym" / "calibration" / "003.xml"
    calibration.write_text(calibration.read_text()[:200])
    found, skipped = sequences_of(copy)
    assert list(found) == [(GYM, "cam_05", "011")]
    assert "damaged" in skipped[f"{GYM}/003.xml"]
    assert "003.xml" in skipped[f"{GYM}/cam_03"]
    upright = '{"R": [[1, 0, 0], [0, 1, 0], [0, 0, 1]], '
    for text in (
        '{"R": [[1, 0], [0, 1]]}',
        '{"R": {}, "t": "x"}',
        upright + '"t": [NaN, 0, 0], "c": 1}',
        upright + '"t": [0, 0, 0], "c": [1, 2]}',
        upright + '"t": [0, 0, 0], "c": Infinity}',
        "[1]",
        "{",
        "[" * 100_000,
    ):
        (copy / "multicam2world" / "Gym_multicam2world.json").write_text(text)
        found, skipped = sequences_of(copy)
        assert not found and "Gym_multicam2world.json" in skipped[GYM]


def test_frames_go_by_number_however_their_names_are_padded(copy):
    folder = copy / "bodies" / "test" / GYM
    whole = [s.frame_ids for s in sequences_of(copy)[0].values()]
    for frame in list(folder.iterdir()):
        frame.rename(folder / str(int(frame.name)))
    np.testing.assert_array_equal([s.frame_ids for s in sequences_of(copy)[0].values()], whole)


def test_sequences_without_bodies_or_pictures_are_told(copy):
    shutil.rmtree(copy / "bodies" / "test" / GYM)
    (copy / "bodies" / "test" / "Gym_012_lunge" / "00001").mkdir(parents=True)
    (copy / "bodies" / "test" / "Gym_012_lunge" / "00001" / "012.pkl").touch()
    found, skipped = sequences_of(copy)
    assert not found
    assert "no body" in skipped[GYM]
    assert "no pictures" in skipped["Gym_012_lunge"]
