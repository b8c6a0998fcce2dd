"""A row's chain of runs: train, predict, (estimate,) score; each cached under its inputs' hash.

`lookup` answers from the cache and loads no model; `perform` does what is missing. A key names the
contents that a result depends on: settings, seed, clips, weights, arithmetic, versions. It never
names a path, a table, a row or a number of processes: rows of different tables that mean the same
run share it.

Videos that a system generates have no true motion. What stands for it is what an estimator sees in
them: the stage ``estimate``, by a method that does ``v2m`` and has a training of its own.
"""

import dataclasses
import functools
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmark import discover, parts, store
from benchmark.data import Data
from benchmark.options import training_of
from benchmark.spec import (
    Clips,
    Evaluation,
    Prediction,
    Profile,
    Progress,
    Row,
    Score,
    Setting,
    Unavailable,
)
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
        """The method, see `benchmark.spec.Method`."""
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


@functools.lru_cache(maxsize=256)
def _weights_sha256(path: Path, sidecar: Path, *versions: tuple | None) -> str:
    """Kept for as long as both files stay as they are: a training may write them again."""
    known, trained = store.read_json(sidecar) or {}, training_of(path)
    tokens = [trained.get(name) for name in ("codec", "tokenizer_sha256")]
    architecture = json.dumps([known.get("class"), known.get("config"), tokens], sort_keys=True)
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
    predicted = find("predict", prediction := _predict_run(setup, task, weights))
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
        estimate = _estimate_run(setup, task, prediction, learned)
        if find("estimate", estimate) is None:
            return outcome
    for metric in task.metrics:
        outcome.absent.update(discover.load("metrics", metric).missing(task.setting(setup)))
        run = _score_run(setup, task, prediction, estimate, metric)
        stage = f"score {metric}"
        scored = find(stage, run)
        if scored is not None:
            for column, reason in scored["absent"].items():
                known = outcome.absent.get(column)
                outcome.absent[column] = f"{known}; {reason}" if known else reason
            try:
                outcome.scores[metric] = parts.read_scores(run.folder / "scores.parquet")
            except ValueError:  # damaged or deleted: to be made again
                run.discard()
                del outcome.records[stage]
    return outcome


def perform(setup: Setup, task: Task, *, progress: Progress) -> None:
    """Do what is missing of a task's chain. A killed call goes on where it was.

    Raises:
        Exception: whatever a stage raised; the reason is kept in the stage's ``error.json``.
    """
    weights = task.weights or trained_weights(setup, task, progress=progress)
    prediction = _predict_run(setup, task, weights_sha256(weights))

    def predict(facts: dict) -> None:
        facts["facts"] = task.does.facts(weights)
        clips = task.data.clips(task.data.test_ids)
        facts["failed"] = _predict(setup, task, weights, clips, prediction.folder, progress)

    _once(prediction, setup.device, predict)
    estimate = None
    if task.estimator is not None:
        learned = task.estimator.weights or trained_weights(
            setup, task.estimator, progress=progress
        )
        estimate = _estimate_run(setup, task, prediction, weights_sha256(learned))
        _once(
            estimate,
            setup.device,
            lambda facts: facts.update(
                failed=_estimate(setup, task, learned, prediction, estimate, progress)
            ),
        )
    errors = []
    for metric in task.metrics:
        run = _score_run(setup, task, prediction, estimate, metric)
        try:
            _once(
                run,
                "cpu",
                lambda facts, run=run: facts.update(
                    absent=_score(setup, task, prediction, estimate, run, progress)
                ),
            )
        except Exception as error:  # the others are scored all the same
            errors.append(error)
    if errors:
        raise errors[0]


def _once(run: store.Run, device: str, work: Callable[[dict], None]) -> None:
    """Do the work of a run unless it is done; of several processes, one does it."""
    with store.locked(run.lock):
        if run.record() is None:
            with run.attempt(device=device) as facts:
                work(facts)


def trained_weights(setup: Setup, task: Task, *, progress: Progress) -> Path:
    """The weights of a task's training, which is done if it is not.

    Raises:
        ValueError: they are not what was trained any more.
    """
    run = train_run(setup, task)
    _once(run, setup.device, lambda facts: _train(setup, task, run, facts, progress))
    record = run.record()
    weights = run.folder / record["weights"]
    if not weights.is_file() or weights_sha256(weights) != record["weights_sha256"]:
        run.discard()
        raise ValueError(f"{weights} was damaged and is removed now: run the same command again")
    return weights


def _train(setup: Setup, task: Task, run: store.Run, facts: dict, progress: Progress) -> None:
    weights = task.does.train(
        dict(task.settings), task.data, run.folder, device=setup.device, progress=progress
    )
    facts["weights"] = weights.name
    facts["weights_sha256"] = weights_sha256(weights)
    if setup.device == "cuda":
        facts["gpu"], facts["gpu_memory_mb"] = _gpu()


