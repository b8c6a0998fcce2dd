"""The clips to train and evaluate on: the built-in data, or a store of the user."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmark.api.clips import Data
from benchmark.api.errors import UserError
from benchmark.api.profile import Profile
from datasets.adapters.embedded import EmbeddedDataset
from datasets.adapters.embedded_shots import EmbeddedShots
from datasets.bodies.smplx_file import BodyFile
from datasets.prepare.built_in import FOLDER, make_store, store_path
from datasets.prepare.options import NUM_FRAMES
from datasets.store.joined import open_stores
from datasets.store.manifest import read_manifest
from datasets.store.reader import ClipStore
from datasets.store.schema import StoreError


def built_in_path(profile: Profile, task: str) -> Path:
    """Return the folder of a profile's built-in data, named by what it is made from."""
    return store_path(**_built_in(profile, task))


def make_built_in(profile: Profile, task: str, *, progress: bool = True) -> Path:
    """Return the profile's built-in store for a task, after making it if it is not there.

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
    """Arguments of `make_store`: motions for tokenizers, short shots with video for other tasks."""
    if task == "tokenizer":
        dataset = EmbeddedDataset(profile.train_sequences, profile.test_sequences)
        return {"dataset": dataset, "num_frames": NUM_FRAMES, "video_size": None}
    model = profile.unimo
    shots = EmbeddedShots(
        profile.train_shots,
        profile.test_shots,
        shot_frames=model.num_frames,
        image_size=model.width,
    )
    return {"dataset": shots, "num_frames": model.num_frames, "video_size": model.width}


def prepared_path(dataset: str) -> Path:
    """Default folder of a prepared dataset: ``data/<dataset>``."""
    return FOLDER / dataset


def open_data(
    path: Path,
    *,
    train: Sequence[Path] = (),
    task: str = "tokenizer",
    name: str = "",
    limit: int | None = None,
    splits: Sequence[str] = ("train", "test"),
) -> Data:
    """Check stores and pick their clips.

    Args:
        path: of the store with the test clips.
        train: stores with the training clips; none: `path` has them, too.
        task: what they are for, one of `benchmark.api.table.TASKS`.
        name: to display in reports; the folder's name if empty.
        limit: evaluate on this many test clips, evenly spaced over the split; None: on all.
        splits: that must hold clips. Each clip needs a motion and, for a video task, a video.

    Raises:
        UserError: no readable store there, no usable clips in one of the splits, or test clips
            that are of a take of the training clips.
    """
    try:
        store = ClipStore.open(path)
        learned = [ClipStore.open(one) for one in train] or [store]
        train_ids = open_stores(train).ids("train") if train else store.ids("train")
    except StoreError as error:
        raise UserError(str(error)) from error
    for split in splits:
        for one in learned if split == "train" else [store]:
            _require_clips(one, split, task)
    test = store.ids("test")
    require_apart(learned, store)
    if limit is not None and limit < len(test):
        test = [test[i * len(test) // limit] for i in range(limit)]
    found = {
        float(fps)
        for one, split in [*((one, "train") for one in learned), (store, "test")]
        for fps in one.fps(test if split == "test" else one.ids(split))
    }
    rates = tuple(sorted(found))
    facts = {one.path: one.manifest.get("notes", []) for one in (*learned, store)}
    groups = _groups(store, test)
    return Data(
        path=Path(path),
        name=name or Path(path).resolve().name,
        sha256=store.sha256,
        train_paths=tuple(train),
        train_names=tuple(one.resolve().name for one in train),
        train_sha256=tuple(one.sha256 for one in learned) if train else (),
        num_frames=store.num_frames,
        train_ids=tuple(train_ids),
        test_ids=tuple(test),
        split_rule=str(store.manifest.get("split_rule", "")),
        dataset=store.dataset,
        with_videos=task != "tokenizer",
        notes=(
            *(f"Data: {note}." for notes in facts.values() for note in notes),
            *_mixture(rates),
        ),
        groups=groups,
        rates=rates,
        test_rates=Counter(round(float(fps), 3) for fps in store.fps(test)),
        test_datasets=Counter(group.partition("/")[0] for group in groups.values()),
    )


def _require_clips(store: ClipStore, split: str, task: str) -> None:
    """Refuse a store without clips in a split, or with some that do not serve the task.

    Raises:
        UserError: it is one.
    """
    path, ids = store.path, store.ids(split)
    if not ids:
        raise UserError(f"{path} has no {split} clips (it has {_splits(store)}): {_cure(store)}")
    if bare := store.without_channels(split):
        raise UserError(
            f"{len(bare)} {split} clips of {path} have no SMPL-X motion (first: {bare[0]}): "
            f"estimate it with `python -m datasets.pseudo_gt --store {path} --estimator gvhmr "
            "--out NEW` (--help lists the estimators)"
        )
    bare = [name for name in ids if not store.has_video(name)] if task != "tokenizer" else []
    if bare:
        raise UserError(
            f"{len(bare)} {split} clips of {path} have no video (first: {bare[0]}), which "
            f"{task} needs: prepare a dataset that has pictures"
        )


def require_apart(learned: Sequence[ClipStore], test: ClipStore) -> None:
    """Refuse test clips of a take that training clips of another store are of.

    Raises:
        UserError: there are some.
    """
    tested = set(_groups(test, test.ids("test")).values())
    for store in learned:
        if store.path == test.path:
            continue
        if store.num_frames != test.num_frames:
            raise UserError(
                f"{store.path} has clips of {store.num_frames} frames, {test.path} of "
                f"{test.num_frames}: prepare both with the same --frames"
            )
        trained = set(_groups(store, store.ids("train")).values())
        if both := sorted(trained & tested):
            raise UserError(
                f"{len(both)} takes are in the training clips of {store.path} and in the test "
                f"clips of {test.path} (first: {both[0]}): what is tested on must not be trained on"
            )


def _mixture(rates: Sequence[float]) -> list[str]:
    """A note where clips have several rates (as `model.training.clip_facts` counts them)."""
    if len(rates) < 2 or rates[-1] <= 1.01 * rates[0]:
        return []
    return [
        f"Data: takes of {rates[0]:g} to {rates[-1]:g} frames per second in one store: clips last "
        "differently long, and measures of speed mix them. Prepare it again with --fps."
    ]


def _groups(store: ClipStore, ids: Sequence[str]) -> dict[str, str]:
    names = zip(
        *(store.index.column(name).to_pylist() for name in ("dataset", "group")), strict=True
    )
    every = dict(zip(store.clip_ids, map("/".join, names), strict=True))
    return {name: every[name] for name in ids}


def _cure(store: ClipStore) -> str:
    if not store.ids("train"):
        return "give it with --test, and a store to train on with --data"
    if store.manifest.get("split"):
        return "prepare it without --split, so that it holds both train and test"
    return "prepare it from more recordings, so that some can be held out"


def _splits(store: ClipStore) -> str:
    counts = store.manifest.get("splits", {})
    return ", ".join(f"{number} {split}" for split, number in counts.items())


def require_body(path: Path, body: BodyFile) -> None:
    """Refuse a store that was prepared with another body than that of the evaluation.

    The position of the pelvis depends on the body: labels of another body are displaced.

    Raises:
        UserError: the store's body is another.
    """
    made_with = read_manifest(path).get("body")
    if not isinstance(made_with, dict) or made_with.get("sha256") in (None, body.sha256):
        return
    raise UserError(
        f"{path} was prepared with the body {made_with.get('name')} "
        f"{str(made_with['sha256'])[:12]}, the evaluation is on {body.name} {body.sha256[:12]}: "
        "give that body with --body, or prepare the store again with this one"
    )
