import dataclasses

import pytest

from benchmark.profiles import smoke
from datasets.embedded import EmbeddedDataset
from datasets.prepare import prepare


@pytest.fixture(scope="session")
def clips_folder(tmp_path_factory):
    """A small prepared store: 6 training and 4 test clips of 65 frames."""
    path = tmp_path_factory.mktemp("data") / "walks"
    prepare(EmbeddedDataset(3, 2), None, path, video_size=None, progress=False)
    return path


@pytest.fixture
def tiny():
    """The smoke profile, trained for three steps."""
    profile = smoke()
    training = dataclasses.replace(profile.training, steps=3)
    return dataclasses.replace(profile, training=training)
