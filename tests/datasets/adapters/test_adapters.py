"""The five datasets, each from a miniature copy in its official layout to a store and back."""

import importlib

import numpy as np
import pytest

from datasets import adapters, rotation
from datasets.adapters.formats.root_folder import check_root
from datasets.bodies.smplx import load_body
from datasets.motion import Motion
from datasets.prepare.prepare_store import prepare
from datasets.store.reader import ClipStore
from tests.datasets.mini.reading import key, read

NAMES = ("threedpw", "rich", "bedlam", "dna_rendering", "human4dit")


@pytest.fixture(scope="module", params=NAMES)
def miniature(request, tmp_path_factory):
    """Name, root and pelvis pixels of a miniature copy."""
    root = tmp_path_factory.mktemp(request.param) / "the data"
    build = importlib.import_module(f"benchmark.commands.rehearse.miniatures.{request.param}").build
    return request.param, root, build(root)


@pytest.fixture(scope="module")
def sequences(miniature):
    """What its adapter yields, in order."""
    name, root, _ = miniature
    return list(adapters.get(name).sequences(root))


def pelvis(motion: Motion, rest: np.ndarray | None) -> np.ndarray:
    """(T, 1, 3): where the pelvis joint is."""
    rest = np.zeros(3) if rest is None else rest
    return (rest + motion.transl)[:, None].astype(np.float64)


def test_it_yields_exactly_the_people_in_the_pictures(miniature, sequences):
    name, root, truth = miniature
    found = [key(s) for s in sequences]
    assert sorted(found) == sorted(truth)
    assert found == [key(s) for s in adapters.get(name).sequences(root)]


def test_the_pelvis_is_seen_where_it_was_put(miniature, sequences):
    truth = miniature[2]
    labelled = [sequence for sequence in sequences if sequence.camera_motion is not None]
    assert labelled
    for sequence in labelled:
        wanted = truth[key(sequence)][sequence.valid]
        points = pelvis(sequence.camera_motion, sequence.pelvis_rest)
        pixels = sequence.view.project(points)[sequence.valid, 0]
        np.testing.assert_allclose(pixels, wanted, atol=0.5, err_msg=str(key(sequence)))
        if sequence.world_motion is not None:
            points = pelvis(sequence.world_motion, sequence.pelvis_rest)
            T_w2c = sequence.view.T_w2c.astype(np.float64)
            seen = np.einsum("tij,tnj->tni", T_w2c[:, :3, :3], points) + T_w2c[:, None, :3, 3]
            pixels = sequence.view.project(seen)[sequence.valid, 0]
            np.testing.assert_allclose(pixels, wanted, atol=0.5, err_msg=str(key(sequence)))


def test_camera_motion_is_the_world_mesh_seen_from_the_camera(miniature, sequences):
    """SMPL-X: through the body model. SMPL: of any points that turn with the root about J0."""
    both = [s for s in sequences if s.camera_motion is not None and s.world_motion is not None]
    assert both or miniature[0] == "human4dit"  # which has no world
    for sequence in both:
        frames = slice(0, None, 10)
        meshes = [
            mesh(motion[frames], sequence.pelvis_rest)
            for motion in (sequence.world_motion, sequence.camera_motion)
        ]
        T_w2c = sequence.view.T_w2c[frames]
        seen = np.einsum("tij,tnj->tni", T_w2c[:, :3, :3], meshes[0]) + T_w2c[:, None, :3, 3]
        np.testing.assert_allclose(meshes[1], seen, atol=1e-4)


def mesh(motion: Motion, pelvis_rest: np.ndarray) -> np.ndarray:
    """(T, n, 3) points of the person."""
    if motion.body == "smplx":
        return load_body(gender=motion.gender).vertices(motion.to_channels())[:, ::20]
    points = np.random.default_rng(0).normal(size=(50, 3))
    turned = rotation.axis_angle_to_matrix(motion.global_orient) @ points.T
    return np.swapaxes(turned, 1, 2) + (pelvis_rest + motion.transl)[:, None]


