"""The JSON file beside a checkpoint: its class, configuration and facts. No torch is needed."""

from pathlib import Path

from datasets.tools.files import fits_own_sha256, read_json

FORMAT_VERSION = 1
WEIGHTS = "model.safetensors"  # in the folder of a training, once it has ended


class CheckpointError(ValueError):
    """A checkpoint cannot be read, or does not fit. The message says why and how to fix it."""


def sidecar_path(path: str | Path) -> Path:
    """The JSON file beside a checkpoint."""
    return Path(path).with_suffix(".json")


def read_sidecar(path: str | Path, *, expected_class: str | None = None) -> dict:
    """The sidecar of a checkpoint: ``format_version``, ``class``, ``config``, ``extra``.

    Raises:
        CheckpointError: no such file, not one of ours, another version, or another class.
    """
    file = sidecar_path(path)
    if not file.exists():
        raise CheckpointError(
            f"{path} is not a checkpoint of this program: there is no {file.name} beside it"
        )
    sidecar = read_json(file)
    if sidecar is None:
        raise CheckpointError(f"{file} is not a readable sidecar (no JSON object)")
    extra = sidecar.get("extra", {})
    training = extra.get("training", {}) if isinstance(extra, dict) else None
    objects = all(isinstance(part, dict) for part in (sidecar.get("config"), extra, training))
    if not (objects and {"format_version", "class"} <= set(sidecar)):
        raise CheckpointError(f"{file} is not a sidecar of this program")
    if sidecar["format_version"] != FORMAT_VERSION:
        raise CheckpointError(
            f"{file} has format version {sidecar['format_version']}, this program reads "
            f"{FORMAT_VERSION}: train again, or use the program that wrote it"
        )
    if not fits_own_sha256(sidecar):
        raise CheckpointError(
            f"{file} is damaged or was edited (its own_sha256 differs): copy both files again, or "
            "train again"
        )
    if expected_class is not None and sidecar["class"] != expected_class:
        raise CheckpointError(f"{path} holds a {sidecar['class']}, not a {expected_class}")
    return {**sidecar, "extra": extra}
