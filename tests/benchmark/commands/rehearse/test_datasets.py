"""The miniatures of the rehearsal: clips to train and test on, and a stopped build that goes on."""

from collections import defaultdict

import pytest

from benchmark.commands.rehearse.datasets import build_datasets
from datasets import adapters
from datasets.prepare.options import NUM_FRAMES

pytestmark = pytest.mark.slow  # the miniatures of all five datasets, with videos: 15 s


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    folder = tmp_path_factory.mktemp("datasets")
    (folder / "rich.tmp" / "bodies").mkdir(parents=True)  # a call that was stopped
    return build_datasets(folder)


def test_each_dataset_has_recordings_to_train_on_and_to_test_on(roots):
    """That they make clips is seen in the tests of the adapters."""
    for name, root in roots.items():
        recordings = defaultdict(set)
        for sequence in adapters.get(name).sequences(root):
            if sequence.valid.sum() >= NUM_FRAMES:
                recordings[sequence.split].add(sequence.sequence)
        assert len(recordings["train"]) >= 2 and recordings["test"], name


def test_what_is_there_is_kept(roots):
    folder = next(iter(roots.values())).parent
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert build_datasets(folder) == roots
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
