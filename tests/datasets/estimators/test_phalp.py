"""4D-Humans in the user's installation: what it is asked, and a tool that fails."""

import os
import subprocess
import sys
import time
from pathlib import Path

import joblib
import numpy as np
import pytest

from datasets.estimators import EstimateError, EstimatorUnavailable, get
from datasets.video.files import write_video
from tests.datasets.estimators.phalp_files import HEIGHT, WIDTH, clip, entry, frame, write
from tests.datasets.tools.process_ends import ends
from tests.pickle_trap import Trap

# The names of track.py that its command line uses; it "sees" what the test put beside it.
TRACK = """
import pathlib, shutil
from dataclasses import dataclass, field
here = pathlib.Path(__file__).parent

@dataclass
class Video:
    source: str = "???"
    output_dir: str = "outputs/"
    end_frame: int = 1300

@dataclass
class Render:
    enable: bool = True

@dataclass
class Human4DConfig:
    track_dataset: str = "demo"
    overwrite: bool = False
    video: Video = field(default_factory=Video)
    render: Render = field(default_factory=Render)

class HMR2_4dhuman:
    def __init__(self, cfg):
        assert pathlib.Path.cwd() == here and pathlib.Path(cfg.video.output_dir).is_dir()
        self.cfg = cfg
        with open(here / "log", "a") as log:
            print("loaded", file=log)

    def track(self):
        video, out = pathlib.Path(self.cfg.video.source), pathlib.Path(self.cfg.video.output_dir)
        with open(here / "log", "a") as log:
            print(self.cfg.video.end_frame, self.cfg.render.enable, self.cfg.overwrite, file=log)
        assert video.suffix == ".mp4" and video.exists()
        try:
            if (here / "fails").exists():
                raise RuntimeError("CUDA out of memory")
            (out / "results").mkdir()
            name = f"{self.cfg.track_dataset}_{video.name.split('.')[0]}.pkl"
            shutil.copy(here / "seen.pkl", out / "results" / name)
            return {}, name
        except Exception as error:
            print(error)
"""
OMEGACONF = """
class OmegaConf:
    @staticmethod
    def structured(kind):
        return kind()
"""


@pytest.fixture
def video(tmp_path):
    """A video whose name the tool would cut and misread."""
    file = tmp_path / "it's a b.c=d.mp4"
    write_video(file, np.zeros((10, HEIGHT, WIDTH, 3), np.uint8), fps=24)
    return file


@pytest.fixture
def installation(tmp_path, monkeypatch):
    """A folder that looks like the user's 4D-Humans."""
    home = tmp_path / "4D Humans"
    home.mkdir()
    (home / "track.py").write_text(TRACK)
    (home / "omegaconf.py").write_text(OMEGACONF)
    name = "epoch=35-step=1000000.ckpt"
    checkpoint = tmp_path / ".cache/4DHumans/logs/train/multiruns/hmr2/0/checkpoints" / name
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"weights")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PHALP_HOME", str(home))
    monkeypatch.setenv("PHALP_PYTHON", sys.executable)
    return home


def test_a_clip_through_the_users_installation(installation, video):
    rng = np.random.default_rng(0)
    people = [(7, 0, entry(rng)) for _ in range(10)]
    write(installation / "seen.pkl", [frame(i, [people[i]] if i else []) for i in range(10)])
    with get("phalp").start("cuda") as session:
        estimate = session.estimate(clip(10, fps=24, video=video))
    assert len(estimate.camera_motion) == 10 and estimate.camera_motion.fps == 24
    assert estimate.world_motion is None
    assert estimate.diagnostics == {"frames_interpolated": 1, "people": 1}
    assert (installation / "log").read_text().splitlines() == ["loaded", "-1 False True"]


def test_the_networks_are_loaded_once_and_again_after_a_clip_at_which_they_died(
    installation, video
):
    rng = np.random.default_rng(0)
    write(installation / "seen.pkl", [frame(i, [(7, 0, entry(rng))]) for i in range(10)])
    track = installation / "track.py"
    dies = 'if (here / "dies").exists():\n            (here / "dies").unlink()'
    dies += "\n            import os; os._exit(9)\n        assert video.suffix"
    track.write_text(TRACK.replace("assert video.suffix", dies))
    with get("phalp").start("cuda") as session:
        first = session.estimate(clip(10, video=video)).camera_motion
        (installation / "fails").touch()
        with pytest.raises(EstimateError, match="out of memory"):
            session.estimate(clip(10, video=video))
        (installation / "fails").unlink()
        second = session.estimate(clip(10, video=video)).camera_motion
        (installation / "dies").touch()
        with pytest.raises(EstimateError, match="exited with code 9"):
            session.estimate(clip(10, video=video))
        third = session.estimate(clip(10, video=video)).camera_motion
    for other in (second, third):
        np.testing.assert_array_equal(first.body_pose, other.body_pose)
    lines = (installation / "log").read_text().splitlines()
    assert [line == "loaded" for line in lines].count(True) == 2 and lines[-2] == "loaded"


