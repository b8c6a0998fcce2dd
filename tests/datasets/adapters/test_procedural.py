import numpy as np
import pytest

from datasets.adapters.procedural import anatomy, compose, curves, gait, ground, kinematics
from datasets.bodies.smplx import BODY_JOINTS, load_body
from datasets.motion import JOINTS, Motion
from datasets.rotation import axis_angle_to_matrix, matrix_to_axis_angle

FPS = 30.0
BETAS = np.zeros(10, np.float32)


def rest_and_parents() -> tuple[np.ndarray, np.ndarray]:
    body = load_body()
    return body.rest_joints(BETAS)[:BODY_JOINTS].astype(np.float64), body.parents


def positions(**angles: float) -> dict[str, np.ndarray]:
    """Joint positions of a standing person with these angles, by name."""
    rotations = anatomy.to_rotations(anatomy.to_array(angles, 1), np.zeros(1))
    _, placed = kinematics.forward(rotations, *rest_and_parents())
    return dict(zip(JOINTS, placed[0], strict=True))


def acted(name: str, seed: int = 0, frames: int = 130) -> Motion:
    rng = np.random.default_rng(seed)
    person = compose.Person.sample(rng)
    action = compose.ACTIONS[name]
    return compose.perform(rng, [action], person, load_body(), BETAS, frames, FPS)


def contacts(motion: Motion) -> tuple[np.ndarray, np.ndarray]:
    """World positions (T, K, 3) of the points that can touch the ground and their heights."""
    rest, parents = rest_and_parents()
    pose = np.concatenate([motion.global_orient, motion.body_pose], axis=1).astype(np.float64)
    turned, placed = kinematics.forward(
        axis_angle_to_matrix(pose.reshape(-1, 22, 3)), rest, parents
    )
    points = ground.contact_points(load_body(), BETAS, rest)
    at = placed[:, points.joints] + motion.transl[:, None]
    at = at + np.einsum("tkij,kj->tki", turned[:, points.joints], points.offsets)
    return at, at[..., 1] - points.thickness


def carrying_speed(motion: Motion) -> np.ndarray:
    """Horizontal speed in m/s of the lowest point, where it stays the lowest for two frames."""
    at, height = contacts(motion)
    lowest = np.argmin(height, axis=1)
    held = (lowest[1:] == lowest[:-1]) & (np.maximum(height[1:], height[:-1]).min(axis=1) < 0.005)
    speed = np.linalg.norm(np.diff(at[..., [0, 2]], axis=0), axis=-1) * FPS
    return speed[held, lowest[1:][held]]


def test_positive_angles_move_the_body_as_their_names_say():
    base = positions()
    for side, outward in (("left", 1), ("right", -1)):

        def moved(angle, joint, side=side):
            return (
                positions(**{f"{side}_{angle}": 40.0})[f"{side}_{joint}"] - base[f"{side}_{joint}"]
            )

        assert moved("hip_flexion", "knee")[2] > 0.1
        assert outward * moved("hip_abduction", "knee")[0] > 0.1
        turned = moved("hip_rotation", "foot") - moved("hip_rotation", "ankle")
        assert outward * turned[0] > 0.05
        assert moved("knee_flexion", "ankle")[2] < -0.1
        assert moved("ankle_dorsiflexion", "foot")[1] > 0.05
        assert moved("shoulder_flexion", "elbow")[2] > 0.1
        assert outward * moved("shoulder_abduction", "elbow")[0] > 0.05
        assert moved("elbow_flexion", "wrist")[2] > 0.05
        assert moved("collar_elevation", "shoulder")[1] > 0.05
    assert (positions(trunk_flexion=40.0)["head"] - base["head"])[2] > 0.1
    assert (positions(trunk_lateral=30.0)["head"] - base["head"])[0] > 0.1
    assert (positions(trunk_axial=40.0)["left_shoulder"] - base["left_shoulder"])[2] < -0.05


def test_standing_hangs_the_arms_and_faces_forward():
    joint = positions()
    for side in anatomy.SIDES:
        arm = joint[f"{side}_wrist"] - joint[f"{side}_shoulder"]
        assert arm[1] < -0.4
        assert abs(joint[f"{side}_wrist"][0]) > abs(joint[f"{side}_hip"][0]) + 0.05
        assert joint[f"{side}_foot"][2] > joint[f"{side}_ankle"][2]


def test_mirroring_angles_mirrors_the_rotations():
    rng = np.random.default_rng(0)
    angles = {name: rng.uniform(low, high, 5) for name, (low, high, *_) in anatomy.TABLE.items()}
    heading = rng.uniform(-90, 90, 5)
    there = anatomy.to_rotations(anatomy.to_array(angles, 5), heading)
    back = anatomy.to_rotations(anatomy.to_array(anatomy.mirror(angles), 5), -heading)
    swap = [JOINTS.index(anatomy.mirrored_name(name)) for name in JOINTS]
    flip = np.diag([-1.0, 1.0, 1.0])
    np.testing.assert_allclose(back, flip @ there[:, swap] @ flip, atol=1e-12)
    again = anatomy.mirror(anatomy.mirror(angles))
    assert all(np.array_equal(again[name], angles[name]) for name in angles)


