"""Human4DiT-Video: the list of cuts, file names, and PHALP's results with all their traps."""

import dataclasses
import os
import re
import shutil

import joblib
import numpy as np
import pytest

from benchmark.commands.rehearse.miniatures import human4dit as mini
from datasets import rotation
from datasets.adapters.formats.phalp_file import read_track
from datasets.adapters.human4dit import DATASET, labels_of
from datasets.bodies.smplx import load_body
from datasets.store.splits import split_of
from datasets.video.frames import VideoFile
from tests.datasets.mini import reading
from tests.pickle_trap import Trap

FRAMES, ONE_PART = mini.FRAMES, mini.ONE_PART


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("h4v") / "Human4DiT-Video"
    mini.build(root)
    return root


@pytest.fixture
def own_root(root, tmp_path):
    """A copy that a test may damage."""
    return shutil.copytree(root, tmp_path / "Human4DiT-Video")


def read(root):
    found, skipped = reading.read(DATASET, root)
    return {name: sequence for (name, *_), sequence in found.items()}, skipped


@pytest.fixture(scope="module")
def whole(root):
    """The sequences of the miniature by name, and what was skipped."""
    return read(root)


def relabel(root, change):
    """Rewrite the labels of ONE_PART: changed in place, or by what `change` returns."""
    result, _ = mini.phalp_result()
    changed = change(result)
    content = result if changed is None else changed
    joblib.dump(content, root / "smpl" / f"demo_{ONE_PART}.pkl", compress=3)


def test_cuts_are_found_however_their_colons_are_written(whole):
    found, _ = whole
    assert list(found) == sorted(mini.ON_DISK)
    assert all(":" in name for name in found)
    assert found[mini.WITH_PART].camera_motion is not None  # its labels are escaped likewise


@pytest.mark.parametrize("colon", ["-", "_", "%3A", "%3a", ":"])
def test_a_file_system_without_colons_changes_no_cut(root, whole, tmp_path, colon):
    copy = shutil.copytree(root, tmp_path / "copy")
    for name, on_disk in mini.ON_DISK.items():
        for file in copy.glob(f"*/*{on_disk}.*"):
            file.rename(file.with_name(file.name.replace(on_disk, name.replace(":", colon))))
    before, found = whole[0], read(copy)[0]
    assert list(found) == list(before)
    for name, sequence in before.items():
        assert (found[name].camera_motion is None) == (sequence.camera_motion is None)


def test_rows_files_and_labels_that_are_left_out_are_told(whole):
    _, skipped = whole
    assert skipped.keys() == {
        "human4dit_video.csv line 7",
        "BV1dd411c7mG_9_00:00:20.000_00:00:02.800",
        "a stranger, uninvited.mp4",
        f"demo_{mini.ON_DISK[mini.EMPTY_LABELS]}.pkl",
    }
    assert "first five minutes" in skipped["BV1dd411c7mG_9_00:00:20.000_00:00:02.800"]
    assert "no row" in skipped["a stranger, uninvited.mp4"]
    reason = skipped[f"demo_{mini.ON_DISK[mini.EMPTY_LABELS]}.pkl"]
    assert reason.startswith("labels not used: ") and "empty" in reason


def test_a_cut_whose_labels_are_an_empty_file_is_there_without_labels(whole):
    found, _ = whole
    for name in (mini.EMPTY_LABELS, mini.NO_LABELS):
        sequence = found[name]
        assert sequence.motion is None and sequence.view is None and sequence.native == {}
        assert sequence.valid.all() and len(sequence) == FRAMES
        assert sequence.num_people == 0  # nobody counted
        assert sequence.fps == 25


def test_keys_are_numbered_from_one_and_missing_ones_are_not_valid(whole):
    sequence = whole[0][ONE_PART]
    result, _ = mini.phalp_result()
    np.testing.assert_array_equal(sequence.frame_ids, np.arange(FRAMES))
    assert np.flatnonzero(~sequence.valid).tolist() == [1]
    for row in (0, 2, 69):
        facts = result[f"/home/annotator/demo/img/{row + 1:06d}.jpg"]
        np.testing.assert_array_equal(sequence.camera_motion.transl[row], facts["camera"][-1])
    assert np.isnan(sequence.native["camera"][1]).all()


def test_of_two_people_and_ghosts_the_one_who_fills_the_picture_is_followed(whole):
    sequence = whole[0][ONE_PART]
    result, _ = mini.phalp_result()
    for row in range(30, 40):
        facts = result[f"/home/annotator/demo/img/{row + 1:06d}.jpg"]
        assert facts["tid"] == [mini.OTHER, mini.MAIN]
        assert len(facts["tracked_ids"]) == (2 if row < 35 else 1)
        values = facts["smpl"][1]
        np.testing.assert_array_equal(sequence.native["betas"][row], values["betas"])


