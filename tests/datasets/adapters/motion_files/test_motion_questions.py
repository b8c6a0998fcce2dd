"""Motion files that do not fit what people do are asked about, never guessed."""

from pathlib import Path

import numpy as np
import pytest

from datasets.adapters import amass, smplx_npz
from datasets.adapters.embedded import EmbeddedDataset
from datasets.adapters.formats.motion_checks import require_plausible
from datasets.adapters.formats.motion_files import ReadOptions
from datasets.bodies.smplx import load_body
from tests.datasets.mini.motions import captured, plain, save
from tests.datasets.mini.reading import read_names, with_options

T = 12
SHARED = Path(__file__).parents[4].parent / "shared" / "data" / "motion"


# (x, y, z) -> (x, z, -y)
Y_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])


def walk(fps, *, metres=1.0, pace=1.4):
    """(90, 3): a straight line at `pace` m/s."""
    return np.outer(np.arange(90) / fps * pace * metres, [0, 0, 1])


def test_a_walk_in_centimetres_is_asked_about(tmp_path):
    save(tmp_path / "a" / "metres.npz", plain(frames=90, tau=walk(30)))
    save(tmp_path / "a" / "sprint.npz", plain(frames=90, tau=walk(30, pace=12.4)))
    save(tmp_path / "a" / "centimetres.npz", plain(frames=90, tau=walk(30, metres=100)))
    # One jump, as where a recording lost its markers, is no wrong unit.
    save(
        tmp_path / "a" / "jump.npz",
        plain(frames=90, tau=walk(30) + 50 * np.outer(np.arange(90) > 40, [1, 0, 0])),
    )
    save(tmp_path / "a" / "one frame.npz", plain(frames=1))
    found, skipped = read_names(smplx_npz.DATASET, tmp_path / "a")
    assert set(found) == {"metres", "sprint", "jump", "one frame"}
    assert skipped == {"centimetres": "the root moves at 140 m/s: are these centimetres?"}
    # Of a fast recording it is the true speed that counts.
    fast = {"frames": 90, "mocap_framerate": np.array(250.0)}
    save(tmp_path / "b" / "run.npz", captured(**fast, trans=walk(250, pace=8)))
    save(tmp_path / "b" / "centimetres.npz", captured(**fast, trans=walk(250, metres=100)))
    found, skipped = read_names(amass.DATASET, tmp_path / "b")
    assert (list(found), list(skipped)) == (["run"], ["centimetres"])


@pytest.mark.skipif(
    not SHARED.is_dir(), reason="the shared CMU takes are not beside the repository"
)
def test_real_takes_stand_on_the_ground():
    found, skipped = read_names(smplx_npz.DATASET, SHARED)
    assert len(found) == 17
    assert not skipped
    assert found["cmu_60_03"].group == found["cmu_61_03"].group != found["cmu_60_04"].group
    motion = found["cmu_01_01"].world_motion
    joints = load_body().joints(motion.to_channels())
    feet, head = joints[:, [10, 11], 1].min(1), joints[:, 15, 1]
    assert np.percentile(feet, 5) == pytest.approx(0.03, abs=0.02)
    assert 0.8 < np.median(head) < 1.8


def lying(axis):
    """(T, 3) root rotations that turn an upright person's trunk from y to another axis."""
    turn = {"x": [0, 0, -np.pi / 2], "z": [np.pi / 2, 0, 0], "-y": [np.pi, 0, 0]}[axis]
    return np.tile(turn, (T, 1)).astype(float)


@pytest.mark.parametrize("axis", ["x", "z", "-y"])
def test_a_trunk_along_another_axis_than_up_is_asked_about(tmp_path, axis):
    upright = smplx_npz.read(save(tmp_path / "ok" / "a.npz", plain())).motion
    height = load_body().joints(upright.to_channels())[:, 15, 1]
    save(tmp_path / "root" / "a.npz", plain(phi=lying(axis), up=None))
    found, skipped = read_names(smplx_npz.DATASET, tmp_path / "root")
    assert not found
    assert f"{axis} up? write up = '{axis}' or give --up {axis}" in skipped["a"]
    for answer in ("option", "file"):
        folder = with_options(smplx_npz.DATASET, up=axis)
        if answer == "file":
            save(tmp_path / "root" / "a.npz", plain(phi=lying(axis), up=np.array(axis)))
            folder = smplx_npz.DATASET
        found, skipped = read_names(folder, tmp_path / "root")
        assert not skipped
        joints = load_body().joints(found["a"].world_motion.to_channels())
        np.testing.assert_allclose(joints[:, 15, 1] - joints[:, 0, 1], height, atol=0.6)
        assert (joints[:, 15, 1] - joints[:, 0, 1] > 0.4).all()
        assert (f"{axis} is up, by --up" in found["a"].assumed) == (answer == "option")


