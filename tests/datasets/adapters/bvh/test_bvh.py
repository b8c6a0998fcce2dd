"""BVH -> SMPL-X: bones point where the recording has them, at its place, scale and rate."""

import dataclasses
import re
from itertools import islice

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from datasets.adapters import bvh
from datasets.adapters.embedded import EmbeddedDataset
from datasets.adapters.formats.motion_files import UP_TO_Y, ReadOptions
from datasets.bodies.smplx import load_body
from datasets.motion import JOINTS, Motion
from tests.datasets.mini import bvh as mini
from tests.datasets.mini import reading

BONES = [("hip", "knee"), ("knee", "ankle"), ("ankle", "foot")]
BONES += [("collar", "shoulder"), ("shoulder", "elbow"), ("elbow", "wrist")]
LIMBS = [(f"{side}_{a}", f"{side}_{b}") for side in ("left", "right") for a, b in BONES]


def convert(tmp_path, content, options=None):
    path = tmp_path / "take.bvh"
    path.write_text(content)
    return bvh.read(path, options or ReadOptions())


def joints_of(motion):
    return load_body().joints(motion.to_channels()).astype(float)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def wild(frames=10, offsets=None, seed=0):
    """Anything that joints can do."""
    rng = np.random.default_rng(seed)
    motion = Motion(
        body_pose=rng.normal(0, 0.3, (frames, 63)),
        global_orient=rng.normal(0, 0.4, (frames, 3)),
        betas=np.zeros(10),
        transl=rng.normal(0, 0.5, (frames, 3)),
        fps=30,
    )
    return motion, mini.take_of(motion, offsets)


def other_offsets():
    """Arms that hang and bend, legs apart, a longer trunk: unlike SMPL-X's."""
    offsets = mini.smplx_offsets()
    offsets[JOINTS.index("spine3")] *= 1.5
    for side, sign in (("left", 1), ("right", -1)):
        offsets[JOINTS.index(f"{side}_elbow")] = [0, -0.3, 0]
        offsets[JOINTS.index(f"{side}_wrist")] = [0.02 * sign, -0.2, 0.05]
        offsets[JOINTS.index(f"{side}_knee")] += [0.1 * sign, 0, 0]
        offsets[JOINTS.index(f"{side}_ankle")] += [0.1 * sign, 0, 0]
    return offsets


@pytest.mark.parametrize("length", [1.0, 17.7, 100.0])
def test_an_smplx_motion_written_as_bvh_comes_back(tmp_path, length):
    motion, take = wild()
    found = convert(tmp_path, take.scaled(length).text()).motion
    np.testing.assert_allclose(found.body_pose, motion.body_pose, atol=1e-5)
    np.testing.assert_allclose(found.global_orient, motion.global_orient, atol=1e-5)
    shift = joints_of(found) - joints_of(motion)
    np.testing.assert_allclose(shift[..., [0, 2]], 0, atol=1e-5)
    np.testing.assert_allclose(shift[..., 1], shift[0, 0, 1], atol=1e-5)
    feet = joints_of(found)[:, [10, 11], 1].min(1)
    assert np.percentile(feet, 5) == pytest.approx(0.03, abs=1e-5)
    np.testing.assert_array_equal(found.betas, np.zeros(10))


@pytest.fixture(scope="module")
def planted():
    """A walk whose feet stand where they are put, among other movements."""
    (*_, taken) = islice(EmbeddedDataset(6, 1).sequences(None), 6)
    assert "walk" in taken.sequence
    return mini.take_of(taken.world_motion[60:240])


@pytest.mark.parametrize("factor", [0.001, 0.01, 0.1, 10.0, 100.0, 1000.0])
def test_a_root_in_another_unit_than_the_offsets_is_asked_about(tmp_path, planted, factor):
    (tmp_path / "fits.bvh").write_text(planted.text())
    other = dataclasses.replace(planted, root=planted.root * factor)
    (tmp_path / "mixed.bvh").write_text(other.text())
    found, skipped = reading.read(bvh.DATASET, tmp_path)
    assert [name for name, *_ in found] == ["fits"]
    assert re.search(r"root (goes|moves)|above their lowest|from the origin", skipped["mixed"])


def test_the_two_lengths_that_do_not_fit_are_named(tmp_path, planted):
    other = dataclasses.replace(planted, root=planted.root / 100)
    (tmp_path / "mixed.bvh").write_text(other.text())
    found, skipped = reading.read(bvh.DATASET, tmp_path)
    assert not found
    (went, stepped) = map(float, re.findall(r"([\d.]+) m a second", skipped["mixed"]))
    assert went == pytest.approx(stepped / 100, rel=0.5)


def test_a_walk_on_a_treadmill_is_not_asked_about(tmp_path, planted):
    on_the_spot = planted.root * [0.0, 1, 0]
    (tmp_path / "a.bvh").write_text(dataclasses.replace(planted, root=on_the_spot).text())
    fixed = np.tile(planted.root[:1], (len(planted.root), 1))
    (tmp_path / "b.bvh").write_text(dataclasses.replace(planted, root=fixed).text())
    assert len(list(bvh.DATASET.sequences(tmp_path))) == 2