@pytest.mark.parametrize(("shared", "people"), [(5, 1), (13, 1), (14, 2)])
def test_a_second_person_counts_who_is_seen_in_a_fifth_of_the_images(tmp_path, shared, people):
    result, _ = mini.phalp_result(shared=shared)  # of 69
    joblib.dump(result, tmp_path / "x.pkl")
    assert read_track(tmp_path / "x.pkl").num_people == people


def test_rotation_matrices_become_the_same_rotations(whole):
    sequence = whole[0][ONE_PART]
    motion, valid = sequence.camera_motion, sequence.valid
    assert (motion.body, motion.gender, motion.space) == ("smpl", "neutral", "camera")
    assert motion.body_pose.shape == (FRAMES, 69) and motion.betas.shape == (FRAMES, 10)
    turned = rotation.axis_angle_to_matrix(motion.body_pose.reshape(FRAMES, 23, 3))
    np.testing.assert_allclose(turned[valid], sequence.native["body_pose"][valid], atol=1e-5)
    turned = rotation.axis_angle_to_matrix(motion.global_orient)
    np.testing.assert_allclose(turned[valid], sequence.native["global_orient"][valid, 0], atol=1e-5)
    assert sequence.world_motion is None and sequence.view.T_w2c is None


def test_the_lens_is_that_of_the_estimator(whole):
    view = whole[0][ONE_PART].view
    wanted = [[1250, 0, 32], [0, 1250, 24], [0, 0, 1]]  # 5000 / 256 * 64
    np.testing.assert_array_equal(view.K, np.tile(np.float32(wanted), (FRAMES, 1, 1)))
    assert view.pixel_origin == "corner"


def test_cuts_of_a_source_video_stay_on_one_side(whole):
    found, _ = whole
    assert found[ONE_PART].group == found[mini.NO_LABELS].group == "BV1aa411c7mD"
    assert all(s.split == split_of(s.group) for s in found.values())


def test_a_list_cannot_name_a_file_elsewhere(own_root):
    outside = own_root.parent / "outside_1_00:00:10.500_00:00:02.800.mp4"
    mini.write_cut(outside, frames=3)
    rows = [
        ["https://x/..", "1", "1", "00:00:10.500", "00:00:13.300", "x"],
        ["https://x/..\\outside", "1", "1", "00:00:10.500", "00:00:13.300", "x"],
        [str(outside), "1", "1", "../00:00:10.500", "00:00:13.300", "../../x.pkl"],
        ["a/b", "1; rm", "1", "00:00:10.500", "00:00:13.300", "x"],
        ["a/b", "1", "1", "00:00:13.300", "00:00:10.500", "x"],
        ["too", "short"],
        [],
    ]
    mini.write_list(own_root, rows)
    found, skipped = read(own_root)
    assert not found
    lines = [name for name in skipped if name.startswith("human4dit_video.csv line")]
    assert len(lines) == len(rows)
    assert skipped["human4dit_video.csv line 4"] == (
        "'../00:00:10.500' is not a time, as 00:00:10.500 is"
    )
    assert "'1; rm' is not the number" in skipped["human4dit_video.csv line 5"]


def test_a_pickle_that_would_run_code_never_runs(own_root, tmp_path):
    marker = tmp_path / "it ran"
    relabel(own_root, lambda result: result.update({"extra": Trap(os.mkdir, str(marker))}))
    found, skipped = read(own_root)
    assert not marker.exists()
    assert "which is not data: refused" in skipped[f"demo_{ONE_PART}.pkl"]
    assert found[ONE_PART].motion is None and found[ONE_PART].valid.all()


def spoil_smpl(name, value):
    def change(result):
        for facts in result.values():
            for person in facts["smpl"]:
                person[name] = value

    return change


def set_facts(name, value_of):
    def change(result):
        for facts in result.values():
            facts[name] = value_of(facts)

    return change


