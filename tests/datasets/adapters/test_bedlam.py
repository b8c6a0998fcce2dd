"""BEDLAM as its owners release it, one test a trap."""

import shutil

import numpy as np
import pytest
from PIL import Image

from benchmark.commands.rehearse.miniatures import bedlam as mini_bedlam
from benchmark.commands.rehearse.miniatures.bedlam import (
    AMBIGUOUS,
    CLOSEUP,
    CROWD,
    MOTIONS,
    PROCESSED,
    SIX_FPS,
    ZOOM,
)
from datasets.adapters import bedlam
from datasets.adapters.bedlam import DATASET
from datasets.adapters.formats import unreal
from datasets.bodies.smplx import load_body
from datasets.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from tests.datasets.mini import reading
from tests.pickle_trap import Trap

WALKER = "rp_walker_posed_009_0001"


@pytest.fixture(scope="module")
def mini(tmp_path_factory):
    """Root, expected pixels, sequences by (sequence, camera, person), and what was skipped."""
    root = tmp_path_factory.mktemp("bedlam")
    pixels = mini_bedlam.build(root)
    sequences, skipped = read(root)
    return root, pixels, sequences, skipped


@pytest.fixture
def copy(mini, tmp_path):
    """A copy of the miniature that may be changed."""
    return shutil.copytree(mini[0], tmp_path / "root")


def read(root):
    return reading.read(DATASET, root)


def only(sequences, scene, name="seq_000000", person=""):
    (found,) = (
        s
        for s in sequences.values()
        if s.sequence == f"{scene}/{name}" and s.person.startswith(person)
    )
    return found


def processed_rows(root, sequence):
    """The rows of a person in the official processed file: frame numbers and arrays."""
    scene, name = sequence.sequence.split("/")
    with np.load(root / PROCESSED / f"{scene}.npz") as file:
        rows = {key: file[key] for key in file.files}
    sub = sequence.person.rpartition("_")[0]
    own = [
        i
        for i, (image, who) in enumerate(zip(rows["imgname"], rows["sub"], strict=True))
        if image.startswith(f"{name}/") and who == sub
    ]
    numbers = np.array([int(rows["imgname"][i][-8:-4]) for i in own])
    return numbers, {key: value[own] for key, value in rows.items()}


def rewrite_motion(root, person, take, **changes):
    file = root / MOTIONS / person / take / "motion_seq.npz"
    with np.load(file) as old:
        arrays = {key: old[key] for key in old.files}
    np.savez(file, **(arrays | changes))
    return arrays | changes


def test_the_pelvis_is_where_the_fixture_put_it(mini):
    _, pixels, sequences, _ = mini
    assert sequences.keys() == pixels.keys()
    for key, sequence in sequences.items():
        pelvis = sequence.pelvis_rest + sequence.camera_motion.transl
        found = sequence.view.project(pelvis[:, None])[:, 0]
        assert sequence.view.pixel_origin == "corner"
        assert np.abs(found - pixels[key])[sequence.valid].max() < 0.01
        in_world = sequence.world_motion.transformed(
            sequence.view.T_w2c, sequence.pelvis_rest, space="camera"
        )
        np.testing.assert_allclose(in_world.transl, sequence.camera_motion.transl, atol=1e-5)


def test_camera_motion_is_that_of_the_official_labels_with_cam_ext_added_to_trans_cam(mini):
    root, _, sequences, _ = mini
    body = load_body()
    for sequence in sequences.values():
        numbers, rows = processed_rows(root, sequence)
        some = slice(None, None, 17)
        at = np.searchsorted(sequence.frame_ids, numbers[some])
        shape = rows["shape"][some, :10]
        labels = np.concatenate([rows["pose_cam"][some, :66], shape, rows["trans_cam"][some]], 1)
        expected = body.vertices(labels) + rows["cam_ext"][some, None, :3, 3]
        found = body.vertices(sequence.camera_motion.to_channels()[at])
        assert np.abs(found - expected).max() < 1e-4
        np.testing.assert_allclose(sequence.view.K[numbers], rows["cam_int"], atol=1e-4)


