import json
import shutil

import pytest
from PIL import Image

from datasets.adapters.embedded_shots import EmbeddedShots
from datasets.video.files import write_video
from model.generate.__main__ import main
from tests.model.mini_unimo import make_tokenizer, make_unimo


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("unimo")
    make_unimo(path, make_tokenizer(path))
    (shot, *_) = EmbeddedShots(1, 0, image_size=64).sequences()
    frames = list(shot.source.frames(range(17)))
    Image.fromarray(frames[0]).save(path / "person.png")
    write_video(path / "walk.mp4", frames, fps=30)
    return path


@pytest.fixture
def run(folder, tmp_path):
    """The command with the model of `folder`, unless the words name another."""

    def run(task, *words, flags=("--quiet", "--overwrite")):
        own = ("--tokenizer", folder / "tokenizer.safetensors", "--codec", "linear")
        own += ("--checkpoint", folder / "unimo.safetensors", "--out", tmp_path / "out")
        return main([str(word) for word in (task, *own, *words, *flags)])

    return run


@pytest.fixture
def own_unimo(folder, tmp_path):
    """A copy of the model that a test may change: its file and what its sidecar says."""
    for suffix in (".safetensors", ".json"):
        shutil.copyfile((folder / "unimo").with_suffix(suffix), tmp_path / f"unimo{suffix}")
    return tmp_path / "unimo.safetensors", json.loads((tmp_path / "unimo.json").read_text())
