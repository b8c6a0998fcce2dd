"""A row's chain of runs: train, predict, (estimate,) score; each cached under its inputs' hash.

`lookup` answers from the cache and loads no model; `benchmark.runs.stages` does what is missing. A
key names the contents that a result depends on: settings, seed, clips, weights, arithmetic,
versions. It never names a path, a table, a row or a number of processes: rows of different tables
that mean the same run share it.

Videos that a system generates have no true motion. What stands for it is what an estimator sees in
them: the stage ``estimate``, by a method that does ``v2m`` and has a training of its own.
"""

from dataclasses import dataclass

from benchmark import discover
from benchmark.api.metric import Score
from benchmark.runs import artifacts
from benchmark.runs import cache as store
from benchmark.runs.checkpoints import weights_sha256
from benchmark.runs.task import Setup, Task


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
        outcome.absent.update(discover.load("metrics", metric).missing(task.metric_context(setup)))
        run = score_run(setup, task, prediction, estimate, metric)
        stage = f"score {metric}"
        scored = find(stage, run)
        if scored is not None:
            try:
                scores, absent = (
                    artifacts.read_scores(run.folder / "scores.parquet"),
                    scored["absent"],
                )
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
        "part_size": artifacts.PART_SIZE,
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
        "part_size": artifacts.PART_SIZE,
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
        "protocol": judge.protocol(task.metric_context(setup)),
        "body": setup.body.sha256,
    }
    return store.Run(setup.cache, "score", inputs)