def _predict(
    setup: Setup, task: Task, weights: Path, clips: Clips, folder: Path, progress: Progress
) -> dict[str, str]:
    """Write the parts that are not there yet; returns clip id -> reason of those that failed."""
    for number, start in enumerate(range(0, len(clips.ids), parts.PART_SIZE)):
        path = parts.part_path(folder, number)
        piece = slice(start, start + parts.PART_SIZE)
        if not path.exists():
            batch = clips[piece]
            made = task.does.predict(weights, batch, device=setup.device, seed=task.seed)
            parts.write_videos(folder, start, made.videos, batch.fps)
            parts.write_predictions(path, batch.ids, made)
        progress("predict", min(piece.stop, len(clips.ids)), len(clips.ids))
    return dict(parts.read_predictions(folder, clips.ids).failed)


def _estimate(
    setup: Setup,
    task: Task,
    weights: Path,
    prediction: store.Run,
    estimate: store.Run,
    progress: Progress,
) -> dict[str, str]:
    """Write what the estimator sees in the generated videos."""
    clips = task.data.clips(task.data.test_ids)
    failed = prediction.record()["failed"]
    rows = [row for row, name in enumerate(clips.ids) if name not in failed]
    videos = parts.videos(prediction.folder, len(clips.ids))
    seen = dataclasses.replace(clips, videos=videos)[rows]
    return _predict(setup, task.estimator, weights, seen, estimate.folder, progress)


def _score(
    setup: Setup,
    task: Task,
    prediction: store.Run,
    estimate: store.Run | None,
    run: store.Run,
    progress: Progress,
) -> dict[str, str]:
    """Write the scores; returns column -> why these clips have none, which is a result, too."""
    evaluation = _evaluation(setup, task, prediction, estimate)
    metric = discover.load("metrics", run.inputs["metric"])
    absent = metric.absent(evaluation)
    try:
        scores = metric.score(evaluation, progress=progress)
    except Unavailable as error:
        scores, absent = [], dict.fromkeys(metric.columns, str(error))
    parts.write_scores(run.folder / "scores.parquet", scores)
    return absent


def _evaluation(
    setup: Setup, task: Task, prediction: store.Run, estimate: store.Run | None
) -> Evaluation:
    """What metrics are given: the clips that neither the system nor the estimator failed on.

    Raises:
        ValueError: a damaged prediction, which is removed; or no clip is left.
    """
    clips = task.data.clips(task.data.test_ids)
    failed = dict(prediction.record()["failed"])
    if estimate is not None:
        failed |= estimate.record()["failed"]
    rows = [row for row, name in enumerate(clips.ids) if name not in failed]
    if not rows:
        clip, reason = next(iter(failed.items()))
        raise ValueError(f"all {len(failed)} clips failed, as {clip}: {reason}")
    left = clips[rows]
    made = _read(prediction, left.ids)
    motion, truth, videos = made.channels, left.channels, ()
    if task.kind == "i2vm":
        every = parts.videos(prediction.folder, len(clips.ids))
        videos = [every[row] for row in rows]
        seen = _read(estimate, left.ids).channels if estimate is not None else None
        # A system that makes videos alone has the motion that is seen in them, and none of its own
        # to compare with it.
        motion, truth = (seen, None) if made.channels is None else (made.channels, seen)
    return Evaluation(
        setting=task.setting(setup),
        clips=left,
        motion=motion,
        truth=truth,
        tokens=made.tokens,
        videos=videos,
        codebook_size=prediction.record()["facts"].get("codebook_size"),
    )


def _read(run: store.Run, ids: list[str]) -> Prediction:
    try:
        return parts.read_predictions(run.folder, ids)
    except ValueError as error:
        run.discard()
        raise ValueError(f"{error}; it is removed now: run the same command again") from error


def _gpu() -> tuple[str, int]:
    """Name of the GPU and the most of its memory that was held, MB."""
    import torch

    return torch.cuda.get_device_name(), round(torch.cuda.max_memory_allocated() / 2**20)


def train_run(setup: Setup, task: Task) -> store.Run:
    """The run of a task's training."""
    inputs = {
        "settings": task.settings,
        "precision": setup.precision,
        **_method_inputs(setup, task),
        **task.data.inputs,
    }
    return store.Run(setup.cache, "train", inputs)


def _predict_run(setup: Setup, task: Task, weights: str) -> store.Run:
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


def _estimate_run(setup: Setup, task: Task, prediction: store.Run, weights: str) -> store.Run:
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


def _score_run(
    setup: Setup, task: Task, prediction: store.Run, estimate: store.Run | None, metric: str
) -> store.Run:
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
