"""`python -m datasets.prepare`: files in, a store out, and never half a store."""

import dataclasses
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from datasets import adapters
from datasets.adapters import smplx_npz
from datasets.motion import Motion
from datasets.prepare.__main__ import _parser, main
from datasets.prepare.prepare_store import prepare
from datasets.prepare.summary import summary
from datasets.sequence import PersonSequence
from datasets.store.reader import ClipStore
from datasets.store.schema import StoreError
from datasets.store.splits import rule, split_groups
from tests.datasets.mini import motions

ROOT = Path(__file__).parents[3]


def save(path, frames, seed=0, **changes):
    motions.save(path, motions.plain(seed, frames, **changes))


def takes(root, names, frames=20):
    for seed, name in enumerate(names):
        save(root / f"{name}.npz", frames, seed)
    return root


PARTNERS = [f"cmu_{subject}_{take:02d}" for take in range(1, 8) for subject in (60, 61)]


def run(*words):
    return main([str(word) for word in words])


@dataclass
class Official:
    """A dataset with official splits; `stop` is called before the sequence of that number."""

    splits: tuple[str, ...] = ("train", "val", "test", "train")
    name: str = "official"
    version: int = 3
    needs_root: bool = False
    stop: object = None
    stop_at: int = -1

    def sequences(self, root, split=None, *, skipped=None):
        for index, own in enumerate(self.splits):
            if index == self.stop_at:
                self.stop()
            if split not in (None, own):
                continue
            if skipped is not None and index == 1:
                skipped.add("extra", "for the test")
            motion = Motion(
                body_pose=np.zeros((20, 63)),
                global_orient=np.zeros((20, 3)),
                betas=np.zeros(10),
                transl=np.full((20, 3), index),
                fps=25,
            )
            yield PersonSequence(
                dataset=self.name,
                sequence=f"s{index:04d}",
                frame_ids=np.arange(20),
                valid=np.ones(20, bool),
                fps=25,
                split=own,
                world_motion=motion,
            )


def test_a_store_holds_every_clip_of_every_file(tmp_path):
    root = takes(tmp_path / "root", ["b", "a", "sub/c d"], frames=21)
    manifest = prepare(
        adapters.get("smplx_npz"), root, tmp_path / "my store", num_frames=10, progress=False
    )
    store = ClipStore.open(tmp_path / "my store")
    assert manifest == store.manifest
    assert len(store) == manifest["num_clips"] == 6
    assert [clip.sequence for clip in store] == ["a", "a", "b", "b", "sub/c d", "sub/c d"]
    for clip in store:
        with np.load(root / f"{clip.sequence}.npz") as file:
            expected = file["theta"][clip.frame_ids].astype(np.float32)
        np.testing.assert_array_equal(clip.motion.body_pose, expected)
    assert manifest["name"] == "my store"
    assert (manifest["dataset"], manifest["dataset_version"]) == ("smplx_npz", 2)
    assert manifest["split_rule"] == rule()
    assert manifest["num_sequences"] == 3
    assert set(manifest["body"]) == {"name", "sha256"}
    assert manifest["skipped"] == manifest["notes"] == []


def test_the_split_follows_the_rule_and_partners_stay_together(tmp_path):
    root = takes(tmp_path / "root", PARTNERS)
    prepare(smplx_npz.DATASET, root, tmp_path / "s", num_frames=10, progress=False)
    store = ClipStore.open(tmp_path / "s")
    split = {clip.sequence: clip.split for clip in store}
    assert set(split) == set(PARTNERS)
    for take in range(1, 8):
        assert split[f"cmu_60_{take:02d}"] == split[f"cmu_61_{take:02d}"]
    rule = split_groups({f"cmu_60+61_{take:02d}": 40 for take in range(1, 8)})
    assert split == {name: rule[f"cmu_60+61_{name[-2:]}"] for name in PARTNERS}
    assert store.manifest["test_groups"] == sorted(name for name in rule if rule[name] == "test")


