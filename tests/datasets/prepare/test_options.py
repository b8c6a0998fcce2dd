"""Options of `datasets.prepare`: how files are read, how a dataset is split, and what is said."""

import json
import os
import re

import numpy as np
import pytest

from datasets.prepare.__main__ import main
from datasets.prepare.groups import verdict
from datasets.store.reader import ClipStore
from tests.datasets.mini import motions


def run(*words):
    return main([*(str(word) for word in words), "--quiet"])


def takes(root, names, **changes):
    for seed, name in enumerate(names):
        motions.save(root / f"{name}.npz", motions.plain(seed, 70, **changes))
    return root


def splits(store):
    return {clip.sequence: clip.split for clip in ClipStore.open(store)}


PEOPLE = [f"p{person}_take{take}" for person in range(5) for take in range(2)]


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """A folder with the takes of several people, which no test changes."""
    return takes(tmp_path_factory.mktemp("people"), PEOPLE)


def test_a_store_has_the_rate_that_is_asked_for_whatever_the_files_have(tmp_path, capsys):
    root = tmp_path / "root"
    for name, fps in (("a", 24), ("b", 120)):
        walk = np.outer(np.arange(400) / fps, [0.5, 0, 0])
        motions.save(root / f"{name}.npz", motions.plain(0, 400, tau=walk, fps=fps))
    assert run("smplx_npz", "--root", root, "--out", tmp_path / "mixed") == 0
    out = capsys.readouterr().out
    assert "frames per second: 24 (6 clips), 120 (6 clips)" in out
    assert "warning: 65 frames last 0.54 to 2.7 s" in out and "--fps N" in out
    assert run("smplx_npz", "--root", root, "--out", tmp_path / "one", "--fps", 30) == 0
    out = capsys.readouterr().out
    assert "frames per second: 30\n" in out and "warning" not in out
    store = ClipStore.open(tmp_path / "one")
    assert store.manifest["rates"] == [{"fps": 30.0, "clips": 8}]
    for clip in store:
        speed = np.diff(clip.motion.transl[:, 0]) * 30
        np.testing.assert_allclose(speed, 0.5, atol=1e-3)


def test_what_was_assumed_is_in_the_manifest_and_said(tmp_path, capsys):
    root = takes(tmp_path / "root", ["a", "b"], fps=None, beta=None)
    assert run("smplx_npz", "--root", root, "--out", tmp_path / "s") == 1
    assert "give --source-fps" in capsys.readouterr().err
    assert run("smplx_npz", "--root", root, "--out", tmp_path / "s", "--fps", 25) == 0
    said = "25 frames per second, by --fps, as the file has no rate"
    assert f"assumed: {said} (a, b)\n" in capsys.readouterr().out
    manifest = ClipStore.open(tmp_path / "s").manifest
    assert {"what": said, "sequences": 2, "examples": ["a", "b"]} in manifest["assumed"]
    words = ("smplx_npz", "--root", root, "--out", tmp_path / "t")
    assert run(*words, "--source-fps", 50, "--gender", "male") == 0
    manifest = ClipStore.open(tmp_path / "t").manifest
    assert manifest["options"] == {"source_fps": 50.0, "gender": "male"}
    assert run(*words, "--source-fps", 60, "--gender", "male") == 2
    assert "finished store of another command (options differs)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("videos", "--up", "z"), "videos does not know --up"),
        (("bvh", "--gender", "male"), "bvh does not know --gender"),
        (("rich", "--source-fps", 30), "rich does not know --source-fps"),
        (("smplx_npz", "--skeleton", __file__), "smplx_npz does not know --skeleton"),
        (("smplx_npz", "--folds", 20), "20 folds of 10 groups: give fewer folds"),
        (("smplx_npz", "--test-takes", __file__), "no usable take is called"),
    ],
)
def test_an_option_that_does_not_fit_is_one_line(people, tmp_path, capsys, words, line):
    assert run(*words, "--root", people, "--out", tmp_path / "s") == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert line in error
    assert not list(tmp_path.iterdir())