NOBODY = {name: [] for name in ("smpl", "camera", "tid", "tracked_time", "bbox", "3d_joints")}
UNUSABLE = {
    "nobody": (lambda result: {key: dict(NOBODY) for key in result}, "nobody is seen"),
    "no images": (lambda result: {}, "nobody is seen"),
    "a list": (lambda result: [1, 2], "not a PHALP result"),
    "other keys": (lambda result: {"time": result}, "not the path of a numbered image"),
    "no smpl": (lambda result: {key: {"camera": []} for key in result}, "not a PHALP result"),
    "axis-angle": (spoil_smpl("body_pose", np.zeros(69, np.float32)), "body_pose has shapes"),
    "no numbers": (
        spoil_smpl("betas", np.full(10, np.nan, np.float32)),
        "no frame has a usable label",
    ),
    "no rotations": (
        spoil_smpl("global_orient", np.zeros((1, 3, 3), np.float32)),
        "no frame has a usable label",
    ),
    "lists for track ids": (
        set_facts("tid", lambda facts: [[track] for track in facts["tid"]]),
        "not a PHALP result",
    ),
    "joints in one dimension": (
        set_facts("3d_joints", lambda facts: [np.zeros(45, np.float32) for _ in facts["smpl"]]),
        "pelvis_rest has shapes",
    ),
    "another video": (
        lambda result: {f"{900 + i:06d}.jpg": facts for i, facts in enumerate(result.values())},
        "no frame has a usable label",
    ),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_labels_that_cannot_be_used_leave_the_video(own_root, name):
    change, reason = UNUSABLE[name]
    relabel(own_root, change)
    found, skipped = read(own_root)
    told = skipped[f"demo_{ONE_PART}.pkl"]
    assert told.startswith("labels not used: ") and re.search(reason, told), told
    assert found[ONE_PART].motion is None and len(found) == 4


def test_frames_with_nan_are_not_valid(own_root):
    def change(result):
        result["/home/annotator/demo/img/000003.jpg"]["camera"][0][:] = np.nan

    relabel(own_root, change)
    sequence = read(own_root)[0][ONE_PART]
    assert np.flatnonzero(~sequence.valid).tolist() == [1, 2]


@pytest.mark.parametrize("images", [1, FRAMES])
def test_joints_with_nan_cost_no_labels(whole, own_root, images):
    def change(result):
        for facts in list(result.values())[:images]:
            for joints in facts["3d_joints"]:
                joints[:] = np.nan

    relabel(own_root, change)
    sequence, before = read(own_root)[0][ONE_PART], whole[0][ONE_PART]
    np.testing.assert_array_equal(sequence.valid, before.valid)
    if images == 1:
        rest = before.pelvis_rest
    else:  # no image tells where the pelvis is
        median = np.median(sequence.camera_motion.betas, axis=0)
        rest = load_body().rest_joints(median)[0]
    np.testing.assert_allclose(sequence.pelvis_rest, rest, atol=1e-3)


def test_more_images_than_frames_are_no_trouble(own_root):
    result, _ = mini.phalp_result(frames=FRAMES + 5)
    joblib.dump(result, own_root / "smpl" / f"demo_{ONE_PART}.pkl", compress=0)
    sequence = read(own_root)[0][ONE_PART]
    assert len(sequence) == FRAMES and sequence.valid.sum() == FRAMES - 1


def test_rows_of_a_video_of_varying_rate_have_the_labels_of_the_frame_they_show(root):
    source = VideoFile.of(root / "cut" / f"{ONE_PART}.mp4")
    times = source.info.times + 0.4 * (np.arange(FRAMES) >= 35)  # a pause of ten frames
    info = dataclasses.replace(source.info, times=times, is_constant_rate=False)
    source = VideoFile(source.path, info, source.fps)
    track = read_track(root / "smpl" / f"demo_{ONE_PART}.pkl")
    fields = labels_of(track, source)
    assert len(fields["valid"]) == source.num_frames == FRAMES + 10
    for row in (0, 34, 36, 43, 45, 79):
        shown = source.source_frames[row]
        wanted = track.camera[track.images == shown + 1][0]
        np.testing.assert_array_equal(fields["camera_motion"].transl[row], wanted)
    assert source.source_frames[79] == 69


def test_results_without_tracks_give_the_first_person(tmp_path):
    result, _ = mini.phalp_result()
    for facts in result.values():
        for name in set(facts) - {"smpl", "camera"}:
            del facts[name]
    joblib.dump(result, tmp_path / "x.pkl", compress=3)
    track = read_track(tmp_path / "x.pkl")
    assert track.images.tolist() == [1, *range(3, FRAMES + 1)]
    assert track.pelvis_rest is None and track.num_people == 1
    facts = result["/home/annotator/demo/img/000031.jpg"]
    np.testing.assert_array_equal(track.camera[29], facts["camera"][0])


def test_a_damaged_video_is_told_and_stops_no_other(own_root):
    video = own_root / "cut" / f"{ONE_PART}.mp4"
    video.write_bytes(video.read_bytes()[:100])
    found, skipped = read(own_root)
    assert ONE_PART in skipped and len(found) == 3


def test_several_lists_are_one_too_many(own_root):
    shutil.copy(own_root / "human4dit_video.csv", own_root / "copy.csv")
    with pytest.raises(ValueError, match=r"2 \.csv files"):
        list(DATASET.sequences(own_root))
