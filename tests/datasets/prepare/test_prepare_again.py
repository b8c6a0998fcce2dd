"""`datasets.prepare` with pictures goes on after whatever stopped it, and writes over nothing."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from datasets import adapters
from datasets.prepare.__main__ import main
from datasets.prepare.prepare_store import prepare
from datasets.prepare.testset import make_testset
from datasets.store.reader import ClipStore
from datasets.store.schema import FolderError, StoreError
from datasets.store.work_folder import claimed
from datasets.video.files import read_video, write_video
from datasets.video.frames import VideoFile
from tests.datasets.mini.pictures import FRAMES, Pictures
from tests.datasets.prepare.picture_stores import T, contents, make, script, stopped

ROOT = Path(__file__).parents[3]


def test_what_was_made_is_neither_read_nor_made_again(tmp_path):
    log = tmp_path / "log"
    plain = Pictures(log=log)
    make(plain, tmp_path / "a" / "s")
    assert len(log.read_text()) == 3 * FRAMES
    # Killed at the third clip of the second sequence.
    out = tmp_path / "b" / "s"
    process = script(out, dataset="Pictures(deadly=((1, 10),))", words=["--workers", "1"])
    assert process.wait() == -signal.SIGKILL
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*.mp4")}
    assert len(before) == 5
    (out / "videos" / "stale.mp4.tmp").write_text("")
    log.write_text("")
    make(plain, out)
    assert len(log.read_text()) == 4 * T
    assert all(path.stat().st_mtime_ns == when for path, when in before.items())
    (out / "videos" / "stale.mp4.tmp").unlink()  # nobody knows who wrote it, so it stayed
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_a_kill_before_the_last_files_have_their_names_is_gone_on_from(tmp_path):
    """Of a prepared store, and of a test set picked from it."""
    jobs = {
        "prepared": lambda out: make(Pictures(count=1, name="rich"), out),
        "picked": lambda out: make_testset([tmp_path / "whole" / "prepared"], out, progress=False),
    }
    for name, job in jobs.items():
        job(tmp_path / "whole" / name)
    code = f"""
import os, signal, sys
sys.path[:0] = [{str(ROOT)!r}]
import pandas, tqdm, datasets.prepare.plan, datasets.video.files  # once, not in every fork
from tests.datasets.mini.pictures import *
from datasets.prepare.prepare_store import prepare
from datasets.prepare.testset import make_testset
root, replace = sys.argv[1], os.replace
for stop in ("motion.parquet", "gt.parquet", "manifest.json"):
    def replace_or_die(source, target):
        if os.path.basename(target) == stop:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)
    for name in ("prepared", "picked"):
        out = f"{{root}}/{{stop}}/{{name}}"
        if os.fork():
            assert os.wait()[1] == signal.SIGKILL
            continue
        os.replace = replace_or_die
        if name == "picked":
            make_testset([f"{{root}}/whole/prepared"], out, progress=False)
        dataset = Pictures(count=1, name="rich")
        prepare(dataset, None, out, num_frames={T}, video_size=32, progress=False)
        os._exit(0)
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for instant, already in (
        ("motion.parquet", ["index.parquet"]),
        ("gt.parquet", ["index.parquet", "motion.parquet"]),
        ("manifest.json", ["gt.parquet", "index.parquet", "motion.parquet"]),
    ):
        for name, job in jobs.items():
            out = tmp_path / instant / name
            assert sorted(p.name for p in out.glob("*.parquet")) == already
            with pytest.raises(StoreError, match="not finished"):
                ClipStore.open(out)
            job(out)
            assert contents(out) == contents(tmp_path / "whole" / name)


