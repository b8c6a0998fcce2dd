"""The miniatures of the rehearsal: clips to train and test on, and a stopped build that goes on."""

from collections import defaultdict

import pytest

from benchmark.commands.rehearse.datasets import build_datasets
from datasets import adapters
from datasets.prepare.options import NUM_FRAMES
from datasets.prepare.prepare_store import prepare
from datasets.store.reader import ClipStore


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    folder = tmp_path_factory.mktemp("datasets")
    (folder / "rich.tmp" / "bodies").mkdir(parents=True)  # a call that was stopped
    return build_datasets(folder)


def test_each_dataset_has_recordings_to_train_on_and_to_test_on(roots, tmp_path):
    for name, root in roots.items():
        prepare(adapters.get(name), root, tmp_path / name, video_size=64, progress=False)
        store = ClipStore.open(tmp_path / name)
        groups = defaultdict(set)
        for clip in store:
            groups[clip.split].add(clip.sequence)
            assert len(clip.frame_ids) == NUM_FRAMES and clip.video.is_file()
        assert len(groups["train"]) >= 2 and groups["test"], name


def test_what_is_there_is_kept(roots):
    folder = next(iter(roots.values())).parent
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert build_datasets(folder) == roots
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
