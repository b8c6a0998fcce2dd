"""SeedVR by a stand-in for its program, and without an installation."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.tools.isolated import ToolMissing
from datasets.video.files import probe, read_video, write_video
from model.generate.__main__ import main
from model.video_tokens import seedvr
from model.video_tokens.seedvr import EnhanceError, SeedVR
from tests.model.video_tokens.mini_seedvr import installation, said


@pytest.fixture
def video(tmp_path):
    rng = np.random.default_rng(0)
    write_video(tmp_path / "it's one.mp4", rng.integers(0, 256, (5, 32, 32, 3), np.uint8), fps=30)
    return tmp_path / "it's one.mp4"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("SECRET", "token")
    for name in (seedvr.ENV_PYTHON, seedvr.ENV_HOME):
        monkeypatch.delenv(name, raising=False)


def nothing_left(folder, video):
    return {path for path in folder.iterdir() if path.name != "SeedVR"} == {video}


def test_the_networks_are_loaded_once_and_each_video_is_a_call_of_its_own(video, tmp_path):
    """In a call of both, the noise of the second would go on where that of the first ended."""
    tool = installation(tmp_path, "target.write_bytes(source.read_bytes()); said(noise)")
    outs = [tmp_path / f"{name}.mp4" for name in ("a", "b", "a again")]
    with tool.start("cuda:0") as session:
        for out, seed in zip(outs, (7, 2**40 + 8, 7), strict=True):
            session.enhance(video, out, size=(512, 256), seed=seed)
    loaded, first, noise, second, other, third, again = said(tool)
    assert loaded.startswith("loaded 1 ")
    assert first == third == "7 512 256 1 ['clip.mp4']" and second.startswith("8 512")
    assert noise == again != other
    for out in outs:
        assert np.array_equal(read_video(out), read_video(video))
        out.unlink()
    assert nothing_left(tmp_path, video)


def test_a_video_is_replaced_in_place_and_a_note_says_what_made_it(video, tmp_path):
    write_video(tmp_path / "SeedVR.mp4", np.zeros((5, 32, 32, 3), np.uint8), fps=30)
    tool = installation(tmp_path, f"shutil.copyfile({str(tmp_path / 'SeedVR.mp4')!r}, target)")
    with tool.start("cuda") as session:
        session.enhance(video, video, size=(32, 32), seed=0)
    assert read_video(video).max() < 20
    assert "SeedVR 3B" in tool.note and "without its colour correction" in tool.note
    (tool.home / seedvr._COLOUR).parent.mkdir()
    (tool.home / seedvr._COLOUR).touch()
    assert "with its colour correction" in tool.note


def test_the_identity_is_of_all_files_and_holds_no_path(video, tmp_path):
    tool = installation(tmp_path)
    before = tool.identity()
    assert set(before) == set(seedvr._FILES) and str(tmp_path) not in json.dumps(before)
    (tool.home / "ckpts/ema_vae.pth").write_bytes(b"others")
    after = tool.identity()
    assert {name for name in before if before[name] != after[name]} == {"ckpts/ema_vae.pth"}
    (tool.home / seedvr._COLOUR).parent.mkdir()
    (tool.home / seedvr._COLOUR).touch()
    assert tool.identity().keys() - after.keys() == {seedvr._COLOUR}
    (tool.home / "ckpts/ema_vae.pth.sha256").write_text("0" * 64)
    with pytest.raises(ToolMissing, match=r"ema_vae\.pth has sha256"):
        tool.identity()


def test_a_video_that_fails_leaves_nothing_and_does_not_stop_the_others(video, tmp_path):
    write_video(tmp_path / "SeedVR.mp4", np.zeros((4, 32, 32, 3), np.uint8), fps=30)
    action = f"""
        said(os.getpid())
        if seed == 1: raise MemoryError('no memory\\n for this')
        if seed == 2: pass
        elif seed == 3: target.write_bytes(source.read_bytes()[:400])
        elif seed == 4: shutil.copyfile({str(tmp_path / "SeedVR.mp4")!r}, target)
        elif seed == 5: sys.exit('gave up')
        elif seed == 6: os._exit(9)
        elif seed == 7: time.sleep(600)
        else: shutil.copyfile(source, target)"""
    tool = installation(tmp_path, action.strip(), timeout=3.0)
    (tmp_path / "SeedVR.mp4").rename(tool.home.parent / "SeedVR" / "four.mp4")
    program = tool.home / seedvr.PROGRAM
    program.write_text(program.read_text().replace("SeedVR.mp4", "SeedVR/four.mp4"))
    out = tmp_path / "out.mp4"
    out.write_bytes(b"before")
    failures = {
        1: "SeedVR: MemoryError: no memory for this",
        2: "wrote no video",
        3: "cannot be read",
        4: "4 frames instead of 5",
        5: "gave up",
        6: "exited with code 9",
        7: "more than 3 s",
    }
    with tool.start("cuda") as session:
        for seed, why in failures.items():
            with pytest.raises(EnhanceError, match=why) as error:
                session.enhance(video, out, size=(32, 32), seed=seed)
            assert "\n" not in str(error.value) and out.read_bytes() == b"before"
        session.enhance(video, out, size=(32, 32), seed=0)
    assert np.array_equal(read_video(out), read_video(video)) and probe(video).num_frames == 5
    out.unlink()
    assert nothing_left(tmp_path, video)
    lines = said(tool)
    assert sum(line.startswith("loaded") for line in lines) == 3  # again after 6 and after 7
    hung = [line for line in lines if line.isdigit()][-2]
    stat = Path("/proc", hung, "stat")
    assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_video_of_another_rate_is_refused(video, tmp_path):
    slow = tmp_path / "slow.mp4"
    write_video(slow, np.zeros((5, 32, 32, 3), np.uint8), fps=24)
    tool = installation(tmp_path, f"shutil.copyfile({str(slow)!r}, target)")
    with (
        tool.start("cuda") as session,
        pytest.raises(EnhanceError, match="24 frames per second instead of 30"),
    ):
        session.enhance(video, tmp_path / "out.mp4", size=(32, 32), seed=0)
    assert not (tmp_path / "out.mp4").exists()


def test_generation_loads_it_once_for_all_pictures(tmp_path, monkeypatch, capsys):
    tool = installation(tmp_path)
    for name in ("a", "b"):
        Image.new("RGB", (40, 64)).save(tmp_path / f"{name}.png")
    words = f"i2vm {tmp_path / 'a.png'} {tmp_path / 'b.png'} --out {tmp_path / 'out'} --enhance"
    words += " --quiet --no-overlay"
    assert main(words.split()) == 0
    assert "; not enhanced: no SeedVR is installed" in capsys.readouterr().err
    monkeypatch.setenv(seedvr.ENV_PYTHON, sys.executable)
    monkeypatch.setenv(seedvr.ENV_HOME, str(tool.home))
    assert main([*words.split(), "--overwrite"]) == 0
    assert [line.split()[0] for line in said(tool)] == ["loaded", "0", "0"]
    assert tool.note in capsys.readouterr().err
    record = json.loads((tmp_path / "out" / "b.json").read_text())
    assert record["pixels"].endswith(tool.note)


def test_what_is_missing_is_said_before_anything_starts(tmp_path, monkeypatch):
    tool = installation(tmp_path)
    assert SeedVR.installed() is None
    monkeypatch.setenv(seedvr.ENV_HOME, str(tool.home))
    with pytest.raises(ToolMissing, match="both"):
        SeedVR.installed()
    monkeypatch.setenv(seedvr.ENV_PYTHON, sys.executable)
    assert SeedVR.installed() == tool
    (tool.home / "ckpts/seedvr_ema_3b.pth").unlink()
    for call in (SeedVR.installed, tool.identity, lambda: tool.start("cuda").__enter__()):
        with pytest.raises(ToolMissing, match=r"seedvr_ema_3b\.pth.*github\.com/ByteDance-Seed"):
            call()


def test_an_installation_that_does_not_start_says_why(tmp_path):
    tool = installation(tmp_path)
    program = tool.home / seedvr.PROGRAM
    program.write_text(program.read_text().replace('return "runner"', "sys.exit('no GPU')"))
    with pytest.raises(EnhanceError, match="SeedVR does not start: SystemExit: no GPU"):
        tool.start("cuda").__enter__()