def test_shoulders_within_the_limits_never_reach_half_a_turn():
    rng = np.random.default_rng(0)
    angles = anatomy.clip(rng.uniform(-180, 180, (4000, len(anatomy.ANGLES))))
    assert np.all(angles >= anatomy.LOW) and np.all(angles <= anatomy.HIGH)
    vectors = matrix_to_axis_angle(anatomy.to_rotations(angles, np.zeros(len(angles))))
    assert np.linalg.norm(vectors[:, 1:], axis=-1).max() < np.radians(179)


def test_forward_kinematics_agree_with_the_body():
    rng = np.random.default_rng(0)
    pose = rng.normal(0, 0.6, (4, 66))
    rest, parents = rest_and_parents()
    _, placed = kinematics.forward(axis_angle_to_matrix(pose.reshape(4, 22, 3)), rest, parents)
    channels = np.concatenate([pose, np.zeros((4, 13))], axis=1)
    np.testing.assert_allclose(placed, load_body().joints(channels), atol=1e-5)


def test_planted_soles_are_level_and_keep_their_direction():
    rng = np.random.default_rng(0)
    names = ("hip_flexion", "hip_abduction", "hip_rotation", "knee_flexion")
    angles = {f"{side}_{name}": rng.uniform(0, 40, 6) for side in anatomy.SIDES for name in names}
    rotations = anatomy.to_rotations(anatomy.to_array(angles, 6), np.full(6, 70.0))
    rest, parents = rest_and_parents()
    planted = {"left": np.ones(6), "right": np.zeros(6)}
    flat = kinematics.flatten_soles(rotations, planted, parents)
    turned, _ = kinematics.forward(flat, rest, parents)
    foot, knee = turned[:, JOINTS.index("left_ankle")], turned[:, JOINTS.index("left_knee")]
    np.testing.assert_allclose(foot[:, :, 1], np.tile([0, 1, 0], (6, 1)), atol=1e-9)
    # The hinge of the knee and that of the level foot have the same direction on the ground.
    cross = knee[:, 0, 0] * foot[:, 2, 0] - knee[:, 2, 0] * foot[:, 0, 0]
    np.testing.assert_allclose(cross, 0, atol=1e-9)
    right = JOINTS.index("right_ankle")
    np.testing.assert_allclose(flat[:, right], rotations[:, right], atol=1e-9)


def test_key_frames_pass_through_their_values_at_rest():
    t = np.linspace(0, 3, 3001)
    curve = curves.key_frames(t, [0.5, 1.0, 2.5], [2.0, -1.0, 4.0])
    at = np.searchsorted(t, [0.5, 1.0, 2.5])
    np.testing.assert_allclose(curve[at], [2.0, -1.0, 4.0], atol=1e-6)
    assert curve[0] == 2.0 and curve[-1] == 4.0
    np.testing.assert_allclose(np.gradient(curve, t)[at], 0, atol=1e-3)


def test_noise_has_unit_variance_and_nothing_above_the_low_pass():
    t = np.arange(6000) / FPS
    noise = curves.smooth_noise(np.random.default_rng(0), t, 0.5, 4)
    np.testing.assert_allclose(noise.std(axis=0), 1, atol=0.15)
    power = np.abs(np.fft.rfft(noise, axis=0)) ** 2
    fast = np.fft.rfftfreq(len(t), 1 / FPS) > 1.5 * curves.LOW_PASS
    assert power[fast].sum() < 1e-3 * power.sum()


@pytest.mark.parametrize("style", [gait.WALK, gait.RUN], ids=["walk", "run"])
def test_gait_curves_pass_their_knots_and_close_smoothly(style):
    for knots in (style.hip, style.knee, style.ankle, style.toe):
        at, value = np.array(knots).T
        np.testing.assert_allclose(gait.evaluate(knots, at + 3), value, atol=1e-9)
        around = gait.evaluate(knots, np.array([-2e-4, -1e-4, 0, 1e-4, 2e-4]))
        slope = np.diff(around)
        np.testing.assert_allclose(slope, slope[0], rtol=0.05, atol=1e-3)


