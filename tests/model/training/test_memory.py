"""Memory that trainings and generation need: computed, and compared with what is free."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from model.generate.pipeline import Pipeline
from model.system import TrainedSystem
from model.training import memory
from model.training.config import TrainingError
from model.transformer import UniMo, UniMoConfig
from model.transformer.cost import generation_bytes, num_parameters
from model.transformer.train.__main__ import main
from model.transformer.train.config import ARTrainingConfig
from model.transformer.train.memory import device_bytes, host_bytes, require_room
from model.transformer.train.steps import schedules
from tests.model.mini_unimo import make_tokenizer, make_unimo
from tests.model.tiny_unimo import SWITCHES, name_of

PAPER, TRAINING = UniMoConfig.paper(), ARTrainingConfig.paper()


@pytest.mark.parametrize("switches", SWITCHES, ids=name_of)
def test_weights_are_counted_without_making_them(switches):
    config = UniMoConfig.tiny(**switches)
    assert num_parameters(config) == sum(p.numel() for p in UniMo(config).parameters())


def test_the_papers_training_takes_an_80_gb_gpu_or_several_smaller_ones():
    """16 bytes a weight are 64.3 GB alone; autocast's copies and what blocks keep come on top."""
    assert num_parameters(PAPER) == 4_018_294_800
    needed = {n: device_bytes(PAPER, TRAINING, "cuda", n) / 1e9 for n in (1, 2, 8)}
    assert 75 < needed[1] < 85 and 40 < needed[2] < 60 and 15 < needed[8] < 25
    kept_whole = ARTrainingConfig.paper(activation_checkpointing=False)
    assert device_bytes(PAPER, kept_whole, "cuda") > device_bytes(PAPER, TRAINING, "cuda") + 30e9
    assert host_bytes(PAPER, 8) == 8 * 4 * 4_018_294_800


def test_generating_needs_the_weights_in_two_bytes_and_a_cache_a_clip():
    found = [generation_bytes(PAPER, schedules(PAPER)["i2vm"], clips=n) for n in (0, 1, 8)]
    assert found[0] == 2 * num_parameters(PAPER)
    assert 0.75e9 < found[1] - found[0] < 1e9  # a cache of 0.76 GB
    assert found[2] - found[0] == 8 * (found[1] - found[0])


def test_free_memory_is_within_the_machines():
    lines = Path("/proc/meminfo").read_text().splitlines()
    total = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemTotal"))
    assert 0 < memory.free_memory("cpu") <= total


def test_what_does_not_fit_is_refused_before_anything_is_made(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(memory, "free_memory", lambda device: 10**3)
    assert main(["--out", str(tmp_path / "run"), "--data", str(tmp_path / "none"), "--quiet"]) == 1
    said = capsys.readouterr().err
    assert "1 million weights in training need 0.2 GB of main memory, 0.0 GB are free" in said
    make_unimo(tmp_path, make_tokenizer(tmp_path))
    monkeypatch.setattr("model.transformer.UniMo.load", lambda path: pytest.fail("loaded"))
    with pytest.raises(TrainingError, match=r"one clip need 0.0 GB of main memory"):
        Pipeline.load(TrainedSystem.open(tmp_path / "unimo.safetensors"))


def test_a_gpu_and_the_machine_are_asked_each_for_its_own(tmp_path, monkeypatch):
    free = {"cuda": 90 * 10**9, "cpu": 20 * 10**9}
    monkeypatch.setattr(memory, "free_memory", lambda device: free[device])
    free["disk"] = 200 * 10**9
    usage = lambda folder: SimpleNamespace(free=free["disk"])  # noqa: E731
    monkeypatch.setattr("shutil.disk_usage", usage)
    require_room(PAPER, TRAINING, tmp_path, "cuda")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    with pytest.raises(TrainingError, match=r"need 128.6 GB of main memory, 20.0 GB are free"):
        require_room(PAPER, TRAINING, tmp_path, "cuda", 8)
    free["cuda"] = 40 * 10**9
    with pytest.raises(TrainingError, match=r"4018 million weights .* GPU memory, 40.0 GB are"):
        require_room(PAPER, TRAINING, tmp_path, "cuda")
    free |= {"cuda": 90 * 10**9, "disk": 100 * 10**9}
    monkeypatch.delenv("LOCAL_WORLD_SIZE")
    with pytest.raises(TrainingError, match=r"need 112.5 GB of disk, 100.0 GB are free at /"):
        require_room(PAPER, TRAINING, tmp_path / "new", "cuda")
    assert not torch.cuda.is_initialized()
