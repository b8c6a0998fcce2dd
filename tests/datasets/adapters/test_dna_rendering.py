"""DNA-Rendering: every trap of its layout and conventions, on a miniature copy."""

import os
import pickle
import shutil
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import h5py
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from benchmark.commands.rehearse.miniatures import dna_rendering as mini_dna_rendering
from datasets.adapters.dna_rendering import DATASET
from tests.datasets.mini import reading

FRAMES = mini_dna_rendering.FRAMES


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    root = tmp_path_factory.mktemp("dna") / "root"
    return root, mini_dna_rendering.build(root)


@pytest.fixture(scope="module")
def read(original):
    """The sequences of the copy by name and camera, and what was skipped."""
    return sequences_of(original[0])


@pytest.fixture
def copy(original, tmp_path):
    """A copy of one recording that a test may change: its root, main and annotations file."""
    root = tmp_path / "copy"
    for part, name in (("main", "0007_01.smc"), ("annotations", "0007_01_annots.smc")):
        (root / part).mkdir(parents=True)
        shutil.copy(original[0] / part / name, root / part)
    return root, root / "main" / "0007_01.smc", root / "annotations" / "0007_01_annots.smc"


def sequences_of(root, split=None):
    found, skipped = reading.read(DATASET, root, split)
    return {(name, camera): sequence for (name, camera, _), sequence in found.items()}, skipped


def spot(picture):
    """Column and row of the white spot's centre."""
    light = picture[..., 2].astype(float)
    light = np.where(light > 110, light, 0)
    rows, columns = np.mgrid[: light.shape[0], : light.shape[1]]
    return np.array([(columns * light).sum(), (rows * light).sum()]) / light.sum()


def test_rt_is_camera_to_world(read, original):
    sequence = read[0]["0007_01", "25"]
    w2c = mini_dna_rendering.pose(25)
    np.testing.assert_allclose(sequence.native["RT"], np.linalg.inv(w2c))
    at = sequence.native["transl"] + sequence.pelvis_rest
    expected = at @ w2c[:3, :3].T + w2c[:3, 3]
    found = sequence.camera_motion.transl + sequence.pelvis_rest
    good = sequence.valid
    np.testing.assert_allclose(found[good], expected[good], atol=1e-5)
    assert (found[:, 2] > 1.5).all()


def test_up_is_estimated_from_the_cameras_and_the_world_has_y_up(read):
    for sequence in read[0].values():
        if sequence.world_motion is not None:
            turns = Rotation.from_rotvec(sequence.world_motion.global_orient).as_matrix()
            np.testing.assert_allclose(turns[:, 1, 1], 1, atol=1e-5)
    one, other = (read[0]["0007_01", camera].world_motion for camera in ("0", "48"))
    assert np.array_equal(one.transl, other.transl)


def test_fifteen_frames_a_second_numbered_from_0_in_the_order_of_numbers(read, original):
    sequence = read[0]["0007_01", "48"]
    assert sequence.fps == 15 and sequence.world_motion.fps == 15
    assert sequence.frame_ids.tolist() == list(range(FRAMES))
    for row, picture in zip((2, 11), sequence.source.frames([2, 11]), strict=True):
        np.testing.assert_allclose(spot(picture), original[1]["0007_01", "48", "0"][row], atol=0.3)


def test_names_are_not_padded_though_annotations_are(read):
    assert [camera for name, camera in read[0] if name == "0007_01"] == ["0", "25", "48"]


def test_resolution_is_height_and_width_and_differs_between_groups(read):
    for camera, size in (("0", (51, 61)), ("25", (51, 61)), ("48", (60, 82))):
        sequence = read[0]["0007_01", camera]
        assert (sequence.view.width, sequence.view.height) == size
        (picture,) = sequence.source.frames([0])
        assert picture.shape == (size[1], size[0], 3)


def test_lens_distortion_is_removed_and_K_kept(read, original):
    sequence = read[0]["0007_01", "25"]
    np.testing.assert_array_equal(sequence.view.K[0], np.float32(sequence.native["K"]))
    rows = [0, 30, 69]
    expected = original[1]["0007_01", "25", "0"][rows]
    found = [spot(picture) for picture in sequence.source.frames(rows)]
    taken = [spot(picture) for picture in sequence.source.taken.read(rows)]
    np.testing.assert_allclose(found, expected, atol=0.3)
    assert np.linalg.norm(taken - expected, axis=1).min() > 0.6


def test_a_lens_without_distortion_gives_the_pictures_as_taken(read):
    source = read[0]["0007_01", "48"].source
    (found,), (taken,) = source.frames([7]), source.taken.read([7])
    assert np.array_equal(found, taken)


def test_colours_are_red_green_blue(read):
    for camera in ("0", "25"):
        (picture,) = read[0]["0007_01", camera].source.frames([0])
        red, green, blue = picture[30, 5].tolist()
        assert red > green + 20 > blue + 40


