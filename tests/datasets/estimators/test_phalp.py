"""4D-Humans: what PHALP writes as the motion of a clip, and a tool that fails."""

import os
import subprocess
import sys
import time
from pathlib import Path

import joblib
import numpy as np
import pytest

from datasets.adapters.formats.phalp_file import read_track
from datasets.estimators import ClipVideo, EstimateError, EstimatorUnavailable, get
from datasets.estimators.phalp import to_motion
from datasets.rotation import axis_angle_to_matrix
from datasets.video.files import write_video
from tests.datasets.tools.process_ends import ends
from tests.pickle_trap import Trap

HEIGHT, WIDTH = 180, 320
FOCAL = 5000 * WIDTH / 256


def entry(rng, centre=(160, 90)):
    """What PHALP lists of one person in one frame."""
    turn = axis_angle_to_matrix(rng.normal(size=(24, 3)) * 0.5).astype(np.float32)
    depth = 40 + rng.random()
    x, y = (np.array(centre) - (WIDTH / 2, HEIGHT / 2)) * depth / FOCAL
    return {
        "smpl": {
            "global_orient": turn[:1],
            "body_pose": turn[1:],
            "betas": rng.normal(size=10).astype(np.float32),
        },
        "camera": np.array([x, y, depth], np.float32),
        "bbox": np.array([centre[0] - 20, centre[1] - 50, 40, 100.0]),
    }


def frame(time, people, *, detected=None):
    """A frame of PHALP's output: (tid, tracked_time, entry) of all confirmed people.

    `tracked_ids` and `tracked_bbox` list the detected ones only, so that their positions are not
    those of the other lists.
    """
    seen = [person for person in people if person[1] == 0] if detected is None else detected
    path = f"out/_DEMO/clip/img/{time + 1:06d}.jpg"
    return path, {
        "time": time,
        "shot": 0,
        "frame_path": path,
        "tracked_ids": [tid for tid, _, _ in seen],
        "tracked_bbox": [e["bbox"] for _, _, e in seen],
        "tid": [tid for tid, _, _ in people],
        "tracked_time": [lost for _, lost, _ in people],
        "bbox": [e["bbox"] for _, _, e in people],
        "smpl": [e["smpl"] for _, _, e in people],
        "camera": [e["camera"] for _, _, e in people],
        "camera_bbox": [np.zeros(3, np.float32) for _ in people],
        "3d_joints": [np.zeros((45, 3), np.float32) for _ in people],
        "2d_joints": [np.zeros(90, np.float32) for _ in people],
        "size": [[HEIGHT, WIDTH] for _ in people],
        "center": [np.zeros(2) for _ in people],
        "scale": [np.float64(100) for _ in people],
        "mask": [[{"size": [HEIGHT, WIDTH], "counts": b"abc"}] for _ in people],
        "conf": [np.float32(0.9) for _ in people],
        "class_name": [0 for _ in people],
        "annotations": [[] for _ in people],
        "extra_data": [[] for _ in people],
        "img_path": [path for _ in people],
        "img_name": [path.split("/")[-1] for _ in people],
    }


def write(file, frames):
    file.parent.mkdir(parents=True, exist_ok=True)
    joblib.dump(dict(frames), file, compress=3)
    return file


def clip(num_frames, *, fps=30.0, video=Path("none.mp4")):
    K = np.tile(np.array([[400, 0, 250], [0, 410, 256], [0, 0, 1.0]]), (num_frames, 1, 1))
    return ClipVideo("a b/c=d", video, K, "dataset", fps, None)


def motion_of(file, clip):
    return to_motion(read_track(file), clip, WIDTH, HEIGHT)


def test_a_person_in_every_frame(tmp_path):
    rng = np.random.default_rng(0)
    people = [entry(rng, (100 + 3 * i, 90)) for i in range(12)]
    frames = [frame(i, [(7, 0, person)]) for i, person in enumerate(people)]
    motion = motion_of(write(tmp_path / "x.pkl", frames), clip(12))
    assert (motion.body, motion.space, motion.gender, motion.fps) == (
        "smpl",
        "camera",
        "neutral",
        30,
    )
    turned = axis_angle_to_matrix(motion.body_pose.reshape(12, 23, 3).astype(float))
    for i, person in enumerate(people):
        np.testing.assert_allclose(turned[i], person["smpl"]["body_pose"], atol=1e-6)
        root = axis_angle_to_matrix(motion.global_orient[i].astype(float))
        np.testing.assert_allclose(root, person["smpl"]["global_orient"][0], atol=1e-6)
    betas = np.mean([person["smpl"]["betas"] for person in people], axis=0)
    np.testing.assert_allclose(motion.betas, betas, atol=1e-6)


