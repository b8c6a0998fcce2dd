"""Checkpoints: what a weights file is of, which method runs it, and its label in reports."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark import discover
from benchmark.api.errors import UserError
from benchmark.api.profile import Profile
from benchmark.api.table import PAPER, TASKS, Row
from datasets.tools.command_line import counted
from datasets.tools.files import hash_lines, read_json, sha256_of

CHECKPOINT = "checkpoint "  # begins the labels of their rows

# Classes of this program, whose weights are safetensors; a user's own may keep them in any file.
_OWN_CLASSES = ("MotionTokenizer", "SolamiTokenizer", "UniMo", "MotionRegressor")
# Names that say too little for a label: every training writes a file ``model``, and `paper` stands
# for the paper's numbers. Their label has the folder, too.
_VAGUE = ("model", PAPER)


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A weights file, and what its sidecar says: the .json file that a training writes beside it.

    Attributes:
        path: of the weights.
        class_name: class of the model; empty if the sidecar names none.
        config: configuration of the model; None if the sidecar has none.
        training: how it was trained: seed, steps, tasks, codec and the like.
        has_sidecar: False if the sidecar is not there, or is no JSON object.
    """

    path: Path
    class_name: str = ""
    config: Mapping[str, Any] | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    has_sidecar: bool = False

    @classmethod
    def read(cls, path: Path) -> "Checkpoint":
        """Read the sidecar of a weights file; the weights are not opened."""
        found = read_json(path.with_suffix(".json"))
        sidecar = found or {}
        name, config, extra = (sidecar.get(part) for part in ("class", "config", "extra"))
        training = extra.get("training") if isinstance(extra, dict) else None
        return cls(
            path=path,
            class_name=name if isinstance(name, str) else "",
            config=config if isinstance(config, dict) else None,
            training=training if isinstance(training, dict) else {},
            has_sidecar=found is not None,
        )

    @property
    def origin(self) -> str:
        """The training in words: steps, clips, start and seed, as far as the sidecar says."""
        facts = {name: value for name, value in self.training.items() if value not in (None, "")}
        datasets = facts.get("datasets") or facts.get("dataset")
        if datasets:
            facts["of"] = datasets if isinstance(datasets, str) else ", ".join(map(str, datasets))
        if isinstance(facts.get("clips"), int):
            facts["clips"] = counted(facts["clips"], "clip")
        before = facts.pop("init", None)
        if isinstance(before, Mapping):
            facts["init"] = f"{before.get('steps')} steps of another training"
        words = {
            "steps": "{} steps",
            "batch_size": "of {}",
            "clips": "on {}",
            "of": "of {}",
            "start": "from {}",
            "init": "({})",
            "seed": "with seed {}",
        }
        return " ".join(text.format(facts[name]) for name, text in words.items() if name in facts)

    @property
    def identity(self) -> str:
        """sha256 of the weights and what goes with them.

        That is the class, the configuration and, of a transformer, the tokens that it was trained
        on, which no other codec and tokenizer fit.
        """
        tokens = [self.training.get(name) for name in ("codec", "tokenizer_sha256")]
        parts = [self.class_name or None, self.config, tokens]
        return hash_lines([sha256_of(self.path), json.dumps(parts, sort_keys=True)])


@dataclass(frozen=True, kw_only=True)
class UserCheckpoint:
    """A checkpoint of ``--checkpoint``.

    Attributes:
        path: of its weights.
        label: name in reports; each checkpoint has its own.
        methods: task -> the method that does it.
        sidecar: its ``config`` and its ``training``.
    """

    path: Path
    label: str
    methods: Mapping[str, str]
    sidecar: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def use_of(self, row: Row, task: str, profile: Profile) -> str:
        """Return how it serves a row, see `benchmark.api.method.Method.use_of`."""
        if task not in self.methods or not row.method or row.weights is not None:
            return ""
        return discover.method(row.method, task).use_of(self.sidecar, row, profile)

    def rows(self, task: str, others: Iterable[Row]) -> list[Row]:
        """Return its own rows of a task: one for each dataset that the other rows are about."""
        if task not in self.methods:
            return []
        return [
            Row(
                f"{CHECKPOINT}{self.label}" + (f", {dataset}" if dataset else ""),
                self.methods[task],
                weights=self.path,
                dataset=dataset,
            )
            for dataset in dict.fromkeys(row.dataset for row in others)
        ]


def user_checkpoints(checkpoints: Sequence[Path]) -> list[UserCheckpoint]:
    """Check the files named, or the folders of trainings; each counts once.

    Raises:
        UserError: one that cannot be used.
    """
    distinct: dict[Path, Path] = {}
    for path in map(weights_file, checkpoints):
        distinct.setdefault(path.resolve(), path)
    found = []
    for path, label in labels_of(list(distinct.values())).items():
        methods, read = methods_of(path), Checkpoint.read(path)
        sidecar = {"config": read.config or {}, "training": read.training}
        found.append(UserCheckpoint(path=path, label=label, methods=methods, sidecar=sidecar))
    return found


