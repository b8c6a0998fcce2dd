"""The adapters for SMPL-X and AMASS `.npz` files, on good files and on hostile ones."""

import dataclasses
import os
import pathlib
import tracemalloc
import zipfile

import numpy as np
import pytest

from datasets.adapters import amass, smplx_npz
from datasets.adapters.embedded import EmbeddedDataset
from datasets.adapters.formats.motion_checks import require_plausible
from datasets.adapters.formats.motion_files import ReadOptions, subject_group, take_group
from datasets.bodies.smplx import load_body
from tests.datasets.mini import reading
from tests.datasets.mini.motions import captured, plain, save
from tests.pickle_trap import Trap

T = 12
# (x, y, z) -> (x, z, -y)
Y_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])


def read_all(dataset, root):
    """Sequences by name, and the reason for each file that was skipped."""
    found, skipped = reading.read(dataset, root)
    return {name: sequence for (name, *_), sequence in found.items()}, skipped


def with_options(dataset, **options):
    return dataclasses.replace(dataset, options=ReadOptions(**options))


def test_a_plain_file_is_taken_as_it_is(tmp_path):
    arrays = plain()
    save(tmp_path / "walk.npz", arrays)
    found, skipped = read_all(smplx_npz.DATASET, tmp_path)
    assert not skipped
    sequence = found["walk"]
    motion = sequence.world_motion
    for name, key in (
        ("body_pose", "theta"),
        ("global_orient", "phi"),
        ("transl", "tau"),
        ("betas", "beta"),
    ):
        np.testing.assert_array_equal(getattr(motion, name), arrays[key].astype(np.float32))
    assert (motion.space, motion.body, motion.gender, motion.fps) == (
        "world",
        "smplx",
        "neutral",
        30,
    )
    assert (sequence.dataset, sequence.split, sequence.camera) == ("smplx_npz", None, "none")
    assert sequence.camera_motion is None
    assert sequence.valid.all()
    np.testing.assert_array_equal(sequence.frame_ids, np.arange(T))


@pytest.mark.parametrize("pose", ["theta", "body_pose", "pose_body"])
@pytest.mark.parametrize("root", ["phi", "global_orient", "root_orient"])
@pytest.mark.parametrize("shift", ["tau", "transl", "trans"])
def test_key_synonyms(tmp_path, pose, root, shift):
    arrays = plain()
    renamed = {
        pose: arrays["theta"],
        root: arrays["phi"],
        shift: arrays["tau"],
        "betas": np.arange(16.0),
        "mocap_frame_rate": np.array([120]),
        "gender": np.array(b"female"),
    }
    motion = smplx_npz.read(save(tmp_path / "a.npz", renamed)).motion
    np.testing.assert_array_equal(motion.transl, arrays["tau"].astype(np.float32))
    np.testing.assert_array_equal(motion.betas, np.arange(10))
    assert (motion.fps, motion.gender) == (120, "female")


@pytest.mark.parametrize("shape", [(10,), (16,), (300,), (1, 10), (T, 10), (T, 16), (T, 1, 10)])
def test_betas_are_cut_to_ten(tmp_path, shape):
    betas = np.random.default_rng(0).normal(size=shape)
    motion = smplx_npz.read(save(tmp_path / "a.npz", plain(beta=betas))).motion
    expected = betas.reshape(-1, shape[-1])[:, :10] if shape[0] == T else betas.ravel()[:10]
    np.testing.assert_array_equal(motion.betas, expected.astype(np.float32))


def test_z_up_is_turned_joint_by_joint(tmp_path):
    body = load_body()
    upright = smplx_npz.read(save(tmp_path / "y.npz", plain())).motion
    turned = smplx_npz.read(save(tmp_path / "z.npz", plain(up=np.array("Z")))).motion
    expected = body.joints(upright.to_channels()) @ Y_UP.T
    np.testing.assert_allclose(body.joints(turned.to_channels()), expected, atol=2e-6)


