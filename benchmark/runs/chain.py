"""A row's chain of stages: train, predict, (estimate,) score; each cached under its inputs' hash.

`lookup` answers from the cache and loads no model; `benchmark.runs.stages` does what is missing. A
key names the contents that a result depends on: settings, seed, clips, weights, arithmetic,
versions. It never names a path, a table, a row or a number of processes: rows of different tables
that mean the same run share it.

Videos that a system generates have no true motion. What stands for it is what an estimator sees in
them: the stage ``estimate``, by a method that does ``v2m`` and has a training of its own. In rows
that show SeedVR's videos the stage ``enhance`` comes before it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from benchmark import discover
from benchmark.api.metric import Score
from benchmark.runs import artifacts
from benchmark.runs.cache import CachedStage, Failure, StageRecord
from benchmark.runs.work_item import RunContext, WorkItem

_ESTIMATE = ("train estimator", "estimate")  # the stages that lead to an estimate
TRAIN_BASE = "train base"  # the stage that does the training which another builds on


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The contents of the cache for a work item.

    Attributes:
        stages: name (``train``, ``predict``, ``score pose`` …) -> stage, in order; of stages that
            follow one that is missing, the keys are not known yet, and they are not here.
        records: name -> ``run.json``, of the stages that are done.
        scores: metric -> its scores, of the metrics whose stage is done.
        absent: column -> why it has no value here.
    """

    stages: Mapping[str, CachedStage]
    records: Mapping[str, StageRecord]
    scores: Mapping[str, list[Score]]
    absent: Mapping[str, str]

    @property
    def facts(self) -> Mapping[str, float]:
        """Numbers of the trained model; empty before the prediction is done."""
        predicted = self.records.get("predict")
        return predicted.facts if predicted else {}

    @property
    def missing(self) -> list[str]:
        """Names of the stages to be done, as far as they are known."""
        return [name for name in self.stages if name not in self.records]

    def failure(self, column: str) -> Failure | None:
        """The reason that the last attempt at a column failed, or None."""
        metrics = [name.partition(" ")[2] for name in self.stages if name.startswith("score ")]
        own = {
            f"score {name}" for name in metrics if column in discover.load("metrics", name).columns
        }
        before = [name for name in self.missing if not name.startswith("score ")]
        # Of scores that are not known yet, the reason is that of what comes before them.
        failures = (self.stages[name].failure() for name in own or before)
        return next(filter(None, failures), None)

    @property
    def unseen(self) -> Mapping[str, str]:
        """Clip id -> error message, for clips with a prediction in which no motion is seen."""
        estimated = self.records.get("estimate")
        return estimated.failed if estimated else {}

    @property
    def failed(self) -> dict[str, str]:
        """Clip id -> error message, for clips without a prediction or an estimate."""
        names = ("predict", "enhance", "estimate")
        found = [self.records[name] for name in names if name in self.records]
        return {clip: reason for record in found for clip, reason in record.failed.items()}

    def left_out(self, metric: str) -> frozenset[str]:
        """The test clips that are in no score of a metric, since something before it failed."""
        estimated = self.stages[f"score {metric}"].inputs.get("estimate")
        return frozenset(self.failed) - (frozenset() if estimated else frozenset(self.unseen))

    def for_metrics(self, metrics: Collection[str]) -> "Outcome":
        """The same without the stages and scores of other metrics."""
        left = {name for name in self.stages if name.partition(" ")[0] != "score"}
        left |= {f"score {metric}" for metric in metrics}
        return Outcome(
            stages={name: stage for name, stage in self.stages.items() if name in left},
            records={name: record for name, record in self.records.items() if name in left},
            scores={name: scores for name, scores in self.scores.items() if name in metrics},
            absent=self.absent,
        )


def lookup(context: RunContext, item: WorkItem) -> Outcome:
    """Follow a work item's stages through the cache, as far as their keys are known.

    Those after a stage that is missing are not, except scores that need no estimate.
    """
    stages: dict[str, CachedStage] = {}
    records: dict[str, StageRecord] = {}
    scores: dict[str, list[Score]] = {}
    reasons: dict[str, list[str]] = {}
    for name in _stage_names(item):
        kind, _, metric = name.partition(" ")
        unknown = any(part in stages and part not in records for part in _ESTIMATE)
        if unknown and (name in _ESTIMATE or needs_estimate(item, stages["predict"], metric)):
            continue
        stages[name] = stage = _stage(context, item, name, stages, records)
        record = stage.record()
        if kind == "score":
            missing = discover.load("metrics", metric).missing(item.metric_context(context))
            _add(reasons, missing)
            scored = _scores(stage) if record is not None else None
            if record is None or scored is None:
                continue
            scores[metric] = scored
            _add(reasons, record.absent)
        elif record is None:
            if name in _ESTIMATE:
                continue
            break
        records[name] = record
    absent = {column: "; ".join(dict.fromkeys(why)) for column, why in reasons.items()}
    return Outcome(stages=stages, records=records, scores=scores, absent=absent)


