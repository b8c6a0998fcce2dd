"""Features of motions against loops written from their formulas, closed forms, hostile input."""

import math
import warnings

import numpy as np
import pytest
import torch

from benchmark.metrics.features.distances import frechet_distance, normalise
from benchmark.metrics.features.geometric_tests import JOINT_NAMES
from benchmark.metrics.features.motion import (
    geometric_features,
    joints24_from_smplx,
    kinetic_features,
)

# A body with its arms out, facing +z, left towards +x, y up; metres.
MIDDLE = {
    **{"root": (0, 0.95, 0), "belly": (0, 1.05, -0.02), "spine": (0, 1.18, -0.02)},
    **{"chest": (0, 1.24, 0), "neck": (0, 1.45, -0.03), "head": (0, 1.6, 0)},
}
LEFT = {
    **{"hip": (0.07, 0.86, 0), "knee": (0.1, 0.48, 0.01), "ankle": (0.09, 0.08, -0.03)},
    **{"toes": (0.11, 0.02, 0.1), "inshoulder": (0.08, 1.36, -0.02), "shoulder": (0.2, 1.4, -0.02)},
    **{"elbow": (0.45, 1.38, -0.04), "wrist": (0.7, 1.38, -0.04), "hand": (0.8, 1.38, -0.04)},
}
RIGHT = {name: (-x, y, z) for name, (x, y, z) in LEFT.items()}
PLACES = MIDDLE | {f"l{n}": p for n, p in LEFT.items()} | {f"r{n}": p for n, p in RIGHT.items()}
STANDING = np.array([PLACES[name] for name in JOINT_NAMES])
INDEX = {name: index for index, name in enumerate(JOINT_NAMES)}

# The geometric features as tabulated in the reference: test, points, factor and length, or degrees.
TABLE = """
nmove neck rhip lhip rwrist 1.8 HL        | nmove neck lhip rhip lwrist 1.8 HL
nplane chest neck neck rwrist 0.2 HL      | nplane chest neck neck lwrist 0.2 HL
move belly chest chest rwrist 1.8 HL      | move belly chest chest lwrist 1.8 HL
angle relbow rshoulder relbow rwrist 0 110 | angle lelbow lshoulder lelbow lwrist 0 110
nplane lshoulder rshoulder lwrist rwrist 2.5 SW | move lwrist rwrist rwrist lwrist 1.4 HL
move rwrist root lwrist root 1.4 HL       | move lwrist root rwrist root 1.4 HL
fast rwrist - - - 2.5 HL                  | fast lwrist - - - 2.5 HL
plane root lhip ltoes rankle 0.38 HL      | plane root rhip rtoes lankle 0.38 HL
nplane zero y_unit y_min rankle 1.2 HL    | nplane zero y_unit y_min lankle 1.2 HL
nplane lhip rhip lankle rankle 2.1 HW     | angle rknee rhip rknee rankle 0 110
angle lknee lhip lknee lankle 0 110       | fast rankle - - - 2.5 HL
fast lankle - - - 2.5 HL                  | angle neck root rshoulder relbow 25 180
angle neck root lshoulder lelbow 25 180   | angle neck root rhip rknee 50 180
angle neck root lhip lknee 50 180         | plane rankle neck lankle root 0.5 HL
angle neck root zero y_unit 70 110        | nplane zero minus_y_unit y_min rwrist -1.2 HL
nplane zero minus_y_unit y_min lwrist -1.2 HL | fast root - - - 2.3 HL
"""
TESTS = [cell.split() for line in TABLE.strip().splitlines() for cell in line.split("|")]
LENGTHS = {"HL": 0.25683811, "SW": 0.39084836, "HW": 0.11924707}


def moving_clips(count=4, frames=20, seed=0):
    """(N, T, 24, 3) bodies that wave all their joints, turn and walk away."""
    rng = np.random.default_rng(seed)
    time = np.arange(frames)[:, None, None] / 30
    clips = []
    for _ in range(count):
        size, rate, phase = rng.uniform([[0.0], [0.2], [0.0]], [[0.3], [2.0], [6.3]], (3, 72))
        size, rate, phase = (part.reshape(24, 3) for part in (size * rng.uniform(), rate, phase))
        clip = STANDING + size * np.sin(2 * np.pi * rate * time + phase)
        clip = clip + time * [0.5, 0.0, 0.5] * rng.normal(size=3)
        clips.append(turned(clip, rng.uniform(0, 6.3)) + rng.normal(size=3))
    return np.array(clips)


