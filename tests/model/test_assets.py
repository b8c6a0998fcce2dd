"""The set that ships with the package: small, whole, and able to see."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from datasets.adapters.embedded_shots import DATASET
from datasets.prepare.prepare_store import prepare
from datasets.store.reader import ClipStore
from datasets.video.files import read_video
from model import assets
from model.generate.__main__ import main
from model.generate.pipeline import Pipeline
from model.kinematics import centred_joints, joint_distance
from model.system import TrainedSystem
from model.tokenizer import MotionTokenizer
from model.transformer import UniMo, UniMoConfig
from model.transformer.train.config import ARTrainingConfig
from model.transformer.train.held_out import examine
from model.transformer.train.run import train
from model.transformer.train.token_set import Tokens
from model.video_tokens.choose import open_codec


@pytest.fixture(scope="module")
def pipeline():
    return Pipeline.load(TrainedSystem.open(assets.UNIMO))


@pytest.fixture(scope="module")
def shots(tmp_path_factory):
    """The first 28 test shots: none was trained on."""
    path = tmp_path_factory.mktemp("shots") / "store"
    few = dataclasses.replace(DATASET, num_train=0, num_test=4)
    prepare(few, None, path, num_frames=17, video_size=64, progress=False)
    return ClipStore.open(path)


def test_the_set_is_small_and_says_where_it_comes_from():
    files = sorted(assets.FOLDER.glob("*.safetensors"))
    assert files == sorted([assets.CODEC, assets.TOKENIZER, assets.UNIMO])
    assert sum(file.stat().st_size for file in files) < 6e6
    for file in files:
        extra = json.loads(file.with_suffix(".json").read_text())["extra"]
        assert extra["made_by"] == "python -m model.build_assets"
        assert extra["training"]["steps_done"] == extra["training"]["steps"]


def test_motion_follows_the_video_it_is_read_from(pipeline, shots):
    ids = shots.ids("test")
    videos = np.stack([read_video(shots[name].video) for name in ids])
    truth = centred_joints(shots.channels(ids))
    seeds = list(range(len(ids)))
    seen, others = (
        joint_distance(centred_joints(pipeline.v2m(clips, seeds)), truth)
        for clips in (videos, np.roll(videos, len(videos) // 2, axis=0))
    )
    # Of these very clips, which is more than any method could know.
    mean_pose = joint_distance(truth.mean(axis=(0, 1)), truth)
    assert seen < 0.85 * mean_pose and seen < 0.85 * others


def test_generated_video_begins_with_the_image_and_agrees_with_its_motion(pipeline, shots):
    ids = shots.ids("test")
    images = np.stack([read_video(shots[name].video, [0])[0] for name in ids])
    seeds = list(range(len(ids)))
    visual, motion = pipeline.i2vm(images, seeds)
    first = pipeline.codec.encode(images[:, None])
    np.testing.assert_array_equal(visual[:, :1], first)
    made = centred_joints(motion)
    read = centred_joints(pipeline.tokenizer.decode_channels(pipeline.v2m_tokens(visual, seeds)))
    others = np.roll(read, len(read) // 2, axis=0)
    assert joint_distance(made, read) < 0.8 * joint_distance(made, others)


def test_a_first_clip_takes_one_command(shots, tmp_path, capsys):
    clip = shots[0]
    assert main(["v2m", str(clip.video), "--out", str(tmp_path), "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert len(out.split()) == 4
    assert err.count("\n") == 1 and "only seen rendered people" in err and "64 pixels" in err


@pytest.mark.slow
def test_two_minutes_of_training_show_that_the_video_is_used(tmp_path):
    store = tmp_path / "store"
    few = dataclasses.replace(DATASET, num_train=120, num_test=0)
    prepare(few, None, store, num_frames=17, video_size=64, workers=2, progress=False)
    codec, tokenizer = open_codec(None), MotionTokenizer.load(assets.TOKENIZER)
    tokens = Tokens.of(
        ClipStore.open(store), codec, tokenizer, mirror=True, cache=tmp_path / "c", progress=False
    )
    torch.manual_seed(0)
    model = UniMo(UniMoConfig.embedded())
    training = ARTrainingConfig.embedded(400)
    train(model, training, tokens, tmp_path / "run", progress=False)
    found = examine(model, training, tokens.held_out)
    assert found["shuffled_gap"] > 0.3
    assert found["held_out_v2m_motion"] < np.log(model.config.motion_vocab) - 0.3