def test_labels_are_valid_where_the_official_ones_have_a_row(mini):
    root, _, sequences, _ = mini
    for sequence in sequences.values():
        numbers, _ = processed_rows(root, sequence)
        assert set(sequence.frame_ids[sequence.valid]) == {*numbers, mini_bedlam.GAP}
    assert 10 < only(sequences, CROWD, person=WALKER).valid.sum() < 60  # leaves the picture


def test_each_person_has_a_camera_of_its_own_in_a_world_of_its_own(mini):
    people = [s for s in mini[2].values() if s.sequence.startswith(CROWD)]
    assert len(people) == 3 and {s.num_people for s in people} == {3}
    eyes = [-s.view.T_w2c[0, :3, :3].T @ s.view.T_w2c[0, :3, 3] for s in people]
    assert np.linalg.norm(eyes[0] - eyes[1]) > 0.5
    assert len({s.group for s in people}) == 1


def test_the_world_is_y_up_and_still_though_pose_world_is_neither(mini):
    root, _, sequences, _ = mini
    sequence = only(sequences, CROWD, person="rp_alison")
    numbers, rows = processed_rows(root, sequence)
    body = load_body()
    joints = body.joints(sequence.world_motion.to_channels())
    assert np.all(joints[:, 15, 1] > joints[:, 0, 1] + 0.3)  # the head above the pelvis
    labels = [rows["pose_world"][:, :66], rows["shape"][:, :10], rows["trans_world"]]
    official = body.joints(np.concatenate(labels, 1))
    assert np.all(official[:, 15, 1] < official[:, 0, 1] - 0.3)  # y down
    theirs = axis_angle_to_matrix(rows["pose_world"][:, :3])
    ours = axis_angle_to_matrix(sequence.world_motion.global_orient[numbers])
    between = theirs @ np.swapaxes(ours, 1, 2)
    turned = np.linalg.norm(matrix_to_axis_angle(between[-1] @ between[0].T))
    # And it turns with the camera, which yaws by 0.2 degrees a picture.
    assert np.degrees(turned) == pytest.approx(0.2 * (numbers[-1] - numbers[0]), abs=1e-3)
    np.testing.assert_array_equal(
        sequence.world_motion.global_orient, sequence.native["poses"][:, :3].astype(np.float32)
    )


def test_closeup_pictures_lie_on_their_side_and_the_labels_do_not(mini):
    _, pixels, sequences, _ = mini
    sequence = only(sequences, CLOSEUP)
    assert (sequence.view.width, sequence.view.height) == (mini_bedlam.SHORT, mini_bedlam.LONG)
    for row, frame in zip((0, 40), sequence.source.frames([0, 40]), strict=True):
        assert frame.shape == (mini_bedlam.LONG, mini_bedlam.SHORT, 3)
        across, down = pixels[sequence.sequence, "0", sequence.person][row].astype(int)
        assert frame[down, across].tolist() == [255] * 3 and frame.sum() == 3 * 255
    # The sensor's 36 mm run down the upright picture.
    focal = 36.905 / 36 * mini_bedlam.LONG
    np.testing.assert_allclose(sequence.view.K[:, [0, 1], [0, 1]], focal, rtol=1e-6)


def test_closeup_pictures_that_somebody_turned_are_refused(copy):
    folder = copy / CLOSEUP / "png" / "seq_000000"
    shutil.rmtree(folder)
    mini_bedlam.write_pictures(folder, range(70), None, False)  # 64x36, sideways as released
    assert any(s.startswith(CLOSEUP) for s, *_ in read(copy)[0])
    for file in folder.iterdir():
        Image.open(file).transpose(Image.Transpose.ROTATE_270).save(file)
    sequences, skipped = read(copy)
    assert not any(s.startswith(CLOSEUP) for s, *_ in sequences)
    assert "not on their side" in skipped[f"{CLOSEUP}/seq_000000"]


def test_csv_lengths_are_centimetres(mini):
    sequence = only(mini[2], ZOOM)
    pelvis = sequence.pelvis_rest + sequence.camera_motion.transl
    assert 3.5 < pelvis[0, 2] < 4.8  # 410 cm ahead of the camera