def test_what_files_name_as_a_group_is_in_one_split(tmp_path):
    for number in range(12):
        for person in "ab":
            path = tmp_path / "root" / person / f"take{number}.npz"
            save(path, 20, number, group=np.array(f"meeting {number}"))
    manifest = prepare(
        smplx_npz.DATASET, tmp_path / "root", tmp_path / "s", num_frames=10, progress=False
    )
    rule = split_groups({f"meeting {number}": 40 for number in range(12)})
    split = {clip.sequence: clip.split for clip in ClipStore.open(tmp_path / "s")}
    assert split == {
        f"{person}/take{number}": rule[f"meeting {number}"]
        for person in "ab"
        for number in range(12)
    }
    assert manifest["test_groups"] == sorted(name for name in rule if rule[name] == "test")


@pytest.mark.parametrize("seed", range(4))
def test_short_takes_never_leave_a_split_empty(tmp_path, seed):
    # In total the short takes hold most of the frames: alone they would fill the test split.
    takes(tmp_path / "root", [f"{seed} long a", f"{seed} long b"], frames=10)
    takes(tmp_path / "root", [f"{seed} short {i}" for i in range(8)], frames=9)
    manifest = prepare(
        smplx_npz.DATASET, tmp_path / "root", tmp_path / "s", num_frames=10, progress=False
    )
    assert manifest["splits"] == {"test": 1, "train": 1}
    assert len(manifest["skipped"]) == 8


def test_one_split_alone_is_that_part_of_the_whole(tmp_path):
    root = takes(tmp_path / "root", PARTNERS)
    for split in (None, "test", "train"):
        out = tmp_path / str(split)
        prepare(smplx_npz.DATASET, root, out, split=split, num_frames=10, progress=False)
    whole = ClipStore.open(tmp_path / "None")
    for split in ("test", "train"):
        assert ClipStore.open(tmp_path / split).clip_ids == whole.ids(split)


def test_official_splits_are_kept(tmp_path):
    manifest = prepare(Official(), None, tmp_path / "s", num_frames=10, progress=False)
    assert manifest["splits"] == {"train": 4, "val": 2, "test": 2}
    assert manifest["split_rule"] == "official" and "test_groups" not in manifest
    assert manifest["dataset_version"] == 3
    assert manifest["skipped"] == [{"name": "extra", "reason": "for the test"}]
    one = prepare(Official(), None, tmp_path / "v", split="val", num_frames=10, progress=False)
    assert one["splits"] == {"val": 2}


def test_a_single_group_is_all_test_and_says_so(tmp_path, capsys):
    root = takes(tmp_path / "root", ["cmu_60_01", "cmu_61_01"], frames=70)
    assert run("smplx_npz", "--root", root, "--out", tmp_path / "s", "--quiet") == 0
    assert ClipStore.open(tmp_path / "s").manifest["splits"] == {"test": 2}
    assert "note: all sequences belong to one group" in capsys.readouterr().out
    assert run("smplx_npz", "--root", root, "--out", tmp_path / "t", "--split", "train") == 2
    assert "no sequence is in the train split" in capsys.readouterr().err


def test_the_same_files_give_the_same_bytes(tmp_path):
    root = takes(tmp_path / "root", PARTNERS)
    for parent in ("one", "two"):
        prepare(smplx_npz.DATASET, root, tmp_path / parent / "s", num_frames=10, progress=False)
    for name in ("index.parquet", "motion.parquet", "manifest.json"):
        one, two = (tmp_path / parent / "s" / name for parent in ("one", "two"))
        assert one.read_bytes() == two.read_bytes(), name