def test_a_flight_is_a_parabola_with_constant_horizontal_velocity():
    frames, airborne = 40, np.zeros(40, bool)
    airborne[15:26] = True
    rest, parents = rest_and_parents()
    rotations = anatomy.to_rotations(anatomy.to_array({}, frames), np.zeros(frames))
    points = ground.contact_points(load_body(), BETAS, rest)
    still = {"changing": np.zeros(frames), "fps": FPS}
    transl = ground.place(rotations, rest, parents, points, airborne=airborne, **still)
    fall = np.diff(transl[14:27, 1], n=2) * FPS**2
    np.testing.assert_allclose(fall, -9.81, atol=1e-6)
    np.testing.assert_allclose(transl[:15, 1], transl[0, 1])
    # 12 intervals in the air: h = g T^2 / 8
    assert np.ptp(transl[:, 1]) == pytest.approx(9.81 * (12 / FPS) ** 2 / 8, rel=1e-6)
    np.testing.assert_allclose(transl[:, [0, 2]], transl[:1, [0, 2]].repeat(frames, 0), atol=1e-9)


def test_the_pelvis_starts_above_the_origin_for_every_shape():
    body, betas = load_body(), np.linspace(-2, 2, 10).astype(np.float32)
    rest = body.rest_joints(betas)[:BODY_JOINTS].astype(np.float64)
    points = ground.contact_points(body, betas, rest)
    rotations = np.tile(np.eye(3), (3, 22, 1, 1))
    free = {"airborne": np.zeros(3, bool), "changing": np.zeros(3), "fps": FPS}
    transl = ground.place(rotations, rest, body.parents, points, **free)
    np.testing.assert_allclose((rest[0] + transl)[:, [0, 2]], 0, atol=1e-12)
    channels = np.concatenate([np.zeros((3, 66)), np.tile(betas, (3, 1)), transl], axis=1)
    assert abs(body.vertices(channels)[..., 1].min()) < 2e-3


@pytest.mark.parametrize("name", compose.ACTIONS)
def test_an_action_stays_on_the_ground_without_sliding(name):
    motion = acted(name)
    _, height = contacts(motion)
    assert height.min() > -0.005  # nothing sinks in
    # Feet pivot under a dancer, and give way while a landing is absorbed.
    fast = name in ("dance", "run", "jump", "jack", "kick")
    assert carrying_speed(motion).mean() < (0.05 if fast else 0.02)
    # No jump in any joint's axis-angle: half a turn would be more than 3.
    step = np.linalg.norm(np.diff(motion.body_pose.reshape(-1, 21, 3), axis=0), axis=-1)
    assert step.max() < 1.0


@pytest.mark.parametrize(
    ("name", "slowest", "fastest"), [("stand", 0, 0.1), ("walk", 0.5, 2.0), ("run", 1.8, 4.5)]
)
def test_the_legs_produce_the_speed_of_the_action(name, slowest, fastest):
    speeds = []
    for seed in range(3):
        way = np.diff(acted(name, seed).transl[:, [0, 2]], axis=0)
        speeds.append(np.linalg.norm(way, axis=1).mean() * FPS)
    assert slowest <= min(speeds) and max(speeds) < fastest


@pytest.mark.parametrize("name", ["run", "jump", "jack"])
def test_ballistic_actions_leave_the_ground(name):
    _, height = contacts(acted(name))
    assert height.min(axis=1).max() > 0.02


def test_actions_that_do_not_fly_keep_touching_the_ground():
    for name in ("walk", "squat", "lie"):
        _, height = contacts(acted(name))
        assert height.min(axis=1).max() < 0.005


def test_lying_down_ends_on_the_back_and_getting_up_is_its_reverse():
    rng, body = np.random.default_rng(1), load_body()
    person = compose.Person.sample(rng)
    lie, stand = compose.ACTIONS["lie"], compose.ACTIONS["stand"]
    for actions, low in (([stand, lie], -1), ([lie, stand], 0)):
        motion = compose.perform(rng, actions, person, body, BETAS, 150, FPS)
        joints = body.joints(motion.to_channels())
        head = joints[:, JOINTS.index("head"), 1]
        assert head[low] < 0.5 and head[-1 - low] > 1.3


def test_composed_actions_blend_without_a_break():
    rng, body = np.random.default_rng(3), load_body()
    person = compose.Person.sample(rng)
    actions = [compose.ACTIONS[name] for name in ("walk", "wave", "squat")]
    motion = compose.perform(rng, actions, person, body, BETAS, 160, FPS)
    joints = body.joints(motion.to_channels()).astype(np.float64)
    assert np.linalg.norm(np.diff(joints, axis=0), axis=-1).max() < 0.25  # 7.5 m/s


def test_lead_action_is_always_kept_and_edge_actions_stand_at_an_edge():
    rng = np.random.default_rng(0)
    for name, lead in compose.ACTIONS.items():
        for _ in range(10):
            chosen = compose.sample_actions(rng, lead, 130 / FPS)
            assert name in [action.name for action in chosen]
            assert 1 <= len(chosen) <= 3
            assert sum(action.shortest for action in chosen) <= 130 / FPS
            assert sum(action.edge for action in chosen) <= 1
            assert not any(action.edge for action in chosen[1:-1])
