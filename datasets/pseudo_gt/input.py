"""The input of an estimator: clips of a store without their labels."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from datasets.estimators import ClipVideo
from datasets.pseudo_gt.shards import Shard
from datasets.pseudo_gt.worker import Request, ShardTask
from datasets.sequence import Clip, camera_of
from datasets.store.reader import ClipStore
from datasets.store.schema import FolderError

K_RULE = (
    "the dataset's intrinsics of the clip's video; where it has none, a focal length of "
    "sqrt(width^2 + height^2) of the dataset's picture and its centre, moved onto the video"
)


# Statuses of the clips that `select` leaves out: no estimator can change them.
LEFT_OUT = ("no_video", "multi_person")


def select(
    source: ClipStore, split: str | None, limit: int | None
) -> tuple[list[str], dict[str, tuple[str, str]]]:
    """Ids of the clips of a job in store order, and the status and reason of those left out.

    Estimators follow one person of a video, the largest or the one in the middle. Where others are
    annotated in it, that need not be the person of the clip. `num_people` 0 means that nobody knows
    how many there are; such a clip is estimated.

    Raises:
        FolderError: there is nothing to estimate.
    """
    clip_ids = (source.clip_ids if split is None else source.ids(split))[:limit]
    if not clip_ids:
        raise FolderError(f"{source.path} has no clip in the {split} split")
    videos, people = _column(source, "video_path"), _column(source, "num_people")
    left_out = {}
    for name in clip_ids:
        if not videos[name]:
            left_out[name] = "no_video", "it has no video"
        elif people[name] > 1:
            left_out[name] = "multi_person", f"{people[name]} people are annotated in its video"
    if len(left_out) == len(clip_ids):
        lacking = "no videos" if not any(map(videos.get, clip_ids)) else "no videos of one person"
        raise FolderError(
            f"{source.path} has {lacking} to estimate motion from: prepare a dataset that has them"
        )
    return clip_ids, left_out


def tasks(source: ClipStore, shards: Iterable[Shard], work: Path) -> Iterator[ShardTask]:
    """Yield the input of workers as they ask for it; `shards` are in store order."""
    digests = _column(source, "video_sha256")
    clips = iter(source)  # by id, every clip would read its whole row group
    for shard in shards:
        requests = []
        for name in shard.clip_ids:
            clip = next(clip for clip in clips if clip.clip_id == name)
            requests.append(Request(_clip_video(clip), digests[name]))
        yield ShardTask(shard, requests, work.resolve())


def _clip_video(clip: Clip) -> ClipVideo:
    assert clip.video is not None, "others are left out"
    camera, K_source = camera_of(clip)
    return ClipVideo(
        clip_id=clip.clip_id,
        video=clip.video.resolve(),
        K=camera.K,
        K_source=K_source,
        fps=clip.fps,
        static_camera=None if clip.view is None else clip.view.is_static,
    )


def _column(source: ClipStore, name: str) -> dict:
    return dict(zip(source.clip_ids, source.index.column(name).to_pylist(), strict=True))
