"""A row's chain of runs: train, predict, score; each cached under the hash of its inputs.

`lookup` answers from the cache and loads no model; `perform` does what is missing. A key names the
contents that a result depends on: settings, seed, clips, weights, arithmetic, versions. It never
names a path, a table, a row or a number of processes: rows of different tables that mean the same
run share it.
"""

import dataclasses
import functools
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmark import discover, parts, store
from benchmark.data import Data
from benchmark.spec import Evaluation, Profile, Progress, Row, Score
from datasets.body_file import BodyFile


@dataclass(frozen=True)
class Setup:
    """What all rows of a run share.

    Attributes:
        cache: folder of the runs.
        data: the clips.
        body: the body model file of the evaluation.
        device: ``cpu`` or ``cuda``.
        seed: of training and of random samples.
    """

    cache: Path
    data: Data
    body: BodyFile
    device: str
    seed: int

    @property
    def precision(self) -> str:
        """Arithmetic of the models: bfloat16 autocast on a GPU, else float32."""
        return "bf16" if self.device == "cuda" else "fp32"

    @property
    def body_id(self) -> str:
        """Name and hash of the body, as protocols quote it."""
        return f"{self.body.name} {self.body.sha256[:12]}"


@dataclass(frozen=True)
class Task:
    """One row's work.

    Attributes:
        method: name of the method.
        settings: what it trains; empty where `weights` are given.
        weights: trained weights of the user's, or None.
        metrics: names of the metrics that score it.
        label: for messages only.
    """

    method: str
    settings: Mapping[str, object]
    weights: Path | None
    metrics: tuple[str, ...]
    label: str = field(compare=False)

    @property
    def identity(self) -> str:
        """Equal for tasks that are the same work."""
        return store.make_key(
            {
                "method": self.method,
                "settings": self.settings,
                "weights": self.weights and weights_sha256(self.weights),
            }
        )


@dataclass(frozen=True)
class Outcome:
    """What the cache knows of a task.

    Attributes:
        runs: stage (``train``, ``predict``, ``score pose`` …) -> run, as far as the chain is known.
        records: the same -> ``run.json`` of the finished ones.
        scores: metric -> scores, of the metrics that are scored.
        facts: numbers of the trained model.
    """

    runs: dict[str, store.Run]
    records: dict[str, dict]
    scores: dict[str, list[Score]]
    facts: dict[str, float]

    @property
    def missing(self) -> list[str]:
        """Stages still to be done, as far as they are known."""
        return [stage for stage in self.runs if stage not in self.records]

    @property
    def failure(self) -> str | None:
        """Why the last attempt failed, or None."""
        return next(filter(None, (self.runs[stage].failure() for stage in self.missing)), None)


def make_task(row: Row, profile: Profile, *, seed: int, metrics: tuple[str, ...]) -> Task:
    """The task of a table's row at a profile's size."""
    settings = {}
    if row.weights is None:
        settings = discover.load("methods", row.method).settings(row.params, profile, seed=seed)
    return Task(row.method, settings, row.weights, metrics, row.label)


def distinct(tasks: Iterable[Task]) -> list[Task]:
    """Each piece of work once, with the metrics of all tasks that share it."""
    merged: dict[str, Task] = {}
    for task in tasks:
        known = merged.get(task.identity, task)
        metrics = tuple(sorted({*known.metrics, *task.metrics}))
        merged[task.identity] = dataclasses.replace(known, metrics=metrics)
    return list(merged.values())


def weights_sha256(path: Path) -> str:
    """Identity of a weights file: its bytes, and the class and configuration that go with them."""
    sidecar = path.with_suffix(".json")
    return _weights_sha256(path, sidecar, _version(path), _version(sidecar))


@functools.lru_cache(maxsize=256)
def _weights_sha256(path: Path, sidecar: Path, *versions: tuple | None) -> str:
    """Kept for as long as both files stay as they are: a training may write them again."""
    known = store.read_json(sidecar) or {}
    architecture = json.dumps([known.get("class"), known.get("config")], sort_keys=True)
    return store.hash_lines([store.hash_file(path), architecture])


def _version(file: Path) -> tuple | None:
    """What differs once a file is written again; None where there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def lookup(setup: Setup, task: Task) -> Outcome:
    """Follow a task's chain through the cache as far as it goes."""
    outcome = Outcome({}, {}, {}, {})

    def find(stage: str, run: store.Run) -> dict | None:
        outcome.runs[stage] = run
        record = run.record()
        if record is not None:
            outcome.records[stage] = record
        return record

    if task.weights is None:
        trained = find("train", _train_run(setup, task))
        if trained is None:
            return outcome
        weights = trained["weights_sha256"]
    else:
        weights = weights_sha256(task.weights)
    predicted = find("predict", prediction := _predict_run(setup, task, weights))
    if predicted is None:
        return outcome
    outcome.facts.update(predicted["facts"])
    for metric in task.metrics:
        run = _score_run(setup, prediction, metric)
        stage = f"score {metric}"
        if find(stage, run) is not None:
            try:
                outcome.scores[metric] = parts.read_scores(run.folder / "scores.parquet")
            except ValueError:  # damaged or deleted: to be made again
                run.discard()
                del outcome.records[stage]
    return outcome