def test_rows_without_a_picture_or_a_number_are_not_valid(read):
    no_picture, no_numbers = mini_dna_rendering.NO_PICTURE, mini_dna_rendering.NO_NUMBERS
    found = {camera: read[0]["0007_01", camera].valid for camera in ("0", "25")}
    assert np.flatnonzero(~found["0"]).tolist() == [no_picture, no_numbers]
    assert np.flatnonzero(~found["25"]).tolist() == [no_numbers]
    with pytest.raises(ValueError, match="picture 2 of camera 0"):
        list(read[0]["0007_01", "0"].source.frames([no_picture]))


def test_short_betas_are_those_of_the_first_frame_and_stay_short_natively(read):
    sequence = read[0]["0018_05", "0"]
    assert sequence.valid.all()
    assert sequence.native["betas"].shape == (1, 10)
    assert sequence.native["expression"].shape == (40, 10)
    assert sequence.native_frames == {"fullpose", "transl"}
    np.testing.assert_array_equal(
        sequence.camera_motion.betas, np.float32(sequence.native["betas"][0])
    )


def test_labels_stay_as_stored(read, original):
    sequence = read[0]["0007_01", "0"]
    with h5py.File(original[0] / "annotations" / "0007_01_annots.smc") as file:
        for name, stored in file["SMPLx"].items():
            assert sequence.native[name].dtype == stored.dtype
            np.testing.assert_array_equal(sequence.native[name], stored[()])
        for name, stored in file["Camera_Parameter/00"].items():
            np.testing.assert_array_equal(sequence.native[name], stored[()])
    assert sequence.motion.gender == "male" and read[0]["0018_05", "0"].motion.gender == "female"
    assert sequence.native["fullpose"].shape == (FRAMES, 55, 3)


def test_a_recording_without_labels_gives_pictures_and_cameras(read, copy):
    sequence = read[0]["0011_10", "48"]
    assert sequence.motion is None and sequence.pelvis_rest is None
    assert sequence.valid.all() and sequence.view.T_w2c is not None
    root, _, annotations = copy
    with h5py.File(annotations, "a") as file:
        del file["SMPLx"], file["Camera_Parameter"]
    found, skipped = sequences_of(root)
    assert not found and "Camera_Parameter" in skipped["0007_01"]


def test_what_cannot_be_used_is_told_and_stops_nothing_else(read):
    assert "0200_01_annots.smc" in read[1]["0200_01"]
    assert "damaged" in read[1]["0300_01"]
    assert "Camera_Parameter/30" in read[1]["0007_01/30"]
    assert len(read[1]) == 3
    assert {name for name, _ in read[0]} == {"0007_01", "0018_05", "0011_10"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda main, annots: main["Camera_5mp"].attrs.pop("resolution"), "resolution"),
        (lambda main, annots: main.attrs.pop("gender"), "gender"),
        (lambda main, annots: annots["SMPLx"].pop("fullpose"), "fullpose"),
        (
            lambda main, annots: annots["SMPLx/transl"].write_direct(np.full((70, 3), np.nan)),
            "no f",
        ),
        (
            lambda main, annots: (
                annots["SMPLx"].pop("betas"),
                annots["SMPLx"].create_dataset("betas", (0, 10), "f8"),
            ),
            "SMPLx/betas",
        ),
        (
            lambda main, annots: annots["SMPLx"].create_dataset(
                "large", (2**37,), "f8", chunks=(1000,)
            ),
            "/SMPLx/large is no array of at most",
        ),
        (lambda main, annots: annots["SMPLx"].create_group("more"), "/SMPLx/more is no array"),
    ],
)
def test_a_file_of_another_layout_is_told(copy, change, reason):
    root, main, annotations = copy
    with h5py.File(main, "a") as first, h5py.File(annotations, "a") as second:
        change(first, second)
    found, skipped = sequences_of(root)
    assert not found
    assert all(reason in text for name, text in skipped.items() if name != "0007_01/30")


def test_a_picture_of_an_absurd_number_costs_its_own_camera(copy):
    root, main, _ = copy
    with h5py.File(main, "a") as file:
        file[f"Camera_5mp/0/color/{'9' * 25}"] = np.zeros(3, np.uint8)
    found, skipped = sequences_of(root)
    assert {camera for _, camera in found} == {"25", "48"}
    assert "999" in skipped["0007_01/0"]


def test_numbers_that_have_no_nan_stay_whole(copy):
    root, main, annotations = copy
    with h5py.File(main, "a") as first, h5py.File(annotations, "a") as second:
        second["SMPLx/label"] = np.arange(FRAMES)
        first[f"Camera_5mp/0/color/{FRAMES}"] = first["Camera_5mp/0/color/0"][()]
    sequence = sequences_of(root)[0]["0007_01", "0"]
    assert len(sequence) == FRAMES + 1
    np.testing.assert_array_equal(sequence.native["label"], np.arange(FRAMES))


@pytest.mark.parametrize("name", ["SMPLx", "SMPLx/transl", "Camera_Parameter/25/K"])
@pytest.mark.parametrize("soft", [True, False])
def test_links_in_the_annotations_are_not_followed(copy, name, soft):
    root, _, annotations = copy
    shutil.copy(annotations, root / "elsewhere.h5")
    with h5py.File(annotations, "a") as file:
        file.move(name, "moved")
        link = h5py.SoftLink("/moved") if soft else h5py.ExternalLink("../elsewhere.h5", name)
        file[name] = link
    found, skipped = sequences_of(root)
    assert not found and f"/{name} is a link to something else: refused" in skipped["0007_01"]