def test_limbs_point_where_the_recording_has_them(tmp_path):
    _, take = wild(offsets=other_offsets())
    _, positions = take.world()
    ours = joints_of(convert(tmp_path, take.text()).motion)
    for start, end in LIMBS:
        a, b = JOINTS.index(start), JOINTS.index(end)
        expected = unit(positions[:, b] - positions[:, a])
        np.testing.assert_allclose(unit(ours[:, b] - ours[:, a]), expected, atol=1e-5)


def test_the_trunk_keeps_its_orientation_where_it_is_built_as_ours(tmp_path):
    _, take = wild(offsets=other_offsets())
    rotations, _ = take.world()
    world, _ = mini.take_of(convert(tmp_path, take.text()).motion).world()
    for joint in ("pelvis", "spine3", "neck", "head", "left_collar"):
        index = JOINTS.index(joint)
        np.testing.assert_allclose(world[:, index], rotations[:, index], atol=1e-5)


def test_legs_set_the_scale_and_the_hips_the_place(tmp_path):
    offsets = mini.smplx_offsets()
    for side in ("left", "right"):
        for part in ("knee", "ankle"):
            offsets[JOINTS.index(f"{side}_{part}")] -= [0, 0.2, 0]

    def leg(rows):
        at = [JOINTS.index(f"{side}_{part}") for side in ("left", "right") for part in BONES[1]]
        return np.linalg.norm(rows[at], axis=1).sum()

    _, take = wild(offsets=offsets)
    _, positions = take.world()
    hips = [JOINTS.index("left_hip"), JOINTS.index("right_hip")]
    expected = positions[:, hips].mean(1) * leg(mini.smplx_offsets()) / leg(offsets)
    shift = joints_of(convert(tmp_path, take.text()).motion)[:, hips].mean(1) - expected
    np.testing.assert_allclose(shift[:, [0, 2]], 0, atol=1e-5)
    np.testing.assert_allclose(shift[:, 1], shift[0, 1], atol=1e-5)


@pytest.mark.parametrize(
    ("axes", "up"),
    [
        ([[1, 0, 0], [0, 0, -1], [0, 1, 0]], "z"),  # facing -y
        ([[0, 0, 1], [0, 1, 0], [-1, 0, 0]], "y"),  # facing x
        ([[0, -1, 0], [-1, 0, 0], [0, 0, -1]], "x"),
        ([[-1, 0, 0], [0, -1, 0], [0, 0, 1]], "-y"),
    ],
)
def test_any_axis_of_the_file_may_be_up(tmp_path, axes, up):
    turn = np.array(axes, float)
    if up == "x":
        turn = UP_TO_Y["x"].T
    assert np.linalg.det(turn) == 1
    _, take = wild()
    upright = joints_of(convert(tmp_path, take.text()).motion)
    found = convert(tmp_path, take.turned(turn).text())
    assert found.up == up
    assert f"{up} is up" in found.assumed
    about_up = UP_TO_Y[up] @ turn  # world directions are the file's own
    np.testing.assert_allclose(joints_of(found.motion), upright @ about_up.T, atol=1e-5)


def test_the_user_says_which_axis_is_up(tmp_path):
    take = mini.take_of(mini.walk())
    take = take.with_zero_pose(mini.zero_poses(take.offsets)["random"]).turned(UP_TO_Y["z"].T)
    found = convert(tmp_path, take.text(), ReadOptions(up="z"))
    joints = joints_of(found.motion)
    assert (joints[:, JOINTS.index("head"), 1] - joints[:, 0, 1]).min() > 0.5
    assert (found.up, found.is_up_stated) == ("z", True)
    found, skipped = reading.read(bvh.DATASET, tmp_path)
    assert not found and "give --up z" in skipped["take"]


def test_the_order_of_the_channels_is_the_order_of_the_product(tmp_path):
    _, take = wild()
    one = convert(tmp_path, take.text()).motion
    orders = ("XYZ", "ZYX", "YXZ", "ZXY", "YZX", "XZY")
    other = convert(tmp_path, take.text(orders=orders)).motion
    np.testing.assert_allclose(joints_of(one), joints_of(other), atol=1e-5)


def spin(frames, fps):
    """A body that turns about the vertical at 1 rad/s and walks at 1 m/s."""
    time = np.arange(frames) / fps
    local = np.tile(np.eye(3), (frames, 22, 1, 1))
    local[:, 0] = Rotation.from_rotvec(time[:, None] * [0, 1, 0]).as_matrix()
    return mini.Take(local=local, root=time[:, None] * [1.0, 0, 0], offsets=mini.smplx_offsets())


