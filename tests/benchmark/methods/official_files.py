"""The user's licensed files in miniature, and what pose errors are measured of on them.

Bodies and matrices have the official formats and random numbers. The male SMPL and SMPL-X files are
the neutral ones, so that a prediction can be exactly right.
"""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmark.api.clips import Clips
from benchmark.api.metric import Evaluation, MetricContext
from benchmark.commands.rehearse.stand_ins import bodies
from benchmark.metrics.pose import METRIC
from datasets.bodies.smpl_file import ENV_SMPL
from datasets.bodies.smplx_file import ENV_BODY, find_body
from tests.benchmark.methods import mini_gvhmr_files as mini

FRAMES = 10
MESH, JOINTS24, JOINTS14 = mini.MATRICES


@dataclasses.dataclass
class Official:
    """The user's files: folders of SMPL, SMPL-X and of GVHMR's matrices."""

    smpl: Path
    smplx: Path
    matrices: Path
    python: Path


@pytest.fixture(scope="session")
def originals(tmp_path_factory):
    root = tmp_path_factory.mktemp("official")
    for gender, seed in (("NEUTRAL", 2), ("FEMALE", 1)):
        (root / "smpl").mkdir(exist_ok=True)
        np.savez(root / "smpl" / f"SMPL_{gender}.npz", **bodies.smpl_arrays(seed))
        bodies.write_smplx(root / "smplx" / f"SMPLX_{gender}.npz", seed=seed)
    for name in ("smpl/SMPL", "smplx/SMPLX"):
        shutil.copy(root / f"{name}_NEUTRAL.npz", root / f"{name}_MALE.npz")
    matrices = mini.build_environment(root / "gvhmr")
    return Official(root / "smpl", root / "smplx", matrices, root / "gvhmr" / "bin" / "python")


def install(official, monkeypatch):
    monkeypatch.setenv(ENV_SMPL, str(official.smpl))
    monkeypatch.setenv(ENV_BODY, str(official.smplx))
    monkeypatch.setenv("GVHMR_PYTHON", str(official.python))


@pytest.fixture
def official(originals, monkeypatch):
    install(originals, monkeypatch)
    return originals


@pytest.fixture
def own(originals, tmp_path, monkeypatch):
    """A copy of the small files that a test may change; the bodies are links."""
    for name in ("smpl", "smplx"):
        folder = tmp_path / name
        folder.mkdir()
        for file in getattr(originals, name).iterdir():
            (folder / file.name).symlink_to(file)
    matrices = mini.build_environment(tmp_path / "gvhmr")
    python = tmp_path / "gvhmr" / "bin" / "python"
    own = Official(tmp_path / "smpl", tmp_path / "smplx", matrices, python)
    install(own, monkeypatch)
    return own


def context(dataset="", *, task="v2m", tmp_path="."):
    return MetricContext(task=task, body=find_body(), seed=0, dataset=dataset, cache=tmp_path)


def evaluation(motion, truth, where, *, store=None, ids=None, fps=30.0):
    number = len(motion)
    ids = ids or [f"clip {i}" for i in range(number)]
    clips = Clips(
        ids=ids,
        channels=truth,
        fps=np.full(number, fps),
        spaces=["camera"] * number,
        genders=["neutral"] * number,
        store=store,
    )
    return Evaluation(context=where, clips=clips, motion=motion, truth=truth)


def scored(evaluation):
    scores = METRIC.score(evaluation, progress=lambda what, done, total: None)
    return {(score.clip_id, score.column): score for score in scores}, METRIC.notes(scores)


def random_channels(seed=0, width=79, clips=2):
    rng = np.random.default_rng(seed)
    size = [0.3] * (width - 13) + [1.0] * 10 + [0.2] * 3
    channels = rng.normal(0, size, (clips, FRAMES, width)).astype(np.float32)
    channels[..., -13:-3] = channels[:, :1, -13:-3]
    channels[..., -1] += 4
    return channels


def largest(scores):
    return max(score.sum / score.count for score in scores.values())