def turned(clip, angle):
    """Turned about the vertical."""
    c, s = np.cos(angle), np.sin(angle)
    return clip @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]).T


def standing(frames=8, **moves):
    """A body at rest, with some joints elsewhere: ``standing(rwrist=(x, y, z))``."""
    clip = np.tile(STANDING, (frames, 1, 1))
    for name, place in moves.items():
        clip[:, INDEX[name]] = place
    return clip


def sliding(speed, joint, frames=8):
    """The body at rest but one joint, which moves along x, at a speed in metres per 1/120 s."""
    clip = standing(frames)
    clip[:, INDEX[joint], 0] += np.arange(frames) * speed / 120
    return clip


def loop_kinetic(clip, mode, dt=1 / 60):
    """Reference 2.2, one joint, one frame, one window position at a time."""
    frames, features = len(clip), []
    for joint in range(24):
        x = clip[:, joint] - clip[0, 0]
        horizontal, vertical, energy = [], [], []
        for i in range(1, frames):
            window = [k for k in range(i - 2, i + 3) if k - 1 >= 0 and k < frames]
            v = sum(x[k] - x[k - 1] for k in window) / (len(window) * dt)
            horizontal.append(v[0] ** 2 + v[2] ** 2)
            vertical.append(v[1] ** 2)
            total = np.zeros(3)
            window = [k for k in window if k + 1 < frames]
            for k in window:
                if mode == "upstream":
                    total += ((x[k + 1] - x[k]) / dt - (x[k] - x[k - 1] / dt)) / dt
                else:
                    total += ((x[k + 1] - x[k]) / dt - (x[k] - x[k - 1]) / dt) / dt
            energy.append(np.linalg.norm(total / len(window)))
        features += [np.mean(horizontal), np.mean(vertical), np.mean(energy)]
    return np.array(features)


def loop_geometric(clip):
    """Reference 2.3, one frame and one test at a time."""
    rows = []
    for t in range(1, len(clip)):

        def point(name, t=t):
            fixed = {"-": None, "zero": (0, 0, 0), "y_unit": (0, 1, 0), "minus_y_unit": (0, -1, 0)}
            if name == "y_min":
                return np.array([0, min(clip[t, j, 1] for j in range(24)), 0])
            return np.array(fixed[name], float) if name in fixed else clip[t, INDEX[name]]

        row = []
        for test, *names, first, second in TESTS:
            a, b, c, d = map(point, names)
            old = [point(name, t - 1) for name in names]
            if test == "angle":
                u, v = b - a, d - c
                cosine = u @ v / (np.linalg.norm(u) * np.linalg.norm(v))
                row.append(float(first) < math.degrees(math.acos(cosine)) < float(second))
                continue
            if test == "move":
                value = ((c - a) - (old[2] - old[0])) @ (b - a) / np.linalg.norm(b - a) * 120
            elif test == "nmove":
                n = np.cross(c - a, b - a)
                value = ((d - a) - (old[3] - old[0])) @ n / np.linalg.norm(n) * 120
            elif test == "plane":
                n = np.cross(c - a, b - a)
                value = (d - a) @ n / np.linalg.norm(n)
            elif test == "nplane":
                value = (d - c) @ (b - a) / np.linalg.norm(b - a)
            else:
                value = np.linalg.norm(a - old[0]) * 120
            row.append(value > float(first) * LENGTHS[second])
        rows.append(row)
    return np.mean(rows, axis=0)


@pytest.mark.parametrize("mode", ["upstream", "corrected"])
@pytest.mark.parametrize(("frames", "frame_time"), [(3, 1 / 60), (4, 1 / 60), (20, 1 / 30)])
def test_kinetic_features_equal_the_loop(mode, frames, frame_time):
    clips = moving_clips(frames=frames)
    expected = [loop_kinetic(clip, mode, frame_time) for clip in clips]
    np.testing.assert_allclose(kinetic_features(clips, mode, frame_time), expected, rtol=1e-9)


