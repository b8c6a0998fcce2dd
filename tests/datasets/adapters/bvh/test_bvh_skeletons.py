"""BVH: skeletons are known by their names, or by a map of the user's; others are refused in words.

Names of real skeletons are from public files and documents of theirs; the bones are ours.
"""

import dataclasses
import json
import re

import numpy as np
import pytest

from datasets.adapters import bvh
from datasets.adapters.formats.bvh.bvh_file import read_bvh
from datasets.adapters.formats.bvh.joint_names import FAMILIES, match
from datasets.adapters.formats.motion_files import ReadOptions
from datasets.bodies.smplx import load_body
from datasets.motion import JOINTS
from tests.datasets.mini import bvh as mini

_BUILDER_SIDE = "UpLeg Leg Foot ToeBase Shoulder Arm ForeArm Hand"
_MVN_SIDE = "Hip Knee Ankle Toe Collar Shoulder Elbow Wrist"
_SMPL_SIDE = "Hip Knee Ankle Foot Collar Shoulder Elbow Wrist"
# Name -> trunk (above the hips / up to the chest | neck and head), joints of a side, spelling.
REAL = {
    "CMU, cgspeed": ("Hips LowerBack Spine Spine1 | Neck Neck1 Head", _BUILDER_SIDE, "Left{}"),
    "CMU, 3ds Max": (
        "Hips lowerback Chest Chest2 | lowerneck Head",
        "Hip Knee Ankle Toe Collar Shoulder Elbow Wrist",
        "Left{}",
    ),
    "CMU, asf": (
        "root lowerback upperback thorax | lowerneck upperneck head",
        "femur tibia foot toes clavicle humerus radius hand",
        "l{}",
    ),
    "FAIR": ("Hips Spine Spine1 Spine2 Spine3 | Neck Head", _BUILDER_SIDE, "Left{}"),
    "Mixamo": (
        "mixamorig:Hips mixamorig:Spine mixamorig:Spine1 mixamorig:Spine2 | mixamorig:Neck "
        "mixamorig:Head",
        _BUILDER_SIDE,
        "mixamorig:Left{}",
    ),
    "Mixamo without prefix": ("Hips Spine Spine1 Spine2 | Neck Head", _BUILDER_SIDE, "Left{}"),
    "Mixamo, another prefix": (
        "mixamorig9_Hips mixamorig9_Spine mixamorig9_Spine1 mixamorig9_Spine2 | mixamorig9_Neck "
        "mixamorig9_Head",
        _BUILDER_SIDE,
        "mixamorig9_Left{}",
    ),
    "two spine joints": ("Hips Spine Spine1 | Neck Head", _BUILDER_SIDE, "Left{}"),
    "LAFAN1": (
        "Hips Spine Spine1 Spine2 | Neck Head",
        "UpLeg Leg Foot Toe Shoulder Arm ForeArm Hand",
        "Left{}",
    ),
    "100STYLE": ("Hips Chest Chest2 Chest3 Chest4 | Neck Head", _MVN_SIDE, "Left{}"),
    "Xsens MVN": (
        "Pelvis L5 L3 T12 T8 | Neck Head",
        "UpperLeg LowerLeg Foot Toe Shoulder UpperArm ForeArm Hand",
        "Left{}",
    ),
    "Bandai-Namco": (
        "joint_Root / Hips Spine Chest | Neck Head",
        "UpperLeg LowerLeg Foot Toes Shoulder UpperArm LowerArm Hand",
        "{}_L",
    ),
    "Rokoko": (
        "Hips Spine1 Spine2 Spine3 Spine4 | Neck Head",
        "Thigh Shin Foot Toe Shoulder Arm ForeArm Hand",
        "Left{}",
    ),
    "Unreal 4": (
        "root / pelvis spine_01 spine_02 spine_03 | neck_01 head",
        "thigh calf foot ball clavicle upperarm lowerarm hand",
        "{}_l",
    ),
    "Unreal 5": (
        "root / pelvis spine_01 spine_02 spine_03 spine_04 spine_05 | neck_01 neck_02 head",
        "thigh calf foot ball clavicle upperarm lowerarm hand",
        "{}_l",
    ),
    "SMPL": (
        "m_avg_Pelvis m_avg_Spine1 m_avg_Spine2 m_avg_Spine3 | m_avg_Neck m_avg_Head",
        _SMPL_SIDE,
        "m_avg_L_{}",
    ),
    "SMPL-X": ("pelvis spine1 spine2 spine3 | neck head", _SMPL_SIDE.lower(), "left_{}"),
    "Poser": (
        "hip abdomen chest | neck head",
        "Thigh Shin Foot - Collar Shldr ForeArm Hand",
        "l{}",
    ),
    "Daz Genesis": (
        "hip abdomenLower abdomenUpper chestLower chestUpper | neckLower neckUpper head",
        "ThighBend Shin Foot Toe Collar ShldrBend ForearmBend Hand",
        "l{}",
    ),
    "3ds Max Biped": (
        "Bip01 Pelvis,Bip01 Spine,Bip01 Spine1,Bip01 Spine2 | Bip01 Neck,Bip01 Head",
        "Thigh,Calf,Foot,Toe0,Clavicle,UpperArm,Forearm,Hand",
        "Bip01 L {}",
    ),
}
_OTHER = {"Left": "Right", "left": "right", "L": "R", "l": "r"}
_PARTS = ("hip", "knee", "ankle", "foot", "collar", "shoulder", "elbow", "wrist")


