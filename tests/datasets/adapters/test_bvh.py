"""BVH -> SMPL-X: bones point where the recording has them, and junk is refused in words."""

import re

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from datasets.adapters import bvh
from datasets.bodies.smplx import load_body
from datasets.motion import JOINTS, Motion
from datasets.sequence import SkipLog

BONES = [("hip", "knee"), ("knee", "ankle"), ("ankle", "foot")]
BONES += [("shoulder", "elbow"), ("elbow", "wrist")]
LIMBS = [(f"{side}_{a}", f"{side}_{b}") for side in ("left", "right") for a, b in BONES]


def text(names, parents, rest, local, root, *, fps=30.0, orders=None, ends=()):
    """BVH text of a skeleton; rest (J, 3), local rotations (T, J, 3, 3), root (T, 3)."""
    orders = orders or ["ZXY"] * len(names)
    columns = [root]
    lines = ["HIERARCHY"]

    def add(joint, depth):
        pad = "\t" * depth
        lines.append(f"{pad}{'ROOT' if parents[joint] < 0 else 'JOINT'} {names[joint]}")
        start = rest[parents[joint]] if parents[joint] >= 0 else rest[joint]
        lines.append(pad + "{")
        lines.append(pad + "\tOFFSET " + " ".join(f"{v:.9f}" for v in rest[joint] - start))
        turns = " ".join(f"{axis}rotation" for axis in orders[joint])
        moves = "" if depth else "Xposition Yposition Zposition "
        lines.append(f"{pad}\tCHANNELS {6 if moves else 3} {moves}{turns}")
        rotations = Rotation.from_matrix(local[:, joint])
        columns.append(rotations.as_euler(orders[joint], degrees=True))
        children = [child for child in range(len(names)) if parents[child] == joint]
        for child in children:
            add(child, depth + 1)
        end = dict(ends).get(names[joint], None if children else (0.0, 0.1, 0.0))
        if end is not None:
            offset = " ".join(map(str, end))
            lines.append(f"{pad}\tEnd Site\n{pad}\t{{\n{pad}\t\tOFFSET {offset}\n{pad}\t}}")
        lines.append(pad + "}")

    add(0, 0)
    rows = np.concatenate(columns, axis=1)
    lines += ["MOTION", f"Frames: {len(rows)}", f"Frame Time: {1 / fps:.9f}"]
    lines += [" ".join(f"{value:.9f}" for value in row) for row in rows]
    return "\n".join(lines) + "\n"


def forward(parents, rest, local, root):
    """World rotations and positions, frame by frame, joint by joint."""
    rotations, positions = np.zeros_like(local), np.zeros(local.shape[:3])
    for t in range(len(local)):
        for joint, parent in enumerate(parents):
            if parent < 0:
                rotations[t, joint], positions[t, joint] = local[t, joint], root[t]
            else:
                rotations[t, joint] = rotations[t, parent] @ local[t, joint]
                bone = rest[joint] - rest[parent]
                positions[t, joint] = positions[t, parent] + rotations[t, parent] @ bone
    return rotations, positions


def own_skeleton(skeleton="cgspeed MotionBuilder"):
    """Names, parents and rest joints of the SMPL-X body under the names of a BVH skeleton."""
    body = load_body()
    names = [bvh.SKELETONS[skeleton][joint] for joint in JOINTS]
    return names, body.parents[:22].tolist(), body.rest_joints(np.zeros(10))[:22].astype(float)


def arms_down(rest):
    """The rest pose with both arms hanging and bent, legs apart: unlike SMPL-X's."""
    rest = rest.copy()
    for side, sign in (("left", 1), ("right", -1)):
        at = {name: JOINTS.index(f"{side}_{name}") for name in ("shoulder", "elbow", "wrist")}
        rest[at["elbow"]] = rest[at["shoulder"]] + [0, -0.3, 0]
        rest[at["wrist"]] = rest[at["elbow"]] + [0.02 * sign, -0.2, 0.05]
        knee, ankle = JOINTS.index(f"{side}_knee"), JOINTS.index(f"{side}_ankle")
        for joint, by in ((knee, 0.1), (ankle, 0.2), (JOINTS.index(f"{side}_foot"), 0.2)):
            rest[joint] += [by * sign, 0, 0]
        assert ankle > knee
    return rest