def test_who_lies_all_the_time_says_so_in_the_file_and_nobody_stands_on_the_head_for_ever(tmp_path):
    save(tmp_path / "asleep.npz", plain(phi=lying("x"), up=np.array("y")))
    save(tmp_path / "turned over.npz", plain(phi=lying("-y"), up=np.array("y")))
    save(tmp_path / "unsaid.npz", plain(phi=lying("x"), up=None))
    some = np.where((np.arange(T) < T // 2)[:, None], lying("x"), 0)
    save(tmp_path / "gets up.npz", plain(phi=some, up=None))
    found, skipped = read_names(smplx_npz.DATASET, tmp_path)
    assert set(found) == {"asleep", "gets up"}
    assert set(skipped) == {"turned over", "unsaid"}
    assert "write up = 'y' in the file" in skipped["unsaid"]


def test_a_file_and_a_command_that_contradict_each_other_are_not_reconciled(tmp_path):
    save(tmp_path / "a.npz", plain(up=np.array("y")))
    _, skipped = read_names(with_options(smplx_npz.DATASET, up="z"), tmp_path)
    assert skipped == {"a": "the file says up = 'y', the command --up z"}


def test_what_people_do_is_not_asked_about():
    for taken in EmbeddedDataset(8, 3).sequences(None):
        up = {"up_to_y": np.eye(3), "is_up_stated": True}
        require_plausible(taken.world_motion, taken.valid, **up)


@pytest.mark.parametrize(
    ("changes", "question"),
    [
        ({"tau": np.tile([0, 92.0, 0], (T, 1))}, "centimetres"),  # hardly moves
        ({"tau": np.outer(np.arange(T) % 3 > 0, [0, 5.0, 0]), "fps": 0.5}, "centimetres"),
        ({"theta": np.random.default_rng(0).normal(0, 0.5, (T, 63)), "fps": 300}, "300 frames"),
    ],
)
def test_a_wrong_unit_or_rate_is_asked_about(tmp_path, changes, question):
    save(tmp_path / "a.npz", plain(**changes))
    found, skipped = read_names(smplx_npz.DATASET, tmp_path)
    assert not found and question in skipped["a"]


def test_rates_that_differ_or_are_missing_are_asked_for(tmp_path):
    two = save(tmp_path / "two.npz", captured(fps=np.array(60)))
    with pytest.raises(ValueError, match=r"fps 60, mocap_framerate 30.*--source-fps"):
        amass.read(two)
    assert amass.read(two, ReadOptions(source_fps=60)).motion.fps == 30
    none = save(tmp_path / "none.npz", plain(fps=None))
    with pytest.raises(ValueError, match=r"no frame rate.*--source-fps"):
        smplx_npz.read(none)
    for options in (ReadOptions(fps=20), ReadOptions(source_fps=20), ReadOptions(fps=20)):
        recording = smplx_npz.read(none, options)
        assert recording.motion.fps == 20
        assert any(text.startswith("20 frames per second, by --") for text in recording.assumed)
    # A rate that is wanted is no reason to doubt the file's, nor to thin it first.
    fast = save(tmp_path / "fast.npz", captured(mocap_framerate=np.array(120.0)))
    assert amass.read(fast, ReadOptions(fps=60)).motion.fps == 120
    assert amass.read(fast, ReadOptions(source_fps=60)).motion.fps == 30
    assert len(amass.read(fast, ReadOptions(source_fps=60)).motion) == T // 2


@pytest.mark.parametrize("adapter", [amass, smplx_npz])
def test_what_a_file_does_not_say_is_assumed_and_told(tmp_path, adapter):
    arrays = captured(betas=None, gender=None) if adapter is amass else plain(beta=None)
    path = save(tmp_path / "a.npz", arrays)
    recording = adapter.read(path)
    assert recording.motion.gender == "neutral" and not recording.motion.betas.any()
    assert "neutral bodies, as the file has no gender" in recording.assumed
    assert "the mean shape, as the file has no betas" in recording.assumed
    told = adapter.read(path, ReadOptions(gender="female"))
    assert told.motion.gender == "female"
    assert "female bodies, by --gender, where the file does not say it" in told.assumed
