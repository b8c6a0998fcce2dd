"""Does the stages of a work item that the cache lacks; `benchmark.runs.chain` has the keys."""

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmark import discover
from benchmark.api.clips import Clips, Prediction
from benchmark.api.errors import Unavailable
from benchmark.api.method import Method, Progress
from benchmark.api.metric import Evaluation
from benchmark.api.paths import display_path
from benchmark.runs import artifacts, chain
from benchmark.runs.cache import CachedStage, StageRecord, say
from benchmark.runs.checkpoints import Checkpoint
from benchmark.runs.enhancement import enhanced
from benchmark.runs.work_item import RunContext, WorkItem
from datasets.tools.files import fits_own_sha256, read_json, sha256_of


def perform(context: RunContext, item: WorkItem, *, progress: Progress) -> None:
    """Do the stages of a work item that are missing; a killed call goes on where it was.

    Raises:
        Exception: whatever a stage raised; the reason is kept in the stage's ``error.json``.
    """
    weights = item.weights or trained_weights(context, item, progress=progress)
    system = _System(context, item, weights, item.weights_sha256(weights))
    prediction = chain.predict_stage(context, item, system.sha256)

    def predict() -> Mapping[str, object]:
        facts = item.implementation.facts(weights)
        system.require_same()
        clips = item.data.clips(item.data.test_ids)
        return {"facts": facts, "failed": system.predict(clips, prediction.folder, progress)}

    with _released(item.implementation, context.device):
        prediction.finish(predict, device=context.device)
    output = enhanced(context, item, prediction, progress=progress)
    estimate: CachedStage | None = None
    errors: list[Exception] = []
    try:
        estimate = _estimated(context, item, output, progress)
    except Exception as error:  # what needs no estimate is scored all the same
        errors.append(error)
    for metric in item.metrics:
        needed = chain.needs_estimate(item, prediction, metric)
        if needed and estimate is None:
            continue
        seen = estimate if needed else None
        stage = chain.score_stage(context, item, output, seen, metric)
        score = functools.partial(_score, context, item, output, seen, stage, progress)
        try:
            stage.finish(score, device="cpu")
        except Exception as error:  # the others are scored all the same
            errors.append(error)
    if errors:
        raise errors[0]


@contextlib.contextmanager
def _released(method: Method, device: str) -> Iterator[None]:
    """Free what a method keeps at the end: the next stage may need the whole GPU."""
    try:
        yield
    finally:
        method.release()
        if device == "cuda":
            import torch

            torch.cuda.empty_cache()


@dataclasses.dataclass(frozen=True)
class _System:
    """A method with weights.

    Attributes:
        context: of the run.
        item: whose method it is.
        weights: their file.
        sha256: their identity, of which the key of all that is predicted is made.
    """

    context: RunContext
    item: WorkItem
    weights: Path
    sha256: str

    def require_same(self) -> None:
        """Refuse weights that were replaced after their identity was taken.

        Raises:
            ValueError: they were; nothing that they made is kept.
        """
        if self.item.weights_sha256(self.weights) != self.sha256:
            raise ValueError(
                f"{self.weights} was replaced while it was measured: run the same command again"
            )

    def predict(self, clips: Clips, folder: Path, progress: Progress) -> dict[str, str]:
        """Write the parts that are not there yet; returns clip id -> reason, of those that failed.

        Raises:
            ValueError: the weights were replaced meanwhile.
            RuntimeError: it crashed on some clips; the others are written.
        """
        method, device = self.item.implementation, self.context.device
        pixels = {"pixels": self.item.pixels} if self.item.pixels else {}
        finished, crashed = artifacts.finished_clips(folder), dict[str, str]()
        for number, start in enumerate(range(0, len(clips.ids), artifacts.PART_SIZE)):
            end = min(start + artifacts.PART_SIZE, len(clips.ids))
            rows = [row for row in range(start, end) if clips.ids[row] not in finished]
            if rows:
                batch = clips[rows]
                made = method.predict(
                    self.weights, batch, device=device, seed=self.item.seed, **pixels
                )
                artifacts.write_videos(folder, rows, made.videos, batch.fps.tolist())
                # After the last of them was read: none may be another's.
                made = dataclasses.replace(made, failed={**batch.video_faults(), **made.failed})
                self.require_same()
                crashed |= made.crashed
                pairs = zip(batch.ids, rows, strict=True)
                if done := [row for name, row in pairs if name not in made.crashed]:
                    path = artifacts.new_part_path(folder, number)
                    artifacts.write_predictions(path, batch.ids, made)
                    artifacts.finish_part(path, done)
            progress("predict", end, len(clips.ids))
        artifacts.require_none_crashed(crashed, self.item.method, len(clips.ids))
        return dict(artifacts.read_predictions(folder, clips.ids).failed)


def trained_weights(context: RunContext, item: WorkItem, *, progress: Progress) -> Path:
    """Return the weights of a work item's training, after training if it is not done."""
    base, sha256 = None, None
    if item.base is not None:
        base = item.base.weights or trained_weights(context, item.base, progress=progress)
        sha256 = item.base.weights_sha256(base)
    stage = chain.train_stage(context, item, sha256)
    train = functools.partial(_train, context, item, stage.folder, base, progress)
    record = stage.finish(train, device=context.device)
    return stage.folder / record.weights


def _train(
    context: RunContext, item: WorkItem, folder: Path, base: Path | None, progress: Progress
) -> Mapping[str, object]:
    _remove_damaged(folder)
    weights = item.implementation.train(
        dict(item.training_spec),
        item.data,
        folder,
        device=context.device,
        progress=progress,
        **({"base": base} if base else {}),
    )
    trained = Checkpoint.read(weights)
    return {
        "weights": weights.name,
        "weights_sha256": item.weights_sha256(weights),
        "skipped_clips": trained.training.get("skipped_clips"),
        **(_gpu() if context.device == "cuda" else {}),
    }