def test_geometric_features_equal_the_loop():
    clips = moving_clips(count=20)
    clips[:5] = clips[:5, ..., [1, 0, 2]]  # bodies lying on their sides
    clips[5:10] = clips[5:10, :1] + 0.1 * (clips[5:10] - clips[5:10, :1])  # slow ones
    hanging = clips[10, :, INDEX["root"]] - clips[10, :, INDEX["neck"]] + [0.05, 0.0, 0.0]
    clips[10, :, INDEX["lelbow"]] = clips[10, :, INDEX["lshoulder"]] + 0.5 * hanging
    features = geometric_features(clips)
    np.testing.assert_allclose(features, [loop_geometric(clip) for clip in clips], atol=1e-12)
    shares = features.mean(axis=0)
    assert len(TESTS) == len(shares) == 32 and (shares > 0).all() and (shares < 1).all()
    two = geometric_features(clips[:, :2])
    np.testing.assert_allclose(two, [loop_geometric(clip[:2]) for clip in clips], atol=1e-12)


def test_a_body_at_rest_has_no_energy_but_for_the_upstream_defect():
    np.testing.assert_allclose(kinetic_features(standing(), "corrected"), 0, atol=1e-9)
    features = kinetic_features(standing()).reshape(24, 3)
    np.testing.assert_allclose(features[:, :2], 0, atol=1e-20)
    away = np.linalg.norm(STANDING - STANDING[0], axis=-1)
    np.testing.assert_allclose(features[:, 2], 3540 * away, rtol=1e-12)


def test_kinetic_features_of_motions_in_closed_form():
    time = np.arange(30)[:, None, None] / 60
    steady = STANDING + time * [0.3, -0.2, 0.4]
    features = kinetic_features(steady, "corrected").reshape(24, 3)
    np.testing.assert_allclose(features, np.tile([0.25, 0.04, 0], (24, 1)), atol=1e-9)
    # Half the frame time: speeds double, their squares are fourfold.
    fourfold = kinetic_features(steady, "corrected", 1 / 120).reshape(24, 3)
    np.testing.assert_allclose(fourfold[:, :2], np.tile([1.0, 0.16], (24, 1)), rtol=1e-9)
    falling = STANDING - time**2 * [0.0, 9.81 / 2, 0.0]
    energy = kinetic_features(falling, "corrected").reshape(24, 3)[:, 2]
    np.testing.assert_allclose(energy, 9.81, rtol=1e-9)


def test_geometric_features_of_the_body_at_rest():
    # Arms out: wrists far apart (8), elbows away from the trunk (23, 24). The left ankle is behind
    # the plane of the right leg, which is what 15 asks for; 14 asks for the right one in front.
    features = geometric_features(standing())
    assert set(features) == {0.0, 1.0}
    np.testing.assert_array_equal(np.flatnonzero(features), [8, 15, 23, 24])


@pytest.mark.parametrize(
    ("changes", "holds", "fails"),
    [
        ({"rwrist": (-0.45, 1.6, -0.04)}, [2, 6], [3, 7]),  # right forearm up
        ({"lwrist": (0.45, 1.6, -0.04)}, [3, 7], [2, 6]),
        ({"rankle": (-0.1, 0.48, -0.4)}, [16, 19], [17, 20]),  # right heel to the back
        ({"lankle": (0.1, 0.48, -0.4)}, [17, 20], [16, 19]),
        ({"rknee": (-0.1, 0.86, 0.4)}, [25], [26]),  # right thigh forward
        ({"lelbow": (0.21, 1.15, 0), "relbow": (-0.21, 1.15, 0)}, [], [23, 24]),  # arms down
        ({"rwrist": (-0.3, 0.2, 0.2)}, [29], [30]),  # right hand at the ground
        ({"lankle": (0.4, 0.08, 0)}, [18], []),  # feet apart
        ({"neck": (0.5, 0.95, 0), "head": (0.6, 0.95, 0)}, [28], []),  # trunk level
    ],
)
def test_poses_hold_the_tests_they_are_named_for(changes, holds, fails):
    features = geometric_features(standing(**changes))
    assert features[holds].all() and not features[fails].any()