def test_the_summary_counts_splits_and_groups_the_skipped(tmp_path, capsys):
    root = takes(tmp_path / "root", ["a", "b", 'it\'s ü "c"'], frames=65)
    save(root / "short1.npz", 64)
    save(root / "short2.npz", 1)
    save(root / "nan.npz", 70, tau=np.full((70, 3), np.nan))
    (root / "text.npz").write_text("no archive")
    assert run("smplx_npz", "--root", root, "--out", tmp_path / "s") == 0
    out, err = capsys.readouterr()
    assert re.search(r"^3 clips of 65 frames \(test \d, train \d\) from 3 sequences", out)
    (tested,) = (clip.sequence for clip in ClipStore.open(tmp_path / "s") if clip.split == "test")
    assert f"\ntest: {tested}\n" in out
    assert "skipped 4:" in out
    assert "  short1 and 1 more: fewer than 65 usable frames in a row" in out
    assert "  all are in its manifest.json\n" in out
    assert "  nan: no frame has finite numbers" in out
    assert out.rstrip().endswith(f"store: {tmp_path / 's'}")
    assert "writing" in err
    reasons = {s["name"]: s["reason"] for s in ClipStore.open(tmp_path / "s").manifest["skipped"]}
    assert set(reasons) == {"short1", "short2", "nan", "text"}
    assert reasons["text"].startswith("not an .npz file")


def test_labels_that_are_not_valid_are_counted(tmp_path):
    class Gaps(Official):
        def sequences(self, root, split=None, *, skipped=None):
            for index, whole in enumerate(super().sequences(root, split)):
                valid = np.arange(20) < (3 if index == 0 else 20)
                yield dataclasses.replace(whole, valid=valid)

    manifest = prepare(Gaps(), None, tmp_path / "s", num_frames=10, progress=False)
    reason = "fewer than 10 usable frames in a row (3 of 20 are valid)"
    assert manifest["skipped"] == [{"name": "s0000", "reason": reason}]


def test_quiet_prints_no_progress(tmp_path, capsys):
    root = takes(tmp_path / "root", ["a", "b"], frames=65)
    assert run("smplx_npz", "--root", root, "--out", tmp_path / "s", "--quiet") == 0
    out, err = capsys.readouterr()
    assert err == ""
    # Nothing was skipped, and nothing is said of it.
    said = [line.partition(":")[0] for line in out.splitlines()[1:]]
    assert said == ["frames per second", "groups", "test", "note", "assumed", "store"]


def test_limit_reads_the_first_usable_sequences(tmp_path):
    root = takes(tmp_path / "root", ["b", "c", "d"], frames=70)
    (root / "a.npz").write_text("no archive")
    words = ("smplx_npz", "--root", root, "--out", tmp_path / "s", "--limit", 2, "--frames", 35)
    assert run(*words) == 0
    store = ClipStore.open(tmp_path / "s")
    assert [clip.sequence for clip in store] == ["b", "b", "c", "c"]
    assert (store.manifest["limit"], store.num_frames) == (2, 35)


def error_line(capsys):
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == 1, err
    return lines[0]


def test_failures_are_one_line_and_leave_nothing(tmp_path, capsys):
    good = takes(tmp_path / "good", ["a", "b"], frames=70)
    short = takes(tmp_path / "short", ["a", "b"], frames=10)
    empty = tmp_path / "empty"
    empty.mkdir()
    file = tmp_path / "file"
    file.write_text("")
    out = tmp_path / "out"
    for root, code, word in ((tmp_path / "nowhere", 2, "no folder"), (empty, 2, "no .npz")):
        assert run("smplx_npz", "--root", root, "--out", out, "--quiet") == code
        assert word in error_line(capsys)
        assert not out.exists()
    for inside in (good, good / "s"):
        assert run("smplx_npz", "--root", good, "--out", inside, "--quiet") == 2
        assert "is inside" in error_line(capsys)
    assert run("smplx_npz", "--root", good, "--out", short, "--quiet") == 2
    assert "not empty" in error_line(capsys)
    for wrong in (file, file / "s"):
        assert run("smplx_npz", "--root", good, "--out", wrong, "--quiet") == 2
        assert "is a file or below one" in error_line(capsys)
    assert run("smplx_npz", "--root", short, "--out", out, "--quiet") == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        "error: no clip to write: everything was skipped",
        "skipped 2:",
        "  a and 1 more: fewer than 65 usable frames in a row",
    ]
    assert sorted(p.name for p in good.iterdir()) == ["a.npz", "b.npz"]


