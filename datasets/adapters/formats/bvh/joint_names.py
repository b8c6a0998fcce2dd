"""Which joint of a BVH skeleton is which SMPL-X joint, by its names and its tree.

Names are compared without prefix (``mixamorig:``), case and signs. Only the names of arms, legs,
neck and head count (`FAMILIES`): hips, spine and chest are where legs and arms meet, so a spine
may have any number of joints and any names.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from datasets.adapters.formats.bvh.skeleton import Skeleton
from datasets.motion import JOINTS

SIDES = ("left", "right")
_PARTS = ("hip", "knee", "ankle", "foot", "collar", "shoulder", "elbow", "wrist")
# A foot and a wrist without a joint are where the bone before them ends.
_END_OF = {"foot": "ankle", "wrist": "elbow"}
_NEEDED = [
    f"{side}_{part}" for side in SIDES for part in ("hip", "knee", "ankle", "shoulder", "elbow")
]
_SPINE = ("spine1", "spine2", "spine3")

# Family -> names of hip, knee, ankle, foot, collar, shoulder, elbow and wrist, without their side;
# where a joint has several, with bars between them.
FAMILIES = {
    "MotionBuilder, Mixamo, CMU (cgspeed), LAFAN1": (
        "upleg leg foot toebase|toe shoulder arm forearm hand"
    ),
    "3ds Max (cgspeed), 100STYLE, Xsens MVN's BVH": (
        "hip knee ankle toe collar shoulder elbow wrist"
    ),
    "SMPL, SMPL-H, SMPL-X": "hip knee ankle foot collar shoulder elbow wrist",
    "Xsens MVN, Bandai-Namco": (
        "upperleg lowerleg foot toe|toes shoulder upperarm lowerarm|forearm hand"
    ),
    "Rokoko": "thigh shin foot toe|toebase shoulder arm|upperarm forearm|lowerarm hand",
    "Unreal, 3ds Max Biped": (
        "thigh calf foot ball|toe0|toe clavicle upperarm lowerarm|forearm hand"
    ),
    "Poser, Daz": ("thigh|thighbend shin foot toe collar shldr|shldrbend forearm|forearmbend hand"),
    "CMU (asf)": "femur tibia foot toes clavicle humerus radius hand|wrist",
}


@dataclass(frozen=True)
class JointMap:
    """The joints of a BVH skeleton that SMPL-X's joints go by.

    Attributes:
        family: of `FAMILIES`, or the name of the user's map.
        joints: SMPL-X joint -> joint of the file. A joint that stands for several spine joints is
            there several times; collars, feet and wrists can be absent.
    """

    family: str
    joints: dict[str, int]

    @property
    def missing(self) -> list[str]:
        """The SMPL-X joints without one of their own, in the order of `JOINTS`."""
        seen: set[int] = set()
        missing = []
        for name in JOINTS:
            joint = self.joints.get(name)
            if joint is None or joint in seen:
                missing.append(name)
            seen.add(-1 if joint is None else joint)
        return missing


def match(skeleton: Skeleton) -> JointMap:
    """Return the joints of a skeleton of a known family.

    Raises:
        ValueError: no family has all its names here; says what the nearest one lacks, and which
            skeletons are read.
    """
    by_name = _plain_names(skeleton)
    tries = {family: _limbs(by_name, stems) for family, stems in FAMILIES.items()}
    lacking = {family: _lacking(found, by_name) for family, found in tries.items()}
    best = min(tries, key=lambda family: (len(lacking[family]), -len(tries[family])))
    if lacking[best]:
        raise ValueError(
            f"unknown skeleton: of {best}, the nearest, it lacks {', '.join(lacking[best])}; "
            f"skeletons that are read: {'; '.join(FAMILIES)}; for others give --skeleton MAP.json"
        )
    limbs = tries[best]
    return JointMap(best, _whole(skeleton, limbs, by_name["head"]))


def read_map(path: Path, skeleton: Skeleton) -> JointMap:
    """The joints that a JSON file names: ``{"pelvis": "Hips", "left_hip": "LeftUpLeg", ...}``.

    Of the trunk it needs none but ``head``; collars, feet and wrists can be absent.

    Raises:
        ValueError: it is no such file, or names a joint that the skeleton does not have.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        text = file.read(1 << 20)
    try:
        names = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path.name} is no JSON file: {str(error)[:100]}") from error
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise ValueError(f"{path.name} is no map from joints of SMPL-X to joints of the file")
    if unknown := sorted(set(names) - set(JOINTS)):
        raise ValueError(f"{path.name}: SMPL-X has no joint {unknown[0][:40]!r}")
    index = {name: joint for joint, name in enumerate(skeleton.names)}
    if absent := sorted(set(names.values()) - index.keys()):
        raise ValueError(f"{path.name}: the skeleton has no joint {absent[0][:40]!r}")
    if lacking := [name for name in (*_NEEDED, "head") if name not in names]:
        raise ValueError(f"{path.name} names no joint for {', '.join(lacking)}")
    limbs = {name: index[joint] for name, joint in names.items()}
    return JointMap(path.name, {**_whole(skeleton, limbs, limbs["head"]), **limbs})


