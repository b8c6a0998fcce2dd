"""A row's chain of stages: train, predict, (estimate,) score; each cached under its inputs' hash.

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
from benchmark.runs.cache import CachedStage
from benchmark.runs.checkpoints import weights_sha256
from benchmark.runs.work_item import RunContext, WorkItem


@dataclass(frozen=True)
class Outcome:
    """What the cache knows of a work item.

    Attributes:
        stages: name (``train``, ``predict``, ``score pose`` …) -> stage, as far as they are known.
        records: the same -> ``run.json`` of the finished ones.
        scores: metric -> scores, of the metrics that are scored.
        facts: numbers of the trained model.
        absent: column -> why it cannot be had here.
    """

    stages: dict[str, CachedStage]
    records: dict[str, dict]
    scores: dict[str, list[Score]]
    facts: dict[str, float]
    absent: dict[str, str]

    @property
    def missing(self) -> list[str]:
        """Stages still to be done, as far as they are known."""
        return [stage for stage in self.stages if stage not in self.records]

    @property
    def failure(self) -> str | None:
        """Why the last attempt failed, or None."""
        return next(filter(None, (self.stages[stage].failure() for stage in self.missing)), None)

    @property
    def failed(self) -> dict[str, str]:
        """Clip id -> why there is nothing of it."""
        stages = ("predict", "estimate")
        found = [self.records[stage].get("failed", {}) for stage in stages if stage in self.records]
        return {clip: reason for failed in found for clip, reason in failed.items()}


def lookup(context: RunContext, item: WorkItem) -> Outcome:
    """Follow a work item's chain through the cache as far as it goes."""
    outcome = Outcome({}, {}, {}, {}, {})

    def find(stage: str, run: CachedStage) -> dict | None:
        outcome.stages[stage] = run
        record = run.record()
        if record is not None:
            outcome.records[stage] = record
        return record

    if item.weights is None:
        trained = find("train", train_stage(context, item))
        if trained is None:
            return outcome
        weights = trained["weights_sha256"]
    else:
        weights = weights_sha256(item.weights)
    predicted = find("predict", prediction := predict_stage(context, item, weights))
    if predicted is None:
        return outcome
    outcome.facts.update(predicted["facts"])
    estimate = None
    if item.estimator is not None:
        learned = item.estimator.weights and weights_sha256(item.estimator.weights)
        if learned is None:
            trained = find("train estimator", train_stage(context, item.estimator))
            if trained is None:
                return outcome
            learned = trained["weights_sha256"]
        estimate = estimate_stage(context, item, prediction, learned)
        if find("estimate", estimate) is None:
            return outcome
    for metric in item.metrics:
        outcome.absent.update(
            discover.load("metrics", metric).missing(item.metric_context(context))
        )
        run = score_stage(context, item, prediction, estimate, metric)
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


def train_stage(context: RunContext, item: WorkItem) -> CachedStage:
    """The run of a work item's training."""
    inputs = {
        "settings": item.settings,
        "precision": context.precision,
        **_method_inputs(context, item),
        **item.data.inputs,
    }
    return CachedStage(context.cache, "train", inputs)


def predict_stage(context: RunContext, item: WorkItem, weights: str) -> CachedStage:
    """The run of a work item's prediction with weights of this sha256."""
    inputs = {
        "task": item.task,
        "weights": weights,
        "seed": item.seed,
        "precision": context.precision,
        "part_size": artifacts.PART_SIZE,
        **_method_inputs(context, item),
        **item.data.test_inputs,
    }
    return CachedStage(context.cache, "predict", inputs)


def estimate_stage(
    context: RunContext, item: WorkItem, prediction: CachedStage, weights: str
) -> CachedStage:
    """The run of what an estimator with weights of this sha256 sees in a prediction."""
    inputs = {
        "prediction": prediction.key,
        "weights": weights,
        "seed": item.seed,
        "precision": context.precision,
        "part_size": artifacts.PART_SIZE,
        **_method_inputs(context, item.estimator),
    }
    return CachedStage(context.cache, "estimate", inputs)


def _method_inputs(context: RunContext, item: WorkItem) -> dict:
    body = {"body": context.body.sha256} if item.implementation.uses_body else {}
    return {"method": item.method, "method_version": item.implementation.version, **body}


def score_stage(
    context: RunContext,
    item: WorkItem,
    prediction: CachedStage,
    estimate: CachedStage | None,
    metric: str,
) -> CachedStage:
    """The run of one metric on a prediction."""
    judge = discover.load("metrics", metric)
    inputs = {
        "prediction": prediction.key,
        "estimate": estimate and estimate.key,
        "metric": metric,
        "metric_version": judge.version,
        "protocol": judge.protocol(item.metric_context(context)),
        "body": context.body.sha256,
    }
    return CachedStage(context.cache, "score", inputs)