def test_zoom_scenes_have_a_focal_length_for_each_picture(mini):
    sequence = only(mini[2], ZOOM)
    expected = (36.905 + 0.1 * sequence.frame_ids) / 36 * mini_bedlam.LONG
    np.testing.assert_allclose(sequence.view.K[:, 0, 0], expected, rtol=1e-6)
    np.testing.assert_allclose(sequence.view.K[:, 0, 2], mini_bedlam.LONG / 2)
    np.testing.assert_allclose(sequence.view.K[:, 1, 2], mini_bedlam.SHORT / 2)


def test_the_word_None_in_the_csv_is_not_a_missing_number(mini):
    groups = unreal.read_groups(mini[0] / ZOOM / "be_seq.csv")
    assert [group.name for group in groups] == [f"seq_{i:06d}" for i in (0, 1, 2, 3, 200)]
    assert groups[2].bodies[0].name == "None"
    assert "'None' is not" in mini[3][f"{ZOOM}/seq_000002/None"]


def test_the_motion_file_is_found_by_the_last_underscore(mini):
    assert only(mini[2], ZOOM).person == "rp_aaron_posed_002_1000"
    assert "rp_nobody_posed_001/1000" in mini[3][f"{ZOOM}/seq_000003/rp_nobody_posed_001_1000"]


def test_the_motion_ends_before_the_pictures_do(mini):
    sequence = only(mini[2], ZOOM, "seq_000200")
    # start_frame 12: picture 67 shows frame 79, the last of 80; 68 would be frame 80.
    assert sequence.frame_ids[~sequence.valid].tolist() == [68, 69]
    assert np.isnan(sequence.native["poses"][68:]).all()


def test_pictures_of_the_6_fps_release_are_recognised(mini):
    for name in (SIX_FPS, f"{ZOOM}/seq_000001"):
        assert "30 fps images" in mini[3][name]


def test_the_ambiguous_scene_is_left_out(mini):
    assert "rotation unknown" in mini[3][AMBIGUOUS]


def test_folder_names_are_parted_by_either_sign(mini):
    assert any(s.startswith(CROWD) for s, *_ in mini[2])  # 20221020-3-8_…
    assert bedlam.is_rotated("20221011-1-250_batch01hand-closeup-suburb_a")
    assert not bedlam.is_rotated(CROWD)


def test_the_last_fifth_of_a_scene_is_the_test_split(mini):
    sequences = mini[2].values()
    assert {s.sequence for s in sequences if s.split == "test"} == {f"{ZOOM}/seq_000200"}
    assert {s.split for s in sequences} == {"train", "test"}


def test_where_a_sequence_stands_does_not_depend_on_what_else_is_there(mini, copy):
    assert [bedlam.split_of(CROWD, f"seq_000{n}") for n in (199, 200)] == ["train", "test"]
    assert bedlam.split_of("20221010_3-10_500_batch01hand_zoom_suburb_d", "seq_000399") == "train"
    assert bedlam.split_of(SIX_FPS, "seq_000800") == "test"  # of 1000
    shutil.rmtree(copy / MOTIONS)  # then the folders are the list of sequences
    for name in ("seq_000001", "seq_000002", "seq_000003", "seq_000200"):
        shutil.rmtree(copy / ZOOM / "png" / name)
    for key, sequence in read(copy)[0].items():
        assert (
            sequence.split
            == mini[2][key[0], "0", only(mini[2], *key[0].split("/"), key[2]).person].split
        )


def test_native_labels_are_as_stored(mini):
    root, _, sequences, _ = mini
    sequence = only(sequences, ZOOM)
    with np.load(root / MOTIONS / "rp_aaron_posed_002" / "1000" / "motion_seq.npz") as stored:
        for name in stored.files:
            expected = stored[name]
            if name in ("poses", "trans", "global_ori"):
                expected = expected[5:75]
                assert name in sequence.native_frames
            assert sequence.native[name].dtype == expected.dtype
            np.testing.assert_array_equal(sequence.native[name], expected)
    assert sequence.native["start_frame"] == 5 and sequence.native["Y"] == 20
    assert sequence.native["focal_length"][3] == pytest.approx(37.205)


