"""The identity of a training: what must be equal for a run to be resumed, or to be finished."""

from pathlib import Path

from model.training.config import TrainingConfig, TrainingError
from model.training.saved_model import SavedModel
from model.training.sidecar import CheckpointError, read_sidecar, sidecar_path

RESUME = ("resume.pt", "resume/state.json")  # of one process, and of several
_GO_ON = ("UniMo",)  # models whose steps do not depend on how many there are
_OF_STEPS = {"warmup_steps"}  # settings that presets derive from it


def identity_of(model: SavedModel, training: TrainingConfig, data: dict) -> dict:
    """Everything that must be equal for a run to be the same run.

    Args:
        model: that is trained.
        training: its settings.
        data: JSON-ready; identifies what it learns from.
    """
    return {
        "class": type(model).__name__,
        "config": model.config.to_dict(),
        "run": {**training.to_dict(), **data},
    }


def is_finished(path: Path, identity: dict) -> bool:
    """Return True if this very run has ended at `path`; False if it ended with fewer steps.

    Raises:
        TrainingError: another run has, its sidecar is unreadable, or it cannot go on.
    """
    if not (path.is_file() and sidecar_path(path).is_file()):
        return False
    try:
        sidecar = read_sidecar(path)
    except CheckpointError as error:
        raise TrainingError(f"{error}: delete it to start again, or name another folder") from error
    facts = sidecar["extra"].get("training", {})
    found = {**sidecar, "run": {name: facts.get(name) for name in identity["run"]}}
    if goes_on(found, identity, path):
        if not any((path.parent / name).exists() for name in RESUME):
            raise TrainingError(
                f"{path} is of a run of {facts['steps']} steps whose last state is gone, so that "
                "it cannot go on: start from its result, with --init and another --out"
            )
        return False
    require_same(found, identity, path)
    return facts.get("steps_done") == facts["steps"]


def require_same(found: dict, wanted: dict, path: Path) -> None:
    """Raise if the run at `path` is not the one asked for, naming the first difference."""
    for name, (old, new) in _differences(found, wanted).items():
        raise TrainingError(
            f"{path} is of another run ({name} is {old} there, {new} here): "
            "name another folder, or delete that one"
        )


def goes_on(found: dict, wanted: dict, path: Path) -> bool:
    """Return True if the run asked for is the one at `path` with more steps.

    Raises:
        TrainingError: it has more steps, and its first ones would not be those of the other.
    """
    if wanted["class"] not in _GO_ON:
        return False
    differences = _differences(found, wanted)
    old, new = differences.pop("steps", (0, 0))
    if not isinstance(old, int) or old >= new or differences.keys() - _OF_STEPS:
        return False
    run = wanted["run"]
    why = [f"{name} is {before} there, {here} here" for name, (before, here) in differences.items()]
    if run.get("schedule") != "constant":
        why.append("its learning rate falls towards its last step")
    if run.get("clip_noise") != run.get("clip_noise_end"):
        why.append("its noise changes towards its last step")
    if why:
        raise TrainingError(
            f"{path} is of a run of {old} steps that cannot go on to {new} ({why[0]}): start from "
            "its result, with --init and another --out"
        )
    return True


def _differences(found: dict, wanted: dict) -> dict[str, tuple]:
    """Name -> value there and value here, of what differs between two identities."""
    pairs = {"model": (found["class"], wanted["class"])} | {
        name: (found[part].get(name), wanted[part].get(name))
        for part in ("config", "run")
        for name in {**found[part], **wanted[part]}
    }
    return {name: (old, new) for name, (old, new) in pairs.items() if old != new}
