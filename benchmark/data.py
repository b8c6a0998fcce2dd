"""The clips that are trained and evaluated on: the built-in data, or a store of the user's."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.spec import Clips, Profile, UserError
from benchmark.store import hash_lines
from datasets.built_in import make_store, store_path
from datasets.clip_schema import StoreError
from datasets.clip_store import ClipStore
from datasets.embedded import EmbeddedDataset
from datasets.prepare import NUM_FRAMES


@dataclass(frozen=True)
class Data:
    """A prepared clip store and the clips of it that a run uses.

    Attributes:
        path: of the store.
        name: ``built-in``, or the store's folder name.
        sha256: of the store's content.
        num_frames: frames per clip.
        train_ids: clips trained on, in store order.
        test_ids: clips evaluated on, in store order.
        split_rule: how the store was split, in its own words.
        notes: what a reader of a table must know of the clips, such as who estimated the motion.
    """

    path: Path
    name: str
    sha256: str
    num_frames: int
    train_ids: tuple[str, ...]
    test_ids: tuple[str, ...]
    split_rule: str
    notes: tuple[str, ...] = ()

    @property
    def inputs(self) -> dict:
        """What identifies the training clips in a cache key."""
        return {"data": self.sha256, "clips": hash_lines(self.train_ids)}

    @property
    def test_inputs(self) -> dict:
        """What identifies the test clips in a cache key."""
        return {"data": self.sha256, "clips": hash_lines(self.test_ids)}

    def clips(self, ids: tuple[str, ...]) -> Clips:
        """Channels and frame rates of the clips named."""
        store = ClipStore.open(self.path)
        return Clips(ids, store.channels(list(ids)), store.fps(list(ids)))


def built_in_path(profile: Profile) -> Path:
    """Where a profile's built-in data is, once it is made: named by what it is made from."""
    return store_path(_built_in(profile), num_frames=NUM_FRAMES, video_size=None)


def make_built_in(profile: Profile, *, progress: bool = True) -> Path:
    """The profile's built-in store, made if it is not there.

    Raises:
        UserError: it cannot be written.
    """
    try:
        return make_store(
            _built_in(profile), num_frames=NUM_FRAMES, video_size=None, progress=progress
        )
    except (OSError, StoreError) as error:
        raise UserError(f"the built-in data cannot be made: {error}") from error


def _built_in(profile: Profile) -> EmbeddedDataset:
    return EmbeddedDataset(profile.train_sequences, profile.test_sequences)


def open_data(
    path: Path,
    *,
    name: str = "",
    limit: int | None = None,
    splits: Sequence[str] = ("train", "test"),
) -> Data:
    """Check a store and pick its clips.

    Args:
        path: of the store.
        name: shown in reports; the folder's name if empty.
        limit: evaluate on this many test clips, evenly spaced over the split; None: on all.
        splits: those that must hold clips, all of them with motion.

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
        notes=tuple(f"Data: {note}." for note in store.manifest.get("notes", [])),
    )


def _cure(store: ClipStore) -> str:
    if store.manifest.get("split"):
        return "prepare it without --split, so that it holds both train and test"
    return "prepare it from more recordings, so that some can be held out"


def _splits(store: ClipStore) -> str:
    counts = store.manifest.get("splits", {})
    return ", ".join(f"{number} {split}" for split, number in counts.items())
