"""The stage ``enhance``: a prediction's videos after SeedVR, beside the same motions."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.api.errors import Unavailable
from benchmark.api.method import Progress
from benchmark.runs import artifacts, chain
from benchmark.runs.cache import CachedStage
from benchmark.runs.work_item import RunContext, WorkItem
from datasets.video.probe import VideoError, probe

if TYPE_CHECKING:
    from model.video_tokens.seedvr import SeedVRSession


def enhanced(
    context: RunContext, item: WorkItem, prediction: CachedStage, *, progress: Progress
) -> CachedStage:
    """Return the prediction with its videos enhanced; itself where the row has them as they are.

    Raises:
        Unavailable: the installation is not the one that the stage is named by.
        EnhanceError: it does not start.
    """
    if not item.enhancer:
        return prediction
    stage = chain.enhance_stage(context, item, prediction)

    def enhance() -> Mapping[str, object]:
        from model.video_tokens.seedvr import SeedVR

        tool = SeedVR.installed()
        if tool is None or tool.identity() != item.enhancer:
            raise Unavailable("SeedVR's installation was changed: run the same command again")
        ids = item.data.test_ids
        with tool.start(context.device) as session:
            finished = artifacts.finished_clips(stage.folder)
            for start in range(0, len(ids), artifacts.PART_SIZE):
                rows = range(start, min(start + artifacts.PART_SIZE, len(ids)))
                if not finished.issuperset(ids[start : rows.stop]):
                    _write_part(item, rows, prediction.folder, stage.folder, session)
                progress("enhance", rows.stop, len(ids))
        return {"failed": dict(artifacts.read_predictions(stage.folder, ids).failed)}

    stage.finish(enhance, device=context.device)
    return stage


def _write_part(
    item: WorkItem, rows: range, source: Path, target: Path, session: "SeedVRSession"
) -> None:
    """Write the motions and the enhanced videos of some clips; a video that fails fails alone."""
    from model.video_tokens.seedvr import EnhanceError

    ids: Sequence[str] = item.data.test_ids[rows.start : rows.stop]
    made = artifacts.read_predictions(source, ids)
    failed = dict(made.failed)
    befores, afters = (artifacts.videos(folder, rows.stop) for folder in (source, target))
    afters[rows.start].parent.mkdir(parents=True, exist_ok=True)
    for row, name in zip(rows, ids, strict=True):
        if name in failed:
            continue
        try:
            found = probe(befores[row])
            size = (found.height, found.width)
            session.enhance(befores[row], afters[row], size=size, seed=item.seed)
        except (EnhanceError, VideoError) as error:
            failed[name] = str(error)
    path = artifacts.part_path(target, rows.start // artifacts.PART_SIZE)
    artifacts.write_predictions(path, ids, dataclasses.replace(made, failed=failed))
    artifacts.finish_part(path, rows)