@pytest.mark.parametrize("count", [10, 11, 16])
def test_the_first_ten_of_10_11_or_16_betas_are_the_shape(copy, count):
    betas = np.linspace(-1, 1, count).astype(np.float32)
    rewrite_motion(copy, "rp_aaron_posed_002", "1000", betas=betas)
    sequence = only(read(copy)[0], ZOOM)
    np.testing.assert_array_equal(sequence.world_motion.betas, betas[:10])
    np.testing.assert_array_equal(sequence.native["betas"], betas)
    np.testing.assert_allclose(sequence.pelvis_rest, load_body().rest_joints(betas[:10])[0])


def test_gender_of_a_neutral_fit_selects_no_body(mini, copy):
    assert {str(s.native["gender"]) for s in mini[2].values()} == {"female"}
    assert {s.motion.gender for s in mini[2].values()} == {"neutral"}
    (copy / MOTIONS).rename(copy / "gendered_ground_truth")
    assert {s.motion.gender for s in read(copy)[0].values()} == {"female"}


def test_nan_labels_are_not_valid_and_stay_nan_in_native(copy):
    arrays = rewrite_motion(copy, "rp_aaron_posed_002", "1000")
    arrays["poses"][5 + 3, 40] = np.nan
    arrays["trans"][5 + 7] = np.nan
    rewrite_motion(copy, "rp_aaron_posed_002", "1000", **arrays)
    sequence = only(read(copy)[0], ZOOM)
    assert sequence.frame_ids[~sequence.valid].tolist() == [3, 7]
    assert np.isnan(sequence.native["poses"][3, 40])


def test_pictures_beyond_the_rows_of_the_camera_are_not_valid(copy):
    csv = copy / ZOOM / "ground_truth/camera/seq_000000_camera.csv"
    csv.write_text("".join(csv.read_text().splitlines(keepends=True)[:-2]))
    sequence = only(read(copy)[0], ZOOM)
    assert sequence.frame_ids[~sequence.valid].tolist() == [68, 69]


def test_a_motion_without_a_usable_frame_is_skipped_with_the_reason(copy):
    rewrite_motion(copy, "rp_aaron_posed_002", "1000", trans=np.full((80, 3), np.nan))
    sequences, skipped = read(copy)
    assert not any(person == "rp_aaron_posed_002_1000" for *_, person in sequences)
    reason = skipped[f"{ZOOM}/seq_000000/rp_aaron_posed_002_1000"]
    assert reason == "no frame has a usable label"


def test_a_motion_of_another_frame_rate_is_skipped(copy):
    rewrite_motion(copy, "rp_aaron_posed_002", "1000", mocap_frame_rate=np.array(120))
    assert "120 fps" in read(copy)[1][f"{ZOOM}/seq_000000/rp_aaron_posed_002_1000"]


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("poses", np.array(1.0)),
        ("poses", np.full((80, 165), "0.1")),
        ("trans", np.zeros((80, 3), int)),  # an int cannot say that a row is missing
        ("trans", np.zeros(80)),
        ("global_ori", np.array(1.0)),
    ],
)
def test_a_motion_of_other_arrays_is_skipped(copy, name, array):
    rewrite_motion(copy, "rp_aaron_posed_002", "1000", **{name: array})
    sequences, skipped = read(copy)
    reason = skipped[f"{ZOOM}/seq_000000/rp_aaron_posed_002_1000"]
    assert name in reason and "shape" in reason
    assert any(s.startswith(CLOSEUP) for s, *_ in sequences)


