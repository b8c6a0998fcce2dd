"""A stand-in for SeedVR's clone: its files, and its program with the released signatures."""

import sys
from pathlib import Path

from model.video_tokens import seedvr
from model.video_tokens.seedvr import SeedVR

# As the released program: relative paths, all of a folder, the same names in another; its noise is
# seeded once a call. What it makes is the input, turned over by its noise.
PROGRAM = """
import os, pathlib, random, shutil, sys, time
import common_of_the_clone
assert pathlib.Path("configs_3b/main.yaml").is_file() and "SECRET" not in os.environ
assert (os.environ["RANK"], os.environ["WORLD_SIZE"]) == ("0", "1") and os.environ["MASTER_PORT"]

def said(*words):
    with open("said.txt", "a") as file:
        print(*words, file=file)

def configure_runner(sp_size):
    said("loaded", sp_size, os.getpid())
    return "runner"

def generation_loop(runner, video_path='./test_videos', output_dir='./results', batch_size=1,
                    cfg_scale=6.5, cfg_rescale=0.0, sample_steps=50, seed=666, res_h=1280,
                    res_w=720, sp_size=1, out_fps=None):
    assert runner == "runner" and (cfg_scale, sample_steps, batch_size) == (6.5, 50, 1)
    random.seed(seed)
    os.makedirs(output_dir, exist_ok=True)
    names = os.listdir(video_path)
    said(seed, res_h, res_w, sp_size, names)
    for name in names:
        source, target = (pathlib.Path(f, name) for f in (video_path, output_dir))
        noise = random.random()
        {}
"""
COPY = "shutil.copyfile(source, target)"


def installation(tmp_path, action=COPY, **settings):
    home = tmp_path / "SeedVR"
    for name in seedvr._FILES:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).touch()
    (home / "common_of_the_clone.py").touch()
    (home / seedvr.PROGRAM).write_text(PROGRAM.replace("{}", action))
    return SeedVR(python=Path(sys.executable), home=home, **settings)


def said(tool):
    return (tool.home / "said.txt").read_text().splitlines()
