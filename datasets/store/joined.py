"""Several clip stores, read as one."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from datasets.motion import NUM_CHANNELS
from datasets.sequence import Clip
from datasets.store.reader import ClipStore
from datasets.store.schema import StoreError
from datasets.tools.files import hash_lines

T = TypeVar("T")


class JoinedStore:
    """The clips of several stores, read like those of one.

    The order in which the stores are given does not matter: they are sorted by content.

    Args:
        stores: two or more, with clips of one length, made with one body.

    Attributes:
        stores: in the order of the clips.
        clip_ids: of all clips.
        index: rows of all clips, scalars only; paths are relative to their own store.
        sha256: of the content, as `ClipStore.sha256`.

    Raises:
        StoreError: clips of several lengths, several bodies, or one clip in two stores.
    """

    def __init__(self, stores: Iterable[ClipStore]):
        self.stores = tuple(sorted(stores, key=lambda store: store.sha256))
        self._owner: dict[str, ClipStore] = {}
        first = self.stores[0]
        with_body = [store for store in self.stores if store.manifest.get("body")]
        for store in with_body[1:]:
            if store.manifest["body"] != with_body[0].manifest["body"]:
                raise StoreError(
                    f"{with_body[0]} and {store} were prepared with different bodies: prepare one "
                    "of them again with the body of the other"
                )
        for store in self.stores:
            if store.num_frames != first.num_frames:
                raise StoreError(
                    f"{first} has clips of {first.num_frames} frames, {store} of "
                    f"{store.num_frames}: prepare one of them again with --frames"
                )
            for name in store.clip_ids:
                other = self._owner.setdefault(name, store)
                if other is not store:
                    raise StoreError(
                        f"clip {name} is in {other} and in {store}: name stores without a clip in "
                        "common"
                    )
        self.clip_ids = list(self._owner)
        self.index = pa.concat_tables([store.index for store in self.stores])
        self.sha256 = hash_lines([store.sha256 for store in self.stores])

    def __str__(self) -> str:
        return " and ".join(map(str, self.stores))

    def __len__(self) -> int:
        return len(self.clip_ids)

    def __getitem__(self, clip_id: str) -> Clip:
        """One clip; raises KeyError for an unknown id."""
        return self._owner[clip_id][clip_id]

    @property
    def num_frames(self) -> int:
        """Frames per clip."""
        return self.stores[0].num_frames

    @property
    def dataset(self) -> str:
        """The dataset that all clips are from; empty for a mixture."""
        names = {store.dataset for store in self.stores}
        return names.pop() if len(names) == 1 else ""

    @property
    def manifest(self) -> dict[str, Any]:
        """The facts of the stores' manifests that hold for all clips together."""
        manifests = [store.manifest for store in self.stores]
        splits = Counter[str]()
        for one in manifests:
            splits.update(one.get("splits", {}))
        return {
            "num_clips": len(self),
            "num_frames": self.num_frames,
            "splits": dict(splits),
            "dataset": self.dataset,
            "body": next((body for one in manifests if (body := one.get("body"))), None),
            "split_rule": "; ".join(dict.fromkeys(str(m.get("split_rule", "")) for m in manifests)),
            "notes": list(dict.fromkeys(note for m in manifests for note in m.get("notes", []))),
        }

    def ids(self, split: str) -> list[str]:
        """Clip ids of a split, store by store."""
        return [name for store in self.stores for name in store.ids(split)]

    def without_channels(self, split: str) -> list[str]:
        """Clip ids of a split that have no SMPL-X motion, for which `channels` raises."""
        return [name for store in self.stores for name in store.without_channels(split)]

    def fps(self, ids: list[str]) -> np.ndarray:
        """(N,) frames per second of the clips named."""
        return np.array(self._each(ids, ClipStore.fps))

    def spaces(self, ids: list[str]) -> list[str]:
        """See `ClipStore.spaces`."""
        return self._each(ids, ClipStore.spaces)

    def genders(self, ids: list[str]) -> list[str]:
        """See `ClipStore.genders`."""
        return self._each(ids, ClipStore.genders)

    def video_sha256(self, ids: list[str]) -> list[str]:
        """See `ClipStore.video_sha256`."""
        return self._each(ids, ClipStore.video_sha256)

    def channels(self, ids: list[str]) -> np.ndarray:
        """(N, T, 79) float32, as `ClipStore.channels`."""
        found = np.empty((len(ids), self.num_frames, NUM_CHANNELS), np.float32)
        for store, rows in self._rows(ids):
            found[rows] = store.channels([ids[row] for row in rows])
        return found

    def has_video(self, clip_id: str) -> bool:
        """Return True if the store has the pictures of a clip."""
        return self._owner[clip_id].has_video(clip_id)

    def video_fault(self, clip_id: str) -> str:
        """See `ClipStore.video_fault`."""
        return self._owner[clip_id].video_fault(clip_id)

    def native(self, clip_id: str) -> dict[str, np.ndarray]:
        """See `ClipStore.native`."""
        return self._owner[clip_id].native(clip_id)

    def some(self, ids: Iterable[str]) -> Iterator[Clip]:
        """Yield the clips named, store by store."""
        wanted = list(ids)
        return itertools.chain.from_iterable(
            store.some([wanted[row] for row in rows]) for store, rows in self._rows(wanted)
        )

    def _each(self, ids: list[str], read: Callable[[ClipStore, list[str]], Iterable[T]]) -> list[T]:
        """The answers of `read` for each clip, in the order of the ids."""
        found: dict[int, T] = {}
        for store, rows in self._rows(ids):
            found.update(zip(rows, read(store, [ids[row] for row in rows]), strict=True))
        return [found[row] for row in range(len(ids))]

    def _rows(self, ids: list[str]) -> Iterator[tuple[ClipStore, list[int]]]:
        """Each store with the places of its own clips among `ids`."""
        for store in self.stores:
            rows = [row for row, name in enumerate(ids) if self._owner[name] is store]
            if rows:
                yield store, rows


def open_stores(paths: Sequence[str | Path]) -> ClipStore | JoinedStore:
    """Return one store, or several as one.

    Raises:
        StoreError: as `ClipStore.open`, or stores that cannot be joined.
    """
    stores = [ClipStore.open(path) for path in paths]
    return stores[0] if len(stores) == 1 else JoinedStore(stores)


def stores_of(store: ClipStore | JoinedStore) -> tuple[ClipStore, ...]:
    """Return the stores that one is made of: itself, or several."""
    return store.stores if isinstance(store, JoinedStore) else (store,)