@pytest.mark.parametrize("damage", ["empty", "zeros", "cut"])
def test_a_video_that_a_power_cut_damaged_is_made_again(tmp_path, damage):
    make(Pictures(), tmp_path / "a" / "s")
    out = tmp_path / "b" / "s"
    stopped(out)
    video = min(out.rglob("*.mp4"))
    data = video.read_bytes()
    half = len(data) // 2
    video.write_bytes({"empty": b"", "zeros": bytes(len(data)), "cut": data[:half]}[damage])
    make(Pictures(), out)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_an_interrupted_command_says_that_it_goes_on(tmp_path, monkeypatch, capsys):
    out = tmp_path / "s"
    stopped(out)
    with pytest.raises(StoreError, match="run the command that makes it again"):
        ClipStore.open(out)

    def interrupt(self, index):
        raise KeyboardInterrupt

    monkeypatch.setattr(adapters, "get", lambda name: Pictures())
    words = ["pictures", "--out", str(out), "--frames", str(T), "--size", "32"]
    words += ["--workers", "1", "--quiet"]
    with monkeypatch.context() as patch:
        patch.setattr(Pictures, "sequence", interrupt)
        assert main(words) == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert main(words) == 0
    assert "9 clips" in capsys.readouterr().out
    before = contents(tmp_path)
    assert main(words) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert contents(tmp_path) == before
    assert main([*words, "--limit", "1"]) == 2
    error = capsys.readouterr().err
    assert "limit was None, now 1" in error and "goes on" not in error
    assert contents(tmp_path) == before


def test_another_command_does_not_go_on_with_it(tmp_path):
    stopped(tmp_path / "s")
    before = contents(tmp_path)
    for change, word in (
        ({"video_size": 64}, r"video_size was 32, now 64"),
        ({"num_frames": 6}, "num_frames"),
        ({"limit": 1}, "limit"),
    ):
        with pytest.raises(FolderError, match=word) as error:
            make(Pictures(), tmp_path / "s", **change)
        assert "delete the folder" in str(error.value)
    with pytest.raises(FolderError, match="dataset_version was 1, now 2"):
        make(Pictures(version=2), tmp_path / "s")
    assert contents(tmp_path) == before


def test_a_folder_of_videos_of_others_is_left_alone(tmp_path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "holiday.mp4").write_text("mine")
    with pytest.raises(FolderError, match="not empty"):
        make(Pictures(), tmp_path)
    assert contents(tmp_path) == {"videos/holiday.mp4": b"mine"}


def test_files_of_others_in_an_unfinished_store_stay_also_behind_links(tmp_path):
    make(Pictures(), tmp_path / "a" / "s")
    out = tmp_path / "b" / "s"
    stopped(out)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "000000.mp4").write_text("another person's")
    (out / "videos" / "thesis.txt").write_text("mine")
    (out / "videos" / "pictures" / "test" / "linked").symlink_to(elsewhere)
    make(Pictures(), out)
    found = contents(tmp_path / "b")
    assert found.pop("s/videos/thesis.txt") == b"mine"
    assert (elsewhere / "000000.mp4").read_text() == "another person's"
    assert {name: data for name, data in found.items() if "linked" not in name} == contents(
        tmp_path / "a"
    )


def test_a_file_where_a_video_belongs_is_not_written_over(tmp_path):
    out = tmp_path / "s"
    stopped(out)
    video = out / "videos/pictures/test/s1/cam%200/0/000000.mp4"
    video.parent.mkdir(parents=True)
    video.write_text("mine")
    with pytest.raises(FolderError, match="which this command did not write"):
        make(Pictures(), out)
    assert video.read_text() == "mine"


def test_a_folder_of_videos_that_is_a_link_is_not_the_stores(tmp_path):
    out = tmp_path / "s"
    stopped(out)
    (out / "videos").rename(tmp_path / "elsewhere")
    (out / "videos").symlink_to(tmp_path / "elsewhere")
    before = contents(tmp_path / "elsewhere")
    with pytest.raises(FolderError, match="holds videos"):
        make(Pictures(), out)
    assert contents(tmp_path / "elsewhere") == before


