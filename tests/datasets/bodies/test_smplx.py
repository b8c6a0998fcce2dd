"""SMPL-X bodies against smplx's own forward, and against files that are not a body model."""

import os
import shutil

import numpy as np
import pytest
import torch
from smplx import create
from smplx.vertex_ids import vertex_ids

from datasets.bodies import smplx
from datasets.bodies.smplx import BODY_JOINTS, load_body
from datasets.bodies.smplx_file import ENV_BODY, LAYOUT, STAND_IN, read_arrays
from datasets.motion import Motion
from datasets.rotation import axis_angle_to_matrix
from tests.pickle_trap import Trap


@pytest.fixture(autouse=True)
def _no_body_from_the_environment(monkeypatch):
    monkeypatch.delenv(ENV_BODY, raising=False)


@pytest.fixture(scope="module")
def stand_in():
    return load_body(STAND_IN)


@pytest.fixture(scope="module")
def arrays():
    return read_arrays(STAND_IN)


@pytest.fixture(scope="module")
def small(arrays):
    """The stand-in's layout with 100 of its vertices: quick to write."""
    by_vertex = ("v_template", "shapedirs", "posedirs", "weights")
    cut = {key: arrays[key][:100] for key in by_vertex}
    return {**arrays, **cut, "J_regressor": arrays["J_regressor"][:, :100], "f": arrays["f"] % 100}


@pytest.fixture(scope="module")
def corrective_file(arrays, tmp_path_factory):
    """A copy of the stand-in with pose correctives of about a centimetre."""
    path = tmp_path_factory.mktemp("corrective") / "SMPLX_NEUTRAL.npz"
    rng = np.random.default_rng(1)
    posedirs = rng.standard_normal(arrays["posedirs"].shape, dtype=np.float32) * 1e-3
    np.savez(path, **{**arrays, "posedirs": posedirs})
    return path


def random_channels(frames, *, varying_betas):
    rng = np.random.default_rng(frames)
    channels = rng.normal(0, [0.5] * 66 + [1.0] * 13, (frames, 79)).astype(np.float32)
    if not varying_betas:
        channels[:, 66:76] = channels[0, 66:76]
    return channels


def smplx_forward(path, channels):
    """Vertices and the 55 joints of smplx's own forward."""
    options = {"use_pca": False, "flat_hand_mean": True, "num_betas": 10}
    layer = create(str(path), model_type="smplx", **options)
    names = {"global_orient": 3, "body_pose": 63, "betas": 10, "transl": 3}
    names |= {"expression": 10, "jaw_pose": 3, "leye_pose": 3, "reye_pose": 3}
    names |= {"left_hand_pose": 45, "right_hand_pose": 45}
    flat = torch.zeros(len(channels), sum(names.values()))
    flat[:, :79] = torch.from_numpy(channels)
    parts = dict(zip(names, flat.split(list(names.values()), dim=1), strict=True))
    with torch.no_grad():
        output = layer(**parts)
    return output.vertices.numpy(), output.joints[:, :55].numpy()


@pytest.mark.parametrize("varying_betas", [False, True])
@pytest.mark.parametrize("correctives", [False, True])
def test_joints_and_vertices_equal_smplx(corrective_file, varying_betas, correctives):
    path = corrective_file if correctives else STAND_IN
    body = load_body(path)
    channels = random_channels(4, varying_betas=varying_betas)
    vertices, joints = smplx_forward(path, channels)
    assert vertices.shape == (4, 10475, 3)
    np.testing.assert_allclose(body.joints(channels), joints[:, :BODY_JOINTS], atol=1e-5)
    np.testing.assert_allclose(body.joints55(channels), joints, atol=1e-5)
    np.testing.assert_allclose(body.vertices(channels), vertices, atol=1e-5)


def test_pose_correctives_move_the_surface(corrective_file, stand_in):
    channels = random_channels(2, varying_betas=False)
    moved = load_body(corrective_file).vertices(channels) - stand_in.vertices(channels)
    assert np.linalg.norm(moved, axis=-1).mean() > 0.005


@pytest.mark.parametrize("varying_betas", [False, True])
def test_frames_do_not_depend_on_the_chunk_they_fall_in(stand_in, monkeypatch, varying_betas):
    channels = random_channels(5, varying_betas=varying_betas)
    whole = stand_in.vertices(channels)
    monkeypatch.setattr(smplx, "_CHUNK", 2)
    np.testing.assert_allclose(stand_in.vertices(channels), whole, atol=1e-6)


