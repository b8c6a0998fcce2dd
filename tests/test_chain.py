"""From a user's video to a table, with what is built in: the same bytes however it is run."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from datasets.store.reader import ClipStore
from datasets.video.files import write_video
from model.regressor.train import train_built_in

ROOT = Path(__file__).parents[1]
PARQUET = ("index.parquet", "motion.parquet", "gt.parquet", "pseudo_gt.parquet", "manifest.json")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    rng = np.random.default_rng(0)
    for name in ("one", "two = 2"):
        pictures = (rng.integers(0, 256, (1, 48, 64, 3), dtype=np.uint8) for _ in range(140))
        write_video(folder / f"{name}.mp4", (picture[0] for picture in pictures), fps=25)
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("regressor")
    return train_built_in(folder, steps=20, sequences=16, progress=False)


def run(*command):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", *map(str, command)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_video_to_pseudo_ground_truth_is_the_same_in_every_way(videos, weights, tmp_path):
    for workers in (1, 2):
        out = tmp_path / f"store{workers}" / "clips"
        run("datasets.prepare", "videos", "--root", videos, "--out", out, "--workers", workers)
    stores = [tmp_path / f"store{workers}" / "clips" for workers in (1, 2)]
    for name in PARQUET[:3]:
        assert (stores[0] / name).read_bytes() == (stores[1] / name).read_bytes(), name

    ways = [("local", 1), ("local", 2)]
    if importlib.util.find_spec("ray"):
        ways += [("ray", 1), ("ray", 2)]
    results = []
    for executor, workers in ways:
        out = tmp_path / f"{executor}{workers}" / "motion"
        run(
            *("datasets.pseudo_gt", "--store", stores[0], "--out", out, "--estimator", "regressor"),
            *("--checkpoint", weights, "--executor", executor, "--workers", workers),
        )
        results.append({name: (out / name).read_bytes() for name in PARQUET})
    for way, result in zip(ways, results, strict=True):
        assert result == results[0], f"{way} differs"

    store = ClipStore.open(tmp_path / "local1" / "motion")
    assert len(store) == len(ClipStore.open(stores[0]))
    for clip in store:
        assert clip.motion_source == "regressor" and clip.camera_motion is not None
        assert clip.video.is_file()


def test_a_table_is_measured_on_it(videos, weights, tmp_path):
    store, motion = tmp_path / "clips", tmp_path / "motion"
    run("datasets.prepare", "videos", "--root", videos, "--out", store, "--size", 64)
    run(
        *("datasets.pseudo_gt", "--store", store, "--out", motion, "--estimator", "regressor"),
        *("--checkpoint", weights),
    )
    text = run(
        *("benchmark.run", "table5", "--profile", "smoke", "--data", motion),
        *("--rows", "s=1/36*", "--out", tmp_path / "reports", "--quiet"),
    )
    assert "regressor" in text
