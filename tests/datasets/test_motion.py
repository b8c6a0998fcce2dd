"""Motion, Camera, PersonSequence: what they refuse, and how a change of frame moves a person."""

import numpy as np
import pytest

from datasets import rotation
from datasets.bodies.smplx import load_body
from datasets.motion import JOINTS, Camera, Motion, split_channels
from datasets.sequence import PersonSequence, finite_rows


def make(frames=6, seed=0, **changes):
    rng = np.random.default_rng(seed)
    fields = {
        "body_pose": rng.normal(0, 0.3, (frames, 63)),
        "global_orient": rng.normal(0, 1, (frames, 3)),
        "betas": rng.normal(0, 1, 10),
        "transl": rng.normal(0, 1, (frames, 3)),
        "fps": 30.0,
    }
    return Motion(**{**fields, **changes})


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"body_pose": np.zeros((0, 63))}, "body_pose"),
        ({"body_pose": np.zeros(63)}, "body_pose"),
        ({"body_pose": np.zeros((6, 66))}, "body_pose"),
        ({"body_pose": np.zeros((6, 63), dtype=object)}, "numeric"),
        ({"body_pose": np.full((6, 63), "x")}, "numeric"),
        ({"global_orient": np.zeros((5, 3))}, "global_orient"),
        ({"transl": np.zeros((6, 2))}, "transl"),
        ({"transl": np.full((6, 3), np.nan)}, "transl is not finite in 6 of 6"),
        ({"global_orient": np.full((6, 3), np.inf)}, "global_orient is not finite"),
        ({"transl": np.full((6, 3), 1e300)}, "overflows"),
        ({"betas": np.zeros(16)}, "betas"),
        ({"betas": np.zeros((5, 10))}, "betas"),
        ({"betas": np.float64(1)}, "betas"),
        ({"fps": 0}, "fps"),
        ({"fps": np.nan}, "fps"),
        ({"space": "sideways"}, "space"),
        ({"body": "smal"}, "body"),
        ({"gender": "Female"}, "gender"),
        ({"body": "smpl"}, "body_pose"),
        ({"body_pose": np.full((6, 63), -90.0)}, "body_pose reaches 90 rad: are these degrees"),
        ({"global_orient": np.full((6, 3), 45.0)}, "global_orient reaches 45 rad.*degrees"),
        ({"betas": np.full(10, 180.0)}, "betas reaches 180"),
        ({"transl": np.full((6, 3), 12000.0)}, "transl reaches 12000 m: are these millimetres"),
        ({"fps": 1 / 30}, "fps is 0.0333333: are these seconds per frame"),
        ({"fps": 33333}, "fps is 33333: are these microseconds"),
    ],
)
def test_refuses(changes, word):
    with pytest.raises(ValueError, match=word):
        make(**changes)


def test_arrays_are_float32_and_read_only_copies():
    source = np.zeros((6, 3))
    motion = make(transl=source)
    assert motion.transl.dtype == np.float32
    with pytest.raises(ValueError, match="read-only"):
        motion.transl[0, 0] = 1
    source[0, 0] = 5
    assert motion.transl[0, 0] == 0


def test_channel_order():
    motion = Motion(
        body_pose=np.full((2, 63), 2.0),
        global_orient=np.full((2, 3), 1.0),
        betas=np.full(10, 3.0),
        transl=np.full((2, 3), 4.0),
        fps=30,
    )
    expected = np.repeat([1.0, 2, 3, 4], [3, 63, 10, 3])
    np.testing.assert_array_equal(motion.to_channels(), [expected, expected])
    assert {k: v.shape[-1] for k, v in split_channels(motion.to_channels()).items()} == {
        "global_orient": 3,
        "body_pose": 63,
        "betas": 10,
        "transl": 3,
    }


@pytest.mark.parametrize("betas", [(10,), (6, 10)])
def test_channels_round_trip(betas):
    motion = make(betas=np.random.default_rng(1).normal(size=betas))
    back = Motion.from_channels(motion.to_channels(), fps=30, space="world")
    assert back.betas.shape == betas
    np.testing.assert_array_equal(back.to_channels(), motion.to_channels())
    with pytest.raises(ValueError, match="79"):
        Motion.from_channels(motion.to_channels()[:, :-1], fps=30, space="world")


def test_a_slice_keeps_absolute_positions():
    motion = make(betas=np.random.default_rng(1).normal(size=(6, 10)))
    piece = motion[2:5]
    assert len(piece) == 3
    np.testing.assert_array_equal(piece.to_channels(), motion.to_channels()[2:5])
    with pytest.raises(ValueError, match="body_pose"):
        motion[3:3]


def random_rigid(rng):
    transform = np.eye(4)
    transform[:3, :3] = rotation.axis_angle_to_matrix(rng.normal(size=3))
    transform[:3, 3] = rng.normal(size=3)
    return transform


