"""The 300-clip test set: one deterministic rule over prepared clip stores.

The paper takes 300 clips of single people from five datasets and does not say which. The rule here
(`RULE`) depends on clip ids alone: not on the order of the stores, nor on where they are.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from datasets.prepare.clip_video import bring
from datasets.store.reader import ClipStore
from datasets.store.schema import FolderError, StoreError, inside, video_fault
from datasets.store.splits import TEST_SEED, rank
from datasets.store.work_folder import claimed, is_finished
from datasets.store.writer import ClipStoreWriter
from datasets.tools.files import hash_lines

RULE_NAME = "unimo-test"
RULE_VERSION = 2
TOTAL = 300
# In the order in which they make up for what another one lacks.
DATASETS = ("human4dit", "bedlam", "rich", "dna_rendering", "threedpw")
RULE = (
    "Eligible: test split, one annotated person, labels in the camera frame, every frame valid, a "
    "video; of human4dit also clips without labels, in which nobody counted the people; of "
    "dna_rendering the 5-megapixel cameras (0 to 47). Clips are ranked by sha256 of "
    f"'{TEST_SEED}<clip id>' and taken in that order, at most 5 of a sequence (threedpw 8); of "
    "rich first the best-ranked camera of each sequence, then the second, and so on. Each dataset "
    "gives a fifth of the total; "
    f"what one lacks the others give in turn, one clip at a time: {', '.join(DATASETS)}."
)
_MOST_OF_SEQUENCE = {"threedpw": 8}
_NUM_5MP_CAMERAS = 48


@dataclass(frozen=True)
class Choice:
    """The clips that the rule takes."""

    ids: tuple[str, ...]  # of the chosen clips, by rank
    quotas: dict[str, int]  # clips due, by dataset
    eligible: dict[str, int]  # by dataset, clips that it may take before sequences are limited
    counts: dict[str, int]  # clips taken, by dataset; more than its quota where others lack some

    @property
    def deficits(self) -> dict[str, int]:
        """Clips that a dataset lacks of its quota."""
        return {name: max(0, due - self.counts[name]) for name, due in self.quotas.items()}


def choose(rows: Iterable[Mapping], *, total: int = TOTAL) -> Choice:
    """Apply `RULE` to index rows (`datasets.store.schema.INDEX_SCHEMA`) of clips without a gap.

    They are of one or several stores, in any order; `total` are taken, as far as there are any.
    """
    pools: dict[str, list[Mapping]] = {name: [] for name in DATASETS}
    for row in rows:
        if _is_eligible(row):
            pools[row["dataset"]].append(row)
    queues = {name: _queue(name, pool) for name, pool in pools.items()}
    share, rest = divmod(total, len(DATASETS))
    quotas = {name: share + (place < rest) for place, name in enumerate(DATASETS)}
    counts = {name: min(quotas[name], len(queues[name])) for name in DATASETS}
    lacking = total - sum(counts.values())
    while lacking:
        givers = [name for name in DATASETS if counts[name] < len(queues[name])][:lacking]
        if not givers:
            break
        for name in givers:
            counts[name] += 1
        lacking -= len(givers)
    ids = [name for dataset in DATASETS for name in queues[dataset][: counts[dataset]]]
    eligible = {name: len(pool) for name, pool in pools.items()}
    return Choice(tuple(sorted(ids, key=rank)), quotas, eligible, counts)


def make_testset(
    stores: Iterable[str | Path], out: str | Path, *, total: int = TOTAL, progress: bool = True
) -> dict:
    """Copy the clips that `RULE` takes from several stores into a new one.

    Videos are hard-linked where the file system can, else copied.

    Args:
        stores: prepared clip stores, with all their splits: that training never touches a test
            sequence is checked on them.
        out: the new store's folder.
        total: clips to take, as far as there are any.
        progress: show a progress bar on stderr.

    Returns:
        The new store's manifest, also where it was finished before: with the rule, what it took of
        each dataset and lacked, the sources' hashes, and the chosen ids by rank.

    Raises:
        FolderError: a store is missing or named twice, or `out` is in use or not empty.
        StoreError: the stores cannot be joined (the same clip in two, clips of different lengths,
            labels of different bodies), a group is in training and in test, nothing is eligible,
            a store is damaged, or `out` cannot be written.
    """
    from tqdm import tqdm

    opened = [_open(path) for path in stores]
    paths = [store.path.resolve() for store in opened]
    twice = next((s.path for s in opened if paths.count(s.path.resolve()) > 1), None)
    if twice is not None:
        raise FolderError(f"{twice} is named twice")
    if not opened:
        raise StoreError("no store to take clips from")
    out = Path(out)
    sources = [{"name": s.manifest.get("name", s.path.name), "sha256": s.sha256} for s in opened]
    job = {
        "rule": {"name": RULE_NAME, "version": RULE_VERSION, "text": RULE},
        "total": total,
        "sources": sorted(sources, key=lambda source: (source["name"], source["sha256"])),
    }
    if is_finished(out, job):
        return ClipStore.open(out).manifest
    _check_joinable(opened)
    rows = {store.path: store.index.to_pylist() for store in opened}
    _check_sides(rows)
    choice = choose((row for s in opened for row in _whole(s, rows[s.path])), total=total)
    if not choice.ids:
        raise StoreError(
            f"no eligible test clip in {', '.join(str(s.path) for s in opened)}: wanted are clips "
            f"of {', '.join(DATASETS)} in the test split, with labels, a video and one person"
        )
    chosen = set(choice.ids)
    with (
        claimed(out, job) as listed,
        ClipStoreWriter(out, num_frames=opened[0].num_frames) as writer,
    ):
        bar = tqdm(total=len(chosen), unit=" clips", leave=False, disable=not progress)
        videos = set()
        people_unknown = 0
        # By the ids in them, as the order in which stores are named must not show.
        for store in sorted(opened, key=lambda store: min(store.clip_ids)):
            own = [row for row in rows[store.path] if row["clip_id"] in chosen]
            for row in own:
                listed.begin(inside(out, row["video_path"]))
                videos.add(_bring_video(store, row, out))
                people_unknown += row["num_people"] == 0
                bar.update()
            writer.extend(store, [row["clip_id"] for row in own])
        listed.remove_others(videos)
        writer.close(
            {
                **job,
                "name": out.resolve().name,
                "dataset": "testset",
                "split": "test",
                "split_rule": f"{RULE_NAME}-v{RULE_VERSION}",
                "body": next((body for s in opened if (body := s.manifest.get("body"))), None),
                "counts": choice.counts,
                "quotas": choice.quotas,
                "eligible": choice.eligible,
                "deficits": choice.deficits,
                "people_unknown": people_unknown,
                "chosen": list(choice.ids),
                "chosen_sha256": hash_lines(choice.ids),
            }
        )
    return ClipStore.open(out).manifest


def _open(path: str | Path) -> ClipStore:
    try:
        return ClipStore.open(path)
    except StoreError as error:
        if (Path(path) / "manifest.json").exists():
            raise
        raise FolderError(str(error)) from error  # not damaged: the wrong folder


def _is_eligible(row: Mapping) -> bool:
    if row["dataset"] not in DATASETS or row["split"] != "test" or not row["video_path"]:
        return False
    if row["dataset"] == "human4dit":
        return row["num_people"] <= 1
    if row["dataset"] == "dna_rendering":
        camera = row["camera"]
        if not (camera.isdecimal() and int(camera) < _NUM_5MP_CAMERAS):
            return False
    return row["num_people"] == 1 and row["has_camera_motion"]


def _queue(dataset: str, pool: list[Mapping]) -> list[str]:
    """Ids in the order of taking, no more of a sequence than the rule allows."""
    ranked = sorted(pool, key=lambda row: rank(row["clip_id"]))
    if dataset == "rich":
        cameras: dict[str, list[str]] = {}
        for row in ranked:
            own = cameras.setdefault(row["sequence"], [])
            if row["camera"] not in own:
                own.append(row["camera"])
        # Stable: within a round the order stays that of the ranks.
        ranked.sort(key=lambda row: cameras[row["sequence"]].index(row["camera"]))
    taken: Counter[str] = Counter()
    queue = []
    for row in ranked:
        if taken[row["sequence"]] < _MOST_OF_SEQUENCE.get(dataset, 5):
            taken[row["sequence"]] += 1
            queue.append(row["clip_id"])
    return queue


def _whole(store: ClipStore, rows: list[dict]) -> list[dict]:
    """Return the index rows of clips in which every frame is valid."""
    valid = pq.read_table(store.path / "motion.parquet", columns=["valid"]).column("valid")
    return [row for row, frames in zip(rows, valid.to_pylist(), strict=True) if all(frames)]


def _check_joinable(stores: list[ClipStore]) -> None:
    owner: dict[str, Path] = {}
    for store in stores:
        if store.num_frames != stores[0].num_frames:
            raise StoreError(
                f"{stores[0].path} has clips of {stores[0].num_frames} frames, {store.path} of "
                f"{store.num_frames}: prepare them with the same --frames"
            )
        for name in store.clip_ids:
            if name in owner:
                raise StoreError(f"{owner[name]} and {store.path} both have the clip {name}")
            owner[name] = store.path
    bodies = {json.dumps(body): s for s in stores if (body := s.manifest.get("body"))}
    if len(bodies) > 1:
        one, other = sorted(str(store.path) for store in bodies.values())[:2]
        raise StoreError(
            f"{one} and {other} were prepared with different body models: prepare one again"
        )


def _check_sides(rows: Mapping[Path, list[dict]]) -> None:
    """Raise `StoreError` where a group is in the test split and in another one."""
    sides: dict[tuple[str, str], dict[str, Path]] = {}
    for path in sorted(rows):
        for row in rows[path]:
            sides.setdefault((row["dataset"], row["group"]), {}).setdefault(row["split"], path)
    for (dataset, group), found in sorted(sides.items()):
        other = min((split for split in found if split != "test"), default=None)
        if "test" in found and other is not None:
            raise StoreError(
                f"{group} of {dataset} is in the test split of {found['test']} and in the {other} "
                f"split of {found[other]}: training must not touch a test sequence"
            )


def _bring_video(store: ClipStore, row: Mapping, out: Path) -> Path:
    """Return the clip's video under the same name below `out`.

    Raises:
        StoreError: it is missing or damaged, or cannot be written.
    """
    source = inside(store.path, row["video_path"])
    if fault := video_fault(source, row["video_sha256"]):
        raise StoreError(f"{source}: {fault}")
    return bring(source, inside(out, row["video_path"]))
