"""The checkpoints that a user names: which system each is of, and what to call it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark import discover
from benchmark.api.errors import UserError
from benchmark.api.table import PAPER, TASKS, Row
from datasets.tools.files import hash_lines, read_json, sha256_of

# Classes of this program, whose weights are safetensors; a user's own may keep them in any file.
_OWN_CLASSES = ("MotionTokenizer", "SolamiTokenizer", "UniMo", "MotionRegressor")
# Every training calls its file model, and `paper` means the paper's numbers: their folder is told.
_VAGUE = ("model", PAPER)


@dataclass(frozen=True)
class UserCheckpoint:
    """A checkpoint of ``--checkpoint``.

    Attributes:
        path: of its weights.
        label: what tells it apart from the others.
        methods: task -> method.
    """

    path: Path
    label: str
    methods: Mapping[str, str]

    def rows(self, task: str, beside: Iterable[Row]) -> list[Row]:
        """Its rows of a task: one for each dataset that the rows `beside` it are about."""
        if task not in self.methods:
            return []
        return [
            Row(
                f"checkpoint {self.label}" + (f", {dataset}" if dataset else ""),
                self.methods[task],
                weights=self.path,
                dataset=dataset,
            )
            for dataset in dict.fromkeys(row.dataset for row in beside)
        ]


def user_checkpoints(checkpoints: Sequence[Path]) -> list[UserCheckpoint]:
    """The checkpoints named, each file once.

    Raises:
        UserError: one that cannot be used.
    """
    distinct: dict[Path, Path] = {}
    for path in checkpoints:
        distinct.setdefault(path.resolve(), path)
    labels = labels_of(list(distinct.values()))
    return [UserCheckpoint(path, label, methods_of(path)) for path, label in labels.items()]


def labels_of(paths: Sequence[Path]) -> dict[Path, str]:
    """Path -> label, each path once: the shortest ends, without suffix, that tell them apart."""
    parts = {path: (*path.absolute().parent.parts, path.stem) for path in paths}
    if len(set(parts.values())) < len(parts):
        parts = {path: path.absolute().parts for path in paths}
    lengths = {path: 2 if path.stem in _VAGUE else 1 for path in parts}
    while True:
        labels = {path: "/".join(parts[path][-length:]) for path, length in lengths.items()}
        known = list(labels.values())
        longer = [
            path
            for path, label in labels.items()
            # A checkpoint named in two ways may never be told apart: it is refused, or counts once.
            if known.count(label) > 1 and lengths[path] < len(parts[path])
        ]
        if not longer:
            return labels
        for path in longer:
            lengths[path] += 1


def methods_of(checkpoint: Path, *, option: str = "--checkpoint") -> dict[str, str]:
    """Task -> method, of those whose model class a checkpoint's sidecar names.

    Raises:
        UserError: no such file, not readable, or of another class; the message begins with
            `option`.
    """
    named = f"{option} {checkpoint}"
    if checkpoint.is_dir():
        inside = checkpoint / "model.safetensors"
        cure = f"give {inside}" if inside.is_file() else "give the .safetensors file of a training"
        raise UserError(f"{named} is a folder: {cure}")
    if not checkpoint.is_file():
        raise UserError(
            f"{named}: there is no such file; give the .safetensors file that a training wrote"
        )
    classes: dict[str, dict[str, str]] = {}
    for name in discover.summaries("methods"):
        for task, does in discover.load("methods", name).items():
            if does.checkpoint_class is not None:
                classes.setdefault(does.checkpoint_class, {})[task] = name
    sidecar = checkpoint.with_suffix(".json")
    if not sidecar.is_file():
        raise UserError(
            f"{named}: there is no {sidecar.name} beside it, which says what the weights are of; a "
            "training writes both: give the file where they are together"
        )
    described = read_json(sidecar)
    if described is None:
        raise UserError(f"{named}: {sidecar.name} beside it cannot be read as a JSON object")
    found = described.get("class")
    if not isinstance(found, str) or found not in classes:
        raise UserError(
            f"{named}: {sidecar.name} beside it names "
            f"{f'the class {found}' if found else 'no class'}; give a trained checkpoint of "
            f"{' or '.join(classes)}, with its .json"
        )
    if found in _OWN_CLASSES:
        _require_safetensors(checkpoint, named)
    methods, trained = classes[found], _training_in(described).get("tasks")
    if isinstance(trained, list):
        methods = {task: name for task, name in methods.items() if task in trained}
        if not methods:
            raise UserError(
                f"{named} was trained for {' and '.join(map(str, trained))}, which "
                "no method here does with it: give another checkpoint"
            )
    return methods


def _require_safetensors(checkpoint: Path, named: str) -> None:
    """Refuse what is no safetensors file, or a part of one; reads no more than its header."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(checkpoint, framework="numpy"):
            pass
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{named} is not a readable safetensors file ({error}): give one that a training wrote"
        ) from error


def what_it_does(methods: Iterable[str]) -> str:
    """``is a tokenizer (motion -> tokens -> motion)``: the tasks of a checkpoint in words."""
    tasks = list(methods)
    words = " and ".join(f"{task} ({TASKS[task]})" for task in tasks)
    return f"is a {words}" if tasks == ["tokenizer"] else f"does {words}"


def training_of(checkpoint: Path) -> dict:
    """What a checkpoint's sidecar keeps of its training; empty where it keeps nothing."""
    return _training_in(read_json(checkpoint.with_suffix(".json")) or {})


def _training_in(sidecar: dict) -> dict:
    extra = sidecar.get("extra")
    found = extra.get("training") if isinstance(extra, dict) else None
    return found if isinstance(found, dict) else {}


def method_of(checkpoint: Path, task: str, *, option: str = "--checkpoint") -> str:
    """The method that does a task with a checkpoint.

    Raises:
        UserError: as `methods_of`, or the checkpoint is of another task.
    """
    found = methods_of(checkpoint, option=option)
    if task not in found:
        raise UserError(
            f"{option} {checkpoint} {what_it_does(found)}, not {task} ({TASKS[task]}): give "
            "another one"
        )
    return found[task]


def weights_sha256(path: Path) -> str:
    """Identity of a weights file: its bytes, and what goes with them.

    That is the class, the configuration and, of a transformer, the tokens that it was trained on,
    which no other codec and tokenizer fit.
    """
    sidecar = read_json(path.with_suffix(".json")) or {}
    training = _training_in(sidecar)
    tokens = [training.get(name) for name in ("codec", "tokenizer_sha256")]
    architecture = json.dumps([sidecar.get("class"), sidecar.get("config"), tokens], sort_keys=True)
    return hash_lines([sha256_of(path), architecture])
