"""Which bodies, joints and labels pose errors are measured on: three protocols.

* ``smplx22``: the 22 body joints and all vertices of the SMPL-X-layout body of the run.
* ``smpl24``: meshes of SMPL's 6890 vertices, which SMPL-X's are taken to by GVHMR's matrix, and its
  24 joints; where the body is SMPL-X's neutral one and GVHMR's files are there.
* ``lsp14``: the same meshes with the 14 joints of 3DPW's evaluations.

Errors of a video's motion on 3DPW and RICH are against the official labels (``lsp14`` and
``smpl24``), which a store keeps as they are, and nothing else may stand in for these. The rules are
those of GVHMR (``hmr4d/model/gvhmr/callbacks/metric_3dpw.py`` and ``metric_rich.py``).
"""

from collections.abc import Callable
from dataclasses import dataclass

from benchmark.api.errors import Unavailable
from benchmark.api.metric import MetricContext
from benchmark.metrics.bodies.joint_regressors import LSP14, SMPL24, SMPLX_TO_SMPL, JointRegressor
from datasets.bodies.smpl_file import find_smpl
from datasets.bodies.smplx_file import BodyFile, find_body

SMPLX = "smplx-neutral"  # `BodyFile.name` of the body that GVHMR's matrix is for
HIPS = (1, 2)  # joints of SMPL and SMPL-X alike
_GENDERS = ("female", "male")


@dataclass(frozen=True)
class PoseProtocol:
    """The body, joints and labels of an evaluation.

    Attributes:
        name: ``smplx22``, ``smpl24`` or ``lsp14``.
        pelvis: joints whose mean is the root.
        regressor: of the joints from SMPL's vertices; None where the body has them.
        official: the dataset whose own labels are the truth, or empty.
        reason: what is missing for ``smpl24``; empty if nothing.
    """

    name: str
    pelvis: tuple[int, int]
    regressor: JointRegressor | None
    official: str = ""
    reason: str = ""


def choose(context: MetricContext) -> PoseProtocol:
    """Return the protocol for a context; depends on the files found here, but for 3DPW.

    Official labels are of the person in the dataset's own video. A video that a system made has
    none, and a tokenizer is measured against the motion that it was given.
    """
    official = context.dataset if context.task == "v2m" else ""
    if official == "threedpw":
        return PoseProtocol("lsp14", (2, 3), LSP14, official)
    if official == "rich":
        return PoseProtocol("smpl24", HIPS, SMPL24, official)
    if context.body.name != SMPLX:
        return _smplx22("the body is not SMPL-X's neutral one")
    try:
        for regressor in (SMPLX_TO_SMPL, SMPL24):
            regressor.path()
    except Unavailable:
        return _smplx22("GVHMR's regressors are not installed")
    return PoseProtocol("smpl24", HIPS, SMPL24)


def _smplx22(reason: str) -> PoseProtocol:
    return PoseProtocol("smplx22", HIPS, None, reason=reason)


def lacking(protocol: PoseProtocol, context: MetricContext) -> list[str]:
    """Return what is missing for a protocol with official labels, each with how to get it."""
    if not protocol.official:
        return []
    found = []
    if context.body.name != SMPLX:
        found.append(
            f"{protocol.name} needs SMPL-X's neutral body, not {context.body.name}: download it "
            "(v1.1, https://smpl-x.is.tue.mpg.de) and set $UNIMO_BODY_MODEL to its "
            "SMPLX_NEUTRAL.npz"
        )
    needed = [regressor.path for regressor in (SMPLX_TO_SMPL, protocol.regressor)]
    if protocol.official != "rich" or not found:  # SMPL-X's other bodies lie beside the neutral one
        needed += [look for _, look in _label_bodies(protocol, context)]
    for look in needed:
        try:
            look()
        except (Unavailable, FileNotFoundError) as error:
            found.append(str(error))
    return list(dict.fromkeys(found))  # one missing environment lacks several files


def describe(protocol: PoseProtocol, context: MetricContext) -> str:
    """Return the protocol in one line, with the hash of every file that it reads."""
    accel = "Accel in m/s² at the clip's own fps, all T-2 values"
    genders = ""
    if not protocol.official and context.body.name != "stand-in":
        genders = f"; labels of female and male bodies on theirs ({_hashes(_smplx(context))})"
    if protocol.regressor is None:
        return (
            f"smplx22: body {context.body_id}{genders}; 22 body joints, all vertices; root = mean "
            f"of the hips (joints 1, 2); {accel}; no frame masked; not smpl24: {protocol.reason}"
        )
    joints, (first, second) = protocol.regressor.shape[0], protocol.pelvis
    mesh, regressor = (
        f"{each.name} {_hash(each.sha256)}" for each in (SMPLX_TO_SMPL, protocol.regressor)
    )
    smpl = _hash(lambda: find_smpl().sha256)
    truth, masks = f"SMPL-X of the same body{genders}", "no frame masked"
    if protocol.official:
        bodies = _hashes(_label_bodies(protocol, context))
        truth = f"official labels of {protocol.official} in the camera ({bodies})"
        masks = "frames without a valid label dropped before all else"
    return (
        f"{protocol.name}: body {context.body_id}, fingers flat; 6890 SMPL vertices by {mesh}; "
        f"{joints} joints by {regressor}, rows scaled to sum 1; root = mean of the hips (joints "
        f"{first}, {second}); SMPL motion on smpl-neutral {smpl}; truth: {truth}; {accel}; {masks}"
    )


def _label_bodies(
    protocol: PoseProtocol, context: MetricContext
) -> list[tuple[str, Callable[[], BodyFile]]]:
    """Name and finder of each body that the official labels are of."""
    if protocol.official == "threedpw":
        return [(f"smpl-{gender}", lambda g=gender: find_smpl(g)) for gender in _GENDERS]
    return _smplx(context) if protocol.official == "rich" else []


def _smplx(context: MetricContext) -> list[tuple[str, Callable[[], BodyFile]]]:
    """Name and finder of SMPL-X's gendered bodies."""
    body = context.body.path
    return [(f"smplx-{gender}", lambda g=gender: find_body(body, gender=g)) for gender in _GENDERS]


def _hashes(bodies: list[tuple[str, Callable[[], BodyFile]]]) -> str:
    return ", ".join(f"{name} {_hash(lambda look=look: look().sha256)}" for name, look in bodies)


def _hash(sha256: Callable[[], str]) -> str:
    """Return the first digits of a file's hash, or that the file is not there."""
    try:
        return sha256()[:12]
    except (Unavailable, FileNotFoundError):
        return "(not here)"