def _remove_damaged(folder: Path) -> None:
    """Remove, and say, the damaged checkpoints of a training that was stopped at its very end."""
    for weights in sorted(folder.glob("*.safetensors")):
        sidecar = weights.with_suffix(".json")
        if not sidecar.exists():
            continue
        known, found = read_json(sidecar), sha256_of(weights)
        if known is None or not fits_own_sha256(known) or known.get("sha256", found) != found:
            say(f"{display_path(weights)} or its .json is damaged: it is made again")
            weights.unlink()
            sidecar.unlink()


def _estimated(
    context: RunContext, item: WorkItem, prediction: CachedStage, progress: Progress
) -> CachedStage | None:
    """Estimate the motion in the generated videos; None if the task has no estimator."""
    estimator = item.estimator
    if estimator is None:
        return None
    weights = estimator.weights or trained_weights(context, estimator, progress=progress)
    system = _System(context, estimator, weights, estimator.weights_sha256(weights))
    stage = chain.estimate_stage(context, item, estimator, prediction, system.sha256)

    def estimate() -> Mapping[str, object]:
        clips = item.data.clips(item.data.test_ids)
        failed = _finished(prediction).failed
        rows = [row for row, name in enumerate(clips.ids) if name not in failed]
        videos = artifacts.videos(prediction.folder, len(clips.ids))
        seen = dataclasses.replace(clips, videos=videos, video_sha256=())[rows]
        return {"failed": system.predict(seen, stage.folder, progress)}

    with _released(estimator.implementation, context.device):
        stage.finish(estimate, device=context.device)
    return stage


def _finished(stage: CachedStage) -> StageRecord:
    record = stage.record()
    if record is None:
        raise ValueError(f"{stage.folder} was removed meanwhile: run the same command again")
    return record


def _score(
    context: RunContext,
    item: WorkItem,
    prediction: CachedStage,
    estimate: CachedStage | None,
    stage: CachedStage,
    progress: Progress,
) -> Mapping[str, object]:
    """Write the scores; that a column has none, and why, is a result, too.

    Args:
        context: of the run.
        item: what is scored.
        prediction: of the item.
        estimate: of its videos; None for a metric that needs none.
        stage: of the scores.
        progress: see `benchmark.api.method.Progress`.
    """
    metric = discover.load("metrics", stage.inputs["metric"])
    try:
        if unseen := _unseen(item, prediction, estimate):
            raise Unavailable(unseen)
        evaluation = _evaluation(context, item, prediction, estimate)
        scores = metric.score(evaluation, progress=progress)
        absent = metric.absent(evaluation)
    except Unavailable as error:
        scores, absent = [], dict.fromkeys(metric.columns, str(error))
    artifacts.write_scores(stage.folder / "scores.parquet", scores)
    return {"absent": absent}


def _unseen(item: WorkItem, prediction: CachedStage, estimate: CachedStage | None) -> str:
    """The reason that no estimate is left, if the estimator failed on every clip; else ""."""
    if estimate is None:
        return ""
    failed, unseen = _finished(prediction).failed, _finished(estimate).failed
    whole = unseen and len(failed.keys() | unseen.keys()) == len(item.data.test_ids)
    return f"the estimator failed: {_all_failed(unseen)}" if whole else ""


def _evaluation(
    context: RunContext,
    item: WorkItem,
    prediction: CachedStage,
    estimate: CachedStage | None,
) -> Evaluation:
    """Return the clips that neither the system nor the estimator failed on, with its output.

    Without an estimate, there is no motion that is seen in generated videos.

    Raises:
        ValueError: a damaged prediction, which is removed; or no clip is left.
    """
    clips = item.data.clips(item.data.test_ids)
    predicted = _finished(prediction)
    failed = dict(predicted.failed)
    if estimate is not None:
        failed |= _finished(estimate).failed
    rows = [row for row, name in enumerate(clips.ids) if name not in failed]
    if not rows:
        raise ValueError(_all_failed(failed))
    left = clips[rows]
    output = _read(prediction, left.ids)
    motion: np.ndarray | None = output.channels
    truth: np.ndarray | None = left.channels
    videos: Sequence[Path] = ()
    if item.task == "i2vm":
        every = artifacts.videos(prediction.folder, len(clips.ids))
        videos = [every[row] for row in rows]
        truth = _read(estimate, left.ids).channels if estimate is not None else None
        # A system that generates videos alone has the motion that the estimator sees in them, and
        # none of its own to compare with it.
        if motion is None:
            motion, truth = truth, None
    codes = predicted.facts.get("codebook_size")
    return Evaluation(
        context=item.metric_context(context),
        clips=left,
        motion=motion,
        truth=truth,
        tokens=output.tokens,
        videos=videos,
        codebook_size=None if codes is None else int(codes),
    )


def _all_failed(failed: Mapping[str, str]) -> str:
    clip, reason = next(iter(failed.items()))
    return f"all {len(failed)} clips failed (--retry tries them again), as {clip}: {reason}"


def _read(stage: CachedStage, ids: Sequence[str]) -> Prediction:
    try:
        return artifacts.read_predictions(stage.folder, ids)
    except ValueError as error:
        stage.discard()
        raise ValueError(f"{error}; it is removed now: run the same command again") from error


def _gpu() -> Mapping[str, object]:
    """Name of the GPU and the most of its memory that was held."""
    import torch

    memory = round(torch.cuda.max_memory_allocated() / 2**20)
    return {"gpu": torch.cuda.get_device_name(), "gpu_memory_mb": memory}
