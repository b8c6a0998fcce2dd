"""SeedVR by a stand-in for its program, and without an installation."""

import sys
from pathlib import Path

import numpy as np
import pytest

from datasets.tools.isolated import ToolMissing
from datasets.video.files import probe, read_video, write_video
from model.video_tokens import seedvr
from model.video_tokens.seedvr import EnhanceError, SeedVR, enhance

# As the released program: relative paths, all of a folder, the same names in another.
PROGRAM = """
import argparse, os, pathlib, shutil, sys
import common_of_the_clone
assert pathlib.Path("configs_3b/main.yaml").is_file() and "SECRET" not in os.environ
assert (os.environ["RANK"], os.environ["WORLD_SIZE"]) == ("0", "1") and os.environ["MASTER_PORT"]
parser = argparse.ArgumentParser()
for name, kind in (("video_path", str), ("output_dir", str), ("seed", int), ("res_h", int),
                   ("res_w", int), ("sp_size", int)):
    parser.add_argument("--" + name, type=kind)
args = parser.parse_args()
os.makedirs(args.output_dir, exist_ok=True)
names = os.listdir(args.video_path)
pathlib.Path("said.txt").write_text(repr((args.seed, args.res_h, args.res_w, args.sp_size, names)))
for name in names:
    source, target = (pathlib.Path(f, name) for f in (args.video_path, args.output_dir))
    {}
"""
COPY = "shutil.copyfile(source, target)"


@pytest.fixture
def video(tmp_path):
    rng = np.random.default_rng(0)
    write_video(tmp_path / "it's one.mp4", rng.integers(0, 256, (5, 32, 32, 3), np.uint8), fps=30)
    return tmp_path / "it's one.mp4"


def installation(tmp_path, action=COPY, **settings):
    home = tmp_path / "SeedVR"
    for name in seedvr._FILES:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).touch()
    (home / "common_of_the_clone.py").touch()
    (home / seedvr._PROGRAM).write_text(PROGRAM.replace("{}", action))
    return SeedVR(python=Path(sys.executable), home=home, **settings)


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("SECRET", "token")
    for name in (seedvr.ENV_PYTHON, seedvr.ENV_HOME):
        monkeypatch.delenv(name, raising=False)


def nothing_left(folder, video):
    return {path for path in folder.iterdir() if path.name != "SeedVR"} == {video}


def test_without_an_installation_the_video_stays_as_it_is(video, tmp_path):
    content = video.read_bytes()
    assert SeedVR.installed() is None
    result = enhance(video, tmp_path / "out.mp4", tool=None, size=(512, 512), seed=0)
    assert result.video == video and "not enhanced" in result.note
    assert video.read_bytes() == content and nothing_left(tmp_path, video)


def test_the_program_runs_in_its_folder_and_its_video_is_renamed_into_place(video, tmp_path):
    tool = installation(tmp_path)
    result = enhance(video, tmp_path / "out.mp4", tool=tool, size=(512, 256), seed=7)
    assert result.video == tmp_path / "out.mp4"
    assert "SeedVR 3B" in result.note and "without its colour correction" in result.note
    assert np.array_equal(read_video(result.video), read_video(video))
    assert (tool.home / "said.txt").read_text() == "(7, 512, 256, 1, ['clip.mp4'])"
    result.video.unlink()
    assert nothing_left(tmp_path, video)
    (tool.home / seedvr._COLOUR).parent.mkdir()
    (tool.home / seedvr._COLOUR).touch()
    assert "with its colour correction" in tool.note


@pytest.mark.parametrize(
    ("action", "why"),
    [
        ("sys.exit('no memory')", "wrote no video; it said: .*no memory"),
        ("pass", "wrote no video"),
        ("target.write_bytes(source.read_bytes()[:400])", "cannot be read"),
    ],
    ids=["fails", "writes nothing", "writes half"],
)
def test_a_failure_leaves_nothing(action, why, video, tmp_path):
    tool = installation(tmp_path, action)
    with pytest.raises(EnhanceError, match=why) as error:
        enhance(video, tmp_path / "out.mp4", tool=tool, size=(32, 32), seed=0)
    assert "\n" not in str(error.value) and nothing_left(tmp_path, video)


def test_another_number_of_frames_is_an_error(video, tmp_path):
    write_video(tmp_path / "SeedVR.mp4", np.zeros((4, 32, 32, 3), np.uint8), fps=30)
    other = tmp_path / "SeedVR.mp4"
    tool = installation(tmp_path, f"shutil.copyfile({str(other)!r}, target)")
    out = tmp_path / "out.mp4"
    out.write_bytes(b"before")
    with pytest.raises(EnhanceError, match="4 frames instead of 5"):
        enhance(video, out, tool=tool, size=(32, 32), seed=0)
    assert out.read_bytes() == b"before" and probe(video).num_frames == 5


def test_a_program_that_hangs_is_ended(video, tmp_path):
    action = "pathlib.Path('pid').write_text(str(os.getpid())); import time; time.sleep(600)"
    tool = installation(tmp_path, action, timeout=3.0)
    with pytest.raises(EnhanceError, match="more than 3 s"):
        enhance(video, tmp_path / "out.mp4", tool=tool, size=(32, 32), seed=0)
    assert nothing_left(tmp_path, video)
    stat = Path("/proc", (tool.home / "pid").read_text(), "stat")
    assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


def test_what_is_missing_is_said_before_anything_starts(video, tmp_path, monkeypatch):
    tool = installation(tmp_path)
    monkeypatch.setenv(seedvr.ENV_HOME, str(tool.home))
    with pytest.raises(ToolMissing, match="both"):
        SeedVR.installed()
    monkeypatch.setenv(seedvr.ENV_PYTHON, sys.executable)
    assert SeedVR.installed() == tool
    (tool.home / "ckpts/seedvr_ema_3b.pth").unlink()
    for call in (
        SeedVR.installed,
        lambda: enhance(video, tmp_path / "out.mp4", tool=tool, size=(32, 32), seed=0),
    ):
        with pytest.raises(ToolMissing, match=r"seedvr_ema_3b\.pth.*github\.com/ByteDance-Seed"):
            call()
    assert nothing_left(tmp_path, video)
