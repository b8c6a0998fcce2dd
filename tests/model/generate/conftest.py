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
    own = [
        *("--codec", "linear"),
        *("--tokenizer", str(folder / "tokenizer.safetensors")),
        *("--checkpoint", str(folder / "unimo.safetensors")),
    ]
    own += ["--quiet", "--overwrite"]
    return lambda *words: main([*map(str, words), "--out", str(tmp_path / "out"), *own])
