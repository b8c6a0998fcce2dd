"""Two commands in one output folder: the second says who works there and touches nothing."""

import importlib

import pytest

from datasets.tools.files import owned


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("model.tokenizer.train", ["--data", "clips"]),
        ("model.transformer.train.__main__", ["--data", "clips", "--tokenizer", "t.safetensors"]),
        ("model.regressor.train", []),
        ("model.video_tokens.fitted.train", ["--data", "clips"]),
        ("model.generate.__main__", ["v2m", "video.mp4"]),
    ],
)
def test_a_second_command_in_a_folder_ends_with_a_line(tmp_path, capsys, module, words):
    out = tmp_path / "out"
    main = importlib.import_module(module).main
    with owned(out, "training"):
        before = {file.name: file.read_bytes() for file in out.iterdir()}
        assert main([*words, "--out", str(out)]) == 1
        assert {file.name: file.read_bytes() for file in out.iterdir()} == before
    line = capsys.readouterr().err
    assert f"error: another process works in {out} (training, process " in line
    assert line.endswith("wait until it ends, or name another folder with --out\n")
    assert line.count("\n") == 1