@pytest.mark.parametrize("moving", [False, True])
@pytest.mark.parametrize("betas", [(10,), (6, 10)])
def test_a_transform_moves_every_joint_rigidly(moving, betas):
    rng = np.random.default_rng(7)
    motion = make(betas=rng.normal(size=betas))
    body = load_body()
    pelvis_rest = body.rest_joints(motion.betas)[..., 0, :]
    transform = np.stack([random_rigid(rng) for _ in range(6)]) if moving else random_rigid(rng)
    moved = motion.transformed(transform, pelvis_rest, space="camera")
    assert moved.space == "camera"
    joints = body.joints(motion.to_channels()).astype(np.float64)
    expected = np.einsum("...ij,...kj->...ki", transform[..., :3, :3], joints)
    expected += transform[..., None, :3, 3]
    np.testing.assert_allclose(body.joints(moved.to_channels()), expected, atol=2e-6)
    back = moved.transformed(np.linalg.inv(transform), pelvis_rest, space="world")
    np.testing.assert_allclose(back.transl, motion.transl, atol=2e-6)


def test_joint_names_follow_the_body():
    body = load_body()
    rest = body.rest_joints(np.zeros(10))
    assert len(JOINTS) == 22
    for index, name in enumerate(JOINTS):
        side = {"left": 1, "right": -1}.get(name.split("_")[0])
        if side:  # x points to the left of the body
            assert np.sign(rest[index, 0]) == side, name
            assert JOINTS[body.parents[index]].split("_")[0] in (
                name.split("_")[0],
                "pelvis",
                "spine3",
            )
    assert rest[JOINTS.index("head"), 1] == rest[:22, 1].max()
    assert rest[JOINTS.index("left_foot"), 1] < rest[JOINTS.index("left_knee"), 1]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"K": np.zeros((2, 3, 3))}, "focal"),
        ({"K": np.full((2, 3, 3), np.nan)}, "finite"),
        ({"T_w2c": np.eye(4)[None]}, "T_w2c"),
        ({"T_w2c": np.tile(np.diag([1.0, 1, -1, 1]), (2, 1, 1))}, "rotation"),
        ({"T_w2c": np.tile(np.diag([2.0, 2, 2, 1]), (2, 1, 1))}, "rotation"),
        ({"width": 0}, "width"),
    ],
)
def test_camera_refuses(changes, word):
    fields = {
        "K": np.tile(np.diag([500.0, 500, 1]), (2, 1, 1)),
        "T_w2c": np.tile(np.eye(4), (2, 1, 1)),
        "width": 64,
        "height": 48,
    }
    Camera(**fields)
    with pytest.raises(ValueError, match=word):
        Camera(**{**fields, **changes})


def test_a_camera_without_a_frame_is_refused():
    camera = Camera(np.eye(3)[None], None, 64, 48)
    with pytest.raises(ValueError, match="no frame"):
        camera[1:]


FIELDS = {"dataset": "d", "sequence": "take", "fps": 30.0}
SIX = {**FIELDS, "frame_ids": np.arange(6), "valid": np.ones(6, bool)}


def test_a_sequence_groups_with_itself_and_prefers_the_camera_motion():
    world, camera = make(), make(seed=1, space="camera")
    sequence = PersonSequence(**SIX, world_motion=world)
    assert sequence.group == "take"
    assert sequence.motion is world
    both = PersonSequence(**SIX, world_motion=world, camera_motion=camera, group="g")
    assert both.group == "g"
    assert both.motion is camera
    with pytest.raises(ValueError, match="length"):
        PersonSequence(**SIX, world_motion=make(frames=5))


def test_a_sequence_refuses_a_motion_in_the_wrong_space():
    with pytest.raises(ValueError, match="the camera motion is in world space"):
        PersonSequence(**SIX, camera_motion=make())
    with pytest.raises(ValueError, match="the world motion is in camera space"):
        PersonSequence(**SIX, world_motion=make(space="camera"))


def test_a_sequence_refuses_a_motion_of_another_frame_rate():
    """A store keeps one rate: the motion would come back faster or slower."""
    with pytest.raises(ValueError, match="the world motion has 30 frames per second, not 25"):
        PersonSequence(**SIX | {"fps": 25.0}, world_motion=make())


def test_a_sequence_refuses_native_frames_that_it_does_not_have():
    for native in ({}, {"pose": np.zeros(5)}):
        with pytest.raises(ValueError, match="native pose"):
            PersonSequence(**SIX, native=native, native_frames=frozenset(["pose"]))


def test_rows_are_finite_where_all_arrays_are():
    a, b = np.zeros((4, 2, 3)), np.zeros(4)
    a[1, 0, 2], b[2] = np.nan, np.inf
    assert finite_rows(a, b).tolist() == [True, False, False, True]
    assert finite_rows(a[:0], b[:0]).shape == (0,)


@pytest.mark.parametrize(
    ("last", "word"),
    [(np.nan, "whole"), (1.7, "whole"), (np.inf, "32-bit"), (3e9, "32-bit"), (-(2**40), "32-bit")],
)
def test_frame_numbers_are_whole_and_fit(last, word):
    with pytest.raises(ValueError, match=word):
        PersonSequence(**FIELDS, frame_ids=np.array([0, last]), valid=np.ones(2, bool))
    kept = PersonSequence(**FIELDS, frame_ids=np.array([0.0, 7.0]), valid=np.ones(2, bool))
    np.testing.assert_array_equal(kept.frame_ids, [0, 7])
