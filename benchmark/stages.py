"""A row's chain of runs: train, predict, (estimate,) score; each cached under its inputs' hash.

`lookup` answers from the cache and loads no model; `benchmark.perform` does what is missing. A key
names the contents that a result depends on: settings, seed, clips, weights, arithmetic, versions.
It never names a path, a table, a row or a number of processes: rows of different tables that mean
the same run share it.

Videos that a system generates have no true motion. What stands for it is what an estimator sees in
them: the stage ``estimate``, by a method that does ``v2m`` and has a training of its own.
"""

import dataclasses
import functools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmark import discover, parts, store
from benchmark.checkpoints import training_of
from benchmark.contracts import Score, Setting
from benchmark.data import Data
from benchmark.spec import Profile, Row, Unavailable
from datasets.body_file import BodyFile


@dataclass(frozen=True)
class Setup:
    """What all rows of a run share.

    Attributes:
        cache: folder of the runs.
        body: the body model file of the evaluation.
        device: ``cpu`` or ``cuda``.
    """

    cache: Path
    body: BodyFile
    device: str

    @property
    def precision(self) -> str:
        """Arithmetic of the models: bfloat16 autocast on a GPU, else float32."""
        return "bf16" if self.device == "cuda" else "fp32"


@dataclass(frozen=True)
class Task:
    """One row's work with one seed.

    Attributes:
        kind: what the method does, one of `benchmark.spec.TASKS`.
        method: name of the method.
        data: the clips.
        seed: of training, sampling and whatever is drawn at random.
        settings: what it trains; empty where `weights` are given.
        weights: trained weights of the user's, or None.
        metrics: names of the metrics that score it.
        estimator: whose motions stand for the true ones of generated videos.
        no_estimator: why there is none, where there should be.
        label: for messages only.
    """

    kind: str
    method: str
    data: Data = field(repr=False)
    seed: int
    settings: Mapping[str, object]
    weights: Path | None
    metrics: tuple[str, ...]
    estimator: "Task | None" = None
    no_estimator: str = ""
    label: str = field(default="", compare=False)

    @property
    def identity(self) -> str:
        """Equal for tasks that are the same work."""
        return store.make_key(
            {
                "kind": self.kind,
                "method": self.method,
                "train": self.data.inputs,
                "test": self.data.test_inputs,
                "seed": self.seed,
                "settings": self.settings,
                "weights": self.weights and weights_sha256(self.weights),
                "estimator": self.estimator and self.estimator.identity,
            }
        )

    @property
    def does(self):
        """The method, see `benchmark.contracts.Method`."""
        return discover.method(self.method, self.kind)

    def setting(self, setup: Setup) -> Setting:
        """What metrics are told."""
        return Setting(self.kind, setup.body, self.seed, self.data.dataset, setup.cache)


@dataclass(frozen=True)
class Outcome:
    """What the cache knows of a task.

    Attributes:
        runs: stage (``train``, ``predict``, ``score pose`` …) -> run, as far as the chain is known.
        records: the same -> ``run.json`` of the finished ones.
        scores: metric -> scores, of the metrics that are scored.
        facts: numbers of the trained model.
        absent: column -> why it cannot be had here.
    """

    runs: dict[str, store.Run]
    records: dict[str, dict]
    scores: dict[str, list[Score]]
    facts: dict[str, float]
    absent: dict[str, str]

    @property
    def missing(self) -> list[str]:
        """Stages still to be done, as far as they are known."""
        return [stage for stage in self.runs if stage not in self.records]

    @property
    def failure(self) -> str | None:
        """Why the last attempt failed, or None."""
        return next(filter(None, (self.runs[stage].failure() for stage in self.missing)), None)

    @property
    def failed(self) -> dict[str, str]:
        """Clip id -> why there is nothing of it."""
        stages = ("predict", "estimate")
        found = [self.records[stage].get("failed", {}) for stage in stages if stage in self.records]
        return {clip: reason for failed in found for clip, reason in failed.items()}


def make_task(
    row: Row, kind: str, profile: Profile, data: Data, *, seed: int, metrics: tuple[str, ...]
) -> Task:
    """The task of a table's row at a profile's size.

    Raises:
        Unavailable: the row's method needs something that is not here.
    """
    settings = {}
    if row.weights is None:
        settings = discover.method(row.method, kind).settings(row.params, profile, seed=seed)
    estimator, reason = None, ""
    if kind == "i2vm":
        try:
            estimator = estimator_task(profile, data, seed=seed)
        except Unavailable as error:
            reason = str(error)
    return Task(
        kind,
        row.method,
        data,
        seed,
        settings,
        row.weights,
        metrics,
        estimator,
        reason,
        label=row.label,
    )


def estimator_task(profile: Profile, data: Data, *, seed: int) -> Task:
    """The training of the profile's estimator.

    Raises:
        Unavailable: it needs something that is not here.
    """
    row = Row(f"estimator {profile.estimator}", profile.estimator)
    return make_task(row, "v2m", profile, data, seed=seed, metrics=())


