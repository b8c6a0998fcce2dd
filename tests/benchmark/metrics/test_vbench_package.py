"""The real package in its environment, with weights of known output."""

import os
import subprocess

import numpy as np
import pytest
import torch

from benchmark.commands.rehearse.stand_ins import vbench as stand_ins
from benchmark.metrics.vbench import METRIC
from benchmark.metrics.vbench_tool import weights
from benchmark.metrics.vbench_tool.client import VBenchError, measure
from datasets.tools import isolated
from datasets.video.files import read_video, write_video
from tests.benchmark.metrics.vbench_clips import evaluation, quiet, video
from tests.pickle_trap import Trap

pytestmark = [pytest.mark.slow, pytest.mark.tools]


@pytest.fixture
def vbench(monkeypatch):
    """The environment of VBench, about 2.2 GB: built where it is not."""
    monkeypatch.delenv("VBENCH_PYTHON", raising=False)
    try:
        return isolated.build("vbench")
    except isolated.BuildError as error:
        pytest.skip(f"VBench's environment cannot be built here: {error}")


def test_temporal_flickering_is_one_minus_the_mean_change(tmp_path, vbench, monkeypatch):
    monkeypatch.setenv("VBENCH_CACHE_DIR", str(tmp_path / "nothing"))
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 256, (8, 16, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    coloured = tmp_path / "coloured.mp4"
    write_video(coloured, [blocks[:, i : i + 64] for i in range(9)], fps=24)
    write_video(tmp_path / "still.mp4", [np.full((64, 64, 3), 90, np.uint8)] * 5, fps=24)
    paths = [tmp_path / "still.mp4", video(tmp_path, "moving"), coloured]
    scores = METRIC.score(evaluation(tmp_path, paths), progress=quiet)
    values = {s.clip_id: s.sum for s in scores}
    assert {s.column for s in scores} == {"temporal_flickering"}
    assert values["clip 0"] == 1.0
    # OpenCV, its reader, takes all colours for BT.601; ours are BT.709, as the file says.
    for path, value, near in zip(paths, values.values(), (1e-6, 1e-6, 1e-3), strict=True):
        change = np.abs(np.diff(read_video(path).astype(float), axis=0)).mean()
        assert value == pytest.approx((255 - change) / 255, abs=near)
    assert values["clip 2"] < values["clip 1"] < 1.0


def test_networks_of_known_output_run_without_a_connection(tmp_path, vbench, monkeypatch):
    root = tmp_path / "weights"
    # 20 steps of 0.02 eighths of the picture: a flow of 3.2 pixels.
    stand_ins.build_weights(vbench, root)
    monkeypatch.setenv("VBENCH_CACHE_DIR", str(root))
    steps = (0, 5, 12, 14, 20, 31, 30)
    paths = [video(tmp_path, f"v{side}", steps, side=side) for side in (128, 144)]
    names = ["motion_smoothness", "dynamic_degree", "subject_consistency"]
    values = measure(paths, names, folder=tmp_path / "kept", progress=quiet)
    # Moving from 6 / 256 of the side on: 3 pixels of 128, 3.4 of 144.
    assert values["dynamic_degree"] == [1.0, 0.0]
    for row, path in enumerate(paths):
        frames = read_video(path).astype(int)
        between = (frames[:-2:2] + frames[2::2]) // 2
        smooth = (255 - np.abs(frames[1::2] - between).mean()) / 255
        assert values["motion_smoothness"][row] == pytest.approx(smooth, abs=1 / 255)
        assert values["subject_consistency"][row] == pytest.approx(consistency(frames), abs=1e-4)


def consistency(frames):
    """The mean of each frame's likeness to the first and to the one before it."""
    red = ((frames[..., 0] / 255).mean((1, 2)) - 0.485) / 0.229
    angle = np.arctan2(red, 1.0)
    likeness = np.cos(angle[1:, None] - np.stack([angle[:-1], np.full(len(red) - 1, angle[0])], 1))
    return np.maximum(likeness, 0).mean()


@pytest.mark.parametrize("dimension", ["motion_smoothness", "dynamic_degree"])
@pytest.mark.parametrize("call", [os.mkdir, subprocess.check_call])
def test_no_checkpoint_is_executed(tmp_path, vbench, monkeypatch, dimension, call):
    root, trap = tmp_path / "weights", tmp_path / "executed"
    monkeypatch.setenv("VBENCH_CACHE_DIR", str(root))
    argument = str(trap) if call is os.mkdir else ["/bin/mkdir", str(trap)]
    for weight in weights.WEIGHTS[dimension]:
        (root / weight.path).parent.mkdir(parents=True)
        torch.save({"state_dict": {}, "more": Trap(call, argument)}, root / weight.path)
    with pytest.raises(VBenchError, match=r"UnpicklingError|loading state_dict"):
        measure([video(tmp_path, "a")], [dimension], folder=tmp_path / "kept", progress=quiet)
    assert not trap.exists()


def test_a_file_that_vanishes_is_not_downloaded(tmp_path, vbench, monkeypatch):
    monkeypatch.setattr(weights, "identity", lambda dimension: "none")
    monkeypatch.setenv("VBENCH_CACHE_DIR", str(tmp_path / "nothing"))
    names = [name for name, files in weights.WEIGHTS.items() if files]
    with pytest.raises(VBenchError) as caught:
        measure([video(tmp_path, "a")], names, folder=tmp_path / "kept", progress=quiet)
    assert all(f"{name}: " in str(caught.value) for name in names)
    assert not (tmp_path / "kept" / "values.jsonl").exists()
