import dataclasses
import itertools
import pickle

import numpy as np
import pytest

from datasets.adapters.embedded import FILL, MARGIN, TEST_START, EmbeddedDataset
from datasets.adapters.embedded_shots import DATASET, LENS, EmbeddedShots
from datasets.bodies.smplx import load_body
from datasets.rendering.look import Look

SIZE = 64
SHOTS = EmbeddedShots(num_train=3, num_test=1, image_size=SIZE)
A_SEQUENCE = 130 // 17


@pytest.fixture(scope="module")
def shots():
    return list(SHOTS.sequences())


@pytest.fixture(scope="module")
def world_joints(shots):
    """(N, 17, 22, 3) float64."""
    channels = np.stack([shot.world_motion.to_channels() for shot in shots])
    return load_body().joints(channels).astype(np.float64)


def content(shot) -> list[bytes]:
    arrays = [shot.view.K, shot.view.T_w2c, shot.frame_ids]
    arrays += [m.to_channels() for m in (shot.world_motion, shot.camera_motion)]
    return [array.tobytes() for array in arrays]


def test_a_shot_depends_on_its_sequence_and_number_only(shots):
    again = list(EmbeddedShots(num_train=0, num_test=1, image_size=SIZE).sequences())
    assert [content(shot) for shot in again] == [content(s) for s in shots[-A_SEQUENCE:]]
    whole = EmbeddedDataset().sequence(2)
    for number in (5, 0, 6):
        other = shots[2 * A_SEQUENCE + number]
        assert content(SHOTS.shot(whole, number)) == content(other)


def test_shots_of_a_sequence_follow_each_other_and_share_a_group(shots):
    assert len(shots) == 4 * A_SEQUENCE
    assert [s.split for s in shots] == ["train"] * 3 * A_SEQUENCE + ["test"] * A_SEQUENCE
    groups = [list(own) for _, own in itertools.groupby(shots, key=lambda shot: shot.group)]
    assert [len(own) for own in groups] == [A_SEQUENCE] * 4
    for index, own in zip((0, 1, 2, TEST_START), groups, strict=True):
        whole = EmbeddedDataset().sequence(index)
        assert {shot.group for shot in own} == {whole.sequence}
        assert len({(shot.sequence, shot.camera) for shot in own}) == A_SEQUENCE
        frames = np.concatenate([shot.frame_ids for shot in own])
        np.testing.assert_array_equal(frames, np.arange(17 * A_SEQUENCE))
        for shot in own:
            assert len(shot) == 17 and shot.fps == 30.0 and shot.valid.all()
            there = whole.world_motion[shot.frame_ids[0] : shot.frame_ids[-1] + 1]
            np.testing.assert_array_equal(shot.world_motion.to_channels(), there.to_channels())


def test_the_splits_and_the_length_of_a_shot_can_be_chosen():
    assert next(EmbeddedShots(num_train=10**8).sequences(split="train")).split == "train"
    assert {s.split for s in SHOTS.sequences(split="test")} == {"test"}
    assert list(SHOTS.sequences(split="val")) == []
    long = list(EmbeddedShots(num_train=1, num_test=0, shot_frames=65).sequences())
    assert [len(shot) for shot in long] == [65, 65]
    assert (DATASET.name, DATASET.shot_frames, DATASET.image_size) == ("embedded_shots", 17, 512)


def test_all_are_filmed_through_the_lens_that_is_assumed_of_square_pictures(shots):
    focal = np.hypot(SIZE, SIZE)
    expected = [[focal, 0, SIZE / 2], [0, focal, SIZE / 2], [0, 0, 1]]
    for shot in shots:
        assert (shot.view.width, shot.view.height) == (SIZE, SIZE)
        np.testing.assert_allclose(shot.view.K, np.broadcast_to(expected, (17, 3, 3)), rtol=1e-6)
        assert not np.ptp(shot.view.T_w2c, axis=0).any()


def test_the_person_with_a_margin_fills_the_picture_and_no_more(shots, world_joints):
    for shot, joints in zip(shots, world_joints, strict=True):
        T_w2c = shot.view.T_w2c[0].astype(np.float64)
        seen = joints @ T_w2c[:3, :3].T + T_w2c[:3, 3]
        # 15 cm farther out and 15 cm nearer than every joint, in picture sizes from the middle.
        reach = LENS * (np.abs(seen[..., :2]) + MARGIN) / (seen[..., 2:] - MARGIN)
        assert reach.max() == pytest.approx(FILL / 2, rel=1e-4)
        pixels = shot.view.project(load_body().joints(shot.camera_motion.to_channels()))
        assert pixels.min() > 0 and pixels.max() < SIZE
        assert seen[..., 2].min() > 1.4


def test_the_pelvis_is_where_the_camera_sees_it(shots, world_joints):
    for shot, joints in zip(shots, world_joints, strict=True):
        motion = shot.camera_motion
        assert motion.space == "camera"
        pelvis = load_body().rest_joints(motion.betas)[0] + motion.transl
        T_w2c = shot.view.T_w2c[0].astype(np.float64)
        expected = joints[:, 0] @ T_w2c[:3, :3].T + T_w2c[:3, 3]
        np.testing.assert_allclose(pelvis, expected, atol=1e-4)
        np.testing.assert_array_equal(motion.body_pose, shot.world_motion.body_pose)
        np.testing.assert_allclose(
            load_body().joints(motion.to_channels()),
            joints @ T_w2c[:3, :3].T + T_w2c[:3, 3],
            atol=1e-4,
        )


def test_every_shot_has_its_own_direction_and_clothes(shots):
    headings = [np.arctan2(s.view.T_w2c[0, 2, 0], s.view.T_w2c[0, 2, 2]) for s in shots]
    assert len(np.unique(np.round(headings, 6))) == len(shots)
    assert np.abs(np.mean(np.exp(1j * np.array(headings)))) < 0.5  # from all around
    corners = [next(shot.source.frames([0]))[0, 0] for shot in shots[:A_SEQUENCE]]
    assert len(np.unique(corners, axis=0)) > A_SEQUENCE // 2


def test_pictures_show_the_person_where_the_joints_are(shots):
    rows = [0, 8, 16]
    for shot in shots[::9]:
        source = shot.source
        pictures = np.stack(list(source.frames(rows)))
        assert pictures.dtype == np.uint8 and pictures.shape == (3, SIZE, SIZE, 3)
        assert (source.width, source.height) == (SIZE, SIZE)
        look = Look.sample(np.random.default_rng([source.index, int(shot.camera), 3]))
        plain = dataclasses.replace(look.backdrop, kind="gradient")
        backdrop = dataclasses.replace(look, backdrop=plain).background(SIZE, SIZE)
        shown = (np.abs(pictures.astype(int) - backdrop) > 4).any(axis=-1)
        joints = load_body().joints(shot.camera_motion.to_channels()[rows])
        column, row = np.floor(np.moveaxis(shot.view[rows].project(joints), -1, 0)).astype(int)
        assert shown[np.arange(3)[:, None], row, column].mean() > 0.9
        assert shown.mean() < 0.4


def test_pictures_are_the_same_in_every_run_and_process(shots):
    source = shots[A_SEQUENCE + 2].source
    whole = list(source.frames(range(2, 7)))
    next(shots[0].source.frames([0]))  # of another sequence
    again = list(pickle.loads(pickle.dumps(source)).frames(range(2, 7)))
    np.testing.assert_array_equal(again, whole)
    np.testing.assert_array_equal(list(source.frames([3, 6])), [whole[1], whole[4]])
    assert len(pickle.dumps(source)) < 1000