def distinct(tasks: Iterable[Task]) -> list[Task]:
    """Each piece of work once, with the metrics of all tasks that share it."""
    merged: dict[str, Task] = {}
    for task in tasks:
        known = merged.get(task.identity, task)
        metrics = tuple(sorted({*known.metrics, *task.metrics}))
        merged[task.identity] = dataclasses.replace(known, metrics=metrics)
    return list(merged.values())


def weights_sha256(path: Path) -> str:
    """Identity of a weights file: its bytes, and what goes with them.

    That is the class, the configuration and, of a transformer, the tokens that it was trained on,
    which no other codec and tokenizer fit.
    """
    sidecar = path.with_suffix(".json")
    return _weights_sha256(path, sidecar, _version(path), _version(sidecar))


def file_sha256(path: Path) -> str:
    """Of a weights file's bytes alone, as `sha256sum` prints it."""
    return _file_sha256(path, _version(path))


@functools.lru_cache(maxsize=256)
def _file_sha256(path: Path, version: tuple | None) -> str:
    return store.hash_file(path)


@functools.lru_cache(maxsize=256)
def _weights_sha256(path: Path, sidecar: Path, *versions: tuple | None) -> str:
    """Kept for as long as both files stay as they are: a training may write them again."""
    known, trained = store.read_json(sidecar) or {}, training_of(path)
    tokens = [trained.get(name) for name in ("codec", "tokenizer_sha256")]
    architecture = json.dumps([known.get("class"), known.get("config"), tokens], sort_keys=True)
    return store.hash_lines([file_sha256(path), architecture])


def _version(file: Path) -> tuple | None:
    """What differs once a file is written again; None where there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def lookup(setup: Setup, task: Task) -> Outcome:
    """Follow a task's chain through the cache as far as it goes."""
    outcome = Outcome({}, {}, {}, {}, {})

    def find(stage: str, run: store.Run) -> dict | None:
        outcome.runs[stage] = run
        record = run.record()
        if record is not None:
            outcome.records[stage] = record
        return record

    if task.weights is None:
        trained = find("train", train_run(setup, task))
        if trained is None:
            return outcome
        weights = trained["weights_sha256"]
    else:
        weights = weights_sha256(task.weights)
    predicted = find("predict", prediction := predict_run(setup, task, weights))
    if predicted is None:
        return outcome
    outcome.facts.update(predicted["facts"])
    estimate = None
    if task.estimator is not None:
        learned = task.estimator.weights and weights_sha256(task.estimator.weights)
        if learned is None:
            trained = find("train estimator", train_run(setup, task.estimator))
            if trained is None:
                return outcome
            learned = trained["weights_sha256"]
        estimate = estimate_run(setup, task, prediction, learned)
        if find("estimate", estimate) is None:
            return outcome
    for metric in task.metrics:
        outcome.absent.update(discover.load("metrics", metric).missing(task.setting(setup)))
        run = score_run(setup, task, prediction, estimate, metric)
        stage = f"score {metric}"
        scored = find(stage, run)
        if scored is not None:
            try:
                scores, absent = parts.read_scores(run.folder / "scores.parquet"), scored["absent"]
            except (KeyError, ValueError):  # of an older version, damaged or gone: to be made again
                run.discard()
                del outcome.records[stage]
                continue
            outcome.scores[metric] = scores
            for column, reason in absent.items():
                known = outcome.absent.get(column)
                outcome.absent[column] = f"{known}; {reason}" if known else reason
    return outcome


def train_run(setup: Setup, task: Task) -> store.Run:
    """The run of a task's training."""
    inputs = {
        "settings": task.settings,
        "precision": setup.precision,
        **_method_inputs(setup, task),
        **task.data.inputs,
    }
    return store.Run(setup.cache, "train", inputs)


def predict_run(setup: Setup, task: Task, weights: str) -> store.Run:
    """The run of a task's prediction with weights of this sha256."""
    inputs = {
        "task": task.kind,
        "weights": weights,
        "seed": task.seed,
        "precision": setup.precision,
        "part_size": parts.PART_SIZE,
        **_method_inputs(setup, task),
        **task.data.test_inputs,
    }
    return store.Run(setup.cache, "predict", inputs)


def estimate_run(setup: Setup, task: Task, prediction: store.Run, weights: str) -> store.Run:
    """The run of what an estimator with weights of this sha256 sees in a prediction."""
    inputs = {
        "prediction": prediction.key,
        "weights": weights,
        "seed": task.seed,
        "precision": setup.precision,
        "part_size": parts.PART_SIZE,
        **_method_inputs(setup, task.estimator),
    }
    return store.Run(setup.cache, "estimate", inputs)


def _method_inputs(setup: Setup, task: Task) -> dict:
    body = {"body": setup.body.sha256} if task.does.uses_body else {}
    return {"method": task.method, "method_version": task.does.version, **body}


def score_run(
    setup: Setup, task: Task, prediction: store.Run, estimate: store.Run | None, metric: str
) -> store.Run:
    """The run of one metric on a prediction."""
    judge = discover.load("metrics", metric)
    inputs = {
        "prediction": prediction.key,
        "estimate": estimate and estimate.key,
        "metric": metric,
        "metric_version": judge.version,
        "protocol": judge.protocol(task.setting(setup)),
        "body": setup.body.sha256,
    }
    return store.Run(setup.cache, "score", inputs)
