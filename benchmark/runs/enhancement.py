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
        RuntimeError: it crashed on some videos; the others are written.
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
            finished, crashed = artifacts.finished_clips(stage.folder), dict[str, str]()
            for number, start in enumerate(range(0, len(ids), artifacts.PART_SIZE)):
                end = min(start + artifacts.PART_SIZE, len(ids))
                rows = [row for row in range(start, end) if ids[row] not in finished]
                if rows:
                    path = artifacts.new_part_path(stage.folder, number)
                    crashed |= _write_part(item, rows, prediction.folder, path, session)
                progress("enhance", end, len(ids))
        artifacts.require_none_crashed(crashed, "SeedVR", len(ids))
        return {"failed": dict(artifacts.read_predictions(stage.folder, ids).failed)}

    stage.finish(enhance, device=context.device)
    return stage


def _write_part(
    item: WorkItem, rows: Sequence[int], source: Path, path: Path, session: "SeedVRSession"
) -> dict[str, str]:
    """Write the motions and the enhanced videos of some clips.

    Args:
        item: whose clips they are.
        rows: of the clips among the test clips.
        source: folder of the prediction.
        path: of the part to write.
        session: makes the videos.

    Returns:
        Clip id -> why it has no video, of those at which the tool crashed: they are no result.
    """
    from model.video_tokens.seedvr import EnhanceError

    count, ids = max(rows) + 1, [item.data.test_ids[row] for row in rows]
    made = artifacts.read_predictions(source, ids)
    failed, crashed = dict(made.failed), dict[str, str]()
    befores, afters = (artifacts.videos(folder, count) for folder in (source, path.parent))
    afters[0].parent.mkdir(parents=True, exist_ok=True)
    for row, name in zip(rows, ids, strict=True):
        if name in failed:
            continue
        try:
            found = probe(befores[row])
            size = (found.height, found.width)
            session.enhance(befores[row], afters[row], size=size, seed=item.seed)
        except VideoError as error:
            failed[name] = str(error)
        except EnhanceError as error:
            crashed[name] = str(error)
    if done := [row for name, row in zip(ids, rows, strict=True) if name not in crashed]:
        made = dataclasses.replace(made, failed=failed, crashed=crashed)
        artifacts.write_predictions(path, ids, made)
        artifacts.finish_part(path, done)
    return crashed
