"""BVH: one motion is one motion, whatever the zero pose, the unit and the layout of the root."""

import dataclasses
from itertools import product

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from datasets.adapters import bvh
from datasets.bodies.smplx import load_body
from datasets.motion import JOINTS, Motion
from tests.datasets.mini import bvh as mini

SKELETONS = {"SMPL-X": mini.smplx_offsets(), "straight": mini.straight_offsets()}
ZERO_POSES = list(mini.zero_poses(mini.smplx_offsets()))
# Zero poses that look like a T- or A-pose; others are told from the recording.
STANDING = {"A-pose", "lowered collars", "tilted hips", "everything turned", "legs apart"}


def convert(tmp_path, take, **words):
    path = tmp_path / "take.bvh"
    path.write_text(take.text(**words))
    return bvh.read(path)


def joints_of(motion):
    return load_body().joints(motion.to_channels()).astype(float)


def world_of(motion):
    return mini.take_of(motion).world()[0]


def degrees_apart(one, other):
    """(T, 22) between the world orientations of two motions."""
    turn = np.swapaxes(world_of(one), -1, -2) @ world_of(other)
    return np.degrees(Rotation.from_matrix(turn.reshape(-1, 3, 3)).magnitude()).reshape(-1, 22)


@pytest.fixture(scope="module", params=SKELETONS)
def plain(request, tmp_path_factory):
    """A take whose zero pose stands, and what it is read as."""
    take = mini.take_of(mini.walk(), SKELETONS[request.param])
    return take, convert(tmp_path_factory.mktemp("plain"), take).motion


def armature(take):
    """The same below a root that turns and moves as well."""
    rng = np.random.default_rng(0)
    frames = len(take.root)
    turns = Rotation.from_rotvec(rng.normal(0, 0.5, (frames, 3))).as_matrix()
    return take.with_armature(turns, rng.normal(0, 1, (frames, 3)))


def combinations():
    """Zero pose, skeleton, layout and unit: by default every zero pose once, the others in turn."""
    layouts = [(lambda take: take, 100.0, "root, cm"), (armature, 39.37, "armature, in")]
    for number, name in enumerate(ZERO_POSES):
        for other, (skeleton, (layout, unit, words)) in enumerate(product(SKELETONS, layouts)):
            marks = [] if other == number % 4 else [pytest.mark.slow]
            yield pytest.param(
                skeleton, name, layout, unit, marks=marks, id=f"{name}, {skeleton}, {words}"
            )


@pytest.mark.parametrize(("plain", "name", "layout", "unit"), [*combinations()], indirect=["plain"])
def test_one_motion_with_any_zero_pose_is_one_motion(tmp_path, plain, name, layout, unit):
    take, expected = plain
    turns = mini.zero_poses(take.offsets)[name]
    recording = convert(tmp_path, layout(take.with_zero_pose(turns)).scaled(unit))
    found = recording.motion
    np.testing.assert_allclose(joints_of(found), joints_of(expected), atol=1e-5)
    np.testing.assert_allclose(found.transl, expected.transl, atol=1e-5)
    # No position tells the twist of a bone, so orientations are only near.
    apart = degrees_apart(found, expected)
    assert apart.mean() < (3 if name in STANDING else 5)
    assert apart.max() < 30
    by_recording = any("twist" in words for words in recording.assumed)
    assert not (by_recording and name in STANDING) and (by_recording or name != ZERO_POSES[-1])


def test_what_smplx_does_comes_back(tmp_path):
    motion = mini.walk()
    take = mini.take_of(motion)
    for name in ("bones along x", "random"):
        found = convert(tmp_path, take.with_zero_pose(mini.zero_poses(take.offsets)[name])).motion
        shift = joints_of(found) - joints_of(motion)
        np.testing.assert_allclose(shift, np.broadcast_to(shift[0, 0], shift.shape), atol=1e-5)
        np.testing.assert_allclose(shift[0, 0, [0, 2]], 0, atol=1e-5)
        assert degrees_apart(found, motion).mean() < 5


def test_a_twist_that_a_zero_pose_hides_is_seen_by_how_knees_and_elbows_bend(tmp_path, plain):
    take, expected = plain
    turns = mini.zero_poses(take.offsets)["arms and legs twisted"]
    found = convert(tmp_path, take.with_zero_pose(turns))
    assert any("twist" in words for words in found.assumed)
    assert degrees_apart(found.motion, expected).max() < 30


