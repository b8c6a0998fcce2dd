import pickle

import numpy as np
import pytest

from datasets.adapters.embedded import DATASET, TEST_START, EmbeddedDataset
from datasets.adapters.procedural import compose
from datasets.bodies.smplx import load_body
from datasets.motion import JOINTS
from datasets.rendering.look import Look

# Mean magnitude of the channels of the first 16 training sequences: one of each action.
GOLDEN_MEANS = [
    *(0.274975, 0.249468, 0.272193, 0.264938, 0.322224, 0.260771, 0.371443, 0.288765),
    *(0.228582, 0.264061, 0.305939, 0.243368, 0.252302, 0.263974, 0.205963, 0.385233),
]

SMALL = EmbeddedDataset(num_train=48, num_test=2)


@pytest.fixture(scope="module")
def sequences():
    return list(SMALL.sequences())


@pytest.fixture(scope="module")
def world_joints(sequences):
    body = load_body()
    channels = np.stack([sequence.world_motion.to_channels() for sequence in sequences])
    return body.joints(channels).astype(np.float64)


def content(sequence) -> list[bytes]:
    arrays = [sequence.view.K, sequence.view.T_w2c]
    arrays += [m.to_channels() for m in (sequence.world_motion, sequence.camera_motion)]
    return [array.tobytes() for array in arrays]


def test_a_sequence_depends_on_its_index_only(sequences):
    few = EmbeddedDataset(num_train=1, num_test=2)
    for again, index in ((few.sequence(7), 7), (few.sequence(3), 3)):
        assert again.sequence == sequences[index].sequence
        assert content(again) == content(sequences[index])
    for again, first in zip(few.sequences(split="test"), sequences[-2:], strict=True):
        assert content(again) == content(first)


def test_splits_names_and_shapes(sequences):
    assert [s.split for s in sequences] == ["train"] * 48 + ["test"] * 2
    assert len({s.sequence for s in sequences}) == len(sequences)
    for sequence in sequences:
        assert len(sequence) == 130 and sequence.fps == 30.0
        assert sequence.group == sequence.sequence
        assert sequence.valid.all()
        np.testing.assert_array_equal(sequence.frame_ids, np.arange(130))
        actions = sequence.sequence.rsplit("-", 1)[0].split("_")
        assert set(actions) <= set(compose.ACTIONS)
    assert [s.split for s in SMALL.sequences(split="test")] == ["test", "test"]
    assert list(SMALL.sequences(split="val")) == []
    assert sequences[-1].sequence.endswith(f"-{TEST_START + 1}")


def test_iteration_is_lazy():
    assert next(EmbeddedDataset(num_train=10**8).sequences()).sequence.endswith("-0000")
    assert (DATASET.num_train, DATASET.num_test, DATASET.num_frames) == (400, 60, 130)


def test_consecutive_sequences_show_every_action(sequences):
    shown = {name for s in sequences[:16] for name in s.sequence.rsplit("-", 1)[0].split("_")}
    assert shown == set(compose.ACTIONS)


def test_camera_motion_is_the_world_motion_seen_by_the_camera(sequences, world_joints):
    body = load_body()
    for sequence, joints in zip(sequences, world_joints, strict=True):
        T_w2c = sequence.view.T_w2c.astype(np.float64)
        seen = joints @ T_w2c[0, :3, :3].T + T_w2c[0, :3, 3]
        np.testing.assert_allclose(
            body.joints(sequence.camera_motion.to_channels()), seen, atol=1e-4
        )
        assert sequence.camera_motion.space == "camera"
        np.testing.assert_array_equal(
            sequence.camera_motion.body_pose, sequence.world_motion.body_pose
        )


def test_a_fixed_camera_above_the_ground_keeps_the_person_in_the_picture(sequences):
    body = load_body()
    yaws = []
    for sequence in sequences:
        view = sequence.view
        assert (view.width, view.height) == (512, 512)
        assert not np.ptp(view.K, axis=0).any() and not np.ptp(view.T_w2c, axis=0).any()
        vertices = body.vertices(sequence.camera_motion[::43].to_channels())
        assert vertices[..., 2].min() > 0.5
        pixels = vertices @ view.K[0].T
        pixels = pixels[..., :2] / pixels[..., 2:]
        assert pixels.min() > 0 and pixels.max() < 512
        rotation, shift = view.T_w2c[0, :3, :3], view.T_w2c[0, :3, 3]
        assert (-rotation.T @ shift)[1] > 0.1
        assert rotation[1, 1] < -0.9  # the world's up is the image's up
        yaws.append(np.arctan2(rotation[2, 0], rotation[2, 2]))
    assert np.abs(np.mean(np.exp(1j * np.array(yaws)))) < 0.4  # from all around


def test_the_person_stands_on_the_ground(sequences, world_joints):
    body = load_body()
    assert world_joints[..., 1].min() > 0.0
    lowest = [
        body.vertices(s.world_motion[::21].to_channels())[..., 1].min(axis=1) for s in sequences
    ]
    assert np.min(lowest) > -0.07  # finger tips of a hand that supports the body
    assert np.median(np.abs(lowest)) < 0.02


def test_shapes_vary_within_the_truncation(sequences):
    betas = np.stack([s.world_motion.betas for s in sequences])
    assert betas.shape == (50, 10) and np.abs(betas).max() <= 2.5
    assert 0.8 < betas.std() < 1.1