def _split(words):
    return [word.strip() for word in words.split("," if "," in words else None)]


def take_with(trunk, side_names, pattern, motion=None):
    """A walk on a skeleton with these names; further trunk joints lie on the bones of ours."""
    above, low, high = (
        _split(part) for part in re.split(r"[/|]", trunk if "/" in trunk else f"/{trunk}")
    )
    offsets = dict(zip(JOINTS, mini.straight_offsets(), strict=True))
    roots, spine = above, low[1:]
    names, parents, rows = [*roots, low[0]], [*range(-1, len(roots))], []
    rows += [np.zeros(3)] * len(names)
    pelvis = len(roots)

    def add(name, parent, offset):
        names.append(name)
        parents.append(parent)
        rows.append(np.asarray(offset, float))
        return len(names) - 1

    before = pelvis
    for name in spine:
        before = add(name, before, [0, 0.32 / len(spine), 0])
    chest = before
    for name in high:
        before = add(name, before, offsets["neck"] if before == chest else [0, 0.1, 0])
    written = pattern.partition("{}")[0] or pattern.partition("{}")[2]
    mark = next(mark for mark in _OTHER if mark in written.replace("mixamorig", ""))
    for side in ("left", "right"):
        shown = pattern if side == "left" else _OTHER[mark].join(pattern.rsplit(mark, 1))
        parent = pelvis
        for part, name in zip(_PARTS, _split(side_names), strict=True):
            parent = {"hip": pelvis, "collar": chest}.get(part, parent)
            if name != "-":
                parent = add(shown.format(name), parent, offsets[f"{side}_{part}"])
    ends = {} if "-" not in side_names else {"lFoot": (0, -0.06, 0.12), "rFoot": (0, -0.06, 0.12)}
    frames = 12
    turns = np.random.default_rng(0).normal(0, 0.1, (frames, len(names), 3))
    local = mini.Rotation.from_rotvec(turns.reshape(-1, 3)).as_matrix()
    return mini.Take(
        local=local.reshape(frames, -1, 3, 3),
        root=np.linspace(0, 0.5, frames)[:, None] * [0, 0, 1],
        offsets=np.array(rows),
        names=tuple(names),
        parents=tuple(parents),
        ends=ends,
    )


def read(tmp_path, take, options=None):
    (tmp_path / "take.bvh").write_text(take.text())
    return bvh.read(tmp_path / "take.bvh", options or ReadOptions())