def random_pose(frames, joints, seed=0):
    rng = np.random.default_rng(seed)
    turns = rng.normal(0, 0.4, (frames, joints, 3))
    local = Rotation.from_rotvec(turns.reshape(-1, 3)).as_matrix().reshape(frames, joints, 3, 3)
    return local, rng.normal(0, 1, (frames, 3))


def convert(tmp_path, content):
    path = tmp_path / "take.bvh"
    path.write_text(content)
    return bvh.read(path)


def joints_of(motion):
    return load_body().joints(motion.to_channels()).astype(float)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@pytest.mark.parametrize("unit_length", [1.0, 17.7, 100.0])
def test_an_smplx_motion_written_as_bvh_comes_back(tmp_path, unit_length):
    names, parents, rest = own_skeleton()
    rng = np.random.default_rng(3)
    motion = Motion(
        body_pose=rng.normal(0, 0.3, (20, 63)),
        global_orient=rng.normal(0, 0.5, (20, 3)),
        betas=np.zeros(10),
        transl=rng.normal(0, 0.5, (20, 3)),
        fps=30,
    )
    pose = np.concatenate([motion.global_orient, motion.body_pose], axis=1).reshape(-1, 3)
    local = Rotation.from_rotvec(pose).as_matrix().reshape(20, 22, 3, 3)
    pelvis = rest[0] + motion.transl
    content = text(names, parents, rest * unit_length, local, pelvis * unit_length)
    found = convert(tmp_path, content)
    assert len(found) == 19  # the first frame is left out
    np.testing.assert_allclose(found.body_pose, motion.body_pose[1:], atol=1e-5)
    np.testing.assert_allclose(found.global_orient, motion.global_orient[1:], atol=1e-5)
    shift = joints_of(found) - joints_of(motion)[1:]
    np.testing.assert_allclose(shift[..., [0, 2]], 0, atol=1e-5)
    np.testing.assert_allclose(shift[..., 1], shift[0, 0, 1], atol=1e-5)
    feet = joints_of(found)[:, [10, 11], 1].min(1)
    assert np.percentile(feet, 5) == pytest.approx(0.03, abs=1e-5)
    np.testing.assert_array_equal(found.betas, np.zeros(10))


@pytest.mark.parametrize("skeleton", ["cgspeed MotionBuilder", "cgspeed 3ds Max", "FAIR"])
def test_limbs_point_where_the_recording_has_them(tmp_path, skeleton):
    names, parents, rest = own_skeleton(skeleton)
    rest = arms_down(rest)
    if skeleton == "FAIR":  # the other of its four spine joints, by which it is told apart
        names.append("Spine1")
        parents, rest = [*parents, 0], np.concatenate([rest, rest[3:4]])
    local, root = random_pose(15, len(names))
    rotations, positions = forward(parents, rest, local, root)
    found = convert(tmp_path, text(names, parents, rest, local, root))
    ours = joints_of(found)
    for start, end in LIMBS:
        a, b = JOINTS.index(start), JOINTS.index(end)
        expected = unit(positions[1:, b] - positions[1:, a])
        np.testing.assert_allclose(unit(ours[:, b] - ours[:, a]), expected, atol=1e-5)
    # Trunk and head keep their world orientation.
    pose = np.concatenate([found.global_orient, found.body_pose], axis=1).reshape(-1, 3)
    local = Rotation.from_rotvec(pose).as_matrix().reshape(14, 22, 3, 3)
    world, _ = forward(parents[:22], rest, local, root)
    for joint in ("pelvis", "spine3", "neck", "head", "left_collar"):
        index = JOINTS.index(joint)
        np.testing.assert_allclose(world[:, index], rotations[1:, index], atol=1e-5)