def test_somebody_who_does_not_bend_has_no_twist_against_the_trunk(tmp_path):
    still = dataclasses.replace(mini.walk(), body_pose=np.zeros((24, 63)))
    take = mini.take_of(still)
    take = take.with_zero_pose(mini.zero_poses(take.offsets)["random"])
    np.testing.assert_allclose(degrees_apart(convert(tmp_path, take).motion, still), 0, atol=0.01)


def coinciding(take):
    """The spine starts at the hips, neck and collars at the chest, as in CMU's files."""
    offsets = take.offsets.copy()
    for name in ("spine1", "neck", "left_collar", "right_collar"):
        offsets[JOINTS.index(name)] = 0
    return dataclasses.replace(take, offsets=offsets)


def test_a_chest_without_bones_is_known_from_a_t_pose(tmp_path):
    take = mini.take_of(mini.walk(), mini.straight_offsets())
    found = convert(tmp_path, coinciding(take))
    for joint in ("pelvis", "spine3", "left_collar"):
        index = JOINTS.index(joint)
        turns = np.swapaxes(world_of(found.motion)[:, index], -1, -2) @ take.world()[0][:, index]
        np.testing.assert_allclose(turns, np.tile(np.eye(3), (24, 1, 1)), atol=1e-5)
    assert "the orientation of the spine3, by the zero pose" in found.assumed


@pytest.mark.parametrize("name", ["bones along y", "turned hips", "bent spine", "random"])
def test_a_chest_without_bones_and_no_t_pose_is_refused_by_name(tmp_path, name):
    take = mini.take_of(mini.walk(), mini.straight_offsets())
    turned = take.with_zero_pose(mini.zero_poses(take.offsets)[name])
    with pytest.raises(ValueError, match="orientation of pelvis and spine3 open"):
        convert(tmp_path, coinciding(turned))


def test_left_and_right_swapped_are_refused(tmp_path):
    take = mini.take_of(mini.walk())
    swap = {"Left": "Right", "Right": "Left"}
    names = [swap.get(name[:4], swap.get(name[:5], "")) or name for name in take.names]
    names = [
        new + name[4 if name.startswith("Left") else 5 :] if new in swap else name
        for new, name in zip(names, take.names, strict=True)
    ]
    with pytest.raises(ValueError, match="toes point backwards"):
        convert(tmp_path, dataclasses.replace(take, names=tuple(names)))


@pytest.mark.parametrize("names", [("LeftForeArm",), ("LeftLeg", "RightLeg")])
def test_bones_without_length_are_refused_by_name(tmp_path, names):
    take = mini.take_of(mini.walk())
    for name in names:
        take.offsets[mini.BUILDER.index(name)] = 0
    bone = "left shoulder to left elbow" if len(names) == 1 else "left hip to left knee, right hip"
    with pytest.raises(ValueError, match=f"bones without length: {bone}"):
        convert(tmp_path, take)


def test_frames_are_compared_with_the_recording(tmp_path, monkeypatch):
    """A conversion that turns an arm is refused, though nothing is wrong with the file."""
    world = bvh.Orientation.world

    def turned(self, recorded):
        found = world(self, recorded).copy()
        found[:, JOINTS.index("left_shoulder")] = np.eye(3)
        return found

    monkeypatch.setattr(bvh.Orientation, "world", turned)
    with pytest.raises(
        ValueError, match=r"would not be the recording's.*left shoulder to left elb"
    ):
        convert(tmp_path, mini.take_of(mini.walk()))


def test_a_long_take_is_the_same_as_its_parts(tmp_path, monkeypatch):
    take = mini.take_of(mini.walk())
    whole = convert(tmp_path, take).motion
    monkeypatch.setattr("datasets.adapters.formats.bvh.take._BLOCK", 7)
    np.testing.assert_array_equal(convert(tmp_path, take).motion.to_channels(), whole.to_channels())


def test_somebody_who_lies_is_somebody_who_lies(tmp_path):
    standing = mini.take_of(mini.walk())
    turn = Rotation.from_euler("x", -90, degrees=True).as_matrix()
    lying = dataclasses.replace(
        standing,
        local=np.concatenate([turn @ standing.local[:, :1], standing.local[:, 1:]], axis=1),
        root=standing.root @ turn.T,
    )
    found = convert(tmp_path, lying).motion
    up = joints_of(found)[:, JOINTS.index("head")] - joints_of(found)[:, 0]
    assert np.abs(up[:, 1]).max() < 0.5 * np.abs(up[:, 2]).min()
    assert isinstance(found, Motion)