@pytest.mark.parametrize(
    ("fps", "frames", "expected_frames", "expected_fps"),
    [
        (30, 30, 30, 30),
        (29.97, 30, 30, 29.97),
        (60, 60, 30, 30),
        (120, 121, 31, 30),
        (24, 25, 31, 30),
        (50, 51, 31, 30),
        (10, 11, 31, 30),
    ],
)
def test_frame_rates(tmp_path, fps, frames, expected_frames, expected_fps):
    found = convert(tmp_path, spin(frames, fps).text(fps=fps)).motion
    assert len(found) == expected_frames
    assert found.fps == pytest.approx(expected_fps, rel=1e-6)
    time = np.arange(expected_frames) / expected_fps
    np.testing.assert_allclose(found.global_orient, time[:, None] * [0, 1, 0], atol=1e-5)
    hips = joints_of(found)[:, [1, 2]].mean(1)
    rest = load_body().rest_joints(np.zeros(10))
    shift = Rotation.from_rotvec(time[:, None] * [0, 1, 0]).apply(rest[[1, 2]].mean(0) - rest[0])
    np.testing.assert_allclose(hips[:, 0], time + shift[:, 0], atol=1e-4)


@pytest.mark.parametrize(
    ("written", "fps"),
    [("0.0333", 30), ("0.033333", 30), ("0.0083333", 30), ("0.03336667", 29.97), ("0.04167", 30)],
)
def test_a_rounded_frame_time_is_a_whole_rate(tmp_path, written, fps):
    text = spin(24, 30).text().replace("Frame Time: 0.033333333", f"Frame Time: {written}")
    assert convert(tmp_path, text).motion.fps == pytest.approx(fps, rel=1e-6)


def test_the_user_says_another_rate(tmp_path):
    text = spin(61, 120).text(fps=120)
    slow = convert(tmp_path, text, ReadOptions(source_fps=60.0)).motion
    assert (len(slow), slow.fps) == (31, 30)
    all_frames = convert(tmp_path, text, ReadOptions(fps=60.0)).motion  # re-timed by prepare
    assert (len(all_frames), all_frames.fps) == (61, 120)


def test_a_t_pose_before_the_motion_is_left_out_and_said(tmp_path):
    take = mini.take_of(mini.walk(96))
    rest = dataclasses.replace(take, local=take.local.copy())
    rest.local[0] = np.eye(3)
    found = convert(tmp_path, rest.text())
    assert len(found.motion) == len(rest.root) - 1
    assert any("first frame, a T-pose" in words for words in found.assumed)
    assert len(convert(tmp_path, take.text()).motion) == len(take.root)


def test_a_motion_that_begins_in_a_t_pose_keeps_it(tmp_path):
    take = mini.take_of(dataclasses.replace(mini.walk(), body_pose=np.zeros((24, 63))))
    lowered = Rotation.from_rotvec(np.linspace(0, -1.2, 24)[:, None] * [0, 0, 1]).as_matrix()
    take.local[:, JOINTS.index("left_shoulder")] = lowered
    assert len(convert(tmp_path, take.text()).motion) == 24


def test_one_frame_is_a_motion(tmp_path):
    take = mini.take_of(mini.walk())
    one = dataclasses.replace(take, local=take.local[:1], root=take.root[:1])
    assert len(convert(tmp_path, one.text()).motion) == 1


def test_a_frame_that_is_no_number_is_masked(tmp_path):
    lines = mini.take_of(mini.walk()).text().rstrip().split("\n")
    whole = convert(tmp_path, "\n".join(lines)).motion
    lines[-3] = "nan" + lines[-3][lines[-3].index(" ") :]
    found = convert(tmp_path, "\n".join(lines))
    np.testing.assert_array_equal(np.flatnonzero(~found.valid), [21])
    kept = np.arange(24) != 21
    np.testing.assert_allclose(joints_of(found.motion)[kept], joints_of(whole)[kept], atol=1e-3)


def with_positions(take, change):
    """Position channels for every joint: its offset and a change (T, 22, 3)."""
    roots = take.offsets + change
    roots[:, 0] = take.root
    return dataclasses.replace(take, root=np.swapaxes(roots, 0, 1))


def test_position_channels_of_every_joint_take_the_place_of_its_offset(tmp_path):
    take = mini.take_of(mini.walk())
    plain = convert(tmp_path, take.text())
    same = convert(tmp_path, with_positions(take, np.zeros((24, 22, 3))).text())
    assert same.assumed == plain.assumed
    np.testing.assert_allclose(joints_of(same.motion), joints_of(plain.motion), atol=1e-5)
    zeros = convert(tmp_path, with_positions(take, np.tile(-take.offsets, (24, 1, 1))).text())
    np.testing.assert_allclose(joints_of(zeros.motion), joints_of(plain.motion), atol=1e-5)


def test_bones_that_change_their_length_are_told_and_point_where_they_did(tmp_path):
    take = mini.take_of(mini.walk())
    change = np.zeros((24, 22, 3))
    wrist, elbow = JOINTS.index("left_wrist"), JOINTS.index("left_elbow")
    change[:, wrist] = np.linspace(0, 0.1, 24)[:, None] * [0, 1, 1]
    found = convert(tmp_path, with_positions(take, change).text())
    assert any(words.endswith("position channels: LeftHand") for words in found.assumed)
    rotations, _ = take.world()
    step = rotations[:, elbow] @ (take.offsets[wrist] + change[:, wrist])[..., None]
    ours = joints_of(found.motion)
    np.testing.assert_allclose(unit(ours[:, wrist] - ours[:, elbow]), unit(step[..., 0]), atol=1e-5)
