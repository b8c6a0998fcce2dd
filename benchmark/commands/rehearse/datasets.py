"""The five datasets of the paper in miniature."""

import importlib
from pathlib import Path

from benchmark.commands.rehearse.whole_folder import once

NAMES = ("bedlam", "dna_rendering", "human4dit", "rich", "threedpw")


def build_datasets(folder: Path) -> dict[str, Path]:
    """Write miniatures of the five datasets, as their owners lay them out.

    Recordings are of 70 frames with pictures of a few pixels. Each dataset has clips of 65 frames
    of at least two recordings to train on and of one to test on, and recordings that its adapter
    must leave out. Labels of 3DPW and Human4DiT are SMPL: they need pseudo ground truth.

    Args:
        folder: holds a folder for each dataset afterwards; those that are there are kept.

    Returns:
        Name of the adapter -> the root to prepare it from.
    """
    roots = {}
    for name in NAMES:
        # Each is imported when it is written: they need h5py, joblib and a body.
        miniature = importlib.import_module(f"benchmark.commands.rehearse.miniatures.{name}")
        roots[name] = once(folder / name, miniature.build)
    return roots