@pytest.mark.parametrize("width", [66, 156, 165])
def test_amass_poses_start_with_root_and_body(tmp_path, width):
    body = load_body()
    arrays = captured(width=width)
    motion = amass.read(save(tmp_path / "a.npz", arrays)).motion
    np.testing.assert_array_equal(motion.body_pose, arrays["poses"][:, 3:66].astype(np.float32))
    np.testing.assert_array_equal(motion.betas, arrays["betas"][:10].astype(np.float32))
    channels = np.concatenate(
        [arrays["poses"][:, :66], np.tile(arrays["betas"][:10], (T, 1)), arrays["trans"]], axis=1
    )
    expected = body.joints(channels) @ Y_UP.T
    np.testing.assert_allclose(body.joints(motion.to_channels()), expected, atol=2e-6)


@pytest.mark.parametrize(
    ("fps", "stride"), [(30, 1), (60, 2), (59.94, 2), (100, 3), (120, 4), (250, 8), (20, 1)]
)
def test_amass_is_thinned_to_about_30_and_keeps_the_true_rate(tmp_path, fps, stride):
    arrays = captured(frames=50, mocap_framerate=None, mocap_frame_rate=np.array(fps))
    motion = amass.read(save(tmp_path / "a.npz", arrays)).motion
    assert motion.fps == pytest.approx(fps / stride)
    expected = arrays["poses"][::stride, 3:66].astype(np.float32)
    np.testing.assert_array_equal(motion.body_pose, expected)


def test_amass_shape_files_are_passed_over_without_a_word(tmp_path):
    save(tmp_path / "CMU" / "01" / "01_01_stageii.npz", captured())
    save(tmp_path / "CMU" / "01" / "neutral_stagei.npz", {"betas": np.zeros(16)})
    save(tmp_path / "CMU" / "01" / "shape.npz", {"betas": np.zeros(16)})
    found, skipped = read_all(amass.DATASET, tmp_path)
    assert list(found) == ["CMU/01/01_01_stageii"]
    assert not skipped


def test_groups_keep_partners_together():
    assert take_group("cmu_60_03") == take_group("61/61_03_poses") == take_group("x/CMU_61_03")
    assert take_group("18_01") == take_group("cmu_19_01")
    different = ["cmu_60_03", "cmu_60_04", "cmu_01_03", "cmu_62_03", "cmu_160_03", "cmu_60_031"]
    assert len({take_group(name) for name in different}) == len(different)
    assert take_group("some/take") == "some/take"
    assert subject_group("CMU/60/60_01") == subject_group("CMU/61/61_09")
    assert subject_group("CMU/60/60_01") != subject_group("CMU/62/62_01")
    assert subject_group("KIT/3/a") == "KIT/3"
    assert subject_group("KIT/3/a") != subject_group("Eyes/3/a")
    assert subject_group("take1") == "take1"  # in no subject's folder: a group of its own