@pytest.mark.parametrize(
    ("column", "threshold", "clip"),
    [
        (12, 0.642095, lambda v: sliding(v, "rwrist")),
        (13, 0.642095, lambda v: sliding(v, "lwrist")),
        (21, 0.642095, lambda v: sliding(v, "rankle")),
        (22, 0.642095, lambda v: sliding(v, "lankle")),
        (31, 0.590728, lambda v: sliding(v, "root")),
        (2, 0.051368, lambda y: standing(rwrist=(-0.7, 1.45, 0) + up_the_neck(y))),
        (3, 0.051368, lambda y: standing(lwrist=(0.7, 1.45, 0) + up_the_neck(y))),
        (8, 0.977121, lambda x: standing(lwrist=(x / 2, 1.4, 0), rwrist=(-x / 2, 1.4, 0))),
        (16, 0.308206, lambda y: standing(rankle=(-0.09, 0.02 + y, 0))),
        (17, 0.308206, lambda y: standing(lankle=(0.09, 0.02 + y, 0))),
        (18, 0.250419, lambda x: standing(lankle=(x / 2, 0.08, 0), rankle=(-x / 2, 0.08, 0))),
        (29, -0.308206, lambda y: standing(rwrist=(-0.7, 0.02 - y, 0))),
        (30, -0.308206, lambda y: standing(lwrist=(0.7, 0.02 - y, 0))),
    ],
)
def test_thresholds_are_the_published_ones(column, threshold, clip):
    assert geometric_features(clip(threshold + 2e-6))[column] == 1
    assert geometric_features(clip(threshold - 2e-6))[column] == 0


def up_the_neck(height):
    """What moves a point at the neck's height onto the plane `height` above it, along the trunk."""
    neck, chest = STANDING[INDEX["neck"]], STANDING[INDEX["chest"]]
    along = (neck - chest) / np.linalg.norm(neck - chest)
    return np.array([0, 0, neck[2]]) + along * height


def test_undefined_directions_hold_no_test():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        features = geometric_features(np.zeros((5, 24, 3)))
    # Only hands "low above the lowest joint" are defined for a body that is a single point.
    np.testing.assert_array_equal(np.flatnonzero(features), [29, 30])
    assert (kinetic_features(np.zeros((5, 24, 3))) == 0).all()


def test_features_do_not_depend_on_place_or_heading():
    clips = moving_clips()
    moved = turned(clips, 1.1) + [3.0, -0.7, 5.0]
    for mode in ("upstream", "corrected"):
        np.testing.assert_allclose(
            kinetic_features(moved, mode), kinetic_features(clips, mode), rtol=1e-9
        )
    np.testing.assert_array_equal(geometric_features(moved), geometric_features(clips))


def test_a_mirrored_body_swaps_left_and_right_except_where_upstream_does_not():
    clips = moving_clips(count=8)
    swap = [INDEX.get({"l": "r", "r": "l"}.get(n[0], "") + n[1:], i) for n, i in INDEX.items()]
    mirrored = clips[:, :, swap] * [-1, 1, 1]
    kinetic = kinetic_features(clips).reshape(-1, 24, 3)[:, swap].reshape(-1, 72)
    np.testing.assert_allclose(kinetic_features(mirrored), kinetic, rtol=1e-9)
    pairs = {2: 3, 4: 5, 6: 7, 10: 11, 12: 13, 16: 17, 19: 20, 21: 22, 23: 24, 25: 26, 29: 30}
    pairs |= {right: left for left, right in pairs.items()} | {i: i for i in (8, 9, 18, 27, 28, 31)}
    # 0 asks for a right hand that moves backwards, 1 for a left one that moves forwards; so 14, 15.
    assert pairs.keys() == set(range(32)) - {0, 1, 14, 15}
    expected = geometric_features(clips)[:, list(pairs.values())]
    np.testing.assert_array_equal(geometric_features(mirrored)[:, list(pairs)], expected)