def test_links_in_the_main_file_are_not_followed(copy, tmp_path):
    root, main, _ = copy
    os.mkfifo(tmp_path / "pipe")  # whoever opens it waits for ever
    source = sequences_of(root)[0]["0007_01", "0"].source
    with h5py.File(main, "a") as file:
        del file["Camera_5mp/0/color/5"]
        file["Camera_5mp/0/color/5"] = h5py.ExternalLink(str(tmp_path / "pipe"), "/x")
    with pytest.raises(ValueError, match=r"picture 5 of camera 0: .* is a link"):
        list(source.frames([5]))
    with h5py.File(main, "a") as file:
        del file["Camera_5mp"]
        file["Camera_5mp"] = h5py.ExternalLink(str(tmp_path / "pipe"), "/x")
    found, skipped = sequences_of(root)
    assert not found and "is a link" in skipped["0007_01"]


def test_data_that_is_kept_in_another_file_is_not_read(copy):
    root, _, annotations = copy
    secret = root / "secret"
    secret.write_bytes(np.ones((FRAMES, 3)).tobytes())
    shutil.copy(annotations, root / "elsewhere.h5")
    layout = h5py.VirtualLayout((FRAMES, 3), "f8")
    layout[:] = h5py.VirtualSource(str(root / "elsewhere.h5"), "SMPLx/transl", (FRAMES, 3))
    with h5py.File(annotations, "a") as file:
        del file["SMPLx/transl"]
        file["SMPLx"].create_dataset(
            "transl", (FRAMES, 3), "f8", external=[(str(secret), 0, secret.stat().st_size)]
        )
    assert "/SMPLx/transl keeps its data in another file" in sequences_of(root)[1]["0007_01"]
    with h5py.File(annotations, "a") as file:
        del file["SMPLx/transl"]
        file.create_virtual_dataset("SMPLx/transl", layout)
    found, skipped = sequences_of(root)
    assert not found and "another file: refused" in skipped["0007_01"]


def test_a_damaged_picture_is_told(copy):
    root, main, _ = copy
    with h5py.File(main, "a") as file:
        whole = file["Camera_12mp/48/color/5"][()]
        del file["Camera_12mp/48/color/5"]
        file["Camera_12mp/48/color/5"] = whole[: len(whole) // 2]
        del file["Camera_12mp/48/color/6"]
        file["Camera_12mp/48/color/6"] = file["Camera_5mp/0/color/6"][()]
    source = sequences_of(root)[0]["0007_01", "48"].source
    with pytest.raises(ValueError, match="picture 5 of camera 48"):
        list(source.frames([4, 5]))
    with pytest.raises(ValueError, match="51x61 among those of 60x82"):
        list(source.frames([6]))


def test_pictures_are_read_by_several_processes(read):
    source = read[0]["0007_01", "25"].source
    assert len(pickle.dumps(source)) < 5000
    list(source.frames([0]))
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
        found = list(pool.map(_first, [source] * 4, [1, 5, 9, 13]))
    for row, picture in zip([1, 5, 9, 13], found, strict=True):
        assert np.array_equal(picture, _first(source, row))


def _first(source, row):
    return next(source.frames([row]))


def test_an_actor_is_on_one_side_by_the_hash_of_the_number(read):
    # The first bytes by sha256sum: d6 of unimo-test-v1|0007, 4d of 0018, 0d of 0011; 33 is 51.
    assert {name: s.split for (name, _), s in read[0].items()} == {
        "0007_01": "train",
        "0018_05": "train",
        "0011_10": "test",
    }
    assert read[0]["0007_01", "0"].group == "actor_0007"


def test_the_owners_folder_names_will_do(copy, original):
    root, main, annotations = copy
    main.parent.rename(root / "dna_rendering_part1_main")
    annotations.parent.rename(root / "dna_rendering_part1_annotations")
    for part in ("main", "annotations"):
        (root / f"dna_rendering_part2_{part}").mkdir()
    for part, name in (("main", "0018_05.smc"), ("annotations", "0018_05_annots.smc")):
        shutil.copy(original[0] / part / name, root / f"dna_rendering_part2_{part}")
    assert {name for name, _ in sequences_of(root)[0]} == {"0007_01", "0018_05"}


def test_several_parts_below_one_folder_are_one_dataset(copy, original):
    root, main, annotations = copy
    for part, name in (("main", "0018_05.smc"), ("annotations", "0018_05_annots.smc")):
        folder = root / "Part 2" / f"dna_rendering_part2_{part}"
        folder.mkdir(parents=True)
        shutil.copy(original[0] / part / name, folder)
    (root / "Part 1").mkdir()
    for folder in (main.parent, annotations.parent):
        folder.rename(root / "Part 1" / folder.name)
    assert {name for name, _ in sequences_of(root)[0]} == {"0007_01", "0018_05"}
