"""The device of a command: the GPU where there is one, and never the CPU in silence."""

import subprocess
import sys
from pathlib import Path

import pytest

from model.training.config import TrainingError
from model.training.device import device_named


@pytest.fixture
def machine(monkeypatch):
    """A machine with or without a driver, and with or without a GPU that torch finds."""

    def make(*, driver, gpu):
        monkeypatch.setattr(Path, "exists", lambda path: driver)
        monkeypatch.setattr("torch.cuda.is_available", lambda: gpu)

    return make


@pytest.mark.parametrize(
    ("word", "driver", "gpu", "device"),
    [
        ("auto", True, True, "cuda"),
        ("auto", False, False, "cpu"),
        ("cuda", True, True, "cuda"),
        ("cpu", True, True, "cpu"),
    ],
)
def test_auto_is_the_gpu_if_there_is_one(machine, capsys, word, driver, gpu, device):
    machine(driver=driver, gpu=gpu)
    assert device_named(word) == device
    assert capsys.readouterr().err == ""


def test_a_driver_that_torch_cannot_use_is_said(machine, capsys):
    machine(driver=True, gpu=False)
    assert device_named("auto") == "cpu"
    said = capsys.readouterr().err
    assert "finds no GPU here, though there is a driver" in said and said.count("\n") == 1
    with pytest.raises(TrainingError, match="finds no GPU here; use --device cpu"):
        device_named("cuda")


def test_without_a_driver_torch_is_not_imported():
    code = "import sys; from model.training.device import device_named; device_named('cpu')"
    code += "; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])
