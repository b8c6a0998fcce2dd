import pytest

from benchmark.profiles import smoke
from datasets.adapters.embedded import EmbeddedDataset
from datasets.adapters.embedded_shots import EmbeddedShots
from datasets.prepare.prepare_store import prepare
from tests.benchmark.methods.official_files import official, originals, own  # noqa: F401 - fixtures
from tests.benchmark.work import context_in


@pytest.fixture(scope="session")
def clips_folder(tmp_path_factory):
    """A small prepared store: 6 training and 4 test clips of 65 frames."""
    path = tmp_path_factory.mktemp("data") / "walks"
    prepare(EmbeddedDataset(3, 2), None, path, video_size=None, progress=False)
    return path


@pytest.fixture(scope="session")
def shots_folder(tmp_path_factory):
    """A small store with videos: 21 training and 7 test clips of 17 frames of 64x64 pixels."""
    path = tmp_path_factory.mktemp("data") / "shots"
    dataset = EmbeddedShots(3, 1, shot_frames=17, image_size=64)
    prepare(dataset, None, path, num_frames=17, video_size=64, progress=False)
    return path


@pytest.fixture
def tiny():
    """The smoke profile, trained for three steps."""
    return smoke().with_steps(3)


@pytest.fixture
def no_drawing(monkeypatch):
    """Pictures are empty: for tests of numbers and texts, as drawing takes seconds."""
    from matplotlib.figure import Figure

    def empty(self, *path, **options):
        self.clear()
        save(self, *path, **options)

    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", empty)


@pytest.fixture
def context(tmp_path):
    """A context with an empty cache."""
    return context_in(tmp_path)