def test_leading_dimensions_are_batch_dimensions(stand_in):
    channels = random_channels(6, varying_betas=True)
    batch = channels.reshape(2, 3, 79)
    np.testing.assert_allclose(
        stand_in.joints(batch).reshape(6, 22, 3), stand_in.joints(channels), atol=1e-6
    )
    np.testing.assert_allclose(
        stand_in.joints55(batch).reshape(6, 55, 3), stand_in.joints55(channels), atol=1e-6
    )
    np.testing.assert_allclose(
        stand_in.vertices(batch).reshape(6, -1, 3), stand_in.vertices(channels), atol=1e-6
    )


def test_zero_pose_shows_the_rest_joints_moved_by_transl(stand_in):
    channels = random_channels(3, varying_betas=True)
    channels[:, :66] = 0
    rest = stand_in.rest_joints(channels[:, 66:76])[:, :22]
    np.testing.assert_allclose(stand_in.joints(channels), rest + channels[:, None, 76:], atol=1e-6)


def test_fingers_keep_their_distances_to_the_wrist(stand_in):
    channels = random_channels(5, varying_betas=True)
    moved = stand_in.joints55(channels)
    rest = stand_in.rest_joints(channels[:, 66:76])
    for wrist, hand in ((20, slice(25, 40)), (21, slice(40, 55))):
        lengths, expected = (
            np.linalg.norm(joints[:, hand] - joints[:, [wrist]], axis=-1)
            for joints in (moved, rest)
        )
        np.testing.assert_allclose(lengths, expected, atol=1e-5)
        assert (expected > 0.02).all()


@pytest.mark.parametrize("moving_camera", [False, True])
@pytest.mark.parametrize("varying_betas", [False, True])
def test_transforming_a_motion_transforms_its_joints(stand_in, varying_betas, moving_camera):
    channels = random_channels(7, varying_betas=varying_betas)
    motion = Motion.from_channels(channels, fps=30, space="world")
    rng = np.random.default_rng(2)
    transform = np.tile(np.eye(4), (7, 1, 1))
    transform[:, :3, :3] = axis_angle_to_matrix(rng.normal(0, 1, (7, 3)))
    transform[:, :3, 3] = rng.normal(0, 2, (7, 3))
    if not moving_camera:
        transform = transform[0]
    moved = motion.transformed(
        transform, stand_in.rest_joints(motion.betas)[..., 0, :], space="camera"
    )
    joints = stand_in.joints(channels)
    expected = np.einsum("...ij,...kj->...ki", transform[..., :3, :3], joints)
    expected += transform[..., None, :3, 3]
    np.testing.assert_allclose(stand_in.joints(moved.to_channels()), expected, atol=1e-5)


def test_the_stand_in_is_a_human_that_stands_upright(stand_in):
    rest = stand_in.rest_joints(np.zeros(10))
    vertices = stand_in.vertices(np.zeros((1, 79)))[0]
    assert 1.6 < np.ptp(vertices[:, 1]) < 1.8
    left, right = rest[[1, 4, 7, 16, 18, 20]], rest[[2, 5, 8, 17, 19, 21]]
    np.testing.assert_allclose(left * [-1, 1, 1], right, atol=1e-3)
    assert (left[:, 0] > 0.05).all()
    nose, heel = (vertices[vertex_ids["smplx"][name]] for name in ("nose", "LHeel"))
    assert nose[2] > rest[15, 2] + 0.05 and heel[1] < rest[7, 1] and heel[0] > 0.05


# --- which file -------------------------------------------------------------------------------


def test_environment_variable_is_honoured_at_every_call(corrective_file, monkeypatch):
    packaged = load_body()
    monkeypatch.setenv(ENV_BODY, str(corrective_file))
    other = load_body()
    monkeypatch.delenv(ENV_BODY)
    assert other.sha256 != packaged.sha256
    assert other.path == corrective_file
    assert load_body() is packaged


def test_a_path_wins_over_the_environment(corrective_file, monkeypatch):
    monkeypatch.setenv(ENV_BODY, str(corrective_file))
    assert load_body(STAND_IN).path == STAND_IN


@pytest.mark.parametrize("below", [".", "smplx", "models/smplx"])
def test_a_folder_is_searched_where_the_official_archives_put_the_file(tmp_path, below):
    (tmp_path / below).mkdir(parents=True, exist_ok=True)
    shutil.copy(STAND_IN, tmp_path / below)
    assert load_body(tmp_path).sha256 == load_body(STAND_IN).sha256