def discard(setup: Setup, task: Task) -> None:
    """Remove all of a task's runs from the cache."""
    for run in lookup(setup, task).runs.values():
        run.discard()


def perform(setup: Setup, task: Task, *, progress: Progress) -> None:
    """Do what is missing of a task's chain. A killed call goes on where it was.

    Raises:
        Exception: whatever a stage raised; the reason is kept in the stage's ``error.json``.
    """
    method = discover.load("methods", task.method)
    if task.weights is None:
        train = _train_run(setup, task)
        _once(
            train, setup.device, lambda facts: _train(setup, task, method, train, facts, progress)
        )
        weights = _trained_weights(train)
    else:
        weights = task.weights
    prediction = _predict_run(setup, task, weights_sha256(weights))

    def predict(facts: dict) -> None:
        facts["facts"] = method.facts(weights)
        _predict(setup, method, weights, prediction.folder, progress)

    _once(prediction, setup.device, predict)
    for metric in task.metrics:
        run = _score_run(setup, prediction, metric)
        _once(run, "cpu", lambda facts, run=run: _score(setup, prediction, run, progress))


def _once(run: store.Run, device: str, work: Callable[[dict], None]) -> None:
    """Do the work of a run unless it is done; of several processes, one does it."""
    with store.locked(run.lock):
        if run.record() is None:
            with run.attempt(device=device) as facts:
                work(facts)


def _train(
    setup: Setup, task: Task, method, train: store.Run, facts: dict, progress: Progress
) -> None:
    weights = method.train(
        dict(task.settings),
        setup.data.clips(setup.data.train_ids),
        train.folder,
        device=setup.device,
        progress=progress,
    )
    facts["weights"] = weights.name
    facts["weights_sha256"] = weights_sha256(weights)
    if setup.device == "cuda":
        facts["gpu"], facts["gpu_memory_mb"] = _gpu()


def _trained_weights(train: store.Run) -> Path:
    """The weights of a finished training.

    Raises:
        ValueError: they are not what was trained any more.
    """
    record = train.record()
    weights = train.folder / record["weights"]
    if not weights.is_file() or weights_sha256(weights) != record["weights_sha256"]:
        train.discard()
        raise ValueError(f"{weights} was damaged and is removed now: run the same command again")
    return weights


def _predict(setup: Setup, method, weights: Path, folder: Path, progress: Progress) -> None:
    """Write the parts that are not there yet."""
    clips = setup.data.clips(setup.data.test_ids)
    for number, start in enumerate(range(0, len(clips.ids), parts.PART_SIZE)):
        path = parts.part_path(folder, number)
        piece = slice(start, start + parts.PART_SIZE)
        if not path.exists():
            batch = clips[piece]
            made = method.reconstruct(weights, batch, device=setup.device)
            parts.write_predictions(path, batch.ids, made)
        progress("reconstruct", min(piece.stop, len(clips.ids)), len(clips.ids))


def _score(setup: Setup, prediction: store.Run, run: store.Run, progress: Progress) -> None:
    from datasets.body import load_body

    ids = setup.data.test_ids
    try:
        reconstruction = parts.read_predictions(prediction.folder, ids)
    except ValueError as error:
        prediction.discard()
        raise ValueError(f"{error}; it is removed now: run the same command again") from error
    evaluation = Evaluation(
        clips=setup.data.clips(ids),
        reconstruction=reconstruction,
        codebook_size=prediction.record()["facts"].get("codebook_size"),
        body=load_body(setup.body.path),
        seed=setup.seed,
    )
    scores = discover.load("metrics", run.inputs["metric"]).score(evaluation, progress=progress)
    parts.write_scores(run.folder / "scores.parquet", scores)


def _gpu() -> tuple[str, int]:
    """Name of the GPU and the most of its memory that was held, MB."""
    import torch

    return torch.cuda.get_device_name(), round(torch.cuda.max_memory_allocated() / 2**20)


def _train_run(setup: Setup, task: Task) -> store.Run:
    inputs = {
        "method": task.method,
        "method_version": discover.load("methods", task.method).version,
        "settings": task.settings,
        "precision": setup.precision,
        **_body_inputs(setup, task),
        **setup.data.inputs,
    }
    return store.Run(setup.cache, "train", inputs)


def _predict_run(setup: Setup, task: Task, weights: str) -> store.Run:
    inputs = {
        "method": task.method,
        "method_version": discover.load("methods", task.method).version,
        "weights": weights,
        "precision": setup.precision,
        "part_size": parts.PART_SIZE,
        **_body_inputs(setup, task),
        **setup.data.test_inputs,
    }
    return store.Run(setup.cache, "predict", inputs)


def _body_inputs(setup: Setup, task: Task) -> dict:
    uses_body = discover.load("methods", task.method).uses_body
    return {"body": setup.body.sha256} if uses_body else {}


def _score_run(setup: Setup, prediction: store.Run, metric: str) -> store.Run:
    judge = discover.load("metrics", metric)
    inputs = {
        "prediction": prediction.key,
        "metric": metric,
        "metric_version": judge.version,
        "protocol": judge.protocol(body=setup.body_id, seed=setup.seed),
        "body": setup.body.sha256,
    }
    return store.Run(setup.cache, "score", inputs)
