"""Motion files of a person who stands and sways, in the plain layout and in AMASS's."""

import numpy as np


def plain(seed=0, frames=12, **changes):
    """The arrays of a plain file, y up; None removes one."""
    rng = np.random.default_rng(seed)
    arrays = {
        "theta": rng.normal(0, 0.02, (frames, 63)),
        "phi": rng.normal(0, 0.02, (frames, 3)),
        "tau": rng.normal(0, 0.01, (frames, 3)),
        "beta": rng.normal(0, 1, 10),
        "fps": np.float32(30),
        "up": np.array("y"),
        "note": np.array("not read"),
    }
    return {name: a for name, a in {**arrays, **changes}.items() if a is not None}


def captured(seed=0, frames=12, width=165, **changes):
    """The arrays of an AMASS file, z up; None removes one."""
    rng = np.random.default_rng(seed)
    arrays = {
        "poses": rng.normal(0, 0.02, (frames, width)) + np.pad([np.pi / 2], (0, width - 1)),
        "trans": rng.normal(0, 0.01, (frames, 3)),
        "betas": rng.normal(0, 1, 16),
        "mocap_framerate": np.array(30.0),
        "gender": np.array("neutral"),
    }
    return {name: a for name, a in {**arrays, **changes}.items() if a is not None}


def save(path, arrays):
    """Write arrays as an ``.npz`` of exactly this name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        np.savez(file, **arrays)
    return path
