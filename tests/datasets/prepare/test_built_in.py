"""Stores of built-in data: made once, and again where what they are made from has changed."""

import dataclasses

import pytest

from datasets.adapters.embedded import EmbeddedDataset
from datasets.bodies.smplx_file import ENV_BODY, STAND_IN
from datasets.prepare.built_in import make_store, store_path
from datasets.store.reader import ClipStore

DATASET = EmbeddedDataset(num_train=2, num_test=1, num_frames=8)
LABELS = {"num_frames": 8, "video_size": None}


def make(folder, dataset=DATASET):
    return make_store(dataset, **LABELS, folder=folder, progress=False)


def test_a_store_is_made_once(tmp_path):
    path = make(tmp_path / "data")
    assert path == store_path(DATASET, **LABELS, folder=tmp_path / "data")
    assert ClipStore.open(path).manifest["splits"] == {"train": 2, "test": 1}
    before = {file: file.stat().st_mtime_ns for file in path.iterdir()}
    assert make(tmp_path / "data") == path
    assert {file: file.stat().st_mtime_ns for file in path.iterdir()} == before


def test_a_half_made_store_is_finished(tmp_path, monkeypatch):
    whole = ClipStore.open(make(tmp_path / "whole"))

    def stop(self, index):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(EmbeddedDataset, "sequence", stop)
        make(tmp_path / "data")
    assert ClipStore.open(make(tmp_path / "data")).sha256 == whole.sha256


def test_a_path_names_all_that_a_store_is_made_from(tmp_path, monkeypatch):
    paths = {store_path(DATASET, **LABELS)}
    for changes in ({"num_frames": 9}, {"video_size": 64}):
        paths.add(store_path(DATASET, **{**LABELS, **changes}))
    for changes in ({"version": 0}, {"num_train": 3}, {"num_frames": 9}):
        paths.add(store_path(dataclasses.replace(DATASET, **changes), **LABELS))
    assert len(paths) == 6
    assert {path.parent.name for path in paths} == {"data"}
    # Another body with the same numbers.
    body = tmp_path / "body.npz"
    body.write_bytes(STAND_IN.read_bytes() + b"\0")
    monkeypatch.setenv(ENV_BODY, str(body))
    assert store_path(DATASET, **LABELS) not in paths