def test_legs_set_the_scale_and_the_hips_the_place(tmp_path):
    names, parents, rest = own_skeleton()
    long_legs = rest.copy()
    for side in ("left", "right"):
        for joint, drop in (("knee", 0.2), ("ankle", 0.4), ("foot", 0.4)):
            long_legs[JOINTS.index(f"{side}_{joint}")] -= [0, drop, 0]
    local, root = random_pose(8, 22)
    _, positions = forward(parents, long_legs, local, root)
    length = [
        sum(
            np.linalg.norm(pose[JOINTS.index(f"left_{b}")] - pose[JOINTS.index(f"left_{a}")])
            for a, b in (("hip", "knee"), ("knee", "ankle"))
        )
        for pose in (rest, long_legs)
    ]
    ours = joints_of(convert(tmp_path, text(names, parents, long_legs, local, root)))
    hips = [JOINTS.index("left_hip"), JOINTS.index("right_hip")]
    expected = positions[1:, hips].mean(1) * length[0] / length[1]
    shift = ours[:, hips].mean(1) - expected
    # The two legs of the body differ by under a millimetre; heights are set by the ground.
    np.testing.assert_allclose(shift[:, [0, 2]], 0, atol=2e-3)
    np.testing.assert_allclose(shift[:, 1], shift[0, 1], atol=2e-3)


@pytest.mark.parametrize(
    "axes",
    [
        [[1, 0, 0], [0, 0, -1], [0, 1, 0]],  # z up, facing -y
        [[0, 0, 1], [0, 1, 0], [-1, 0, 0]],  # y up, facing x
        [[0, -1, 0], [-1, 0, 0], [0, 0, -1]],  # upside down and sideways
    ],
)
def test_the_axes_of_the_file_do_not_matter(tmp_path, axes):
    turn = np.array(axes, float)
    assert np.linalg.det(turn) == 1
    names, parents, rest = own_skeleton()
    local, root = random_pose(10, 22)
    upright = convert(tmp_path, text(names, parents, rest, local, root))
    turned = convert(
        tmp_path, text(names, parents, rest @ turn.T, turn @ local @ turn.T, root @ turn.T)
    )
    np.testing.assert_allclose(joints_of(turned), joints_of(upright), atol=1e-5)


def test_the_order_of_the_channels_is_the_order_of_the_product(tmp_path):
    names, parents, rest = own_skeleton()
    local, root = random_pose(10, 22)
    orders = [["XYZ", "ZYX", "YXZ", "ZXY", "YZX", "XZY"][joint % 6] for joint in range(22)]
    one = convert(tmp_path, text(names, parents, rest, local, root))
    other = convert(tmp_path, text(names, parents, rest, local, root, orders=orders))
    np.testing.assert_allclose(joints_of(one), joints_of(other), atol=1e-5)


def test_poser_has_no_toe_and_one_abdomen_for_two_joints(tmp_path):
    names, parents, rest = own_skeleton("Poser")
    # Joints without a counterpart: the feet become end sites, spine2 is spine1's abdomen.
    gone = {JOINTS.index(name) for name in ("left_foot", "right_foot", "spine2")}
    keep = [joint for joint in range(22) if joint not in gone]
    new = {joint: position for position, joint in enumerate(keep)}
    new[JOINTS.index("spine2")] = new[JOINTS.index("spine1")]
    toe = (0.0, -0.05, 0.15)
    local, root = random_pose(10, len(keep))
    found = convert(
        tmp_path,
        text(
            [names[joint] for joint in keep],
            [new.get(parents[joint], -1) for joint in keep],
            rest[keep],
            local,
            root,
            ends=[("lFoot", toe), ("rFoot", toe)],
        ),
    )
    pose = found.body_pose.reshape(-1, 21, 3)
    for side in ("left", "right"):
        np.testing.assert_allclose(pose[:, JOINTS.index(f"{side}_foot") - 1], 0, atol=1e-5)
    # The bend of the abdomen is shared equally by spine1 and spine2.
    spine = [pose[:, JOINTS.index(name) - 1] for name in ("spine1", "spine2", "spine3")]
    np.testing.assert_allclose(spine[0], spine[1], atol=1e-5)
    abdomen = Rotation.from_matrix(local[1:, keep.index(JOINTS.index("spine1"))]).as_rotvec()
    np.testing.assert_allclose(spine[0] + spine[1], abdomen, atol=1e-5)
    chest = Rotation.from_matrix(local[1:, keep.index(JOINTS.index("spine3"))]).as_rotvec()
    np.testing.assert_allclose(spine[2], chest, atol=1e-5)