@pytest.mark.parametrize("name", REAL)
def test_real_skeletons_are_read(tmp_path, name):
    take = take_with(*REAL[name])
    found = read(tmp_path, take)
    file = read_bvh(tmp_path / "take.bvh", match)
    joints, names = file.joints.joints, file.skeleton.names
    _, positions = take.world()
    ours = load_body().joints(found.motion.to_channels()).astype(float)
    for start, end in (("left_hip", "left_knee"), ("right_elbow", "right_wrist"), ("neck", "head")):
        bone = [positions[:, take.names.index(names[joints[joint]])] for joint in (start, end)]
        expected = (bone[1] - bone[0]) / np.linalg.norm(bone[1] - bone[0], axis=1, keepdims=True)
        bone = ours[:, JOINTS.index(end)] - ours[:, JOINTS.index(start)]
        bone /= np.linalg.norm(bone, axis=1, keepdims=True)
        np.testing.assert_allclose(bone, expected, atol=1e-5)
    assert names[joints["head"]].lower().endswith("head")


def test_one_joint_for_two_shares_its_bend(tmp_path):
    take = take_with(*REAL["Poser"])
    take = dataclasses.replace(take, local=np.tile(np.eye(3), (12, len(take.names), 1, 1)))
    bend = mini.Rotation.from_euler("x", 40, degrees=True).as_matrix()
    take.local[:, take.names.index("abdomen")] = bend
    found = read(tmp_path, take)
    pose = found.motion.body_pose.reshape(-1, 21, 3)
    first, second = (pose[:, JOINTS.index(name) - 1] for name in ("spine1", "spine2"))
    np.testing.assert_allclose(first, second, atol=1e-3)
    assert "no joint of its own for spine2" in found.assumed


def test_toes_and_collars_may_be_absent(tmp_path):
    take = mini.take_of(mini.walk(), mini.straight_offsets())
    renamed = [f"x{name}" if "Toe" in name or "Shoulder" in name else name for name in take.names]
    found = read(tmp_path, dataclasses.replace(take, names=tuple(renamed)))
    assert len(found.motion) == len(take.root)


def test_an_unknown_skeleton_says_what_it_lacks_and_what_is_read(tmp_path):
    take = mini.take_of(mini.walk())
    names = [name.replace("Left", "Sinister") if "Arm" in name else name for name in take.names]
    with pytest.raises(ValueError, match=r"lacks left shoulder, left elbow; .*Unreal.*--skeleton"):
        read(tmp_path, dataclasses.replace(take, names=tuple(names)))


def renamed(take):
    return dataclasses.replace(take, names=tuple(f"j{i}" for i in range(22)))


def test_a_map_of_the_user_names_the_joints(tmp_path):
    take = mini.take_of(mini.walk())
    plain = read(tmp_path, take)
    names = {joint: f"j{index}" for index, joint in enumerate(JOINTS)}
    for left_out in ((), ("pelvis", "spine1", "spine2", "spine3", "neck")):
        (tmp_path / "map.json").write_text(
            json.dumps({joint: name for joint, name in names.items() if joint not in left_out})
        )
        found = read(tmp_path, renamed(take), ReadOptions(skeleton=tmp_path / "map.json"))
        np.testing.assert_array_equal(found.motion.to_channels(), plain.motion.to_channels())
        assert found.assumed[0] == "skeleton of map.json"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[" * 100_000, "is no JSON file"),
        ("{", "is no JSON file"),
        ("[]", "is no map"),
        ('{"head": 1}', "is no map"),
        ('{"tail": "j1"}', "SMPL-X has no joint 'tail'"),
        ('{"head": "j99"}', "the skeleton has no joint 'j99'"),
        ('{"head": "j1"}', "names no joint for left_hip"),
    ],
)
def test_a_map_that_cannot_be_right_is_refused(tmp_path, content, message):
    (tmp_path / "map.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        read(
            tmp_path,
            renamed(mini.take_of(mini.walk())),
            ReadOptions(skeleton=tmp_path / "map.json"),
        )


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_names_all_joints(family):
    assert len(FAMILIES[family].split()) == len(_PARTS)
