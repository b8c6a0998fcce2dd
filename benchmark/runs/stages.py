"""Does the stages of a work item that the cache lacks; `benchmark.runs.chain` has the keys."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from benchmark import discover
from benchmark.api.clips import Clips, Prediction
from benchmark.api.errors import Unavailable
from benchmark.api.method import Progress
from benchmark.api.metric import Evaluation
from benchmark.runs import artifacts, chain
from benchmark.runs.cache import CachedStage
from benchmark.runs.checkpoints import training_of, weights_sha256
from benchmark.runs.work_item import RunContext, WorkItem
from datasets.tools.files import locked


def perform(context: RunContext, item: WorkItem, *, progress: Progress) -> None:
    """Do what is missing of a work item's chain. A killed call goes on where it was.

    Raises:
        Exception: whatever a stage raised; the reason is kept in the stage's ``error.json``.
    """
    weights = item.weights or trained_weights(context, item, progress=progress)
    prediction = chain.predict_stage(context, item, weights_sha256(weights))

    def predict(facts: dict) -> None:
        facts["facts"] = item.implementation.facts(weights)
        clips = item.data.clips(item.data.test_ids)
        facts["failed"] = _predict(context, item, weights, clips, prediction.folder, progress)

    _once(prediction, context.device, predict)
    estimate = None
    if item.estimator is not None:
        learned = item.estimator.weights or trained_weights(
            context, item.estimator, progress=progress
        )
        estimate = chain.estimate_stage(context, item, prediction, weights_sha256(learned))
        _once(
            estimate,
            context.device,
            lambda facts: facts.update(
                failed=_estimate(context, item, learned, prediction, estimate, progress)
            ),
        )
    errors = []
    for metric in item.metrics:
        run = chain.score_stage(context, item, prediction, estimate, metric)
        try:
            _once(
                run,
                "cpu",
                lambda facts, run=run: facts.update(
                    absent=_score(context, item, prediction, estimate, run, progress)
                ),
            )
        except Exception as error:  # the others are scored all the same
            errors.append(error)
    if errors:
        raise errors[0]


def _once(run: CachedStage, device: str, work: Callable[[dict], None]) -> None:
    """Do the work of a run unless it is done; of several processes, one does it."""
    with locked(run.lock):
        if run.record() is None:
            with run.attempt(device=device) as facts:
                work(facts)


def trained_weights(context: RunContext, item: WorkItem, *, progress: Progress) -> Path:
    """The weights of a work item's training, which is done if it is not.

    Raises:
        ValueError: they are not what was trained any more.
    """
    run = chain.train_stage(context, item)
    _once(run, context.device, lambda facts: _train(context, item, run, facts, progress))
    record = run.record()
    weights = run.folder / record["weights"]
    if not weights.is_file() or weights_sha256(weights) != record["weights_sha256"]:
        run.discard()
        raise ValueError(f"{weights} was damaged and is removed now: run the same command again")
    return weights


def _train(
    context: RunContext, item: WorkItem, run: CachedStage, facts: dict, progress: Progress
) -> None:
    weights = item.implementation.train(
        dict(item.settings), item.data, run.folder, device=context.device, progress=progress
    )
    facts["weights"] = weights.name
    facts["weights_sha256"] = weights_sha256(weights)
    facts["skipped_clips"] = training_of(weights).get("skipped_clips")
    if context.device == "cuda":
        facts["gpu"], facts["gpu_memory_mb"] = _gpu()


def _predict(
    context: RunContext,
    item: WorkItem,
    weights: Path,
    clips: Clips,
    folder: Path,
    progress: Progress,
) -> dict[str, str]:
    """Write the parts that are not there yet; returns clip id -> reason of those that failed."""
    for number, start in enumerate(range(0, len(clips.ids), artifacts.PART_SIZE)):
        path = artifacts.part_path(folder, number)
        piece = slice(start, start + artifacts.PART_SIZE)
        if not path.exists():
            batch = clips[piece]
            made = item.implementation.predict(
                weights, batch, device=context.device, seed=item.seed
            )
            artifacts.write_videos(folder, start, made.videos, batch.fps)
            artifacts.write_predictions(path, batch.ids, made)
        progress("predict", min(piece.stop, len(clips.ids)), len(clips.ids))
    return dict(artifacts.read_predictions(folder, clips.ids).failed)


def _estimate(
    context: RunContext,
    item: WorkItem,
    weights: Path,
    prediction: CachedStage,
    estimate: CachedStage,
    progress: Progress,
) -> dict[str, str]:
    """Write what the estimator sees in the generated videos."""
    clips = item.data.clips(item.data.test_ids)
    failed = prediction.record()["failed"]
    rows = [row for row, name in enumerate(clips.ids) if name not in failed]
    videos = artifacts.videos(prediction.folder, len(clips.ids))
    seen = dataclasses.replace(clips, videos=videos)[rows]
    return _predict(context, item.estimator, weights, seen, estimate.folder, progress)


def _score(
    context: RunContext,
    item: WorkItem,
    prediction: CachedStage,
    estimate: CachedStage | None,
    run: CachedStage,
    progress: Progress,
) -> dict[str, str]:
    """Write the scores; returns column -> why these clips have none, which is a result, too."""
    evaluation = _evaluation(context, item, prediction, estimate)
    metric = discover.load("metrics", run.inputs["metric"])
    absent = metric.absent(evaluation)
    try:
        scores = metric.score(evaluation, progress=progress)
    except Unavailable as error:
        scores, absent = [], dict.fromkeys(metric.columns, str(error))
    artifacts.write_scores(run.folder / "scores.parquet", scores)
    return absent


def _evaluation(
    context: RunContext,
    item: WorkItem,
    prediction: CachedStage,
    estimate: CachedStage | None,
) -> Evaluation:
    """What metrics are given: the clips that neither the system nor the estimator failed on.

    Raises:
        ValueError: a damaged prediction, which is removed; or no clip is left.
    """
    clips = item.data.clips(item.data.test_ids)
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
    if item.task == "i2vm":
        every = artifacts.videos(prediction.folder, len(clips.ids))
        videos = [every[row] for row in rows]
        seen = _read(estimate, left.ids).channels if estimate is not None else None
        # A system that makes videos alone has the motion that is seen in them, and none of its own
        # to compare with it.
        motion, truth = (seen, None) if made.channels is None else (made.channels, seen)
    return Evaluation(
        context=item.metric_context(context),
        clips=left,
        motion=motion,
        truth=truth,
        tokens=made.tokens,
        videos=videos,
        codebook_size=prediction.record()["facts"].get("codebook_size"),
    )


def _read(run: CachedStage, ids: list[str]) -> Prediction:
    try:
        return artifacts.read_predictions(run.folder, ids)
    except ValueError as error:
        run.discard()
        raise ValueError(f"{error}; it is removed now: run the same command again") from error


def _gpu() -> tuple[str, int]:
    """Name of the GPU and the most of its memory that was held, MB."""
    import torch

    return torch.cuda.get_device_name(), round(torch.cuda.max_memory_allocated() / 2**20)