def spin(frames, fps):
    """A body that turns about the vertical at 1 rad/s and walks at 1 m/s."""
    names, parents, rest = own_skeleton()
    time = np.arange(frames) / fps
    local = np.tile(np.eye(3), (frames, 22, 1, 1))
    local[:, 0] = Rotation.from_rotvec(time[:, None] * [0, 1, 0]).as_matrix()
    return text(names, parents, rest, local, time[:, None] * [1.0, 0, 0], fps=fps)


@pytest.mark.parametrize(
    ("fps", "frames", "expected_frames", "expected_fps"),
    [
        (30, 31, 30, 30),
        (29.97, 31, 30, 29.97),
        (60, 61, 30, 30),
        (120, 122, 31, 30),
        (24, 26, 31, 30),
        (50, 52, 31, 30),
        (10, 12, 31, 30),
    ],
)
def test_frame_rates(tmp_path, fps, frames, expected_frames, expected_fps):
    found = convert(tmp_path, spin(frames, fps))
    assert len(found) == expected_frames
    assert found.fps == pytest.approx(expected_fps, rel=1e-6)
    time = 1 / fps + np.arange(expected_frames) / expected_fps
    np.testing.assert_allclose(found.global_orient, time[:, None] * [0, 1, 0], atol=1e-5)
    hips = joints_of(found)[:, [1, 2]].mean(1)
    rest = load_body().rest_joints(np.zeros(10))
    shift = Rotation.from_rotvec(time[:, None] * [0, 1, 0]).apply(rest[[1, 2]].mean(0) - rest[0])
    np.testing.assert_allclose(hips[:, 0], time + shift[:, 0], atol=1e-4)


def test_an_unknown_skeleton_names_what_was_missed(tmp_path):
    content = spin(5, 30).replace("LeftForeArm", "LeftLowerArm").replace("LeftHand", "LeftPalm")
    with pytest.raises(ValueError, match=r"MotionBuilder.*LeftForeArm, LeftHand$"):
        convert(tmp_path, content)


@pytest.mark.parametrize("skeleton", bvh.SKELETONS)
def test_every_skeleton_names_all_joints(skeleton):
    assert set(bvh.SKELETONS[skeleton]) == set(JOINTS)


