"""A folder of plain SMPL-X motions: one ``.npz`` a take, under the common key names.

Native frame rate. ``up`` is 'y' (also where absent) or 'z', which is turned. Files with the same
text in a scalar array ``group`` are never separated by a split; without one a file is a group of
its own, but for the partners of a CMU two-person recording, known by their file names. AMASS's own
files, which are z up without saying so, are left to `datasets.adapters.amass`.
"""

from pathlib import Path

from datasets.adapters.formats.motion_files import (
    MotionFolder,
    has_amass_layout,
    npz_group,
    read_npz,
    scalar,
    take_group,
    ten_betas,
    to_y_up,
    word,
)
from datasets.motion import Motion

_NEEDED = {
    "body_pose": ("theta", "body_pose", "pose_body"),
    "global_orient": ("phi", "global_orient", "root_orient"),
    "transl": ("tau", "transl", "trans"),
    "betas": ("beta", "betas"),
    "fps": ("fps", "mocap_framerate", "mocap_frame_rate"),
}
_OPTIONAL = {"up": ("up",), "gender": ("gender",)}


def read(path: Path) -> Motion:
    """The y-up world motion of one file.

    Raises:
        ValueError: unreadable, a missing key, a wrong shape, a number that is not finite, or a file
            of AMASS.
    """
    if has_amass_layout(path):
        raise ValueError("an AMASS file (it has an array poses): use the dataset amass")
    arrays = read_npz(path, _NEEDED, _OPTIONAL)
    up = word(arrays["up"]) if "up" in arrays else "y"
    if up not in ("y", "z"):
        raise ValueError(f"up is {up!r}, expected 'y' or 'z'")
    motion = Motion(
        body_pose=arrays["body_pose"],
        global_orient=arrays["global_orient"],
        betas=ten_betas(arrays["betas"]),
        transl=arrays["transl"],
        fps=scalar(arrays["fps"], "fps"),
        gender=word(arrays["gender"]) if "gender" in arrays else "neutral",
    )
    return to_y_up(motion) if up == "z" else motion


DATASET = MotionFolder(
    name="smplx_npz",
    version=1,
    suffix=".npz",
    read=read,
    group=take_group,
    own_group=npz_group,
)