@pytest.mark.parametrize(
    ("name", "change", "where", "told"),
    [
        ("pose_cam", lambda array: array.astype(str), "", "floats"),
        ("pose_cam", lambda array: array[:, :72], "/seq_000000", "shape"),
        ("cam_ext", lambda array: array[:, 0, 0], "/seq_000000", "shape"),
        ("imgname", lambda array: array[0], "", "length"),
        ("imgname", lambda array: np.char.replace(array, ".png", ".jpg"), "/seq_000000", "imgname"),
    ],
)
def test_processed_labels_of_other_arrays_are_skipped(copy, name, change, where, told):
    shutil.rmtree(copy / MOTIONS)
    file = copy / PROCESSED / f"{ZOOM}.npz"
    with np.load(file) as old:
        arrays = dict(old)
    np.savez(file, **(arrays | {name: change(arrays[name])}))
    sequences, skipped = read(copy)
    assert not any(s.startswith(ZOOM) for s, *_ in sequences)
    reason = next(skipped[key] for key in skipped if key.startswith(f"{ZOOM}{where}"))
    assert told in reason
    assert any(s.startswith(CLOSEUP) for s, *_ in sequences)


@pytest.mark.parametrize("labels", [MOTIONS, PROCESSED])
def test_pictures_of_other_names_are_passed_over(mini, copy, labels):
    if labels == PROCESSED:
        shutil.rmtree(copy / MOTIONS)
    folder = copy / ZOOM / "png" / "seq_000000"
    for number in ("9999999999999999999999", "99999999999", "7"):
        shutil.copy(folder / "seq_000000_0007.png", folder / f"seq_000000_{number}.png")
    found = only(read(copy)[0], ZOOM)
    np.testing.assert_array_equal(found.frame_ids, only(mini[2], ZOOM).frame_ids)


def test_a_missing_picture_leaves_a_gap_in_the_frame_numbers(copy):
    (copy / ZOOM / "png" / "seq_000000" / "seq_000000_0020.png").unlink()
    sequence = only(read(copy)[0], ZOOM)
    whole = only(read(copy)[0], ZOOM, "seq_000200")
    assert sequence.frame_ids.tolist() == [*range(20), *range(21, 70)]
    assert len(whole) == 70
    np.testing.assert_allclose(sequence.native["focal_length"][20], 36.905 + 2.1)


def test_the_folders_of_the_official_scripts_give_the_same(mini, copy, tmp_path):
    images, labels = tmp_path / "bedlam_data" / "images", tmp_path / "bedlam_data" / "smplx_gt"
    labels.mkdir(parents=True)
    (copy / MOTIONS).rename(labels / MOTIONS)
    shutil.rmtree(copy / PROCESSED)
    copy.rename(images)
    for root in (tmp_path, tmp_path / "bedlam_data"):
        found, skipped = read(root)
        assert found.keys() == mini[2].keys() and skipped == mini[3]


def test_a_folder_without_bedlam_says_what_is_looked_for(tmp_path):
    for root in (tmp_path, tmp_path / "nowhere", None):
        with pytest.raises(FileNotFoundError, match="scene folders"):
            next(DATASET.sequences(root))


def test_processed_labels_are_read_where_there_are_no_motion_files(mini, copy):
    shutil.rmtree(copy / MOTIONS)
    sequences, _ = read(copy)
    assert {s.sequence for s in sequences.values()} == {s.sequence for s in mini[2].values()}
    for sequence in sequences.values():
        derived = only(mini[2], *sequence.sequence.split("/"), sequence.person)
        assert (sequence.view.T_w2c, sequence.world_motion) == (
            None,
            None,
        )  # pose_world is no world
        assert sequence.motion.gender == "neutral" and sequence.split == derived.split
        gap = derived.valid & (derived.frame_ids == mini_bedlam.GAP)
        np.testing.assert_array_equal(sequence.valid, derived.valid & ~gap)
        at = sequence.valid
        for name in ("transl", "global_orient", "body_pose"):
            ours, theirs = (
                getattr(s.camera_motion, name)[at] for s in (sequence, derived)
            )  # fmt: skip
            np.testing.assert_allclose(ours, theirs, atol=1e-4)
        np.testing.assert_allclose(sequence.view.K[at], derived.view.K[at], atol=1e-3)