def _plain_names(skeleton: Skeleton) -> dict[str, int]:
    """Name without prefix, case and signs -> joint; the first of several."""
    names = [name.rsplit(":", 1)[-1] for name in skeleton.names]
    counts: dict[str, int] = {}
    for name in names:  # Bip01 L Thigh, mixamorig_Hips, m_avg_L_Hip
        for end in re.finditer(r"[_ ]", name):
            counts[name[: end.end()]] = counts.get(name[: end.end()], 0) + 1
    common = [start for start, count in counts.items() if count > 0.7 * len(names)]
    prefix = max(common, key=len, default="")
    plain: dict[str, int] = {}
    for joint, name in enumerate(names):
        word = re.sub(r"[\W_]", "", name.removeprefix(prefix)).lower()
        if not skeleton.names[joint].rstrip("'").endswith(".end"):
            plain.setdefault(word, joint)
    return plain


def _limbs(by_name: dict[str, int], stems: str) -> dict[str, int]:
    """SMPL-X joint -> joint, for arms and legs, as far as they are there."""
    found: dict[str, int] = {}
    for side in SIDES:
        for part, alternatives in zip(_PARTS, stems.split(), strict=True):
            for stem in alternatives.split("|"):
                spellings = (side + stem, stem + side, side[0] + stem, stem + side[0])
                joint = next((by_name[name] for name in spellings if name in by_name), None)
                if joint is not None:
                    found.setdefault(f"{side}_{part}", joint)
    return found


def _lacking(limbs: dict[str, int], by_name: dict[str, int]) -> list[str]:
    lacking = [name.replace("_", " ") for name in _NEEDED if name not in limbs]
    return lacking if "head" in by_name else [*lacking, "head"]


def _whole(skeleton: Skeleton, limbs: dict[str, int], head: int) -> dict[str, int]:
    """Return the limbs, with the ends of feet and hands, and the trunk between them.

    Raises:
        ValueError: legs, arms and head do not hang on one trunk with a spine and a neck.
    """
    joints = dict(limbs)
    for side in SIDES:
        for part, before in _END_OF.items():
            end = skeleton.end_of(limbs[f"{side}_{before}"])
            if f"{side}_{part}" not in joints and end is not None:
                joints[f"{side}_{part}"] = end
        for upper, lower in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow")):
            if limbs[f"{side}_{upper}"] not in skeleton.chain(limbs[f"{side}_{lower}"]):
                raise ValueError(f"the {side} {lower} does not hang on the {side} {upper}")
    trunk = skeleton.chain(head)[::-1]  # from the root up
    pelvis = _last_shared(skeleton, trunk, limbs, "hip")
    chest = _last_shared(skeleton, trunk, limbs, "shoulder")
    low, high = trunk.index(pelvis), trunk.index(chest)
    if not low < high < len(trunk) - 2:
        raise ValueError("there is no spine joint between hips and neck, or no neck")
    spine = trunk[low + 1 : high + 1]
    middle = len(spine) // 2 if len(spine) > 2 else 0
    chosen = spine[0], spine[middle], spine[-1]
    joints |= dict(zip(_SPINE, chosen, strict=True))
    return joints | {"pelvis": pelvis, "neck": trunk[high + 1], "head": head}


def _last_shared(skeleton: Skeleton, trunk: list[int], limbs: dict[str, int], part: str) -> int:
    """Return the joint of the trunk on which both limbs hang, and the head."""
    chains = [set(skeleton.chain(limbs[f"{side}_{part}"])) for side in SIDES]
    shared = [joint for joint in trunk if all(joint in chain for chain in chains)]
    return shared[-1]
