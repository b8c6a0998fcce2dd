"""Pose protocols: which one is used, what its line says, and what is said where a file is missing.

The files are those of `tests.benchmark.official_files`.
"""

import dataclasses
import sys

import pytest

from benchmark.api.table import TASKS
from benchmark.metrics.bodies import joint_regressors
from benchmark.metrics.bodies.protocols import choose
from benchmark.metrics.pose import METRIC
from datasets.bodies.smpl_file import ENV_SMPL
from datasets.bodies.smplx_file import ENV_BODY, STAND_IN
from tests.benchmark.methods.official_files import (
    JOINTS14,
    JOINTS24,
    MESH,
    context,
    evaluation,
    largest,
    random_channels,
    scored,
)


def test_smpl24_is_used_where_the_real_body_and_the_files_are_there(official):
    assert choose(context()).name == "smpl24"
    assert METRIC.missing(context()) == {}


def test_other_bodies_and_missing_files_leave_smplx22_which_says_why(official, monkeypatch):
    monkeypatch.setenv("GVHMR_PYTHON", sys.executable)  # without the package
    line = METRIC.protocol(context())
    assert line.startswith("smplx22: body smplx-neutral ")
    assert line.endswith("not smpl24: GVHMR's regressors are not installed")
    monkeypatch.setenv(ENV_BODY, str(STAND_IN))
    assert METRIC.protocol(context()).endswith("not smpl24: the body is not SMPL-X's neutral one")
    assert METRIC.missing(context()) == {}


def test_labels_of_a_woman_are_on_a_womans_body_and_what_is_seen_is_neutral(official):
    """A tokenizer gives back the parameters that it was given, of whatever body they are."""
    truth = random_channels()
    for task, same in (("tokenizer", True), ("v2m", False)):
        given = evaluation(truth, truth, context(task=task))
        woman = dataclasses.replace(given.clips, genders=["female"] * len(truth))
        scores, _ = scored(dataclasses.replace(given, clips=woman))
        assert (largest(scores) < 0.02) == same
    neutral, _ = scored(evaluation(truth, truth, context()))
    assert largest(neutral) < 0.02


def test_official_labels_are_for_what_is_seen_in_the_datasets_videos_alone(official):
    names = {task: choose(context("threedpw", task=task)).name for task in TASKS}
    assert names == {"tokenizer": "smpl24", "v2m": "lsp14", "i2vm": "smpl24"}


def test_what_is_seen_in_a_video_is_not_compared_with_motion_in_the_world(official):
    truth = random_channels()
    given = evaluation(truth, truth, context())
    clips = dataclasses.replace(given.clips, spaces=["camera", "world"])
    scores, notes = scored(dataclasses.replace(given, clips=clips))
    assert {clip for clip, column in scores if column == "mpjpe"} == {"clip 0"}
    assert any("world space" in note for note in notes)


def test_official_labels_have_one_protocol_each(official):
    for dataset, name in (("threedpw", "lsp14"), ("rich", "smpl24")):
        assert METRIC.missing(context(dataset)) == {}
        line = METRIC.protocol(context(dataset))
        assert line.startswith(f"{name}: ") and f"official labels of {dataset}" in line
    # What is in a generated video has no official labels, nor has what a tokenizer is given.
    for dataset in ("threedpw", "rich"):
        for task in ("i2vm", "tokenizer"):
            assert METRIC.protocol(context(dataset, task=task)) == METRIC.protocol(context())


@pytest.mark.parametrize("dataset", ["", "threedpw", "rich"])
def test_the_line_names_what_is_measured(official, dataset):
    line = METRIC.protocol(context(dataset))
    assert "\n" not in line and str(official.python.parent) not in line
    joints, hips = ("14 joints", "2, 3") if dataset == "threedpw" else ("24 joints", "1, 2")
    for part in (joints, f"joints {hips})", "6890", "Accel", context().body_id, "flat", "frame"):
        assert part in line
    for name in (MESH, JOINTS14 if dataset == "threedpw" else JOINTS24):
        assert f"{name} {joint_regressors.sha256_of(official.matrices / name)[:12]}" in line


def changed(file):
    content = bytearray(file.read_bytes()) + b"\0"
    file.unlink()
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("dataset", "files"),
    [
        ("", ["matrices/" + MESH, "matrices/" + JOINTS24, "smpl/SMPL_NEUTRAL.npz"]),
        ("threedpw", ["matrices/" + MESH, "matrices/" + JOINTS14, "smpl/SMPL_NEUTRAL.npz"]),
        ("threedpw", ["smpl/SMPL_MALE.npz", "smpl/SMPL_FEMALE.npz"]),
        ("rich", ["matrices/" + JOINTS24, "smplx/SMPLX_MALE.npz", "smplx/SMPLX_FEMALE.npz"]),
    ],
)
def test_the_line_changes_with_every_file_that_is_used(own, dataset, files):
    lines = [METRIC.protocol(context(dataset))]
    for name in files:
        folder, _, file = name.partition("/")
        changed(getattr(own, folder) / file)
        lines.append(METRIC.protocol(context(dataset)))
    assert len(set(lines)) == len(lines)


@pytest.mark.parametrize(
    ("dataset", "gone"),
    [
        ("threedpw", "smpl/SMPL_FEMALE.npz"),
        ("threedpw", "matrices/" + MESH),
        ("threedpw", "matrices/" + JOINTS14),
        ("rich", "smplx/SMPLX_MALE.npz"),
        ("rich", "matrices/" + JOINTS24),
    ],
)
def test_a_missing_file_is_named_with_how_to_get_it(own, dataset, gone):
    folder, _, name = gone.partition("/")
    (getattr(own, folder) / name).unlink()
    missing = METRIC.missing(context(dataset))
    assert set(missing) == set(METRIC.columns)
    (reason,) = set(missing.values())
    assert name.removesuffix(".npz") in reason and "\n" not in reason
    cure = "python -m benchmark.run setup gvhmr" if folder == "matrices" else "https://smpl"
    assert cure in reason
    motion = random_channels()
    assert scored(evaluation(motion, motion, context(dataset))) == ({}, [])


def test_everything_that_is_missing_is_named_at_once(monkeypatch, tmp_path):
    monkeypatch.delenv(ENV_BODY, raising=False)
    monkeypatch.delenv(ENV_SMPL, raising=False)
    monkeypatch.delenv("GVHMR_PYTHON", raising=False)
    monkeypatch.setenv("UNIMO_TOOLS", str(tmp_path))
    reason = METRIC.missing(context("threedpw"))["pve"]
    for part in ("SMPLX_NEUTRAL", "setup gvhmr", "SMPL_FEMALE", "SMPL_MALE", ENV_SMPL):
        assert part in reason
    assert reason.count("setup gvhmr") == 1
    assert "SMPLX_FEMALE" not in METRIC.missing(context("rich"))["pve"]  # comes with the body
    assert "(not here)" in METRIC.protocol(context("threedpw"))


def test_nothing_to_compare_gives_no_scores(official):
    motion = random_channels()
    for pair in ((None, motion), (motion, None), (None, None)):
        evaluated = dataclasses.replace(
            evaluation(motion, motion, context()), motion=pair[0], truth=pair[1]
        )
        assert scored(evaluated) == ({}, [])