def test_what_was_made_from_sources_that_changed_is_made_again_and_said(tmp_path, capsys):
    """The new video has as many frames and bytes of the same number."""
    root, out = tmp_path / "root", tmp_path / "b" / "s"
    root.mkdir()

    def film(name, shade):
        frames = np.full((T * 2, 32, 32, 3), shade, np.uint8)
        write_video(root / name, frames, fps=25)

    for name, shade in (("a.mp4", 50), ("b.mp4", 90), ("c.mp4", 130)):
        film(name, shade)
    options = {"num_frames": T, "video_size": 32, "progress": False}
    whole = VideoFile.frames

    def stop(self, rows):
        if self.path.name == "c.mp4":
            raise KeyboardInterrupt
        return whole(self, rows)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(VideoFile, "frames", stop)
        prepare(adapters.get("videos"), root, out, **options)
    capsys.readouterr()
    film("a.mp4", 200)
    prepare(adapters.get("videos"), root, out, **options)
    assert capsys.readouterr().err == "made again, as the sources have changed since: a\n"
    prepare(adapters.get("videos"), root, tmp_path / "a" / "s", **options)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    shades = {clip.sequence: read_video(clip.video)[0, 8, 8, 0] for clip in ClipStore.open(out)}
    assert abs(int(shades["a"]) - 200) < 4 and abs(int(shades["b"]) - 90) < 4


def test_two_processes_do_not_make_the_same_store(tmp_path):
    stopped(tmp_path / "s")
    job = json.loads((tmp_path / "s" / ".work" / "job.json").read_text())
    with claimed(tmp_path / "s", job), pytest.raises(StoreError, match="another process"):
        make(Pictures(), tmp_path / "s")


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_full_disk_is_one_line_and_the_command_goes_on(tmp_path, workers):
    make(Pictures(), tmp_path / "a" / "s")
    out = tmp_path / "b" / "s"
    stopped(out)
    missing = contents(tmp_path / "a" / "s").keys() - contents(out).keys()
    largest = max(len(contents(tmp_path / "a" / "s")[name]) for name in missing if "mp4" in name)
    # Files may not grow to the size of the largest video, in the workers neither.
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({largest - 1},) * 2)"
    process = script(out, before=limit, words=["--workers", str(workers), "--quiet"])
    output, error = process.communicate()
    assert (process.returncode, output) == (1, ""), error
    (line,) = error.splitlines()
    assert line.startswith("error: cannot write")
    assert line.endswith("(the same command goes on where this one stopped)")
    assert "File too large" in line
    assert not list(out.rglob("*.tmp"))
    for video in out.rglob("*.mp4"):
        assert read_video(video).shape == (T, 32, 32, 3)
    make(Pictures(), out, workers=workers)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 2, 4])
def test_ctrl_c_stops_the_workers_too(tmp_path, times):
    slow = "(time.sleep(0.3), whole(self, index))[1]"
    before = (
        f"import time; whole = Pictures.sequence\nPictures.sequence = lambda self, index: {slow}"
    )
    out = tmp_path / "s"
    process = script(out, dataset="Pictures(count=20)", before=before, words=["--workers", "2"])
    while not list(out.rglob("*.mp4")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    for _ in range(times):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.02)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in error
    assert error.splitlines()[-1].startswith("interrupted: the same command goes on")
    assert {p.name for p in out.iterdir()} == {".work", "videos"}
    make(Pictures(count=20), out, workers=2)  # which removes the half-written videos
    assert not list(out.rglob("*.tmp"))
    assert len(ClipStore.open(out)) == len(list(out.rglob("*.mp4")))


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_any_number_of_kills_gives_the_same_bytes(tmp_path, workers):
    dataset = "Pictures(count=60, unreadable=((0, 9), (40, 2)))"
    words = ["--workers", str(workers)]
    assert script(tmp_path / "a" / "s", dataset=dataset, words=words).wait() == 0
    out = tmp_path / "b" / "s"
    rng = random.Random(workers)
    for _ in range(6):
        goal = len(list(out.rglob("*.mp4"))) + rng.randrange(0, 30)
        process = script(out, dataset=dataset, words=words)
        while len(list(out.rglob("*.mp4"))) < goal and process.poll() is None:
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)  # its workers end by themselves
        process.wait()
        assert process.returncode == -signal.SIGKILL
    assert script(out, dataset=dataset, words=words).wait() == 0
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