def test_the_file_decides_the_name(small, tmp_path, stand_in):
    np.savez(tmp_path / "SMPLX_NEUTRAL.npz", **{**small, "f": small["f"][:20908]})
    assert load_body(tmp_path).name == "smplx-neutral"
    assert stand_in.name == "stand-in"
    np.savez(tmp_path / "SMPLX_NEUTRAL.npz", **small)
    assert load_body(tmp_path).name == "other"


@pytest.mark.parametrize("gender", ["FEMALE", "MALE"])
def test_a_body_that_is_not_neutral_is_refused(small, tmp_path, gender):
    path = tmp_path / f"SMPLX_{gender}.npz"
    np.savez(path, **{**small, "f": small["f"][:20908]})
    with pytest.raises(ValueError, match="not the neutral body") as error:
        load_body(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


# --- hostile and broken files -----------------------------------------------------------------


def with_payload(small, tmp_path, key):
    """A body file with a pickled entry, and the path that must not come into being."""
    path, harm = tmp_path / "SMPLX_NEUTRAL.npz", tmp_path / "harm"
    entry = np.empty(1, dtype=object)
    entry[0] = Trap(os.mkdir, str(harm))
    np.savez(path, **{**small, key: entry})
    return path, harm


def test_the_payload_of_these_tests_is_live(tmp_path):
    path, harm = with_payload({}, tmp_path, "part2num")
    with np.load(path, allow_pickle=True) as file:
        file["part2num"]
    assert harm.exists()


def test_a_pickled_extra_is_left_alone(small, tmp_path):
    path, harm = with_payload(small, tmp_path, "part2num")
    rest = load_body(path).rest_joints(np.zeros(10))
    np.testing.assert_allclose(rest, small["J_regressor"] @ small["v_template"], atol=1e-6)
    assert not harm.exists()


@pytest.mark.parametrize("key", ["f", "J_regressor", "hands_meanl"])
def test_a_pickled_entry_that_is_needed_is_an_error(small, tmp_path, key):
    path, harm = with_payload(small, tmp_path, key)
    with pytest.raises(ValueError, match=key):
        load_body(path)
    assert not harm.exists()


def _truncated(path, small):
    path.write_bytes(STAND_IN.read_bytes()[:-1000])


def _bit_flip(path, small):
    data = bytearray(STAND_IN.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def _pickle(path, small):
    path.write_bytes(b"\x80\x04K\x01.")


def _npy(path, small):
    with open(path, "wb") as file:
        np.save(file, small["v_template"])


def _amass(path, small):
    np.savez(path, poses=np.zeros((3, 165)), trans=np.zeros((3, 3)))


def _smpl(path, small):
    np.savez(path, **{**small, "weights": small["weights"][:, :24]})


def _other_regressor(path, small):
    np.savez(path, **{**small, "J_regressor": small["J_regressor"][:, :69]})


def _text(path, small):
    np.savez(path, **{**small, "f": np.array([["a", "b", "c"]])})


def _no_hands(path, small):
    np.savez(path, **{k: v for k, v in small.items() if k != "hands_meanr"})


@pytest.mark.parametrize(
    "make",
    [_truncated, _bit_flip, _pickle, _npy, _amass, _smpl, _other_regressor, _text, _no_hands],
)
def test_a_wrong_file_is_one_clear_line(small, tmp_path, make):
    path = tmp_path / "SMPLX_NEUTRAL.npz"
    make(path, small)
    with pytest.raises(ValueError) as error:
        load_body(path)
    message = str(error.value)
    assert str(path) in message and ENV_BODY in message and "\n" not in message


@pytest.mark.parametrize("from_environment", [False, True])
def test_a_missing_file_is_one_clear_line(tmp_path, monkeypatch, from_environment):
    path = tmp_path / "nowhere"
    monkeypatch.setenv(ENV_BODY, str(path) if from_environment else "")
    with pytest.raises(FileNotFoundError) as error:
        load_body(None if from_environment else path)
    message = str(error.value)
    assert str(path) in message and ENV_BODY in message and "\n" not in message


def test_the_packaged_file_has_everything_that_smplx_reads(arrays):
    assert arrays.keys() == LAYOUT.keys()
    np.testing.assert_allclose(arrays["weights"].sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(arrays["J_regressor"].sum(axis=1), 1, atol=1e-5)
