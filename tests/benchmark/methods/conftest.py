import dataclasses

import pytest
import torch

from benchmark.commands.rehearse.stand_ins import cosmos as mini_cosmos
from benchmark.runs.data import open_data
from benchmark.runs.work_item import RunContext
from datasets.bodies.smplx_file import find_body
from model.transformer import UniMoConfig
from model.transformer.train.config import ARTrainingConfig
from model.video_tokens.cosmos.files import ENV_COSMOS, ENV_COSMOS_TOKENIZER
from tests.benchmark.methods.mini_rows import SIZES
from tests.model.cosmos_state import make, official


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """Cosmos's transformer and tokenizer, with the official names and random weights."""
    folder = tmp_path_factory.mktemp("cosmos")
    torch.save({"model": official(make(**SIZES))}, folder / "model.pt")
    mini_cosmos.build_dv(folder)
    return folder


@pytest.fixture
def cosmos(files, monkeypatch):
    for name in (ENV_COSMOS, ENV_COSMOS_TOKENIZER):
        monkeypatch.setenv(name, str(files))
    return files


@pytest.fixture
def profile(tiny):
    """The paper's profile but for its sizes."""
    return dataclasses.replace(
        tiny,
        codec="cosmos",
        trains=False,
        unimo=UniMoConfig.tiny(**SIZES),
        unimo_training=ARTrainingConfig.embedded(steps=1, mirror=False),
    )


@pytest.fixture
def data(shots_folder):
    return open_data(shots_folder, task="i2vm", limit=2)


@pytest.fixture
def context(tmp_path):
    return RunContext(cache=tmp_path / "runs", body=find_body(), device="cpu")