def test_a_finished_store_is_never_written_over(tmp_path, capsys):
    root = takes(tmp_path / "root", ["a", "b"], frames=70)
    assert run("smplx_npz", "--root", root, "--out", tmp_path / "s", "--quiet") == 0
    capsys.readouterr()
    before = {p.name: p.read_bytes() for p in (tmp_path / "s").iterdir()}
    words = ("smplx_npz", "--root", root, "--out", tmp_path / "s", "--quiet")
    assert run(*words, "--frames", 35) == 2
    assert "finished store of another command (num_frames was 65, now 35)" in error_line(capsys)
    assert run(*words) == 0
    assert capsys.readouterr().out.startswith("nothing to do, this store is finished:\n2 clips")
    assert {p.name: p.read_bytes() for p in (tmp_path / "s").iterdir()} == before


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["smplxnpz", "--out", "s"], "Did you mean smplx_npz"),
        (["../motion", "--out", "s"], "unknown dataset"),
        (["smplx_npz", "--out", "s"], "needs --root"),
        (["smplx_npz", "--root", "."], "--out"),
        (["smplx_npz", "--root", ".", "--out", "s", "--frames", "0"], "positive"),
        (["smplx_npz", "--root", ".", "--out", "s", "--limit", "-1"], "positive"),
        (["smplx_npz", "--root", ".", "--out", "s", "--split", "all"], "invalid choice"),
        (["smplx_npz", "--root", ".", "--out", "s", "--size", "511"], "odd"),
        (["smplx_npz", "--root", ".", "--out", "s", "--workers", "0"], "positive"),
        (["embedded", "--root", ".", "--out", "s"], "takes no --root"),
        (["testset", "--out", "s"], "--stores"),
        ([], "required"),
    ],
)
def test_usage_errors(words, expected, capsys):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    assert expected in capsys.readouterr().err


def test_as_many_workers_as_cores_that_this_process_may_use():
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        assert _parser().parse_args(["videos", "--out", "s"]).workers == 1
    finally:
        os.sched_setaffinity(0, cores)