def _stage_names(item: WorkItem) -> list[str]:
    names = ["predict"] if item.weights else ["train", "predict"]
    if item.base is not None and item.base.weights is None:
        names.insert(0, TRAIN_BASE)
    if item.enhancer:
        names.append("enhance")
    if item.estimator is not None:
        names += ["estimate"] if item.estimator.weights else ["train estimator", "estimate"]
    return [*names, *(f"score {metric}" for metric in item.metrics)]


def _stage(
    context: RunContext,
    item: WorkItem,
    name: str,
    stages: Mapping[str, CachedStage],
    records: Mapping[str, StageRecord],
) -> CachedStage:
    """The stage of that name, given the stages before it and their records."""

    def weights(of: WorkItem, training: str) -> str:
        return of.weights_sha256(of.weights) if of.weights else records[training].weights_sha256

    kind, _, metric = name.partition(" ")
    if name == "predict":
        return predict_stage(context, item, weights(item, "train"))
    if name == "enhance":
        return enhance_stage(context, item, stages["predict"])
    if kind == "score":
        needed = needs_estimate(item, stages["predict"], metric)
        output = stages.get("enhance") or stages["predict"]
        return score_stage(context, item, output, stages["estimate"] if needed else None, metric)
    if name == TRAIN_BASE and item.base is not None:
        return train_stage(context, item.base)
    if name == "train" or item.estimator is None:
        base = None if item.base is None else weights(item.base, TRAIN_BASE)
        return train_stage(context, item, base)
    if name == "train estimator":
        return train_stage(context, item.estimator)
    learned = weights(item.estimator, "train estimator")
    output = stages.get("enhance") or stages["predict"]
    return estimate_stage(context, item, item.estimator, output, learned)


def needs_estimate(item: WorkItem, prediction: CachedStage, metric: str) -> bool:
    """True if a metric of a work item takes the motion that its estimator sees in its videos."""
    if item.estimator is None:
        return False
    has_motion = artifacts.has_motion(prediction.folder)
    return discover.load("metrics", metric).needs_estimate(has_motion=has_motion)


def _scores(stage: CachedStage) -> list[Score] | None:
    """Scores of a stage that is done; None if their file is damaged, which is then removed."""
    try:
        return artifacts.read_scores(stage.folder / "scores.parquet")
    except ValueError:
        stage.discard()
        return None


def _add(reasons: dict[str, list[str]], further: Mapping[str, str]) -> None:
    for column, reason in further.items():
        reasons.setdefault(column, []).append(reason)


def train_stage(context: RunContext, item: WorkItem, base: str | None = None) -> CachedStage:
    """The training of a work item, that builds on weights of the sha256 `base` if on any."""
    inputs = {
        "settings": item.training_spec,
        "precision": context.precision,
        **_method_inputs(context, item),
        **item.data.inputs,
        **({"base": base} if base else {}),
    }
    return CachedStage(context.cache, "train", inputs)


def predict_stage(context: RunContext, item: WorkItem, weights: str) -> CachedStage:
    """The prediction of a work item, with weights of this sha256."""
    inputs = {
        "task": item.task,
        "weights": weights,
        "seed": item.seed,
        "precision": context.precision,
        "part_size": artifacts.PART_SIZE,
        **_method_inputs(context, item),
        **item.data.test_inputs,
        **({"pixels": item.pixels} if item.pixels else {}),
    }
    return CachedStage(context.cache, "predict", inputs)


def enhance_stage(context: RunContext, item: WorkItem, prediction: CachedStage) -> CachedStage:
    """The prediction of a work item, its videos enhanced."""
    inputs = {"prediction": prediction.key, "enhancer": item.enhancer, "seed": item.seed}
    return CachedStage(context.cache, "enhance", inputs)


def estimate_stage(
    context: RunContext,
    item: WorkItem,
    estimator: WorkItem,
    prediction: CachedStage,
    weights: str,
) -> CachedStage:
    """The motion that an estimator sees in predicted videos, with its weights of this sha256."""
    inputs = {
        "prediction": prediction.key,
        "weights": weights,
        "seed": item.seed,
        "precision": context.precision,
        "part_size": artifacts.PART_SIZE,
        **_method_inputs(context, estimator),
    }
    return CachedStage(context.cache, "estimate", inputs)


def _method_inputs(context: RunContext, item: WorkItem) -> dict[str, object]:
    body = {"body": context.body.sha256} if item.implementation.uses_body else {}
    version = {"method": item.method, "method_version": item.implementation.version}
    return {**version, **body, **item.code}


def score_stage(
    context: RunContext,
    item: WorkItem,
    prediction: CachedStage,
    estimate: CachedStage | None,
    metric: str,
) -> CachedStage:
    """The scores of one metric on a prediction; an estimate of those that need one alone."""
    scorer = discover.load("metrics", metric)
    inputs: dict[str, object] = {
        "prediction": prediction.key,
        "estimate": estimate and estimate.key,
        "metric": metric,
        "metric_version": scorer.version,
        "protocol": scorer.protocol(item.metric_context(context)),
        "body": context.body.sha256,
    }
    if code := discover.own_code("metrics", metric):
        inputs["code"] = code
    return CachedStage(context.cache, "score", inputs)
