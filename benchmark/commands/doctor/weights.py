"""Section 3: every weight file and body model that is not part of the package."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from benchmark.api.errors import Unavailable, one_line
from benchmark.commands.doctor.page import Group
from benchmark.metrics.bodies import joint_regressors
from benchmark.metrics.vbench_tool import weights as vbench
from datasets.bodies import smpl_file
from datasets.bodies.smplx_file import ENV_BODY, find_body
from datasets.estimators import EstimatorUnavailable, gvhmr, phalp
from datasets.estimators.external import checked_sha256
from model.video_tokens import seedvr
from model.video_tokens.cosmos.files import (
    CV,
    DIFFUSION,
    DV,
    ENV_COSMOS,
    ENV_COSMOS_TOKENIZER,
    ENV_HOME,
    cosmos_file,
    cosmos_tokenizer,
)

_SMALL = 50 * 2**20  # bytes; larger files are not read here
_SMPLX_PAGE = "https://smpl-x.is.tue.mpg.de, v1.1"

Row = tuple[str, str, str]


def groups() -> list[Group]:
    """Rows (found, missing or wrong, file, where it is and how it is known, or how to get it)."""
    tools = [_gvhmr(), _regressors(), _phalp(), _vbench(), _cosmos(), _diffusion(), _seedvr()]
    return [*tools, _smplx(), _smpl()]


def _gvhmr() -> Group:
    folder = Path(os.environ.get(gvhmr.ENV_WEIGHTS) or f"${gvhmr.ENV_WEIGHTS}")
    files = gvhmr.released_files(folder)
    page = next(iter(files.values())).source
    above = {page: "the page above"}
    rows = [
        _file(name, file.path, above.get(file.source, file.source), size=file.size)
        for name, file in files.items()
    ]
    bodies = f"; body_models/{gvhmr.BODY} there, or {gvhmr.BODY} below ${gvhmr.ENV_BODIES}"
    heading = _heading("GVHMR's files, below", gvhmr.ENV_WEIGHTS)
    return Group(f"{heading}, from {page}{bodies}", rows)


def _regressors() -> Group:
    files = (joint_regressors.SMPLX_TO_SMPL, joint_regressors.SMPL24, joint_regressors.LSP14)
    rows = [_looked_for(file.name, file.path) for file in files]
    return Group("GVHMR's regressors, which come with its package", _as_above(rows))


def _phalp() -> Group:
    try:
        _, _, checkpoint = phalp.ESTIMATOR().preflight()
    except (EstimatorUnavailable, OSError):
        row = ("missing", "HMR2.0", "comes with 4D-Humans: see there in section 2")
    else:
        row = _file("HMR2.0", checkpoint, "4D-Humans' demo")
    return Group("4D-Humans' weights, where its demo puts them", [row])


def _vbench() -> Group:
    files = dict.fromkeys(file for needed in vbench.WEIGHTS.values() for file in needed)
    root = vbench.root()
    rows = [
        _file(file.path, root / file.path, file.source, digest=vbench.published_sha256(file) or "")
        for file in files
    ]
    return Group(_heading("VBench's files, below", vbench.ENV_ROOT, str(root)), rows)


def _cosmos() -> Group:
    rows = [_looked_for("model.pt", cosmos_file)]
    try:
        folder = cosmos_tokenizer()
    except OSError as error:
        rows.append(("missing", "encoder.jit, decoder.jit", str(error)))
    else:
        for name in ("encoder.jit", "decoder.jit"):
            file = folder / name
            rows.append(_file(name, file, "huggingface.co/nvidia"))
    heading = (
        f"Cosmos's transformer (folder ${ENV_COSMOS}) and video tokenizer (folder "
        f"${ENV_COSMOS_TOKENIZER}): profile paper starts from them"
    )
    return Group(heading, rows)


def _diffusion() -> Group:
    home = Path(os.environ.get(ENV_HOME) or f"${ENV_HOME}")
    rows = [
        _file(f"{release.repo}/{name}", release.folder(home) / name, "huggingface.co/nvidia")
        for release in (DIFFUSION, CV, DV)
        for name in release.md5
    ]
    heading = "Cosmos's 7B diffusion decoder, in checkpoints/ of the clone of cosmos-predict1"
    return Group(_heading(heading, ENV_HOME, "not set: set it to the clone"), rows)


def _seedvr() -> Group:
    home = Path(os.environ.get(seedvr.ENV_HOME) or f"${seedvr.ENV_HOME}")
    rows = [_file(name, home / name, seedvr.PAGE) for name in seedvr.WEIGHTS]
    heading = "SeedVR 3B, in its clone"
    return Group(_heading(heading, seedvr.ENV_HOME, "not set: set it to the clone"), rows)


def _smplx() -> Group:
    rows = [
        _looked_for(f"SMPLX_{gender.upper()}.npz", lambda gender=gender: _smplx_body(gender))
        for gender in ("neutral", "female", "male")
    ]
    heading = _heading(
        "SMPL-X, the neutral file named by", ENV_BODY, "not set: the packaged stand-in"
    )
    return Group(f"{heading}; the others lie beside it", _as_above(rows))


def _smplx_body(gender: str) -> Path:
    """Return the file of the user's SMPL-X body of a gender.

    Raises:
        FileNotFoundError: there is none, and perhaps the stand-in takes its place.
        ValueError: the file is another kind of body.
    """
    body = find_body(gender=gender)
    if body.name == "stand-in":
        raise FileNotFoundError(
            f"download it ({_SMPLX_PAGE}), set ${ENV_BODY} to SMPLX_NEUTRAL.npz; until then the "
            "stand-in takes its place, and official labels cannot be measured"
        )
    if body.name != f"smplx-{gender}":
        raise ValueError(f"{body.path} is a body, but not SMPL-X's: get it from {_SMPLX_PAGE}")
    return body.path


def _smpl() -> Group:
    rows = [
        _looked_for(f"SMPL_{gender.upper()}", lambda g=gender: smpl_file.find_smpl(g).path)
        for gender in smpl_file.GENDERS
    ]
    return Group(_heading("SMPL, in the folder", smpl_file.ENV_SMPL), rows)


def _heading(what: str, variable: str, default: str = "not set: set it to their folder") -> str:
    return f"{what} ${variable} ({os.environ.get(variable) or default})"


def _file(name: str, path: Path, source: str, *, size: int | None = None, digest: str = "") -> Row:
    """Return the row of a file of which it is known where it belongs."""
    state, how = _verdict(path, size, digest)
    if state == "found":
        return state, name, f"{path}, {how}"
    if state == "wrong":
        return state, name, f"{path} {how}: get it again from {source}"
    number = "" if size is None else f"{size:,} bytes, "
    return state, name, f"{number}from {source}"


def _looked_for(name: str, look: Callable[[], Path]) -> Row:
    """Return the row of a file that `look` finds, or raises why not."""
    try:
        path = look()
    except (FileNotFoundError, Unavailable) as error:
        return "missing", name, str(error)
    except Exception as error:  # of a damaged file, as the damage will have it
        return "wrong", name, one_line(error)
    state, how = _verdict(path, None, "")
    return state, name, f"{path}, {how}" if state == "found" else f"{path} {how}"


def _verdict(path: Path, size: int | None, digest: str) -> tuple[str, str]:
    """Found, missing or wrong, and how that is known.

    Args:
        path: of the file.
        size: what it must have, in bytes, where that is known.
        digest: published sha256 or md5 in hex, or empty.
    """
    try:
        if not path.is_file():
            return "missing", ""
        found = path.stat().st_size
        if size not in (None, found):
            return "wrong", f"has {found:,} bytes instead of {size:,}"
        pinned = path.with_name(f"{path.name}.sha256").is_file()
        if found > _SMALL or not (pinned or digest):
            return "found", "not verified" if size is None else "size as published"
        own, kind = checked_sha256(path), "sha256"
        if not digest:
            return "found", "as its .sha256 says"
        if len(digest) < len(own):
            own, kind = hashlib.md5(path.read_bytes()).hexdigest(), "md5"
    except (EstimatorUnavailable, OSError, ValueError) as error:
        return "wrong", f"is not as it should be ({one_line(error)})"
    if own != digest:
        return "wrong", f"has {kind} {own[:12]}… instead of {digest[:12]}…"
    return "found", f"{kind} as published"


def _as_above(rows: list[Row]) -> list[Row]:
    """Rows that say the same of several files, which only the first of them does."""
    before = [("", "", ""), *rows]
    return [
        (state, name, "as above" if text == above[2] else text)
        for (state, name, text), above in zip(rows, before, strict=False)
    ]