def test_an_interrupt_leaves_nothing(tmp_path, capsys, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    many = Official(("test",) * 100, stop=interrupt, stop_at=90)
    monkeypatch.setattr(adapters, "get", lambda name: many)
    assert run("official", "--out", tmp_path / "s", "--frames", 10) == 130
    assert "interrupted" in capsys.readouterr().err
    assert not (tmp_path / "s").exists()


def test_an_adapter_that_breaks_leaves_nothing(tmp_path):
    def fail():
        raise RuntimeError("adapter broke")

    many = Official(("test",) * 100, stop=fail, stop_at=90)
    with pytest.raises(RuntimeError, match="adapter broke"):
        prepare(many, None, tmp_path / "s", num_frames=10, progress=False)
    assert not (tmp_path / "s").exists()


@pytest.mark.slow
def test_a_kill_leaves_no_store_and_the_next_run_succeeds(tmp_path):
    code = f"""
import functools, os, signal, sys
sys.path[:0] = [{str(ROOT)!r}]
from datasets.prepare.prepare_store import prepare
from tests.datasets.prepare.test_prepare_store import Official
kill = functools.partial(os.kill, os.getpid(), signal.SIGKILL)
many = Official(("test",) * 100, stop=kill, stop_at=90)
prepare(many, None, {str(tmp_path / "s")!r}, num_frames=10, progress=False)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == -signal.SIGKILL, done.stderr
    left = [".work", "gt.parquet.tmp", "motion.parquet.tmp"]
    assert sorted(os.listdir(tmp_path / "s")) == left
    with pytest.raises(StoreError, match="not finished"):
        ClipStore.open(tmp_path / "s")
    again = Official(("test",) * 100)
    manifest = prepare(again, None, tmp_path / "s", num_frames=10, progress=False)
    assert manifest["num_clips"] == 200
    files = ["gt.parquet", "index.parquet", "manifest.json", "motion.parquet"]
    assert sorted(os.listdir(tmp_path / "s")) == files


@dataclass
class Mixed(Official):
    """Sequence 1 has two motions of two people, 2 has none, 3 is named as 0."""

    official: bool = True

    def sequences(self, root, split=None, *, skipped=None):
        for index, whole in enumerate(super().sequences(root, split)):
            motion = whole.world_motion
            other = dataclasses.replace(motion, betas=np.ones(10), space="camera")
            yield dataclasses.replace(
                whole,
                sequence="s0000" if index == 3 else whole.sequence,
                group="",
                world_motion=None if index == 2 else motion,
                camera_motion=other if index == 1 else None,
                split=whole.split if self.official else None,
            )


@pytest.mark.parametrize("official", [True, False])
def test_an_unusable_sequence_is_skipped_and_the_batch_goes_on(tmp_path, official):
    mixed = Mixed(("test",) * 5, official=official)
    manifest = prepare(mixed, None, tmp_path / "s", num_frames=10, progress=False)
    assert {c.sequence for c in ClipStore.open(tmp_path / "s")} == {"s0000", "s0004"}
    assert (manifest["num_clips"], manifest["num_sequences"]) == (4, 2)
    assert [entry["name"] for entry in manifest["skipped"]] == ["s0001", "s0002", "s0000"]
    reasons = [entry["reason"] for entry in manifest["skipped"]]
    assert reasons[0] == "its camera and world motions differ in betas"
    assert reasons[1] == "it has neither a motion nor a video"
    assert "already" in reasons[2]


def test_a_sequence_in_no_split_of_a_dataset_that_has_splits_is_skipped(tmp_path):
    manifest = prepare(
        Official(("test", None, "train")), None, tmp_path / "s", num_frames=10, progress=False
    )
    assert manifest["splits"] == {"test": 2, "train": 2}
    assert manifest["skipped"][1]["name"] == "s0001"
    assert "in no split" in manifest["skipped"][1]["reason"]


def test_smpl_motions_are_kept(tmp_path):
    class Smpl(Official):
        def sequences(self, root, split=None, *, skipped=None):
            for whole in super().sequences(root, split):
                motion = dataclasses.replace(
                    whole.world_motion, body="smpl", body_pose=np.zeros((20, 69))
                )
                yield dataclasses.replace(whole, world_motion=motion)

    prepare(Smpl(), None, tmp_path / "s", num_frames=10, progress=False)
    assert {clip.motion.body for clip in ClipStore.open(tmp_path / "s")} == {"smpl"}


def test_a_store_that_cannot_be_written_stops_the_batch(tmp_path, monkeypatch, capsys):
    def fill():
        (tmp_path / "s" / "index.parquet.tmp").symlink_to("/dev/full")

    many = Official(("test",) * 8, stop=fill, stop_at=6)
    monkeypatch.setattr(adapters, "get", lambda name: many)
    assert run("official", "--out", tmp_path / "s", "--frames", 10, "--quiet") == 1
    assert f"cannot write {tmp_path / 's'}: " in error_line(capsys)
    assert not (tmp_path / "s").exists()


def test_many_groups_of_the_test_split_are_named_in_part():
    manifest = {
        "splits": {"test": 7},
        "num_clips": 7,
        "num_frames": 65,
        "num_sequences": 7,
        "dataset": "smplx_npz",
        "test_groups": list("abcdefg"),
        "notes": [],
        "skipped": [],
    }
    line = "test: a, b, c, d, e and 2 more (all are in its manifest.json)"
    assert line in summary(manifest, "s").splitlines()
