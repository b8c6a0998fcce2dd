"""What the built-in estimator learns from: which clips of a store, and the rendered pictures."""

import dataclasses
import random
import shutil

import numpy as np
import pytest

from datasets.adapters.embedded_shots import EmbeddedShots
from datasets.prepare.prepare_store import prepare
from datasets.store.reader import ClipStore
from datasets.video.files import read_video, write_video
from model.regressor import examples
from model.regressor.examples import examples_of, render_built_in
from model.regressor.train import train_built_in
from model.training.config import TrainingError
from tests.campaign.edits import edit
from tests.damage import cut, flip_bit

SIZE = 16


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "shots"
    shots = EmbeddedShots(num_train=1, num_test=1)
    prepare(shots, None, path, num_frames=17, video_size=64, progress=False)
    return ClipStore.open(path)


@pytest.fixture
def own_store(store, tmp_path):
    """A copy whose videos a test may break."""
    return ClipStore.open(shutil.copytree(store.path, tmp_path / "own"))


def assert_same(found, wanted):
    for name in ("pictures", "features", "focal", "rest"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))


def test_clips_with_videos_that_are_not_theirs_are_left_out_and_counted(own_store, store):
    short, long, large, broken, *intact = own_store.clip_ids[:6]
    frames = read_video(own_store[short].video)
    write_video(own_store[short].video, frames[:9], fps=30)
    write_video(own_store[long].video, np.concatenate([frames, frames]), fps=30)
    write_video(own_store[large].video, frames.repeat(2, axis=1), fps=30)
    own_store[broken].video.write_bytes(b"not a video")
    found = examples_of(own_store, [short, long, large, broken, *intact], SIZE)
    assert found.identity["examples"] == "2 of 6 clips, 16 px"
    assert_same(found, examples_of(store, intact, SIZE))
    with pytest.raises(TrainingError, match="no clip to train on"):
        examples_of(own_store, [short, broken], SIZE)
    with pytest.raises(TrainingError, match="has no clips"):
        examples_of(own_store, [], SIZE)


def test_a_person_behind_the_camera_is_left_out(store, monkeypatch):
    """Its depth has no logarithm: one such label would make every loss not finite."""
    ids = store.clip_ids[:3]
    some = store.some

    def with_one_behind(names):
        for clip in some(names):
            motion = clip.camera_motion
            behind = dataclasses.replace(motion, transl=motion.transl - [0, 0, 50])
            yield (
                dataclasses.replace(clip, camera_motion=behind) if clip.clip_id == ids[1] else clip
            )

    monkeypatch.setattr(store, "some", with_one_behind)
    found = examples_of(store, ids, SIZE)
    monkeypatch.undo()
    assert found.identity["examples"].startswith("2 of 3 clips")
    assert_same(found, examples_of(store, [ids[0], ids[2]], SIZE))


def test_more_pictures_than_fit_are_thinned_evenly_and_it_is_said(store, monkeypatch, capsys):
    ids = store.clip_ids[:10]
    whole = examples_of(store, ids, SIZE)
    assert whole.identity["examples"] == "10 of 10 clips, 16 px" and not capsys.readouterr().err
    monkeypatch.setattr(examples, "MOST_BYTES", 5 * whole.pictures[0].nbytes)
    found = examples_of(store, ids, SIZE)
    assert "training on 5 clips, evenly spaced among 10" in capsys.readouterr().err
    assert found.identity["examples"].startswith("5 of 5 clips, 16 px, evenly spaced among 10")
    assert_same(found, examples_of(store, ids[::2], SIZE))


def test_damaged_pictures_are_rendered_again_and_none_are_left(tmp_path):
    pictures = tmp_path / "pictures.npz"
    pictures.write_bytes(b"PK\x03\x04 no archive")
    path = train_built_in(tmp_path, steps=1, sequences=1, progress=False)
    content = path.read_bytes()
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names == ["losses.csv", "model.json", "model.safetensors"]
    pictures.write_bytes(b"left by a run that was stopped once its checkpoint was written")
    assert train_built_in(tmp_path, steps=1, sequences=1, progress=False).read_bytes() == content
    assert sorted(file.name for file in tmp_path.iterdir()) == names


def test_damaged_examples_count_as_not_there_or_are_the_same(tmp_path):
    """A flip in a part of the zip that nobody reads, such as a time, is harmless."""
    file, rng = tmp_path / "pictures.npz", random.Random(0)
    made = render_built_in(file, 1, SIZE, progress=False)
    whole = file.read_bytes()
    for damage in (flip_bit, cut, edit):
        found = 0
        for _ in range(30):
            file.write_bytes(whole)
            done = damage(file, rng)
            arrays = examples._load(file, made.identity)
            found += arrays is None
            for name, array in (arrays or {}).items():
                np.testing.assert_array_equal(array, getattr(made, name), err_msg=done)
        assert found >= 25, damage