def test_official_splits_are_not_changed_by_options(tmp_path, capsys):
    words = ("embedded", "--limit", 1, "--no-video", "--out", tmp_path / "s")
    assert run(*words, "--test-share", "0.5") == 2
    assert "embedded has official splits, which --test-share cannot" in capsys.readouterr().err
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("--fps", "0"),
        ("--fps", "nan"),
        ("--up", "w"),
        ("--test-share", "1"),
        ("--test-share", "x"),
        ("--folds", "1"),
        ("--group-by", "("),
        ("--test-takes", "nowhere"),
        ("--test-share", "0.5", "--folds", "2"),
    ],
)
def test_usage_errors(words):
    with pytest.raises(SystemExit) as stop:
        main(["smplx_npz", "--root", ".", "--out", "s", *words])
    assert stop.value.code == 2


@pytest.mark.parametrize(
    ("rule", "group"),
    [
        (r"^p\d+", lambda name: name[:2]),
        (r"take(\d)", lambda name: name[-1]),
        ("file", lambda name: name),
    ],
)
def test_groups_by_a_pattern(people, tmp_path, rule, group):
    assert run("smplx_npz", "--root", people, "--out", tmp_path / "s", "--group-by", rule) == 0
    store = ClipStore.open(tmp_path / "s")
    assert {clip.sequence: clip.group for clip in store} == {name: group(name) for name in PEOPLE}
    sides = {(clip.group, clip.split) for clip in store}
    assert len(sides) == len({group(name) for name in PEOPLE})
    assert store.manifest["splitting"] == {"group_by": rule}


def test_groups_by_folder_and_a_pattern_that_does_not_match(tmp_path):
    root = takes(tmp_path / "root", ["x/a", "x/b", "y/a", "z/c/d", "other"])
    assert run("smplx_npz", "--root", root, "--out", tmp_path / "s", "--group-by", "folder") == 0
    groups = {clip.sequence: clip.group for clip in ClipStore.open(tmp_path / "s")}
    assert groups == {"x/a": "x", "x/b": "x", "y/a": "y", "z/c/d": "z/c", "other": "."}
    assert run("smplx_npz", "--root", root, "--out", tmp_path / "t", "--group-by", "/([a-z])$") == 0
    (skipped,) = ClipStore.open(tmp_path / "t").manifest["skipped"]
    assert skipped["name"] == "other"
    assert skipped["reason"] == "its name does not match --group-by /([a-z])$"


def test_the_same_motion_under_two_names_is_one_group(tmp_path):
    root = tmp_path / "root"
    for seed in range(8):
        motions.save(root / "a" / f"w{seed}.npz", motions.plain(seed, 70))
        copy = motions.plain(seed, 70, note=np.array("another file"), beta=np.zeros(10))
        motions.save(root / "b" / f"g{seed}.npz", copy)
    assert run("smplx_npz", "--root", root, "--out", tmp_path / "s") == 0
    found = splits(tmp_path / "s")
    assert set(found.values()) == {"train", "test"}
    assert all(found[f"a/w{seed}"] == found[f"b/g{seed}"] for seed in range(8))
    # Whole groups are joined, and those that they are joined with.
    motions.save(root / "c" / "x.npz", motions.plain(0, 70, group=np.array("duo")))
    motions.save(root / "d" / "y.npz", motions.plain(20, 70, group=np.array("duo")))
    assert run("smplx_npz", "--root", root, "--out", tmp_path / "t") == 0
    groups = {clip.sequence: clip.group for clip in ClipStore.open(tmp_path / "t")}
    assert groups["a/w0"] == groups["b/g0"] == groups["c/x"] == groups["d/y"] == "a/w0"
    assert len(set(groups.values())) == 8


def test_a_share_to_test_on(people, tmp_path):
    for share, count in (("0.5", 5), ("1/3", 4), ("0.01", 1)):
        out = tmp_path / share.replace("/", "-")
        assert run("smplx_npz", "--root", people, "--out", out, "--test-share", share) == 0
        assert list(splits(out).values()).count("test") == count


