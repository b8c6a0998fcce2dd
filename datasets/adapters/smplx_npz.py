"""A folder of plain SMPL-X motions: one ``.npz`` a take, under the common key names.

Native frame rate. ``up`` is 'x', 'y' (also where absent), 'z' or '-y'. Files with the same text in
a scalar array ``group`` are never separated by a split; without one a file is a group of its own,
but for the partners of a CMU two-person recording, known by their file names. AMASS's own files,
which are z up without saying so, are left to `datasets.adapters.amass`.
"""

from pathlib import Path

from datasets.adapters.formats.motion_files import (
    MotionFolder,
    ReadOptions,
    Recording,
    has_amass_layout,
    npz_group,
    take_group,
)
from datasets.adapters.formats.npz_file import read_npz
from datasets.adapters.formats.npz_motion import FACTS, frame_rows, recording

_NEEDED = {
    "body_pose": ("theta", "body_pose", "pose_body"),
    "global_orient": ("phi", "global_orient", "root_orient"),
    "transl": ("tau", "transl", "trans"),
}


def read(path: Path, options: ReadOptions = ReadOptions()) -> Recording:  # noqa: B008 (frozen)
    """Return the y-up world motion of one file.

    Raises:
        ValueError: unreadable, a missing key, a wrong shape, no finite frame, or a file of AMASS.
    """
    if has_amass_layout(path):
        raise ValueError("an AMASS file (it has an array poses): use the dataset amass")
    arrays = read_npz(path, _NEEDED, FACTS)
    return recording(
        arrays,
        **{name: frame_rows(arrays[name], name) for name in _NEEDED},
        up="y",
        options=options,
    )


DATASET = MotionFolder(
    name="smplx_npz",
    version=2,
    suffix=".npz",
    read=read,
    group=take_group,
    own_group=npz_group,
    takes=("up", "source_fps", "gender"),
)