def test_its_pictures_are_upright_and_of_the_cameras_size(sequences):
    for sequence in sequences:
        source = sequence.source
        rows = np.flatnonzero(sequence.valid)[:2].tolist()
        for picture in source.frames(rows):
            assert picture.shape == (source.height, source.width, 3)
            assert picture.dtype == np.uint8
        if sequence.view is not None:
            assert (source.width, source.height) == (sequence.view.width, sequence.view.height)


def test_the_splits_are_its_parts(miniature, sequences):
    name, root, _ = miniature
    whole = {key(s): (s.split, s.group) for s in sequences}
    parts = {}
    for split in ("train", "val", "test"):
        for sequence in adapters.get(name).sequences(root, split):
            assert sequence.split == split
            parts[key(sequence)] = (split, sequence.group)
    assert parts == whole
    sides = {}
    for split, group in whole.values():
        assert sides.setdefault(group, split) == split, f"{group} is on two sides"


def test_prepared_and_read_back_it_is_the_same(miniature, sequences, tmp_path):
    name, root, truth = miniature
    prepare(adapters.get(name), root, tmp_path / "store", video_size=64, progress=False)
    store = ClipStore.open(tmp_path / "store")
    assert len(store)
    found = {key(s): s for s in sequences}
    for clip in store:
        sequence = found[key(clip)]
        row = sequence.frame_ids.tolist().index(clip.frame_ids[0])
        rows = slice(row, row + len(clip.frame_ids))
        np.testing.assert_array_equal(clip.frame_ids, sequence.frame_ids[rows])
        assert (clip.group, clip.num_people) == (sequence.group, sequence.num_people)
        assert clip.fps == np.float32(sequence.fps)
        native = store.native(clip.clip_id)
        assert native.keys() == sequence.native.keys()
        for field, value in sequence.native.items():
            value = np.asarray(value)
            value = value[rows] if field in sequence.native_frames else value
            assert native[field].dtype == value.dtype
            np.testing.assert_array_equal(native[field], value)
        assert clip.video.is_file() and clip.video.is_relative_to(store.path)
        if clip.camera_motion is not None:
            points = pelvis(clip.camera_motion, clip.pelvis_rest)
            wanted = clip.resize.points(truth[key(clip)][rows], clip.view.pixel_origin)
            np.testing.assert_allclose(clip.view.project(points)[:, 0], wanted, atol=0.5)


def test_a_wrong_folder_level_is_told(miniature):
    """Whichever it is: above, one below or two below."""
    name, root, _ = miniature
    below = [path for pattern in ("*", "*/*") for path in root.glob(pattern) if path.is_dir()]
    for wrong in (root.parent, *below):
        with pytest.raises(FileNotFoundError, match=rf"--root {root}$"):
            list(adapters.get(name).sequences(wrong))


def test_a_closed_folder_beside_the_right_one_is_passed_over(tmp_path):
    (tmp_path / "closed").mkdir()
    (tmp_path / "data" / "labels").mkdir(parents=True)

    def is_root(folder):
        if folder.name == "closed":  # as `Path.is_dir` does below it; root may read everything
            raise PermissionError("closed")
        return (folder / "labels").is_dir()

    with pytest.raises(FileNotFoundError, match=f"--root {tmp_path / 'data'}$"):
        check_root(tmp_path, is_root, "labels")


def test_a_missing_folder_and_an_empty_one_are_told(miniature, tmp_path):
    name, _, _ = miniature
    for wrong in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(FileNotFoundError, match=str(wrong)):
            list(adapters.get(name).sequences(wrong))


def test_what_is_left_out_has_a_reason(miniature):
    name, root, _ = miniature
    skipped = read(adapters.get(name), root)[1]
    assert skipped
    for thing, reason in skipped.items():
        assert thing and reason and "\n" not in reason
