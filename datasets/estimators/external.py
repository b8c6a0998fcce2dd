"""Shared by the clients of external tools: one GPU for a process, files known by their sha256."""

from collections.abc import Mapping
from pathlib import Path

from datasets.estimators import EstimatorUnavailable
from datasets.tools.files import sha256_of

REHEARSAL = "rehearsal.txt"


def see_only(device: str, env: Mapping[str, str]) -> dict[str, str]:
    """`env` for a process that shall take `device` (``cpu``, ``cuda``, ``cuda:N``) as its first.

    Tools take the first GPU that they see, whatever device they are told.
    """
    index = device.partition(":")[2]
    if not index:
        return dict(env)
    visible = env.get("CUDA_VISIBLE_DEVICES")
    return {**env, "CUDA_VISIBLE_DEVICES": visible.split(",")[int(index)] if visible else index}


def of_rehearsal(folder: Path) -> bool:
    """Return True for a folder of weights that ``benchmark.run rehearse`` made.

    Nothing is learned in them: whoever takes them says so.
    """
    return (folder / REHEARSAL).is_file()


def checked_sha256(path: Path) -> str:
    """Return the sha256 of a file; a file ``<name>.sha256`` beside it says what it must be.

    Raises:
        EstimatorUnavailable: it is not that.
    """
    found = sha256_of(path)
    pin = path.with_name(f"{path.name}.sha256")
    if pin.is_file() and pin.read_bytes().split()[:1] != [found.encode()]:
        raise EstimatorUnavailable(f"{path} has sha256 {found}, which is not what {pin} says")
    return found
