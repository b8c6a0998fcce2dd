"""The clips that are trained and evaluated on: the built-in data, or a store of the user's."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.contracts import Clips
from benchmark.spec import Profile, UserError
from benchmark.store import hash_lines
from datasets.built_in import FOLDER, make_store, store_path
from datasets.clip_schema import StoreError
from datasets.clip_store import ClipStore
from datasets.embedded import EmbeddedDataset
from datasets.embedded_shots import EmbeddedShots
from datasets.prepare import NUM_FRAMES


@dataclass(frozen=True)
class Data:
    """A prepared clip store and the clips of it that a task uses.

    Attributes:
        path: of the store.
        name: ``built-in``, or the store's folder name.
        sha256: of the store's content.
        num_frames: frames per clip.
        train_ids: clips trained on, in store order.
        test_ids: clips evaluated on, in store order.
        split_rule: how the store was split, in its own words.
        dataset: what all its clips are from, such as ``threedpw``; empty for a mixture.
        with_videos: whether the task shows the clips' videos to methods.
        notes: what a reader of a table must know of the clips, such as who estimated the motion.
        groups: test clip -> the group it belongs to (take, actor, source video: what no split
            separates); clips of one are not independent.
    """

    path: Path
    name: str
    sha256: str
    num_frames: int
    train_ids: tuple[str, ...]
    test_ids: tuple[str, ...]
    split_rule: str
    dataset: str = ""
    with_videos: bool = False
    notes: tuple[str, ...] = ()
    groups: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def inputs(self) -> dict:
        """What identifies the training clips in a cache key."""
        return {"data": self.sha256, "clips": hash_lines(self.train_ids)}

    @property
    def test_inputs(self) -> dict:
        """What identifies the test clips in a cache key."""
        return {"data": self.sha256, "clips": hash_lines(self.test_ids)}

    def group_of(self, clip_id: str) -> str:
        """The group of a test clip; of a clip without one, such as ``pooled``, it is its own."""
        return self.groups.get(clip_id, clip_id)

    def clips(self, ids: Sequence[str]) -> Clips:
        """The clips named, with their videos if the task has any."""
        store = ClipStore.open(self.path)
        ids = list(ids)
        videos, cameras, sources = _videos(store, ids) if self.with_videos else ((), None, ())
        return Clips(
            ids,
            store.channels(ids),
            store.fps(ids),
            store.spaces(ids),
            store.genders(ids),
            self.path,
            videos,
            cameras,
            sources,
        )


def _videos(store: ClipStore, ids: Sequence[str]):
    """Files of the clips named, intrinsics (N, T, 3, 3) and where these are from."""
    import numpy as np

    from datasets.pseudo.input import camera_of

    found = {clip.clip_id: (clip.video, *camera_of(clip)) for clip in store.some(set(ids))}
    videos, cameras, sources = zip(*(found[name] for name in ids), strict=True)
    return videos, np.stack([camera.K for camera in cameras]), sources


def built_in_path(profile: Profile, task: str) -> Path:
    """Where a profile's built-in data is, once it is made: named by what it is made from."""
    return store_path(**_built_in(profile, task))


def make_built_in(profile: Profile, task: str, *, progress: bool = True) -> Path:
    """The profile's built-in store for a task, made if it is not there.

    Raises:
        UserError: it cannot be written.
    """
    try:
        return make_store(
            **_built_in(profile, task), workers=len(os.sched_getaffinity(0)), progress=progress
        )
    except (OSError, StoreError) as error:
        raise UserError(f"the built-in data cannot be made: {error}") from error


def _built_in(profile: Profile, task: str) -> dict:
    """Motions for tokenizers, short shots with pictures of the model's size for video tasks."""
    if task == "tokenizer":
        dataset = EmbeddedDataset(profile.train_sequences, profile.test_sequences)
        return {"dataset": dataset, "num_frames": NUM_FRAMES, "video_size": None}
    model = profile.unimo()
    shots = EmbeddedShots(
        profile.train_shots,
        profile.test_shots,
        shot_frames=model.num_frames,
        image_size=model.width,
    )
    return {"dataset": shots, "num_frames": model.num_frames, "video_size": model.width}


def prepared_path(dataset: str) -> Path:
    """Where the store of a dataset is looked for whose rows a table has, see `Row.dataset`."""
    return FOLDER / dataset


def open_data(
    path: Path,
    *,
    task: str = "tokenizer",
    name: str = "",
    limit: int | None = None,
    splits: Sequence[str] = ("train", "test"),
) -> Data:
    """Check a store and pick its clips.

    Args:
        path: of the store.
        task: what they are for, one of `benchmark.spec.TASKS`.
        name: shown in reports; the folder's name if empty.
        limit: evaluate on this many test clips, evenly spaced over the split; None: on all.
        splits: those that must hold clips, all of them with motion, and with videos for a video
            task.

    Raises:
        UserError: no readable store there, or no usable clips in one of the splits.
    """
    try:
        store = ClipStore.open(path)
    except StoreError as error:
        raise UserError(str(error)) from error
    train, test = store.ids("train"), store.ids("test")
    for split in splits:
        if not store.ids(split):
            raise UserError(
                f"{path} has no {split} clips (it has {_splits(store)}): {_cure(store)}"
            )
    for split in splits:
        bare = store.without_channels(split)
        if bare:
            raise UserError(
                f"{len(bare)} {split} clips of {path} have no SMPL-X motion (first: {bare[0]}): "
                f"estimate it with `python -m datasets.pseudo_gt --store {path} --estimator gvhmr "
                "--out NEW` (--help lists the estimators)"
            )
    with_videos = task != "tokenizer"
    if with_videos:
        for split in splits:
            bare = [name for name in store.ids(split) if not store.has_video(name)]
            if bare:
                raise UserError(
                    f"{len(bare)} {split} clips of {path} have no video (first: {bare[0]}), which "
                    f"{task} needs: prepare a dataset that has pictures"
                )
    if limit is not None and limit < len(test):
        test = [test[i * len(test) // limit] for i in range(limit)]
    return Data(
        path=Path(path),
        name=name or Path(path).resolve().name,
        sha256=store.sha256,
        num_frames=store.num_frames,
        train_ids=tuple(train),
        test_ids=tuple(test),
        split_rule=str(store.manifest.get("split_rule", "")),
        dataset=store.dataset,
        with_videos=with_videos,
        notes=tuple(f"Data: {note}." for note in store.manifest.get("notes", [])),
        groups=_groups(store, test),
    )


def _groups(store: ClipStore, ids: Sequence[str]) -> dict[str, str]:
    names = zip(
        *(store.index.column(name).to_pylist() for name in ("dataset", "group")), strict=True
    )
    every = dict(zip(store.clip_ids, map("/".join, names), strict=True))
    return {name: every[name] for name in ids}


def _cure(store: ClipStore) -> str:
    if store.manifest.get("split"):
        return "prepare it without --split, so that it holds both train and test"
    return "prepare it from more recordings, so that some can be held out"


def _splits(store: ClipStore) -> str:
    counts = store.manifest.get("splits", {})
    return ", ".join(f"{number} {split}" for split, number in counts.items())
