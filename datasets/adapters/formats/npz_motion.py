"""From the arrays of an ``.npz`` to a motion, with what was assumed where the file is silent."""

import re
from collections.abc import Mapping

import numpy as np

from datasets.adapters.formats.motion_files import UP_TO_Y, ReadOptions, Recording, to_y_up
from datasets.adapters.formats.npz_file import scalar, ten_betas, word
from datasets.motion import Motion, require
from datasets.sequence import finite_rows, hold

_RATES = ("fps", "mocap_framerate", "mocap_frame_rate", "frame_rate")
# What a file says beside its poses, by our names (see `datasets.adapters.formats.npz_file`).
FACTS = {
    "betas": ("beta", "betas"),
    "gender": ("gender",),
    "up": ("up",),
    **{key: (key,) for key in _RATES},
}
_GENDERS = {"f": "female", "m": "male", "n": "neutral"}


def frame_rows(array: np.ndarray, name: str) -> np.ndarray:
    """Numbers of T frames as rows (T, n), of (T, n), (T, n / 3, 3) or (1, T, n).

    Raises:
        ValueError: another shape, or not numbers.
    """
    require(array.dtype.kind in "fiu", f"{name} is not numeric (dtype {array.dtype})")
    batch = array.ndim == 3 and array.shape[0] == 1 and array.shape[2] != 3
    rows = array[0] if batch else array
    require(
        rows.ndim == 2 or (rows.ndim == 3 and rows.shape[2] == 3),
        f"{name} has shape {array.shape}, expected a row for every frame",
    )
    return rows.reshape(len(rows), -1)


def recording(
    arrays: Mapping[str, np.ndarray],
    *,
    body_pose: np.ndarray,
    global_orient: np.ndarray,
    transl: np.ndarray,
    up: str,
    options: ReadOptions,
) -> Recording:
    """Return the y-up motion of a file, frames that are not finite held and marked as not valid.

    Args:
        arrays: those of `FACTS` that the file has.
        body_pose: (T, 63) axis-angle, radians.
        global_orient: (T, 3) axis-angle, radians.
        transl: (T, 3) metres.
        up: the axis that is up in files of this layout that do not say it.
        options: what the user says of the files.

    Raises:
        ValueError: no usable frame, a wrong shape or unit, no frame rate, facts that contradict
            each other, or a word that is not understood.
    """
    assumed: list[str] = []
    fps = _fps(arrays, options, assumed)
    gender = _gender(arrays.get("gender"), options, assumed)
    stated_up = _up(arrays.get("up"))
    if stated_up and options.up not in (None, stated_up):
        raise ValueError(f"the file says up = {stated_up!r}, the command --up {options.up}")
    taken_up = stated_up or options.up or up
    if not stated_up:
        by = "by --up" if options.up else "as usual in this layout"
        assumed.append(f"{taken_up} is up, {by}")
    if "betas" in arrays:
        betas = ten_betas(arrays["betas"])
    else:
        betas = np.zeros(10)
        assumed.append("the mean shape, as the file has no betas")
    each = [body_pose, global_orient, transl, *([betas] if betas.ndim == 2 else [])]
    require(
        len({len(array) for array in each}) == 1,
        f"its arrays have {', '.join(str(len(array)) for array in each)} frames",
    )
    valid = finite_rows(*each)
    require(bool(valid.any()), "no frame has finite numbers")
    motion = Motion(
        body_pose=hold(body_pose, valid),
        global_orient=hold(global_orient, valid),
        betas=hold(betas, valid) if betas.ndim == 2 else betas,
        transl=hold(transl, valid),
        fps=fps,
        gender=gender,
    )
    return Recording(
        motion=to_y_up(motion, taken_up),
        valid=valid,
        up=taken_up,
        is_up_stated=bool(stated_up),
        assumed=tuple(assumed),
    )


def _fps(arrays: Mapping[str, np.ndarray], options: ReadOptions, assumed: list[str]) -> float:
    if options.source_fps is not None:
        assumed.append(f"{options.source_fps:g} frames per second, by --source-fps")
        return options.source_fps
    stated = {key: scalar(arrays[key], key) for key in _RATES if key in arrays}
    if len(set(stated.values())) > 1:
        each = ", ".join(f"{key} {value:g}" for key, value in stated.items())
        raise ValueError(f"it has several frame rates ({each}): give the right --source-fps")
    if stated:
        return next(iter(stated.values()))
    if options.fps is None:
        raise ValueError(f"no frame rate ({', '.join(_RATES)}): give --source-fps")
    assumed.append(f"{options.fps:g} frames per second, by --fps, as the file has no rate")
    return options.fps


def _gender(value: np.ndarray | None, options: ReadOptions, assumed: list[str]) -> str:
    stated = "" if value is None else word(value)
    if match := re.fullmatch(r"b(['\"])(\w+)\1", stated):  # str() of a byte string
        stated = match[2]
    stated = _GENDERS.get(stated, stated)
    if stated in _GENDERS.values():
        return stated
    if options.gender is not None:
        assumed.append(f"{options.gender} bodies, by --gender, where the file does not say it")
        return options.gender
    if value is not None:
        text = stated or f"{value.dtype} {value.shape}"
        raise ValueError(f"gender is {text!r}, not female, male or neutral: give --gender")
    assumed.append("neutral bodies, as the file has no gender")
    return "neutral"


def _up(value: np.ndarray | None) -> str:
    if value is None:
        return ""
    up = word(value)
    require(up in UP_TO_Y, f"up is {up!r}, expected {', '.join(map(repr, UP_TO_Y))}")
    return up