def test_hinges_stay_within_their_limits(sequences):
    pose = np.stack([s.world_motion.body_pose for s in sequences])
    pose = np.degrees(pose.reshape(-1, 21, 3))
    for side, sign in (("left", -1), ("right", 1)):
        knee = pose[:, JOINTS.index(f"{side}_knee") - 1]
        elbow = pose[:, JOINTS.index(f"{side}_elbow") - 1]
        assert knee[:, 0].min() > -0.01 and knee[:, 0].max() < 150.01
        assert (sign * elbow[:, 1]).min() > -0.01 and (sign * elbow[:, 1]).max() < 145.01
        assert np.abs(knee[:, 1:]).max() < 0.01 and np.abs(elbow[:, [0, 2]]).max() < 0.01


# Standard deviation in radians of joint angles of captured motion (16.8 minutes of CMU takes).
CAPTURED_SD = {
    "left_hip": (0.28, 0.20, 0.20),
    "right_hip": (0.28, 0.20, 0.20),
    "left_knee": (0.34, None, None),
    "right_knee": (0.34, None, None),
    "left_ankle": (0.25, None, None),
    "right_ankle": (0.25, None, None),
    "spine1": (0.10, None, None),
    "spine2": (0.10, None, None),
    "head": (0.28, 0.28, None),
    "left_shoulder": (0.5, 0.5, 0.5),
    "right_shoulder": (0.5, 0.5, 0.5),
    "left_elbow": (None, 0.52, None),
    "right_elbow": (None, 0.52, None),
    "left_wrist": (0.55, None, None),
    "right_wrist": (0.55, None, None),
}


def test_joint_angles_spread_as_in_captured_motion(sequences):
    pose = np.stack([s.world_motion.body_pose for s in sequences]).reshape(-1, 21, 3)
    for name, captured in CAPTURED_SD.items():
        spread = pose[:, JOINTS.index(name) - 1].std(axis=0)
        for axis, sd in enumerate(captured):
            if sd is not None:
                assert sd / 2 < spread[axis] < sd * 2, f"{name} axis {axis}: {spread[axis]:.3f}"


def test_acceleration_and_speed_are_those_of_captured_motion(sequences, world_joints):
    acceleration = np.linalg.norm(np.diff(world_joints, n=2, axis=1), axis=-1) * 30.0**2
    pelvis = np.linalg.norm(np.diff(world_joints[:, :, 0, [0, 2]], axis=1), axis=-1) * 30.0
    assert 4 < acceleration.mean() < 8  # captured: 4 to 8 m/s^2
    assert 0.3 < pelvis.mean() < 0.7  # captured: .3 to .7 m/s
    assert acceleration.max() < 250  # no glitch: 25 g is beyond any joint


def test_the_motion_of_this_version_is_as_it_was():
    """Caches know the built-in data by `version`: who changes the motion must raise it."""
    dataset = EmbeddedDataset()
    assert dataset.version == 1
    numbers = [np.abs(dataset.sequence(i).world_motion.to_channels()).mean() for i in range(16)]
    np.testing.assert_allclose(numbers, GOLDEN_MEANS, rtol=1e-4)


@pytest.mark.parametrize("size", [64, 192])  # drawn fast, and drawn well
@pytest.mark.parametrize("index", [2, 10, TEST_START])
def test_pictures_show_the_person_where_the_labels_are(size, index):
    body = load_body()
    sequence = EmbeddedDataset(image_size=size).sequence(index)
    rows = [0, 60, 129]
    pictures = np.stack(list(sequence.source.frames(rows)))
    assert pictures.dtype == np.uint8 and pictures.shape == (3, size, size, 3)
    assert (sequence.source.width, sequence.source.height) == (size, size)
    backdrop = Look.sample(np.random.default_rng([index, 1])).background(size, size)
    shown = (np.abs(pictures.astype(int) - backdrop) > 4).any(axis=-1)
    channels, view = sequence.camera_motion.to_channels()[rows], sequence.view[rows]
    column, row = np.floor(np.moveaxis(view.project(body.joints(channels)), -1, 0)).astype(int)
    assert shown[np.arange(3)[:, None], row, column].mean() > 0.9
    outline = view.project(body.vertices(channels))
    for mask, points in zip(shown, outline, strict=True):
        rows_shown, columns_shown = np.nonzero(mask)
        found = np.array([columns_shown.min(), rows_shown.min(), columns_shown.max() + 1])
        expected = np.array([*points.min(axis=0), points[:, 0].max()])
        assert np.abs(found - expected).max() < 2.5


def test_pictures_are_the_same_in_every_run_and_process():
    dataset = EmbeddedDataset(image_size=64)
    source = dataset.sequence(5).source
    whole = list(source.frames(range(4, 12)))
    again = list(pickle.loads(pickle.dumps(source)).frames(range(4, 12)))
    np.testing.assert_array_equal(again, whole)
    np.testing.assert_array_equal(list(source.frames([5, 9])), [whole[1], whole[5]])
    assert len(pickle.dumps(source)) < 1000
    other = next(dataset.sequence(6).source.frames([0]))
    assert (other != whole[0]).mean() > 0.5


def test_the_size_of_the_pictures_changes_nothing_but_the_scale_of_the_camera(sequences):
    small = EmbeddedDataset(image_size=64).sequence(3)
    np.testing.assert_allclose(small.view.K[:, :2] * 8, sequences[3].view.K[:, :2], rtol=1e-6)
    assert content(small)[1:] == content(sequences[3])[1:]