def test_takes_to_test_on_bring_their_groups(people, tmp_path):
    (tmp_path / "takes.txt").write_text("p1_take0\n\n p4_take1 \n")
    words = ("smplx_npz", "--root", people, "--test-takes", tmp_path / "takes.txt")
    assert run(*words, "--out", tmp_path / "s") == 0
    found = splits(tmp_path / "s")
    assert {name for name in found if found[name] == "test"} == {"p1_take0", "p4_take1"}
    assert run(*words, "--out", tmp_path / "t", "--group-by", r"p\d") == 0
    found = splits(tmp_path / "t")
    assert {name[:2] for name in found if found[name] == "test"} == {"p1", "p4"}
    assert list(found.values()).count("test") == 4


def test_folds_test_on_every_group_once(people, tmp_path):
    words = ("smplx_npz", "--root", people, "--out", tmp_path / "s", "--folds", 4)
    assert run(*words, "--group-by", r"p\d") == 0
    tested = []
    for fold in range(1, 5):
        found = splits(tmp_path / f"s-fold{fold}")
        assert set(found) == set(PEOPLE)
        tested += [name for name in found if found[name] == "test"]
        assert len({name[:2] for name in found if found[name] == "test"}) in (1, 2)
        manifest = ClipStore.open(tmp_path / f"s-fold{fold}").manifest
        assert manifest["splitting"]["fold"] == [fold, 4]
    assert sorted(tested) == sorted(PEOPLE)


def test_what_a_number_of_groups_allows():
    assert "neither intervals nor verdicts" in verdict(1)
    for groups in (2, 5):
        assert "wide intervals" in verdict(groups) and "needs 6" in verdict(groups)
    for groups in range(6, 10):
        (comparisons,) = re.findall(r"over (\d+) comparison", verdict(groups))
        # Holm multiplies the smallest p that signs of all groups can have.
        assert int(comparisons) * 2 / 2**groups <= 0.05 < (int(comparisons) + 1) * 2 / 2**groups
    assert verdict(10) == verdict(1000) == ""


def test_few_groups_are_said_with_the_options_that_help(tmp_path, capsys):
    root = takes(tmp_path / "root", PEOPLE[:5])
    assert run("smplx_npz", "--root", root, "--out", tmp_path / "s") == 0
    out = capsys.readouterr().out
    assert "groups: test 1, train 4\n" in out
    assert "neither intervals nor verdicts" in out and "--folds" in out


def test_a_finished_store_says_when_its_sources_have_changed(tmp_path, capsys):
    root = takes(tmp_path / "root", ["a", "b", "c"])
    words = ("smplx_npz", "--root", root, "--out", tmp_path / "s")
    assert run(*words) == 0
    manifest = json.loads((tmp_path / "s" / "manifest.json").read_text())
    assert sorted(manifest["sources"]) == ["a.npz", "b.npz", "c.npz"]
    size, time, sha256 = manifest["sources"]["a.npz"]
    assert (size, len(sha256)) == ((root / "a.npz").stat().st_size, 64)
    os.utime(root / "a.npz", ns=(time + 10**9, time + 10**9))  # touched, not changed
    assert run(*words) == 0
    assert "nothing to do" in capsys.readouterr().out
    (root / "notes.txt").write_text("of another kind")
    assert run(*words) == 0
    motions.save(root / "more" / "d.npz", motions.plain(5, 70))
    assert run(*words) == 2
    assert "1 file was added since (more/d.npz)" in capsys.readouterr().err
    motions.save(root / "e.npz", motions.plain(6, 70))
    assert run(*words) == 2
    assert "2 files were added since (e.npz and 1 more)" in capsys.readouterr().err
    motions.save(root / "b.npz", motions.plain(77, 70))
    assert (root / "b.npz").stat().st_size == size
    assert run(*words) == 2
    assert "its sources have changed since (b.npz)" in capsys.readouterr().err
    (root / "c.npz").unlink()
    assert run(*words) == 2
    assert "(b.npz and 1 more)" in capsys.readouterr().err
