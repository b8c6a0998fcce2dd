"""The adapters for SMPL-X and AMASS `.npz` files, on good files and on hostile ones."""

import os
import pathlib
import tracemalloc
import zipfile

import numpy as np
import pytest

from datasets.adapters import amass, smplx_npz
from datasets.adapters.formats.motion_files import ReadOptions, subject_group, take_group
from datasets.bodies.smplx import load_body
from tests.datasets.mini.motions import captured, plain, save
from tests.datasets.mini.reading import read_names
from tests.pickle_trap import Trap

T = 12
# (x, y, z) -> (x, z, -y)
Y_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])


def test_a_plain_file_is_taken_as_it_is(tmp_path):
    arrays = plain()
    save(tmp_path / "walk.npz", arrays)
    found, skipped = read_names(smplx_npz.DATASET, tmp_path)
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
    found, skipped = read_names(amass.DATASET, tmp_path)
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
    found, skipped = read_names(adapter.DATASET, tmp_path)
    assert list(found) == ["good"]
    assert list(skipped) == ["a bad one"]
    assert skipped["a bad one"]
    assert "\n" not in skipped["a bad one"]


@pytest.mark.parametrize("key", ["theta", "beta", "fps", "up", "gender", "group"])
def test_pickled_arrays_are_never_opened(tmp_path, key):
    trap = tmp_path / "trap"
    payload = np.array([Trap(pathlib.Path.touch, trap)], dtype=object)
    save(tmp_path / "root" / "a.npz", plain(**{key: payload}))
    found, skipped = read_names(smplx_npz.DATASET, tmp_path / "root")
    assert not found
    assert key in skipped["a"]
    assert not trap.exists()
    # The trap works: this is what would have happened.
    with np.load(tmp_path / "root" / "a.npz", allow_pickle=True) as file:
        _ = file[key]
    assert trap.exists()


def test_a_group_that_files_name_goes_before_that_of_their_names(tmp_path):
    for adapter, arrays in ((smplx_npz, plain), (amass, captured)):
        root = tmp_path / adapter.DATASET.name
        save(root / "a" / "one.npz", arrays(group=np.array("Duo 7")))
        save(root / "b" / "two.npz", arrays(group=np.array([b" Duo 7 "])))
        save(root / "c" / "60_03.npz", arrays(group=np.array("alone")))
        save(root / "60" / "60_04.npz", arrays())
        for number, wrong in enumerate((np.array(""), np.array(7), np.array(["a", "b"]))):
            save(root / f"wrong {number}.npz", arrays(group=wrong))
        found, skipped = read_names(adapter.DATASET, root)
        groups = {name: sequence.group for name, sequence in found.items()}
        own = adapter.DATASET.group("60/60_04")
        assert groups == {"a/one": "Duo 7", "b/two": "Duo 7", "c/60_03": "alone", "60/60_04": own}
        assert set(skipped) == {"wrong 0", "wrong 1", "wrong 2"}
        assert all("group is not one text" in reason for reason in skipped.values())


def test_pickled_extras_do_not_matter(tmp_path):
    trap = tmp_path / "trap"
    extra = np.array([Trap(pathlib.Path.touch, trap)], dtype=object)
    save(tmp_path / "root" / "a.npz", captured(markers_latent_vids=extra))
    found, _ = read_names(amass.DATASET, tmp_path / "root")
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
    found, skipped = read_names(smplx_npz.DATASET, tmp_path)
    assert list(found) == ["whole"]
    assert set(skipped) == {"cut", "empty", "text", "gone", "pipe", "flipped", "array"}


def test_names_are_relative_sorted_and_may_be_anything(tmp_path):
    names = ["b/c", "b/a b", "ä ö", 'it\'s "q"', "日本", "100%", "a.b.c"]
    for seed, name in enumerate(names):
        save(tmp_path / f"{name}.npz", plain(seed))
    save(tmp_path / "UPPER.NPZ", plain())
    (tmp_path / "other.txt").write_text("")
    found, skipped = read_names(smplx_npz.DATASET, tmp_path)
    assert not skipped
    assert set(found) == {*names, "UPPER"}
    again, _ = read_names(smplx_npz.DATASET, tmp_path)
    assert list(again) == list(found)


def test_two_files_of_one_name_and_a_name_that_is_not_utf8(tmp_path):
    save(tmp_path / "a.npz", plain())
    save(tmp_path / "a.NPZ", plain(1))
    save(pathlib.Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.npz")), plain())
    found, skipped = read_names(smplx_npz.DATASET, tmp_path)
    assert set(found) == {"a", "\\xff"}
    assert "same name" in skipped["a"]


def test_a_hopeless_root_is_an_error_at_once(tmp_path):
    for root in (None, tmp_path / "nowhere", tmp_path):
        with pytest.raises(FileNotFoundError, match=r"no folder|no .npz"):
            next(smplx_npz.DATASET.sequences(root))
    with pytest.raises(ValueError, match="official"):
        next(smplx_npz.DATASET.sequences(tmp_path, "test"))


def test_a_file_for_the_other_adapter_is_skipped_with_its_name(tmp_path):
    save(tmp_path / "z" / "amass.npz", captured())
    both = captured(root_orient=np.zeros((T, 3)), pose_body=np.zeros((T, 63)))
    save(tmp_path / "z" / "amass-x.npz", both)
    renamed = {"theta": "pose_body", "phi": "root_orient"}
    arrays = {renamed.get(name, name): array for name, array in plain().items()}
    save(tmp_path / "z" / "plain.npz", arrays)
    found, skipped = read_names(smplx_npz.DATASET, tmp_path)
    assert list(found) == ["z/plain"]
    assert all("use the dataset amass" in skipped[f"z/{n}"] for n in ("amass", "amass-x"))
    found, skipped = read_names(amass.DATASET, tmp_path)
    assert sorted(found) == ["z/amass", "z/amass-x"]
    assert "use the dataset smplx_npz" in skipped["z/plain"]


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
    found, skipped = read_names(smplx_npz.DATASET, tmp_path)
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
    _, skipped = read_names(smplx_npz.DATASET, tmp_path)
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
    found, skipped = read_names(smplx_npz.DATASET, root)
    assert not skipped
    assert list(found) == ["a/one", "linked/two", "three"]