GOOD = spin(4, 30)
LAST_ROW = GOOD.rstrip().rsplit("\n", 1)[1]
JUNK = {
    "empty": "",
    "binary": "\x00\xff\x00" * 50,
    "prose": "once upon a time",
    "no motion": GOOD.split("MOTION")[0],
    "only motion": "MOTION" + GOOD.split("MOTION")[1],
    "header cut": GOOD[: GOOD.index("JOINT")],
    "header cut, motion there": GOOD[:400] + "\nMOTION" + GOOD.split("MOTION")[1],
    "a row short": GOOD.replace(LAST_ROW, ""),
    "cut in a row": GOOD[:-40],
    "a row too many": GOOD + LAST_ROW,
    "no frames": GOOD[: GOOD.index("Frames:")] + "Frames: 0\nFrame Time: 0.033\n",
    "one frame": GOOD[: GOOD.index("Frames:")] + "Frames: 1\nFrame Time: 0.033\n" + LAST_ROW,
    "negative frames": GOOD.replace("Frames: 4", "Frames: -4"),
    "huge count": GOOD.replace("Frames: 4", "Frames: 99999999999999999999"),
    "no frame time": GOOD.replace("Frame Time:", "Rate:"),
    "zero frame time": GOOD.replace("Frame Time: 0.033333333", "Frame Time: 0"),
    "nan frame time": GOOD.replace("Frame Time: 0.033333333", "Frame Time: nan"),
    "frame time in milliseconds": GOOD.replace("Frame Time: 0.033333333", "Frame Time: 33.3"),
    "frame time of next to nothing": GOOD.replace("Frame Time: 0.033333333", "Frame Time: 1e-320"),
    "frame time of ages": GOOD.replace("Frame Time: 0.033333333", "Frame Time: 1e9"),
    "text frame time": GOOD.replace("Frame Time: 0.033333333", "Frame Time: soon"),
    "nan value": GOOD.replace(LAST_ROW, LAST_ROW.replace("0.000000000", "nan", 1)),
    "infinite value": GOOD.replace(LAST_ROW, LAST_ROW.replace("0.000000000", "inf", 1)),
    "huge value": GOOD.replace(LAST_ROW, "1e300" + LAST_ROW[LAST_ROW.index(" ") :]),
    "word value": GOOD.replace(LAST_ROW, LAST_ROW.replace("0.000000000", "left", 1)),
    "nan offset": GOOD.replace("OFFSET 0.0", "OFFSET nan", 1),
    "short offset": GOOD.replace("OFFSET 0.000000000 0.000000000", "OFFSET 0.0", 1),
    "no offset": GOOD.replace("OFFSET 0.000000000 0.000000000 0.000000000", "", 1),
    "unknown channel": GOOD.replace("Zrotation", "Wrotation", 1),
    "same axis twice": GOOD.replace("Zrotation Xrotation", "Zrotation Zrotation"),
    "channel count": GOOD.replace("CHANNELS 3", "CHANNELS 30", 1),
    "channel word": GOOD.replace("CHANNELS 3", "CHANNELS three", 1),
    "frames of no channels": re.sub(r"CHANNELS .*", "CHANNELS 0", GOOD[: GOOD.index("Frames:")])
    + "Frames: 99999999999\nFrame Time: 0.033\n",
    "hips at one point": re.sub(
        r"(JOINT (?:Left|Right)UpLeg\s+{\s+OFFSET) [-.\d]+ [-.\d]+ [-.\d]+", r"\1 0 0 0", GOOD
    ),
    "two roots": GOOD.replace("JOINT LeftUpLeg", "ROOT LeftUpLeg"),
    "no root": GOOD.replace("ROOT", "JOINT"),
    "same name": GOOD.replace("JOINT RightUpLeg", "JOINT LeftUpLeg"),
    "brace missing": GOOD.replace("}", "", 1),
    "brace too many": GOOD.replace("}", "} }", 1),
    "everything at one point": "\n".join(
        "OFFSET 0 0 0" if line.strip().startswith("OFFSET") else line for line in GOOD.split("\n")
    ),
}


@pytest.mark.parametrize("name", JUNK)
@pytest.mark.filterwarnings("error")
def test_junk_is_skipped_with_a_reason_and_the_next_file_is_read(tmp_path, name):
    (tmp_path / "a.bvh").write_text(JUNK[name])
    (tmp_path / "b.bvh").write_text(GOOD)
    skipped = SkipLog()
    found = list(bvh.DATASET.sequences(tmp_path, skipped=skipped))
    assert [s.sequence for s in found] == ["b"]
    assert [s.name for s in skipped.entries] == ["a"]
    assert skipped.entries[0].reason and "\n" not in skipped.entries[0].reason


@pytest.mark.parametrize("seed", range(3))
def test_a_file_cut_anywhere_never_raises_anything_unexpected(tmp_path, seed):
    rng = np.random.default_rng(seed)
    for end in rng.integers(0, len(GOOD) - 20, 40):  # what lacks a digit only is still a file
        with pytest.raises(
            ValueError, match=r"BVH|hierarchy|promised|MOTION|OFFSET|joint|convert|channel"
        ):
            convert(tmp_path, GOOD[:end])


def test_a_deep_skeleton_is_no_problem(tmp_path):
    depth = 3000
    chain = "".join(f"JOINT j{i}\n{{ OFFSET 0 1 0 CHANNELS 0\n" for i in range(depth))
    content = f"HIERARCHY ROOT r {{ OFFSET 0 0 0 CHANNELS 1 Xrotation\n{chain}{'}' * (depth + 1)}\n"
    with pytest.raises(ValueError, match="unknown skeleton"):
        convert(tmp_path, content + "MOTION\nFrames: 0\nFrame Time: 0.1\n")


def test_line_ends_marks_and_case_do_not_matter(tmp_path):
    plain = convert(tmp_path, GOOD)
    for content in (
        "\ufeff" + GOOD,
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("rotation", "ROTATION"),
        GOOD.replace("\n", "\n\n").replace("\t", "   "),
        GOOD.replace("\n{", "{").replace("\n}", "}"),
    ):
        np.testing.assert_array_equal(convert(tmp_path, content).to_channels(), plain.to_channels())