HOSTILE = {
    "no pose": plain(theta=None),
    "no rate": plain(fps=None),
    "nan": plain(tau=np.full((T, 3), np.nan)),
    "infinite": plain(phi=np.full((T, 3), np.inf)),
    "overflow": plain(tau=np.full((T, 3), 1e200)),
    "no frame": plain(frames=0),
    "ragged": plain(phi=np.zeros((T + 1, 3))),
    "wrong width": plain(theta=np.zeros((T, 69))),
    "flat": plain(theta=np.zeros(63)),
    "scalar": plain(theta=np.float64(0)),
    "text": plain(theta=np.full((T, 63), "0.1")),
    "complex": plain(tau=np.zeros((T, 3), complex)),
    "few betas": plain(beta=np.zeros(9)),
    "scalar betas": plain(beta=np.float64(0)),
    "zero rate": plain(fps=np.float32(0)),
    "nan rate": plain(fps=np.float32(np.nan)),
    "two rates": plain(fps=np.array([30, 60])),
    "text rate": plain(fps=np.array("30")),
    "sideways": plain(up=np.array("-x")),
    "no up": plain(up=np.array([])),
    "odd gender": plain(gender=np.array("?")),
    "nothing": {},
}
HOSTILE = {name: (smplx_npz, arrays) for name, arrays in HOSTILE.items()} | {
    f"AMASS {number}": (amass, captured(**changes))
    for number, changes in enumerate(
        [
            {"poses": None},
            {"trans": None},
            {"mocap_framerate": None},
            {"poses": np.zeros((T, 63))},
            {"poses": np.zeros(T)},
            {"poses": np.full((T, 165), np.nan)},
            {"trans": np.zeros((T - 1, 3))},
            {"mocap_framerate": np.array(-30.0)},
            {"mocap_framerate": np.array(np.inf)},
        ]
    )
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_bad_file_is_skipped_with_a_reason_and_the_next_one_is_read(tmp_path, name):
    adapter, arrays = HOSTILE[name]
    save(tmp_path / "a bad one.npz", arrays)
    save(tmp_path / "good.npz", captured() if adapter is amass else plain())
    found, skipped = read_all(adapter.DATASET, tmp_path)
    assert list(found) == ["good"]
    assert list(skipped) == ["a bad one"]
    assert skipped["a bad one"]
    assert "\n" not in skipped["a bad one"]


@pytest.mark.parametrize("key", ["theta", "beta", "fps", "up", "gender", "group"])
def test_pickled_arrays_are_never_opened(tmp_path, key):
    trap = tmp_path / "trap"
    payload = np.array([Trap(pathlib.Path.touch, trap)], dtype=object)
    save(tmp_path / "root" / "a.npz", plain(**{key: payload}))
    found, skipped = read_all(smplx_npz.DATASET, tmp_path / "root")
    assert not found
    assert key in skipped["a"]
    assert not trap.exists()
    # The trap works: this is what would have happened.
    with np.load(tmp_path / "root" / "a.npz", allow_pickle=True) as file:
        _ = file[key]
    assert trap.exists()


def walk(fps, *, metres=1.0, pace=1.4):
    """(90, 3): a straight line at `pace` m/s."""
    return np.outer(np.arange(90) / fps * pace * metres, [0, 0, 1])


def test_a_walk_in_centimetres_is_asked_about(tmp_path):
    save(tmp_path / "a" / "metres.npz", plain(frames=90, tau=walk(30)))
    save(tmp_path / "a" / "sprint.npz", plain(frames=90, tau=walk(30, pace=12.4)))
    save(tmp_path / "a" / "centimetres.npz", plain(frames=90, tau=walk(30, metres=100)))
    # One jump, as where a recording lost its markers, is no wrong unit.
    save(
        tmp_path / "a" / "jump.npz",
        plain(frames=90, tau=walk(30) + 50 * np.outer(np.arange(90) > 40, [1, 0, 0])),
    )
    save(tmp_path / "a" / "one frame.npz", plain(frames=1))
    found, skipped = read_all(smplx_npz.DATASET, tmp_path / "a")
    assert set(found) == {"metres", "sprint", "jump", "one frame"}
    assert skipped == {"centimetres": "the root moves at 140 m/s: are these centimetres?"}
    # Of a fast recording it is the true speed that counts.
    fast = {"frames": 90, "mocap_framerate": np.array(250.0)}
    save(tmp_path / "b" / "run.npz", captured(**fast, trans=walk(250, pace=8)))
    save(tmp_path / "b" / "centimetres.npz", captured(**fast, trans=walk(250, metres=100)))
    found, skipped = read_all(amass.DATASET, tmp_path / "b")
    assert (list(found), list(skipped)) == (["run"], ["centimetres"])


def test_a_group_that_files_name_goes_before_that_of_their_names(tmp_path):
    for adapter, arrays in ((smplx_npz, plain), (amass, captured)):
        root = tmp_path / adapter.DATASET.name
        save(root / "a" / "one.npz", arrays(group=np.array("Duo 7")))
        save(root / "b" / "two.npz", arrays(group=np.array([b" Duo 7 "])))
        save(root / "c" / "60_03.npz", arrays(group=np.array("alone")))
        save(root / "60" / "60_04.npz", arrays())
        for number, wrong in enumerate((np.array(""), np.array(7), np.array(["a", "b"]))):
            save(root / f"wrong {number}.npz", arrays(group=wrong))
        found, skipped = read_all(adapter.DATASET, root)
        groups = {name: sequence.group for name, sequence in found.items()}
        own = adapter.DATASET.group("60/60_04")
        assert groups == {"a/one": "Duo 7", "b/two": "Duo 7", "c/60_03": "alone", "60/60_04": own}
        assert set(skipped) == {"wrong 0", "wrong 1", "wrong 2"}
        assert all("group is not one text" in reason for reason in skipped.values())


def test_pickled_extras_do_not_matter(tmp_path):
    trap = tmp_path / "trap"
    extra = np.array([Trap(pathlib.Path.touch, trap)], dtype=object)
    save(tmp_path / "root" / "a.npz", captured(markers_latent_vids=extra))
    found, _ = read_all(amass.DATASET, tmp_path / "root")
    assert list(found) == ["a"]
    assert not trap.exists()


def test_files_that_are_no_npz(tmp_path):
    whole = save(tmp_path / "whole.npz", plain()).read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.npz").write_bytes(b"")
    (tmp_path / "text.npz").write_text("not an archive")
    (tmp_path / "gone.npz").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder.npz").mkdir()
    os.mkfifo(tmp_path / "pipe.npz")
    flipped = bytearray(whole)
    flipped[200] ^= 0xFF  # inside the first array
    (tmp_path / "flipped.npz").write_bytes(flipped)
    np.save(tmp_path / "array.npy", np.zeros(3))
    (tmp_path / "array.npy").rename(tmp_path / "array.npz")
    found, skipped = read_all(smplx_npz.DATASET, tmp_path)
    assert list(found) == ["whole"]
    assert set(skipped) == {"cut", "empty", "text", "gone", "pipe", "flipped", "array"}


def test_names_are_relative_sorted_and_may_be_anything(tmp_path):
    names = ["b/c", "b/a b", "ä ö", 'it\'s "q"', "日本", "100%", "a.b.c"]
    for seed, name in enumerate(names):
        save(tmp_path / f"{name}.npz", plain(seed))
    save(tmp_path / "UPPER.NPZ", plain())
    (tmp_path / "other.txt").write_text("")
    found, skipped = read_all(smplx_npz.DATASET, tmp_path)
    assert not skipped
    assert set(found) == {*names, "UPPER"}
    again, _ = read_all(smplx_npz.DATASET, tmp_path)
    assert list(again) == list(found)


def test_two_files_of_one_name_and_a_name_that_is_not_utf8(tmp_path):
    save(tmp_path / "a.npz", plain())
    save(tmp_path / "a.NPZ", plain(1))
    save(pathlib.Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.npz")), plain())
    found, skipped = read_all(smplx_npz.DATASET, tmp_path)
    assert set(found) == {"a", "\\xff"}
    assert "same name" in skipped["a"]


def test_a_hopeless_root_is_an_error_at_once(tmp_path):
    for root in (None, tmp_path / "nowhere", tmp_path):
        with pytest.raises(FileNotFoundError, match=r"no folder|no .npz"):
            next(smplx_npz.DATASET.sequences(root))
    with pytest.raises(ValueError, match="official"):
        next(smplx_npz.DATASET.sequences(tmp_path, "test"))


SHARED = pathlib.Path(__file__).parents[3].parent / "shared" / "data" / "motion"


@pytest.mark.skipif(
    not SHARED.is_dir(), reason="the shared CMU takes are not beside the repository"
)
def test_real_takes_stand_on_the_ground():
    found, skipped = read_all(smplx_npz.DATASET, SHARED)
    assert len(found) == 17
    assert not skipped
    assert found["cmu_60_03"].group == found["cmu_61_03"].group != found["cmu_60_04"].group
    motion = found["cmu_01_01"].world_motion
    joints = load_body().joints(motion.to_channels())
    feet, head = joints[:, [10, 11], 1].min(1), joints[:, 15, 1]
    assert np.percentile(feet, 5) == pytest.approx(0.03, abs=0.02)
    assert 0.8 < np.median(head) < 1.8


def test_a_file_for_the_other_adapter_is_skipped_with_its_name(tmp_path):
    save(tmp_path / "z" / "amass.npz", captured())
    both = captured(root_orient=np.zeros((T, 3)), pose_body=np.zeros((T, 63)))
    save(tmp_path / "z" / "amass-x.npz", both)
    renamed = {"theta": "pose_body", "phi": "root_orient"}
    arrays = {renamed.get(name, name): array for name, array in plain().items()}
    save(tmp_path / "z" / "plain.npz", arrays)
    found, skipped = read_all(smplx_npz.DATASET, tmp_path)
    assert list(found) == ["z/plain"]
    assert all("use the dataset amass" in skipped[f"z/{n}"] for n in ("amass", "amass-x"))
    found, skipped = read_all(amass.DATASET, tmp_path)
    assert sorted(found) == ["z/amass", "z/amass-x"]
    assert "use the dataset smplx_npz" in skipped["z/plain"]


def lying(axis):
    """(T, 3) root rotations that turn an upright person's trunk from y to another axis."""
    turn = {"x": [0, 0, -np.pi / 2], "z": [np.pi / 2, 0, 0], "-y": [np.pi, 0, 0]}[axis]
    return np.tile(turn, (T, 1)).astype(float)


@pytest.mark.parametrize("axis", ["x", "z", "-y"])
def test_a_trunk_along_another_axis_than_up_is_asked_about(tmp_path, axis):
    upright = smplx_npz.read(save(tmp_path / "ok" / "a.npz", plain())).motion
    height = load_body().joints(upright.to_channels())[:, 15, 1]
    save(tmp_path / "root" / "a.npz", plain(phi=lying(axis), up=None))
    found, skipped = read_all(smplx_npz.DATASET, tmp_path / "root")
    assert not found
    assert f"{axis} up? write up = '{axis}' or give --up {axis}" in skipped["a"]
    for answer in ("option", "file"):
        folder = with_options(smplx_npz.DATASET, up=axis)
        if answer == "file":
            save(tmp_path / "root" / "a.npz", plain(phi=lying(axis), up=np.array(axis)))
            folder = smplx_npz.DATASET
        found, skipped = read_all(folder, tmp_path / "root")
        assert not skipped
        joints = load_body().joints(found["a"].world_motion.to_channels())
        np.testing.assert_allclose(joints[:, 15, 1] - joints[:, 0, 1], height, atol=0.6)
        assert (joints[:, 15, 1] - joints[:, 0, 1] > 0.4).all()
        assert (f"{axis} is up, by --up" in found["a"].assumed) == (answer == "option")


def test_who_lies_all_the_time_says_so_in_the_file_and_nobody_stands_on_the_head_for_ever(tmp_path):
    save(tmp_path / "asleep.npz", plain(phi=lying("x"), up=np.array("y")))
    save(tmp_path / "turned over.npz", plain(phi=lying("-y"), up=np.array("y")))
    save(tmp_path / "unsaid.npz", plain(phi=lying("x"), up=None))
    some = np.where((np.arange(T) < T // 2)[:, None], lying("x"), 0)
    save(tmp_path / "gets up.npz", plain(phi=some, up=None))
    found, skipped = read_all(smplx_npz.DATASET, tmp_path)
    assert set(found) == {"asleep", "gets up"}
    assert set(skipped) == {"turned over", "unsaid"}
    assert "write up = 'y' in the file" in skipped["unsaid"]


def test_a_file_and_a_command_that_contradict_each_other_are_not_reconciled(tmp_path):
    save(tmp_path / "a.npz", plain(up=np.array("y")))
    _, skipped = read_all(with_options(smplx_npz.DATASET, up="z"), tmp_path)
    assert skipped == {"a": "the file says up = 'y', the command --up z"}


def test_what_people_do_is_not_asked_about():
    for taken in EmbeddedDataset(8, 3).sequences(None):
        up = {"up_to_y": np.eye(3), "is_up_stated": True}
        require_plausible(taken.world_motion, taken.valid, **up)


@pytest.mark.parametrize(
    ("changes", "question"),
    [
        ({"tau": np.tile([0, 92.0, 0], (T, 1))}, "centimetres"),  # hardly moves
        ({"tau": np.outer(np.arange(T) % 3 > 0, [0, 5.0, 0]), "fps": 0.5}, "centimetres"),
        ({"theta": np.random.default_rng(0).normal(0, 0.5, (T, 63)), "fps": 300}, "300 frames"),
    ],
)
def test_a_wrong_unit_or_rate_is_asked_about(tmp_path, changes, question):
    save(tmp_path / "a.npz", plain(**changes))
    found, skipped = read_all(smplx_npz.DATASET, tmp_path)
    assert not found and question in skipped["a"]


@pytest.mark.parametrize(
    ("adapter", "arrays", "key", "shape"),
    [
        (smplx_npz, plain, "theta", (T, 21, 3)),
        (smplx_npz, plain, "theta", (1, T, 63)),
        (smplx_npz, plain, "phi", (T, 1, 3)),
        (smplx_npz, plain, "tau", (T, 1, 3)),
        (smplx_npz, plain, "beta", (10, 1)),
        (amass, captured, "poses", (T, 55, 3)),
        (amass, captured, "trans", (T, 1, 3)),
        (amass, captured, "betas", (1, 16)),
    ],
)
def test_another_shape_of_the_same_numbers_is_the_same_motion(
    tmp_path, adapter, arrays, key, shape
):
    one = adapter.read(save(tmp_path / "a.npz", arrays())).motion
    changed = {key: arrays()[key].reshape(shape)}
    other = adapter.read(save(tmp_path / "b.npz", arrays(**changed))).motion
    np.testing.assert_array_equal(one.to_channels(), other.to_channels())


@pytest.mark.parametrize("key", ["fps", "mocap_framerate", "mocap_frame_rate", "frame_rate"])
@pytest.mark.parametrize("adapter", [amass, smplx_npz])
def test_the_rate_goes_by_four_names(tmp_path, adapter, key):
    arrays = captured(mocap_framerate=None) if adapter is amass else plain(fps=None)
    recording = adapter.read(save(tmp_path / "a.npz", {**arrays, key: np.array(25)}))
    assert recording.motion.fps == 25


def test_rates_that_differ_or_are_missing_are_asked_for(tmp_path):
    two = save(tmp_path / "two.npz", captured(fps=np.array(60)))
    with pytest.raises(ValueError, match=r"fps 60, mocap_framerate 30.*--source-fps"):
        amass.read(two)
    assert amass.read(two, ReadOptions(source_fps=60)).motion.fps == 30
    none = save(tmp_path / "none.npz", plain(fps=None))
    with pytest.raises(ValueError, match=r"no frame rate.*--source-fps"):
        smplx_npz.read(none)
    for options in (ReadOptions(fps=20), ReadOptions(source_fps=20), ReadOptions(fps=20)):
        recording = smplx_npz.read(none, options)
        assert recording.motion.fps == 20
        assert any(text.startswith("20 frames per second, by --") for text in recording.assumed)
    # A rate that is wanted is no reason to doubt the file's, nor to thin it first.
    fast = save(tmp_path / "fast.npz", captured(mocap_framerate=np.array(120.0)))
    assert amass.read(fast, ReadOptions(fps=60)).motion.fps == 120
    assert amass.read(fast, ReadOptions(source_fps=60)).motion.fps == 30
    assert len(amass.read(fast, ReadOptions(source_fps=60)).motion) == T // 2


@pytest.mark.parametrize("adapter", [amass, smplx_npz])
def test_what_a_file_does_not_say_is_assumed_and_told(tmp_path, adapter):
    arrays = captured(betas=None, gender=None) if adapter is amass else plain(beta=None)
    path = save(tmp_path / "a.npz", arrays)
    recording = adapter.read(path)
    assert recording.motion.gender == "neutral" and not recording.motion.betas.any()
    assert "neutral bodies, as the file has no gender" in recording.assumed
    assert "the mean shape, as the file has no betas" in recording.assumed
    told = adapter.read(path, ReadOptions(gender="female"))
    assert told.motion.gender == "female"
    assert "female bodies, by --gender, where the file does not say it" in told.assumed


def test_words_for_a_gender(tmp_path):
    words = {"b'female'": "female", "F": "female", 'b"M"': "male", "n": "neutral"}
    words |= {gender: gender for gender in ("female", "male", "neutral")}
    for word, meant in words.items():
        for stored in (np.array(word), np.array(word.encode()), np.array([word])):
            path = save(tmp_path / "a.npz", captured(gender=stored))
            assert amass.read(path).motion.gender == meant
            assert amass.read(path, ReadOptions(gender="male")).motion.gender == meant
    for word in ("?", "unknown"):
        odd = save(tmp_path / "a.npz", captured(gender=np.array(word)))
        assert amass.read(odd, ReadOptions(gender="male")).motion.gender == "male"
        with pytest.raises(ValueError, match="gender"):
            amass.read(odd)


def test_a_frame_that_is_not_finite_is_masked_and_held(tmp_path):
    arrays = plain()
    arrays["theta"][4, 7], arrays["tau"][9] = np.nan, np.inf
    save(tmp_path / "a.npz", arrays)
    found, skipped = read_all(smplx_npz.DATASET, tmp_path)
    assert not skipped
    assert np.flatnonzero(~found["a"].valid).tolist() == [4, 9]
    motion = found["a"].world_motion
    np.testing.assert_array_equal(motion.body_pose[4], motion.body_pose[3])
    np.testing.assert_array_equal(motion.body_pose[5], arrays["theta"][5].astype(np.float32))


def test_a_file_of_a_size_that_no_take_has_is_not_read_into_memory(tmp_path):
    shape = (600_000, 66)
    header = {"descr": "<f8", "fortran_order": False, "shape": shape}
    with (
        zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as file,
        file.open("theta.npy", "w") as entry,
    ):
        np.lib.format.write_array_header_1_0(entry, header)
        for _ in range(66):
            entry.write(bytes(600_000 * 8))
    tracemalloc.start()
    _, skipped = read_all(smplx_npz.DATASET, tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "would take 317 MB" in skipped["a"]
    assert peak < 50e6


def test_links_are_followed_and_a_circle_of_them_ends(tmp_path):
    root = tmp_path / "root"
    save(root / "a" / "one.npz", plain())
    save(tmp_path / "elsewhere" / "two.npz", plain(1))
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "three.npz").symlink_to(tmp_path / "elsewhere" / "two.npz")
    (root / "a" / "up").symlink_to(root)
    (root / "0 again").symlink_to(root / "a")
    found, skipped = read_all(smplx_npz.DATASET, root)
    assert not skipped
    assert list(found) == ["a/one", "linked/two", "three"]
