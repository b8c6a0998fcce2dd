"""Section 3: every weight file and body model that is not part of the package."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from benchmark import regressors, transformers
from benchmark.doctor.page import Group
from benchmark.spec import Unavailable
from benchmark.store import one_line
from benchmark.vbench import weights as vbench
from datasets import smpl_file
from datasets.body_file import ENV_BODY, BodyFile, find_body
from datasets.estimators import EstimatorUnavailable, gvhmr
from datasets.estimators.external import checked_sha256

_SMALL = 50 * 2**20  # bytes; larger files are not read here
_SMPLX_PAGE = "https://smpl-x.is.tue.mpg.de, v1.1"

Row = tuple[str, str, str]


def groups() -> list[Group]:
    """Rows (found, missing or wrong, file, where it is and how it was checked, or how to get it).

    Files that only exist within an installation of 4D-Humans are told of by section 2.
    """
    return [_gvhmr(), _regressors(), _vbench(), _cosmos(), _smplx(), _smpl()]


def _gvhmr() -> Group:
    folder = Path(os.environ.get(gvhmr.ENV_WEIGHTS) or f"${gvhmr.ENV_WEIGHTS}")
    rows = [
        _file(name, file.path, file.source, size=file.size)
        for name, file in gvhmr.released_files(folder).items()
    ]
    return Group(_heading("GVHMR's files, below", gvhmr.ENV_WEIGHTS), rows)


def _regressors() -> Group:
    files = (regressors.SMPLX_TO_SMPL, regressors.SMPL24, regressors.LSP14)
    rows = [_looked_for(file.name, file.path) for file in files]
    return Group("GVHMR's regressors, in its package (see gvhmr in section 2)", _once(rows))


def _vbench() -> Group:
    files = dict.fromkeys(file for needed in vbench.WEIGHTS.values() for file in needed)
    root = vbench.root()
    rows = [
        _file(file.path, root / file.path, file.source, digest=file.sha256 or "") for file in files
    ]
    return Group(_heading("VBench's files, below", vbench.ENV_ROOT, str(root)), rows)


def _cosmos() -> Group:
    rows = [_looked_for("model.pt", transformers._cosmos)]
    try:
        folder = transformers._cosmos_tokenizer()
    except (Unavailable, OSError) as error:
        rows.append(("missing", "encoder.jit, decoder.jit", str(error)))
    else:
        for name in ("encoder.jit", "decoder.jit"):
            file = folder / name
            digest = _cosmos_md5(name) if file.stat().st_size <= _SMALL else ""
            rows.append(_file(name, file, "huggingface.co/nvidia", digest=digest))
    heading = (
        f"Cosmos's transformer (folder ${transformers.ENV_COSMOS}) and video tokenizer (folder "
        f"${transformers.ENV_COSMOS_TOKENIZER}): profile paper starts from them"
    )
    return Group(heading, rows)


def _cosmos_md5(name: str) -> str:
    """The published md5 of a file, which stands beside networks that need torch."""
    from model.video_tokens.cosmos_networks import DV

    return DV.md5[name]


def _smplx() -> Group:
    rows = [
        _looked_for(f"SMPLX_{gender.upper()}.npz", lambda gender=gender: _smplx_body(gender))
        for gender in ("neutral", "female", "male")
    ]
    heading = _heading("SMPL-X, the neutral file named by", ENV_BODY, "the packaged stand-in")
    return Group(f"{heading}; the others lie beside it", _once(rows))


def _smplx_body(gender: str) -> BodyFile:
    """The user's SMPL-X body of a gender.

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
    return body


def _smpl() -> Group:
    rows = [
        _looked_for(f"SMPL_{gender.upper()}", lambda gender=gender: smpl_file.find_smpl(gender))
        for gender in smpl_file.GENDERS
    ]
    return Group(_heading("SMPL, in the folder", smpl_file.ENV_SMPL), rows)


def _heading(what: str, variable: str, default: str = "not set") -> str:
    return f"{what} ${variable} ({os.environ.get(variable) or default})"


def _file(name: str, path: Path, source: str, *, size: int | None = None, digest: str = "") -> Row:
    """The row of a file of which it is known where it belongs."""
    state, how = _verdict(path, size, digest)
    if state == "found":
        return state, name, f"{path}, {how}"
    if state == "wrong":
        return state, name, f"{path} {how}: get it again from {source}"
    number = "" if size is None else f" ({size:,} bytes)"
    return state, name, f"put it there{number}, from {source}"


def _looked_for(name: str, look: Callable[[], Path | BodyFile]) -> Row:
    """The row of a file that `look` finds, or raises why not."""
    try:
        found = look()
    except (FileNotFoundError, Unavailable) as error:
        return "missing", name, str(error)
    except Exception as error:  # of a damaged file, as the damage will have it
        return "wrong", name, one_line(error)
    path = found.path if isinstance(found, BodyFile) else found
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
        if found <= _SMALL and (pinned or digest):
            return _compared(path, digest)
    except (EstimatorUnavailable, OSError, ValueError) as error:
        return "wrong", f"is not as it should be ({one_line(error)})"
    return "found", "not verified" if size is None else "size as published"


def _compared(path: Path, digest: str) -> tuple[str, str]:
    """The verdict of a file's content.

    Raises:
        EstimatorUnavailable: it is not the one that ``NAME.sha256`` beside it says.
    """
    sha256 = checked_sha256(path)
    if not digest:
        return "found", "as its .sha256 says"
    kind = "sha256" if len(digest) == len(sha256) else "md5"
    own = sha256 if kind == "sha256" else hashlib.md5(path.read_bytes()).hexdigest()
    if own != digest:
        return "wrong", f"has {kind} {own[:12]}… instead of {digest[:12]}…"
    return "found", f"{kind} as published"


def _once(rows: list[Row]) -> list[Row]:
    """Rows that say the same of several files, as one row."""
    merged: dict[tuple[str, str], list[str]] = {}
    for state, name, text in rows:
        merged.setdefault((state, text), []).append(name)
    return [(state, ", ".join(names), text) for (state, text), names in merged.items()]
