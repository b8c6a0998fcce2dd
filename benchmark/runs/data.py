"""The clips to train and evaluate on: the built-in data, or a store of the user."""

import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmark.api.clips import Data
from benchmark.api.errors import Unavailable, UserError
from benchmark.api.paths import display_path
from benchmark.api.profile import Profile
from datasets.adapters.embedded import EmbeddedDataset
from datasets.adapters.embedded_shots import EmbeddedShots
from datasets.bodies.smplx_file import BodyFile, find_body
from datasets.prepare.built_in import FOLDER, make_store, store_path
from datasets.prepare.options import NUM_FRAMES
from datasets.store.manifest import read_manifest
from datasets.store.reader import ClipStore
from datasets.store.schema import StoreError
from datasets.video.probe import VideoError, probe


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
    task: str = "tokenizer",
    name: str = "",
    limit: int | None = None,
    splits: Sequence[str] = ("train", "test"),
) -> Data:
    """Check a store and pick its clips.

    Args:
        path: of the store.
        task: what they are for, one of `benchmark.api.table.TASKS`.
        name: to display in reports; the folder's name if empty.
        limit: evaluate on this many test clips, evenly spaced over the split; None: on all.
        splits: that must hold clips. Each clip needs a motion and, for a video task, a video.

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
    rates = tuple(sorted({float(fps) for fps in store.fps([*train, *test])}))
    groups = _groups(store, test)
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
        notes=(*(f"Data: {note}." for note in store.manifest.get("notes", [])), *_mixture(rates)),
        groups=groups,
        rates=rates,
        test_rates=Counter(round(float(fps), 3) for fps in store.fps(test)),
        test_datasets=Counter(group.partition("/")[0] for group in groups.values()),
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
    if store.manifest.get("split"):
        return "prepare it without --split, so that it holds both train and test"
    return "prepare it from more recordings, so that some can be held out"


def _splits(store: ClipStore) -> str:
    counts = store.manifest.get("splits", {})
    return ", ".join(f"{number} {split}" for split, number in counts.items())


def require_body(data: Data, body: BodyFile) -> None:
    """Refuse a store that was prepared with another body than that of the evaluation.

    The position of the pelvis depends on the body: labels of another body are displaced.

    Raises:
        UserError: the store's body is another.
    """
    made_with = read_manifest(data.path).get("body")
    if not isinstance(made_with, dict) or made_with.get("sha256") in (None, body.sha256):
        return
    raise UserError(
        f"{data.path} was prepared with the body {made_with.get('name')} "
        f"{str(made_with['sha256'])[:12]}, the evaluation is on {body.name} {body.sha256[:12]}: "
        "give that body with --body, or prepare the store again with this one"
    )


class Stores:
    """Finds the clips of a task, each store once.

    Args:
        profile: whose models must fit the clips.
        data: the store of ``--data``; None for built-in data.
        limit: evaluate on this many test clips; None: on all.
        quiet: display no progress.
        make: make built-in data that is not there; if False, `find` returns no clips in its place,
            and the cache holds nothing of them.

    Attributes:
        unmade: the tasks whose built-in data is not there and was not made.
    """

    def __init__(
        self,
        profile: Profile,
        *,
        data: Path | None = None,
        limit: int | None = None,
        quiet: bool = False,
        make: bool = True,
    ):
        self.unmade: list[str] = []
        self._profile, self._data, self._limit = profile, data, limit
        self._quiet, self._make = quiet, make
        self._found: dict[tuple[str, Path | None], Data] = {}

    def find(self, task: str, dataset: str = "") -> Data:
        """Return the clips for a task, of one dataset if it has a name.

        Raises:
            UserError: the user's store does not serve the task.
            Unavailable: there is no store of that dataset, or it does not serve the task.
        """
        if not dataset:
            return self._open(task, self._data)
        if self._data is not None:
            given = self._open(task, self._data)
            if given.dataset == dataset:
                return given
        path = prepared_path(dataset)
        if not (path / "manifest.json").is_file():
            where = display_path(path)
            raise Unavailable(
                f"{where}: no store of {dataset} is there; `python -m datasets.prepare {dataset} "
                f"--root FOLDER --out {where}` makes it from the licensed data"
            )
        try:
            return self._open(task, path)
        except UserError as error:
            raise Unavailable(str(error)) from error

    def _open(self, task: str, path: Path | None) -> Data:
        kind = "tokenizer" if task == "tokenizer" else "video"
        if (kind, path) not in self._found:
            self._found[kind, path] = self._opened(task, path)
        return self._found[kind, path]

    def _opened(self, task: str, path: Path | None) -> Data:
        limit, name = self._limit, ""
        if path is None and not self._make:
            path, name = built_in_path(self._profile, task), "built-in"
            if not (path / "manifest.json").exists():
                self.unmade.append(task)
                return Data(
                    path=path,
                    name=name,
                    sha256="",
                    num_frames=0,
                    train_ids=(),
                    test_ids=(),
                    split_rule="",
                )
        elif path is None:
            progress = not self._quiet and sys.stderr.isatty()
            path, name = make_built_in(self._profile, task, progress=progress), "built-in"
        found = open_data(path, task=task, name=name, limit=limit)
        require_body(found, find_body())
        if task == "tokenizer":
            window = self._profile.training.window
            if found.num_frames < window:
                raise UserError(
                    f"{path} holds clips of {found.num_frames} frames, fewer than the training "
                    f"window of {window}: prepare it again with --frames {window} or more"
                )
        else:
            self._require_size(found)
        return found

    def _require_size(self, found: Data) -> None:
        """Refuse clips of another length or size than the profile's transformer takes."""
        model = self._profile.unimo
        try:
            size = probe(found.clips(found.test_ids[:1]).videos[0])
        except (VideoError, StoreError) as error:
            raise UserError(f"{found.path}: {error}: prepare it again") from error
        wanted = (model.num_frames, model.width, model.height)
        if (found.num_frames, size.width, size.height) != wanted:
            raise UserError(
                f"{found.path} holds clips of {found.num_frames} frames of {size.width}x"
                f"{size.height} pixels, the models of profile {self._profile.name} take "
                f"{wanted[0]} of {wanted[1]}x{wanted[2]}: prepare it again with --frames "
                f"{wanted[0]} --size {wanted[1]}, or choose another --profile"
            )