def test_the_person_stays_where_it_is_in_the_picture_and_as_large(tmp_path):
    rng = np.random.default_rng(0)
    people = [entry(rng, (100 + 3 * i, 80 - i)) for i in range(12)]
    frames = [frame(i, [(7, 0, person)]) for i, person in enumerate(people)]
    transl = motion_of(write(tmp_path / "x.pkl", frames), clip(12)).transl.astype(float)
    pixels = transl[:, :2] / transl[:, 2:] * [400, 410] + [250, 256]
    np.testing.assert_allclose(pixels, [(100 + 3 * i, 80 - i) for i in range(12)], atol=1e-2)
    depth = np.array([person["camera"][2] for person in people])
    np.testing.assert_allclose(400 / transl[:, 2], FOCAL / depth, rtol=1e-5)  # pixels a metre


def test_the_pelvis_stays_where_it_is_in_the_picture_and_not_the_origin_of_smpl(tmp_path):
    rng = np.random.default_rng(0)
    J0 = rng.normal(size=3), rng.normal(size=(10, 3)) * 0.1  # linear in the betas
    frames, pelves, betas = [], [], []
    for i in range(12):
        person = entry(rng, (100 + 3 * i, 80 - i))
        betas.append(person["smpl"]["betas"])
        rest = J0[0] + betas[-1] @ J0[1]
        path, facts = frame(i, [(7, 0, person)])
        facts["3d_joints"][0][8] = rest
        frames.append((path, facts))
        pelves.append(person["camera"] + rest)
    motion = motion_of(write(tmp_path / "x.pkl", frames), clip(12))
    found = motion.transl + J0[0] + np.mean(betas, axis=0) @ J0[1]
    pelves = np.array(pelves)
    was = FOCAL * pelves[:, :2] / pelves[:, 2:] + [WIDTH / 2, HEIGHT / 2]
    np.testing.assert_allclose(
        found[:, :2] / found[:, 2:] * [400, 410] + [250, 256], was, atol=0.01
    )
    np.testing.assert_allclose(400 / found[:, 2], FOCAL / pelves[:, 2], rtol=1e-5)


def test_ghosts_are_left_out(tmp_path):
    rng = np.random.default_rng(0)
    people = [entry(rng) for _ in range(8)]
    frames = [
        frame(i, [(7, 0, person)]) if i not in (3, 4) else frame(i, [(7, i - 2, people[2])])
        for i, person in enumerate(people)
    ]
    file = write(tmp_path / "x.pkl", frames)
    assert read_track(file).images.tolist() == [1, 2, 3, 6, 7, 8]
    filled = motion_of(file, clip(8))
    assert len(filled) == 8
    held = filled.global_orient[2]
    assert not np.allclose(filled.global_orient[3], held)  # interpolated, not the ghost's


def test_tracked_ids_are_not_positions_in_the_other_lists(tmp_path):
    rng = np.random.default_rng(0)
    left, right = (
        [entry(rng, (80, 90)) for _ in range(6)],
        [entry(rng, (240, 90)) for _ in range(6)],
    )
    for person in right:
        person["bbox"][2:] += 10  # the larger one
    # In frame 2 the left one, first in the lists, is a ghost: tracked_ids are of the right one.
    frames = [frame(i, [(1, int(i == 2), left[i]), (2, 0, right[i])]) for i in range(6)]
    largest = motion_of(write(tmp_path / "x.pkl", frames), clip(6))
    root = axis_angle_to_matrix(largest.global_orient.astype(float))
    expected = [person["smpl"]["global_orient"][0] for person in right]
    np.testing.assert_allclose(root, expected, atol=1e-6)


def test_the_person_with_the_largest_summed_area_is_taken(tmp_path):
    rng = np.random.default_rng(0)
    frames = []
    for i in range(10):
        passer_by, person = entry(rng), entry(rng)
        passer_by["bbox"][2:] *= 2
        people = [(5, 0, passer_by)] * (i < 2) + [(9, 0, person)]
        frames.append(frame(i, people))
    assert len(read_track(write(tmp_path / "x.pkl", frames)).images) == 10


@pytest.mark.parametrize("seen", [range(31, 65), range(34), [0, 32, 64]])
def test_too_much_missing_is_an_error(tmp_path, seen):
    rng = np.random.default_rng(0)
    frames = [frame(i, [(7, 0, entry(rng))] if i in seen else []) for i in range(65)]
    file = write(tmp_path / "x.pkl", frames)
    with pytest.raises(EstimateError, match=r"no_person: .* of 65 frames"):
        motion_of(file, clip(65))
    with pytest.raises(EstimateError, match="more than the clip's 20 frames"):
        motion_of(file, clip(20))


def test_images_numbered_from_0_are_not_taken_for_their_successors(tmp_path):
    rng = np.random.default_rng(0)
    frames = [frame(i - 1, [(7, 0, entry(rng))]) for i in range(8)]
    with pytest.raises(EstimateError, match="from 0, not from 1"):
        motion_of(write(tmp_path / "x.pkl", frames), clip(8))


def test_numbers_that_are_not_finite(tmp_path):
    person = entry(np.random.default_rng(0))
    person["camera"][0] = np.nan
    file = write(tmp_path / "x.pkl", [frame(0, [(7, 0, person)])])
    with pytest.raises(EstimateError, match="nan"):
        motion_of(file, clip(1))


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
