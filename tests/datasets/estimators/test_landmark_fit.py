"""The fit: landmarks of a known motion give it back; which point is where; units and signs."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from datasets.adapters.embedded import EmbeddedDataset
from datasets.bodies import load_body
from datasets.estimators.landmark_fit import fit as fitting
from datasets.estimators.landmark_fit import prior
from datasets.estimators.landmark_fit.fit import fit
from datasets.estimators.landmark_fit.landmarks import (
    INDEX,
    POINTS,
    Landmarks,
    body_points,
)
from datasets.estimators.landmark_fit.misfit import Misfit
from datasets.estimators.landmark_fit.posed import Posed, Skeleton, rotation_matrices
from datasets.estimators.landmark_fit.start import start
from datasets.motion import OTHER_SIDE, Motion, mirrored_channels

SIZE = (512, 512)
HIPS = [INDEX["left_hip"], INDEX["right_hip"]]
OTHER_POINT = [
    INDEX[p.name.replace("left", "RIGHT").replace("right", "left").lower()] for p in POINTS
]


@pytest.fixture(scope="module")
def body():
    return load_body()


@pytest.fixture(scope="module")
def points(body):
    return body_points(body)


def landmarks_of(motion, K, points):
    """The landmarks that a network without error would place, its crop about the hips."""
    channels = torch.tensor(motion.to_channels())
    root = rotation_matrices(channels[:, :3])
    pose, betas = channels[:, 3:66].unflatten(1, (21, 3)), channels[0, 66:76]
    skeleton = Skeleton(points)
    pelvis = channels[:, 76:] + skeleton.rest(betas)[0]
    place = skeleton.pose(root, pose, betas, pelvis).points.double().numpy()
    homogeneous = np.einsum("nij,nlj->nli", K, place)
    image = homogeneous[..., :2] / homogeneous[..., 2:]
    centre = image[:, HIPS].mean(1)
    world = place - place[:, HIPS].mean(1, keepdims=True)
    for row, (x, y) in enumerate(centre):
        ray = np.linalg.inv(K[row]) @ [x, y, 1]
        cross = np.cross([0, 0, 1], ray)
        angle = np.arctan2(np.linalg.norm(cross), ray[2])
        turn = Rotation.from_rotvec(cross / np.linalg.norm(cross) * angle).as_matrix()
        world[row] = world[row] @ turn  # by its inverse
    seen = np.ones(image.shape[:2])
    size = np.full(len(image), 300.0)
    frames = np.arange(len(image))
    return Landmarks(
        frames=frames, image=image, world=world, visibility=seen, centre=centre, crop_size=size
    )


@pytest.fixture(scope="module")
def walker(points):
    """16 frames of a built-in person at the side of the picture, 3 m away; its landmarks."""
    whole = EmbeddedDataset().sequence(100_003).camera_motion[20:36]
    motion = dataclasses.replace(whole, transl=whole.transl - whole.transl[0] + [0.9, 0.2, 3.2])
    K = np.tile(np.array([[520.0, 0, 256], [0, 520, 250], [0, 0, 1]]), (len(motion), 1, 1))
    return motion, K, landmarks_of(motion, K, points)


def relative(body, motion):
    joints = body.joints(motion.to_channels()).astype(float)
    return joints - joints[:, 1:3].mean(1, keepdims=True), joints[:, 0]


def test_landmarks_of_a_known_motion_give_it_back_bit_for_bit_the_same(body, points, walker):
    motion, K, seen = walker
    first = fit(seen, K, size=SIZE, fps=30.0, body=points)
    joints, root = relative(body, first.motion)
    true_joints, true_root = relative(body, motion)
    assert np.linalg.norm(joints - true_joints, axis=-1).mean() < 0.02
    assert np.abs(root - true_root)[:, :2].max() < 0.05
    assert np.abs(root / true_root - 1)[:, 2].max() < 0.05
    assert first.reprojection_px < 2 and first.motion.space == "camera"
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    again = fit(seen, K, size=SIZE, fps=30.0, body=points)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(threads)
    assert np.array_equal(first.motion.to_channels(), again.motion.to_channels())


@pytest.mark.slow
def test_the_mirror_image_of_landmarks_gives_the_mirror_image_of_the_motion(body, points, walker):
    _, K, seen = walker
    K = K.copy()
    K[:, 0, 2] = 256
    part = {f.name: getattr(seen, f.name)[:4] for f in dataclasses.fields(seen)}
    straight = Landmarks(**part)
    image = straight.image[:, OTHER_POINT] * [-1, 1] + [512, 0]
    mirrored = dataclasses.replace(
        straight,
        image=image,
        world=straight.world[:, OTHER_POINT] * [-1, 1, 1],
        centre=straight.centre * [-1, 1] + [512, 0],
    )
    one, other = (fit(s, K[:4], size=SIZE, fps=30.0, body=points) for s in (straight, mirrored))
    channels = one.motion.to_channels()
    expected = mirrored_channels(channels, body.rest_joints(channels[:, 66:76])[:, 0])
    # The packaged body is mirror symmetric to millimetres only.
    found, _ = relative(body, other.motion)
    wanted, _ = relative(body, Motion.from_channels(expected, fps=30.0, space="camera"))
    assert np.linalg.norm(found - wanted, axis=-1).max() < 0.02


def test_one_picture_with_unseen_legs_outside_of_it_is_finite(points, walker):
    _, K, seen = walker
    visibility = seen.visibility[:1].copy()
    image = seen.image[:1].copy()
    legs = [n for n, p in enumerate(POINTS) if p.number >= 25]
    visibility[:, legs] = 0.6
    image[:, legs] = [3000.0, -2000]
    part = {f.name: getattr(seen, f.name)[:1] for f in dataclasses.fields(seen)}
    cut = Landmarks(**{**part, "visibility": visibility, "image": image})
    result = fit(cut, K[:1], size=SIZE, fps=30.0, body=points)
    assert len(result.motion) == 1 and result.reprojection_px < 5  # the legs do not pull it away
    assert abs(result.motion.transl[0, 2] / walker[0].transl[0, 2] - 1) < 0.1


def test_the_start_alone_has_the_place_and_the_root(body, walker):
    motion, K, seen = walker
    rays = (seen.image - K[0, :2, 2]) / K[0, 0, 0]
    first = start(seen.world_in_camera(K), rays, seen.visibility)
    _, root = relative(body, motion)
    np.testing.assert_allclose(first.pelvis[:, 2], root[:, 2], rtol=0.02)
    turns = Rotation.from_matrix(first.root) * Rotation.from_rotvec(motion.global_orient).inv()
    assert np.degrees(turns.magnitude()).max() < 25


def test_metres_are_turned_from_the_axes_of_the_crop_to_the_camera():
    count = len(POINTS)
    world = np.zeros((1, count, 3))
    world[0, INDEX["nose"]] = [0, 0, 1]  # straight away, where the crop's camera looks
    K = np.array([[[400.0, 0, 300], [0, 500, 200], [0, 0, 1]]])
    seen = Landmarks(
        frames=np.arange(1),
        image=np.zeros((1, count, 2)),
        world=world,
        visibility=np.ones((1, count)),
        centre=np.array([[500.0, 100]]),
        crop_size=np.ones(1),
    )
    ray = np.array([200 / 400, -100 / 500, 1])
    turned = seen.world_in_camera(K)[0, INDEX["nose"]]
    np.testing.assert_allclose(turned, ray / np.linalg.norm(ray))


def test_points_of_the_body_are_where_their_names_say(body, points):
    names = {p.name: points.points[n] - np.array(p.offset) / 1000 for n, p in enumerate(POINTS)}
    for name, place in names.items():
        if name != "nose":
            assert (place[0] > 0) == name.startswith("left"), name
    for side in ("left", "right"):
        heel, toe, ankle = (names[f"{side}_{n}"] for n in ("heel", "toe", "ankle"))
        assert toe[2] > ankle[2] > heel[2] and ankle[1] > heel[1]
        assert abs(names[f"{side}_ear"][0]) > abs(names[f"{side}_eye"][0])
        assert names["nose"][2] > names[f"{side}_eye"][2] > names[f"{side}_ear"][2]
    assert sorted(p.number for p in POINTS) == [
        *(0, 2, 5, 7, 8),
        *range(11, 33),
    ]
    # Linear in the betas: the body's own mesh of another shape has the heel there.
    betas = np.linspace(-1, 1, 10, dtype=np.float32)
    ankle = points.joints[7] + points.joint_shapes[7] @ betas
    np.testing.assert_allclose(ankle, body.rest_joints(betas)[7], atol=1e-5)


def test_the_chain_is_the_bodys(body, points, walker):
    motion, _, _ = walker
    channels = torch.tensor(motion.to_channels())
    skeleton = Skeleton(points)
    betas = channels[0, 66:76]
    posed = skeleton.pose(
        rotation_matrices(channels[:, :3]),
        channels[:, 3:66].unflatten(1, (21, 3)),
        betas,
        channels[:, 76:] + skeleton.rest(betas)[0],
    )
    np.testing.assert_allclose(posed.joints, body.joints(motion.to_channels()), atol=1e-5)


def misfit_of(joints, fps):
    frames, count = len(joints), len(POINTS)
    zero = np.zeros((frames, count, 3))
    misfit = Misfit(
        world=zero + [0, 0, 1.0],
        rays=zero[..., :2],
        visibility=zero[..., 0],
        depth=np.ones(frames),
        adjacent=np.ones(max(0, frames - 2), bool),
        fps=fps,
    )
    still = torch.eye(3).expand(frames, 22, 3, 3)
    moves = torch.tensor(joints, dtype=torch.float32)[:, None].expand(-1, 22, 3)
    return float(misfit._accelerations(Posed(moves, still, torch.tensor(zero))))


def test_an_acceleration_costs_the_same_at_every_rate_of_frames():
    def fall(fps, frames=61):
        t = np.arange(frames) / fps
        return np.stack([0 * t, 4.9 * t**2, 0 * t + 3], 1)

    costs = [misfit_of(fall(fps), fps) for fps in (15.0, 30.0, 60.0)]
    # 9.8 m/s^2 are 1.089 cm a squared thirtieth of a second: 3 x 2 (sqrt(1 + 1.089^2) - 1).
    assert costs == pytest.approx([6 * (np.hypot(1, 9.8 / 9) - 1) * 59 / 61] * 3, rel=1e-2)


def test_limits_hold_the_mean_and_sides_mirror_each_other():
    tables = prior.POSE_MEAN, prior.POSE_DEVIATION, prior.POSE_LEAST, prior.POSE_LARGEST
    mean, deviation, least, largest = tables
    assert all(np.isfinite(table).all() for table in tables) and (deviation > 0).all()
    assert ((least < mean) & (mean < largest)).all()
    other = np.array(OTHER_SIDE[1:]) - 1
    sign = np.array([1, -1, -1])
    np.testing.assert_array_equal(mean[other], mean * sign)
    np.testing.assert_array_equal(deviation[other], deviation)
    np.testing.assert_array_equal(np.minimum(least * sign, largest * sign), least[other])
    assert least[3, 0] > -0.1 and largest[17, 1] < 0.1 < largest[18, 1]  # knees and elbows


def test_the_rate_of_steps_rises_then_falls_to_its_last_part():
    rates = [fitting._schedule(step) for step in range(fitting._STEPS + 1)]
    assert rates[0] < rates[5] < max(rates) <= 1 and rates[-1] == pytest.approx(fitting._LAST)