def weights_file(path: Path) -> Path:
    """Return the weights of the folder of a training, or the path itself."""
    inside = path / "model.safetensors"
    return inside if inside.is_file() else path


def labels_of(paths: Sequence[Path]) -> dict[Path, str]:
    """Return path -> label: the shortest end of each path, without suffix, that no other has."""
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
            # One file named in two ways may have equal parts: the caller counts or refuses it.
            if known.count(label) > 1 and lengths[path] < len(parts[path])
        ]
        if not longer:
            return labels
        for path in longer:
            lengths[path] += 1


def methods_of(path: Path, *, option: str = "--checkpoint") -> dict[str, str]:
    """Return task -> method, for the tasks that a checkpoint does.

    Raises:
        UserError: no such file, not readable, or of another class; the message begins with
            `option`.
    """
    named = f"{option} {path}"
    _require_files(path, named)
    checkpoint, classes = Checkpoint.read(path), _classes()
    if not checkpoint.has_sidecar:
        sidecar = path.with_suffix(".json").name
        raise UserError(f"{named}: {sidecar} beside it cannot be read as a JSON object")
    if checkpoint.class_name not in classes:
        name = f"the class {checkpoint.class_name}" if checkpoint.class_name else "no class"
        raise UserError(
            f"{named}: {path.with_suffix('.json').name} beside it names {name}; give a trained "
            f"checkpoint of {' or '.join(sorted(classes))}, with its .json"
        )
    if checkpoint.class_name in _OWN_CLASSES:
        _require_safetensors(path, named)
    methods, trained = classes[checkpoint.class_name], checkpoint.training.get("tasks")
    if not isinstance(trained, list):
        return {task: name for learned, (task, name) in methods.items() if learned == task}
    found = dict(pair for learned, pair in methods.items() if learned in trained)
    if not found:
        raise UserError(
            f"{named} was trained for {' and '.join(map(str, trained))}, which "
            "no method here does with it: give another checkpoint"
        )
    return found


def _classes() -> dict[str, dict[str, tuple[str, str]]]:
    """Class of a checkpoint -> what it learned -> the task and the method that does it."""
    classes: dict[str, dict[str, tuple[str, str]]] = {}
    for name in discover.summaries("methods"):
        for task, method in discover.load("methods", name).items():
            if method.checkpoint_class is not None:
                learned = method.checkpoint_task or task
                classes.setdefault(method.checkpoint_class, {})[learned] = (task, name)
    return classes


def _require_files(path: Path, named: str) -> None:
    """Check that a weights file and its sidecar are there.

    Raises:
        UserError: one is not; the message begins with `named`.
    """
    if path.is_dir():
        raise UserError(
            f"{named} is a folder: give the .safetensors file of a training, or its folder"
        )
    if not path.is_file():
        raise UserError(
            f"{named}: there is no such file; give the .safetensors file that a training wrote"
        )
    sidecar = path.with_suffix(".json")
    if not sidecar.is_file():
        raise UserError(
            f"{named}: there is no {sidecar.name} beside it, which says what the weights are of; a "
            "training writes both: give the file where they are together"
        )


def _require_safetensors(checkpoint: Path, named: str) -> None:
    """Refuse a file that is not safetensors, or is cut short. Only the header is read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(checkpoint, framework="numpy"):
            pass
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{named} is not a readable safetensors file ({error}): give one that a training wrote"
        ) from error


def what_it_does(methods: Iterable[str]) -> str:
    """Return the tasks of a checkpoint as ``is a tokenizer (motion -> tokens -> motion)``."""
    tasks = list(methods)
    words = " and ".join(f"{task} ({TASKS[task]})" for task in tasks)
    return f"is a {words}" if tasks == ["tokenizer"] else f"does {words}"


def method_of(path: Path, task: str, *, option: str = "--checkpoint") -> str:
    """Return the name of the method that does a task with a checkpoint.

    Raises:
        UserError: as `methods_of`, or the checkpoint is of another task.
    """
    found = methods_of(path, option=option)
    if task not in found:
        raise UserError(
            f"{option} {path} {what_it_does(found)}, not {task} ({TASKS[task]}): give another one"
        )
    return found[task]


def weights_sha256(path: Path, *, whole: bool = False) -> str:
    """Return the identity of a weights file, see `Checkpoint.identity`.

    Args:
        path: of the weights.
        whole: with all that lies beside them under the same name, such as ``mine.json`` and
            ``mine.vocabulary.txt``: nobody knows what a method of the user reads of it.
    """
    if not whole:
        return Checkpoint.read(path).identity
    names = (one.name for one in path.parent.iterdir() if one.is_file())
    files = sorted(name for name in names if name.startswith(f"{path.stem}."))
    return hash_lines(
        [f"{name[len(path.stem) :]} {sha256_of(path.with_name(name))}" for name in files]
    )
