"""A trained system: one folder, whoever trained it, and what is found where a part is missing."""

import json
import shutil

import numpy as np
import pytest

from datasets.store.reader import ClipStore
from model import assets
from model.generate.pipeline import Pipeline
from model.system import TokenizerFiles, TrainedSystem, codec_name
from model.tokenizer import MotionTokenizer
from model.training.sidecar import CheckpointError
from model.transformer.train.config import ARTrainingConfig
from model.transformer.train.run import train
from model.transformer.train.token_set import Tokens
from model.video_tokens.choose import open_codec
from tests.damage import rewrite_json
from tests.model.mini_unimo import fresh_model, make_store, make_tokenizer

COSMOS = {"name": "cosmos-dv8x16x16", "weights": "0" * 64}
BUILT_IN = {"name": "linear", "trained_on": '"name": "cosmos'}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A system of the fitted codec and a tokenizer of its own."""
    path = tmp_path_factory.mktemp("trained")
    files = TokenizerFiles(codec=None, tokenizer=make_tokenizer(path))
    tokens = Tokens.of(
        ClipStore.open(make_store(path / "shots")),
        open_codec(files.codec),
        MotionTokenizer.load(files.tokenizer),
        cache=path / "cache",
        progress=False,
    )
    training = ARTrainingConfig.embedded(2, batch_size=2, tasks=("v2m",))
    train(fresh_model(), training, tokens, path / "run", files=files, progress=False)
    return path / "run"


def test_a_training_leaves_all_parts_beside_the_model(trained):
    names = {"model", "tokenizer", "codec"}
    assert names == {path.stem for path in trained.glob("*.safetensors")}
    assert names == {path.stem for path in trained.glob("*.json")}
    system = TrainedSystem.open(trained)
    assert system == TrainedSystem.open(trained / "model.safetensors")
    assert system.tokenizer == trained / "tokenizer.safetensors"
    assert system.codec == str(trained / "codec.safetensors")
    facts = system.facts
    assert (facts["tasks"], facts["steps"], facts["seed"]) == (["v2m"], 2, 0)
    assert (facts["start"], facts["clips"]) == ("random", 7)
    assert (facts["fps"], facts["space"], facts["dataset"]) == (30.0, "camera", "embedded_shots")
    assert system.config["unified"] is False


def test_a_folder_that_is_moved_runs_elsewhere(trained, tmp_path):
    moved = shutil.copytree(trained, tmp_path / "moved")
    pipeline = Pipeline.load(TrainedSystem.open(moved))
    videos = np.zeros((1, 17, 64, 64, 3), np.uint8)
    assert pipeline.v2m(videos, [0]).shape == (1, 17, 79)


def test_the_folder_of_another_run_keeps_its_tokenizer(trained, tmp_path):
    moved = shutil.copytree(trained, tmp_path / "moved")
    before = {path.name: path.read_bytes() for path in moved.iterdir()}
    other = TokenizerFiles(codec=None, tokenizer=assets.TOKENIZER)
    tokens = Tokens.of(
        ClipStore.open(trained.parent / "shots"),
        open_codec(None),
        MotionTokenizer.load(other.tokenizer),
        cache=tmp_path / "cache",
        progress=False,
    )
    training = ARTrainingConfig.embedded(2, batch_size=2, tasks=("v2m",))
    with pytest.raises(ValueError, match="another run"):
        train(fresh_model(), training, tokens, moved, files=other, progress=False)
    assert {path.name: path.read_bytes() for path in moved.iterdir()} == before


def test_parts_that_are_named_win_and_those_that_are_missing_are_the_packages(trained, tmp_path):
    own = TrainedSystem.open(trained, codec="linear", tokenizer=assets.TOKENIZER)
    assert (own.codec, own.tokenizer) == ("linear", assets.TOKENIZER)
    for suffix in (".safetensors", ".json"):
        shutil.copyfile(trained / f"model{suffix}", tmp_path / f"model{suffix}")
    bare = TrainedSystem.open(tmp_path)
    assert (bare.codec, bare.tokenizer) == (str(assets.CODEC), assets.TOKENIZER)
    with pytest.raises(CheckpointError, match="tokenizer_sha256 differs"):
        Pipeline.load(bare)


def test_cosmos_codec_is_where_the_user_has_it(trained, tmp_path, monkeypatch):
    for suffix in (".safetensors", ".json"):
        shutil.copyfile(trained / f"model{suffix}", tmp_path / f"model{suffix}")
    sidecar = json.loads((tmp_path / "model.json").read_text())
    sidecar["extra"]["training"]["codec"] = json.dumps(COSMOS)
    rewrite_json(tmp_path / "model.json", sidecar)
    monkeypatch.setenv("UNIMO_COSMOS_TOKENIZER", str(tmp_path / "dv"))
    with pytest.raises(CheckpointError, match=r"encoder\.jit: nvidia.* is not there; set \$UNIMO"):
        TrainedSystem.open(tmp_path)
    (tmp_path / "dv").mkdir()
    for name in ("encoder.jit", "decoder.jit"):
        (tmp_path / "dv" / name).touch()
    assert TrainedSystem.open(tmp_path).codec == str(tmp_path / "dv")


def test_what_is_no_trained_system_is_said_in_a_line(trained, tmp_path):
    for path, message in (
        (tmp_path, "model.safetensors is not there: give the folder of a finished training"),
        (tmp_path / "none.safetensors", "none.safetensors is not there"),
        (trained / "tokenizer.safetensors", "holds a MotionTokenizer, not a UniMo"),
    ):
        with pytest.raises(CheckpointError, match=message) as caught:
            TrainedSystem.open(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("written", [lambda identity: identity, json.dumps], ids=["object", "text"])
def test_the_codec_is_known_by_its_name_alone(written):
    assert codec_name(written(COSMOS)) == "cosmos-dv8x16x16"
    assert codec_name(written(BUILT_IN)) == "linear"


@pytest.mark.parametrize("codec", [None, "", "cosmos", "[1]", {}, 7])
def test_what_is_no_identity_of_a_codec_has_no_name(codec):
    assert codec_name(codec) == ""