@pytest.mark.parametrize("extract", [kinetic_features, geometric_features])
def test_a_clip_has_the_same_features_alone_and_in_any_batch(extract):
    clips = moving_clips(count=70, frames=6)
    features = extract(clips)
    assert features.dtype == np.float64 and features.shape[0] == 70
    for row in (0, 31, 32, 69):
        np.testing.assert_allclose(extract(clips[row]), features[row], rtol=1e-12)
    np.testing.assert_allclose(extract(clips[5:45]), features[5:45], rtol=1e-12)
    np.testing.assert_allclose(extract(torch.tensor(clips[0], requires_grad=True)), features[0])


def test_hands_are_the_means_of_the_fingers_bases():
    joints = np.random.default_rng(0).normal(size=(2, 5, 55, 3)).astype(np.float32)
    made = joints24_from_smplx(joints)
    assert made.shape == (2, 5, 24, 3) and made.dtype == np.float64
    np.testing.assert_array_equal(made[..., :22, :], joints[..., :22, :])
    for hand, fingers in ((22, (25, 28, 31, 34, 37)), (23, (40, 43, 46, 49, 52))):
        expected = sum(np.float64(joints[..., finger, :]) for finger in fingers) / 5
        np.testing.assert_allclose(made[..., hand, :], expected, atol=1e-12)


def test_scores_hardly_depend_on_the_frame_time():
    x, y = moving_clips(60, 8, seed=1), moving_clips(80, 8, seed=2)
    scores = []
    for frame_time in (1 / 60, 1 / 30):
        fx, fy = (kinetic_features(c, "corrected", frame_time) for c in (x, y))
        scores.append(frechet_distance(normalise(fx, fy), normalise(fy, fy)))
    assert scores[0] == pytest.approx(scores[1], rel=1e-4)


@pytest.mark.parametrize("extract", [kinetic_features, geometric_features])
def test_bodies_along_another_axis_are_refused(extract):
    clips = moving_clips()
    for rotation, seen in (([1, -1, -1], "-y"), (None, r"\+z")):
        wrong = clips * rotation if rotation else clips[..., [2, 0, 1]]
        with pytest.raises(ValueError, match=f"stand along {seen}, .* need y up"):
            extract(wrong)
        with pytest.raises(ValueError, match="need y up"):
            extract(wrong[0])
        assert np.isfinite(extract(wrong, check_up=False)).all()
    # One handstand among others is a motion; so is a body that lies on its side.
    handstand = np.concatenate([clips, clips[:1] * [1, -1, -1]])
    assert len(extract(handstand)) == 5
    assert len(extract(clips[..., [1, 0, 2]])) == 4


@pytest.mark.parametrize("extract", [kinetic_features, geometric_features])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda c: c[:, :1], "1 frames; these features need at least"),
        (lambda c: c[0, :0], "0 frames; these features need at least"),
        (lambda c: c[:0], "no clips"),
        (lambda c: c[:, :, :22], r"shape \(4, 20, 22, 3\), expected"),
        (lambda c: c[0, 0], r"shape \(24, 3\)"),
        (lambda c: c[None], "expected"),
        (lambda c: np.where(c == c[1, 2, 3, 0], np.nan, c), "NaN or infinite"),
        (lambda c: np.where(c == c[1, 2, 3, 0], np.inf, c), "NaN or infinite"),
        (lambda c: c.astype(str), "not numeric"),
    ],
)
def test_bad_clips_are_refused_in_one_line(extract, spoil, message):
    with pytest.raises(ValueError, match=message) as refusal:
        extract(spoil(moving_clips()))
    assert "\n" not in str(refusal.value)


def test_bad_arguments_are_refused():
    clip = standing()
    with pytest.raises(ValueError, match="2 frames; these features need at least 3"):
        kinetic_features(clip[:2])
    with pytest.raises(ValueError, match="unknown mode 'fixed': choose upstream, corrected"):
        kinetic_features(clip, "fixed")
    for frame_time in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="frame_time must be positive"):
            kinetic_features(clip, frame_time=frame_time)
    with pytest.raises(ValueError, match=r"expected \(\.\.\., 55, 3\)"):
        joints24_from_smplx(np.zeros((4, 24, 3)))
