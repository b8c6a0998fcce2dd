"""Clips that are trained and evaluated on, and predictions of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from datasets.store import ClipStore
    from datasets.store.joined import JoinedStore


@dataclass(frozen=True, eq=False, kw_only=True)
class Clips:
    """The clips of one split, as a method or a metric sees them.

    Attributes:
        ids: N clip ids.
        channels: (N, T, 79) float32 true motion, `datasets.motion.CHANNELS`.
        fps: (N,) frames per second.
        spaces: frame of reference of each motion, ``camera`` or ``world``.
        genders: the body that each motion's betas belong to, ``neutral``, ``female`` or ``male``.
        store: folder of the clip store with the test clips.
        videos: the mp4 of each clip; empty where the task is about motion alone.
        video_sha256: their hashes when the store was made; empty for other videos.
        K: (N, T, 3, 3) intrinsics of the videos in pixels, or None without videos.
        K_sources: where each of them is from, see `datasets.estimators.ClipVideo`.
    """

    ids: Sequence[str]
    channels: "np.ndarray"
    fps: "np.ndarray"
    spaces: Sequence[str]
    genders: Sequence[str]
    store: Path
    videos: Sequence[Path] = ()
    video_sha256: Sequence[str] = ()
    K: "np.ndarray | None" = None
    K_sources: Sequence[str] = ()

    def __getitem__(self, piece: "slice | Sequence[int] | np.ndarray") -> "Clips":
        """Return some of the clips, by a slice or by indices."""
        rows = range(len(self.ids))[piece] if isinstance(piece, slice) else piece
        return Clips(
            ids=[self.ids[row] for row in rows],
            channels=self.channels[piece],
            fps=self.fps[piece],
            spaces=[self.spaces[row] for row in rows],
            genders=[self.genders[row] for row in rows],
            store=self.store,
            videos=[self.videos[row] for row in rows] if len(self.videos) else (),
            video_sha256=[self.video_sha256[row] for row in rows] if self.video_sha256 else (),
            K=None if self.K is None else self.K[piece],
            K_sources=[self.K_sources[row] for row in rows] if len(self.K_sources) else (),
        )

    def video_faults(self) -> dict[str, str]:
        """Return clip id -> reason, of videos that are not those that the store was made with."""
        from datasets.store.schema import video_fault

        if not self.video_sha256:
            return {}
        known = zip(self.ids, self.videos, self.video_sha256, strict=True)
        faults = {name: video_fault(video, sha256) for name, video, sha256 in known}
        return {name: fault for name, fault in faults.items() if fault}


@dataclass(frozen=True, eq=False)
class Prediction:
    """The result of a method on N clips.

    Attributes:
        channels: (N, T, 79) float32 SMPL-X motion in the order of the clips given, (N, T, 85) of an
            SMPL motion (the same order with 69 numbers of body pose); None from a system that only
            makes videos. Rows of clips in `failed` are ignored.
        tokens: (N, L) integer codes, or None for a method without tokens.
        videos: the N videos (T, H, W, 3) uint8, one after the other, or None.
        failed: clip id -> error message, for clips without a prediction.
        crashed: clip id -> error message, for clips without a prediction through no fault of
            theirs, such as a GPU that was full. They are no result: the next run tries them again.
    """

    channels: "np.ndarray | None"
    _: KW_ONLY
    tokens: "np.ndarray | None" = None
    videos: "Iterable[np.ndarray] | None" = None
    failed: Mapping[str, str] = field(default_factory=dict)
    crashed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Data:
    """Prepared clip stores and the clips of them that a task uses.

    Attributes:
        path: of the store with the test clips.
        name: ``built-in``, or that store's folder name.
        sha256: of that store's content.
        train_paths: of the stores with the training clips, where they are others than `path`.
        train_names: the names of those.
        train_sha256: of their contents.
        num_frames: frames per clip.
        train_ids: clips trained on, in store order.
        test_ids: clips evaluated on, in store order.
        split_rule: how the store was split, as its manifest says.
        dataset: the one that all test clips are from, such as ``threedpw``; empty for a mixture.
        with_videos: whether the task shows the clips' videos to methods.
        notes: facts that a reader of a table needs, such as who estimated the motion.
        groups: test clip -> the group it belongs to (take, actor, source video: what no split
            separates); clips of one are not independent.
        rates: frames per second of the training and test clips, each rate once, sorted.
        test_rates: frames per second, to three decimals -> number of test clips.
        test_datasets: dataset -> number of test clips.
    """

    path: Path
    name: str
    sha256: str
    train_paths: tuple[Path, ...] = ()
    train_names: tuple[str, ...] = ()
    train_sha256: tuple[str, ...] = ()
    num_frames: int
    train_ids: tuple[str, ...]
    test_ids: tuple[str, ...]
    split_rule: str
    dataset: str = ""
    with_videos: bool = False
    notes: tuple[str, ...] = ()
    groups: Mapping[str, str] = field(default_factory=dict, hash=False)
    rates: tuple[float, ...] = ()
    test_rates: Mapping[float, int] = field(default_factory=dict, hash=False)
    test_datasets: Mapping[str, int] = field(default_factory=dict, hash=False)

    @property
    def inputs(self) -> dict:
        """The identity of the training clips in a cache key."""
        several = len(self.train_sha256) > 1
        single = (*self.train_sha256, self.sha256)[0]
        return _identity(sorted(self.train_sha256) if several else single, self.train_ids)

    @property
    def test_inputs(self) -> dict:
        """The identity of the test clips in a cache key."""
        return _identity(self.sha256, self.test_ids)

    def group_of(self, clip_id: str) -> str:
        """Return the group of a test clip; an id without one, such as ``pooled``, is its own."""
        return self.groups.get(clip_id, clip_id)

    def training_store(self) -> "ClipStore | JoinedStore":
        """Return the opened store, or stores, with the training clips.

        Raises:
            StoreError: one is damaged, or another one than it was.
        """
        return _open(self.train_paths or (self.path,), self.train_sha256 or (self.sha256,))

    def clips(self, ids: Sequence[str]) -> Clips:
        """Return the training or test clips with these ids, with videos if the task has any.

        Raises:
            StoreError: a store is damaged, or another one than it was.
        """
        ids = list(ids)
        trained = self.train_paths and set(ids) <= set(self.train_ids)
        store = self.training_store() if trained else _open((self.path,), (self.sha256,))
        videos, cameras, sources = _videos(store, ids) if self.with_videos else ((), None, ())
        return Clips(
            ids=ids,
            channels=store.channels(ids),
            fps=store.fps(ids),
            spaces=store.spaces(ids),
            genders=store.genders(ids),
            store=self.path,
            videos=videos,
            video_sha256=store.video_sha256(ids) if self.with_videos else (),
            K=cameras,
            K_sources=sources,
        )


def _identity(sha256: str | Sequence[str], ids: Sequence[str]) -> dict:
    from datasets.tools.files import hash_lines

    return {"data": sha256, "clips": hash_lines(ids)}


def _open(paths: Sequence[Path], sha256: Sequence[str]) -> "ClipStore | JoinedStore":

    from datasets.store import ClipStore
    from datasets.store.schema import StoreError

    stores = [ClipStore.open(path) for path in paths]
    for store, wanted in zip(stores, sha256, strict=True):
        if store.sha256 != wanted:
            raise StoreError(f"{store.path} has changed since this command began: run it again")
    if len(stores) == 1:
        return stores[0]
    from datasets.store.joined import open_stores

    return open_stores(paths)


def _videos(store: "ClipStore | JoinedStore", ids: Sequence[str]):
    """Return the clips' video files, intrinsics (N, T, 3, 3) and where these are from."""
    import numpy as np

    from datasets.sequence import camera_of

    found = {clip.clip_id: (clip.video, *camera_of(clip)) for clip in store.some(set(ids))}
    videos, cameras, sources = zip(*(found[name] for name in ids), strict=True)
    return videos, np.stack([camera.K for camera in cameras]), sources
