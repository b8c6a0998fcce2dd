"""The identity of a training: what must be equal for a run to be resumed, or to be finished."""

from pathlib import Path

from model.training.config import TrainingConfig, TrainingError
from model.training.saved_model import SavedModel
from model.training.sidecar import CheckpointError, read_sidecar, sidecar_path


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
    """Return True if this very run has ended at `path`.

    Raises:
        TrainingError: another run has, or its sidecar is unreadable.
    """
    if not (path.is_file() and sidecar_path(path).is_file()):
        return False
    try:
        sidecar = read_sidecar(path)
    except CheckpointError as error:
        raise TrainingError(f"{error}: delete it to start again, or name another folder") from error
    facts = sidecar["extra"].get("training", {})
    require_same(
        {**sidecar, "run": {name: facts.get(name) for name in identity["run"]}}, identity, path
    )
    return facts.get("steps_done") == facts["steps"]


def require_same(found: dict, wanted: dict, path: Path) -> None:
    """Raise if the run at `path` is not the one asked for, naming the first difference."""
    differences = [("model", found["class"], wanted["class"])] + [
        (name, found[part].get(name), wanted[part].get(name))
        for part in ("config", "run")
        for name in {**found[part], **wanted[part]}
    ]
    for name, old, new in differences:
        if old != new:
            raise TrainingError(
                f"{path} is of another run ({name} is {old} there, {new} here): "
                "name another folder, or delete that one"
            )