def test_an_installation_that_does_not_start_says_why(installation):
    (installation / "track.py").write_text("raise ImportError('no detectron2')")
    with (
        pytest.raises(EstimatorUnavailable, match="does not start: ImportError: no detectron2"),
        get("phalp").start("cuda"),
    ):
        pass


@pytest.mark.parametrize("together", [5, 6])
def test_others_in_most_of_the_images(installation, video, together):
    rng = np.random.default_rng(0)
    frames = []
    for i in range(10):
        person, other = entry(rng), entry(rng)
        person["bbox"][2:] += 10
        # A ghost is nobody.
        frames.append(frame(i, [(7, 0, person), (8, int(i >= together), other)]))
    write(installation / "seen.pkl", frames)
    with get("phalp").start("cuda") as session:
        if together == 5:
            assert session.estimate(clip(10, video=video)).diagnostics["people"] == 2
        else:
            with pytest.raises(EstimateError, match=r"multi_person: .*60%"):
                session.estimate(clip(10, video=video))


def test_track_py_ends_with_the_program_that_started_it(installation, video, tmp_path):
    (installation / "track.py").write_text(
        TRACK.replace(
            "assert video.suffix",
            "import os, time; print(os.getpid(), file=open('pid.tmp', 'w'), flush=True);"
            "os.rename('pid.tmp', 'pid'); time.sleep(600); assert video.suffix",
        )
    )
    code = f"""
import sys
sys.path[:0] = [{str(Path(__file__).parents[3])!r}]
from tests.datasets.estimators import test_phalp as t
with t.get("phalp").start("cuda") as session:
    session.estimate(t.clip(10, video=t.Path({str(video)!r})))
"""
    killed = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[3],
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    while not (installation / "pid").exists():
        assert killed.poll() is None
        time.sleep(0.05)
    killed.kill()
    killed.wait()
    assert ends(int((installation / "pid").read_text()))


def test_nobody_seen(installation, video):
    write(installation / "seen.pkl", [frame(i, []) for i in range(10)])
    with get("phalp").start("cuda") as session, pytest.raises(EstimateError, match="no_person"):
        session.estimate(clip(10, video=video))


def test_no_result_is_an_error_although_it_raises_none(installation, video):
    (installation / "fails").touch()
    with get("phalp").start("cuda") as session, pytest.raises(EstimateError) as error:
        session.estimate(clip(10, video=video))
    assert error.value.status == "error" and "CUDA out of memory" in error.value.reason


def test_a_result_that_would_run_code_is_refused(installation, video, tmp_path):
    joblib.dump({"x/000001.jpg": Trap(os.mkdir, str(tmp_path / "made"))}, installation / "seen.pkl")
    with get("phalp").start("cuda") as session, pytest.raises(EstimateError, match="refused"):
        session.estimate(clip(10, video=video))
    assert not (tmp_path / "made").exists()


def test_a_damaged_video(installation):
    with get("phalp").start("cuda") as session, pytest.raises(EstimateError, match="decode_error"):
        session.estimate(clip(10, video=installation / "track.py"))


def test_identity_is_of_the_program_and_the_weights(installation):
    before = get("phalp").identity()
    assert len(before["checkpoint"]) == 64
    (installation / "track.py").write_text(TRACK + "# changed\n")
    after = get("phalp").identity()
    assert {name for name in before if before[name] != after[name]} == {"track.py"}


def test_what_is_missing_is_told(installation, monkeypatch):
    estimator = get("phalp")
    with pytest.raises(EstimatorUnavailable, match="CUDA"), estimator.start("cpu"):
        pass
    (installation / "track.py").unlink()
    with pytest.raises(EstimatorUnavailable, match=r"track\.py: correct \$PHALP_HOME"):
        estimator.identity()
    monkeypatch.delenv("PHALP_HOME")
    with pytest.raises(EstimatorUnavailable, match=r"4D-Humans.*PHALP_PYTHON.*PHALP_HOME"):
        estimator.identity()