@pytest.mark.parametrize(
    ("file", "content", "where"),
    [
        (f"{ZOOM}/be_seq.csv", b"", ZOOM),
        (f"{ZOOM}/be_seq.csv", b"Index,Type,Body,X,Y,Z,Yaw,Comment\n0,Body,a_1,0,0,0,0,x\n", ZOOM),
        (f"{ZOOM}/be_seq.csv", b"\xff\x00", ZOOM),
        (f"{ZOOM}/ground_truth/camera/seq_000000_camera.csv", b"name,x\na,1\n", "seq_000000"),
        (f"{MOTIONS}/rp_aaron_posed_002/1000/motion_seq.npz", b"PK\x03\x04", "seq_000000"),
        (f"{MOTIONS}/rp_aaron_posed_002/1000/motion_seq.npz", b"", "seq_000000"),
        (f"{ZOOM}/png/seq_000000/seq_000000_0000.png", b"", "seq_000000"),
    ],
)
def test_a_damaged_file_costs_its_own_sequences_only(copy, file, content, where):
    (copy / file).write_bytes(content)
    sequences, skipped = read(copy)
    assert any(where in name and ZOOM in name for name in skipped)
    assert any(s.startswith(CLOSEUP) for s, *_ in sequences)
    assert all("\n" not in reason for reason in skipped.values())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("start_frame=5", "start_frame=five"),
        ("start_frame=5", "start_frame=99999999999999999999"),
        ("sequence_name=seq_000000;", ""),
        ("Body,rp_aaron_posed_002_1000", "Body,rp_aaron_posed_002_1000,?"),
    ],
)
def test_a_bad_line_of_the_csv_costs_its_own_sequence(mini, copy, old, new):
    csv = copy / ZOOM / "be_seq.csv"
    lines = csv.read_text().splitlines(keepends=True)
    at = next(i for i, line in enumerate(lines) if old in line)
    lines[at] = lines[at].replace(old, new)
    csv.write_text("".join(lines))
    sequences, skipped = read(copy)
    lost = {name for name, *_ in mini[2]} - {name for name, *_ in sequences}
    assert lost == {f"{ZOOM}/seq_000000"}
    assert sum(f"be_seq.csv: line {at + 1} " in reason for reason in skipped.values()) == 1


def test_names_in_the_csv_do_not_lead_outside(copy):
    (copy / "secret" / "1000").mkdir(parents=True)
    csv = copy / ZOOM / "be_seq.csv"
    for old, new, told in (
        ("rp_aaron_posed_002_1000", "../secret_1000", "no file of BEDLAM"),
        ("seq_000000", "../seq", "no name of a sequence"),
    ):
        csv.write_text(csv.read_text().replace(old, new))
        sequences, skipped = read(copy)
        assert not any(s == f"{ZOOM}/seq_000000" for s, *_ in sequences)
        assert any(told in reason for reason in skipped.values())


def test_pickled_labels_are_never_opened(copy, tmp_path):
    trap = np.array([Trap((tmp_path / "ran").touch)], dtype=object)
    rewrite_motion(copy, "rp_aaron_posed_002", "1000", motion_info=trap)
    _, skipped = read(copy)
    assert f"{ZOOM}/seq_000000/rp_aaron_posed_002_1000" in skipped
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("change", "axis", "sign"),
    [
        ({"yaw": 10.0}, 0, -1),  # the camera turns right, what it sees goes left
        ({"pitch": 10.0}, 1, 1),  # it looks up, what it sees goes down
        ({"y": 100.0}, 0, -1),  # it steps to the right
        ({"z": 100.0}, 1, 1),  # it rises
        ({"x": 100.0}, 2, -1),  # it comes nearer
    ],
)
def test_the_camera_moves_as_unreal_says(change, axis, sign):
    still = dict.fromkeys(unreal.CAMERA_COLUMNS, 0.0)
    body = unreal.PlacedBody("a_1", 0, (400.0, 0.0, 0.0), 0.0)

    def origin(columns):
        track = {name: np.array([value]) for name, value in columns.items()}
        return unreal.world_to_camera(track, body, rotated=False)[0, :3, 3]

    np.testing.assert_allclose(origin(still), [0, 0, 4], atol=1e-9)
    moved = origin(still | change) - origin(still)
    assert np.argmax(np.abs(moved)) == axis and np.sign(moved[axis]) == sign
