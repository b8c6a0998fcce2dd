import json
import math
import sys

import pytest

from benchmark.metrics.vbench import METRIC, mean_of_dimensions
from benchmark.metrics.vbench_tool import client, weights
from benchmark.metrics.vbench_tool.client import VBenchError, measure
from benchmark.metrics.vbench_tool.values import ValueCache
from datasets.estimators.external import REHEARSAL
from tests.benchmark.metrics.vbench_clips import context, evaluation, quiet, video

# A process that speaks VBench's part: a value is made of the staged file's size.
PLAYED = """
import os, sys, time
from pathlib import Path
def start(options):
    versions = dict(vbench="0.1.5", torch="1", decord="2")
    return dict(versions=versions, device="cpu"), handle
def handle(message):
    dimension, here = message["dimension"], Path(message["videos"])
    # The package would take these for videos, too.
    assert all(f.suffix == ".mp4" and f.stat().st_size for f in here.iterdir())
    results = [[str(f), f.stat().st_size / 1e6] for f in sorted(here.iterdir())]
    if dimension == "dynamic_degree":
        results = [[path, value > 0] for path, value in results]
    {}
    return dict(results=results)
"""


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Files in place of all weights, which nobody pins, and no VBench."""
    table = {
        name: tuple(weight._replace(sha256=None) for weight in files)
        for name, files in weights.WEIGHTS.items()
    }
    monkeypatch.setattr(weights, "WEIGHTS", table)
    root = tmp_path / "weights"
    monkeypatch.setenv("VBENCH_CACHE_DIR", str(root))
    for files in table.values():
        for weight in files:
            (root / weight.path).parent.mkdir(parents=True, exist_ok=True)
            (root / weight.path).write_text(weight.path)
    return root


@pytest.fixture
def played(tmp_path, monkeypatch, small):
    """A way to put a process in VBench's place, which does something before it answers."""
    monkeypatch.setenv("VBENCH_PYTHON", sys.executable)

    def play(act="", number=[0]):  # noqa: B006 - counts the scripts
        number[0] += 1
        script = tmp_path / f"script{number[0]}.py"
        script.write_text(PLAYED.format(act))
        monkeypatch.setattr(client, "SCRIPT", script)

    play()
    return play


# Subject, background, aesthetic, smoothness, flickering, dynamic, and the two overalls of table 9.
@pytest.mark.parametrize(
    "printed",
    [
        (0.9646, 0.9621, 0.6281, 0.9939, 0.9884, 0.8500, 0.8516, 0.9441),
        (0.9535, 0.9512, 0.5166, 0.9951, 0.9928, 0.4500, 0.8071, 0.8126),
    ],
)
def test_overalls_are_the_plain_means_that_the_paper_prints(printed):
    *values, appearance, motion = printed
    for columns, dimensions, wanted in (
        (("appearance_overall", "app"), values[:3], appearance),
        (("motion_overall", "mot"), values[3:], motion),
    ):
        for column in columns:
            assert mean_of_dimensions(column, dimensions) == pytest.approx(wanted, abs=5.1e-5)


def test_every_clip_gets_six_values_and_their_means(tmp_path, played):
    first, second = video(tmp_path, "a'b (1)"), video(tmp_path, "c", (0, 1, 2))
    twin = tmp_path / "B.MP4"
    twin.write_bytes(first.read_bytes())
    scores = METRIC.score(evaluation(tmp_path, [first, second, twin]), progress=quiet)
    assert [(s.clip_id, s.column) for s in scores] == [
        (f"clip {n}", column) for n in range(3) for column in METRIC.columns
    ]
    found = {(s.clip_id, s.column): s.sum for s in scores}
    assert all(s.count == 1 and s.clips == 1 for s in scores)
    for number, path in enumerate((first, second, twin)):
        clip, size = f"clip {number}", path.stat().st_size / 1e6
        assert found[clip, "aesthetic_quality"] == size
        assert found[clip, "dynamic_degree"] == 1.0
        assert found[clip, "appearance_overall"] == pytest.approx(size)
        assert found[clip, "mot"] == found[clip, "motion_overall"]
        assert found[clip, "mot"] == pytest.approx((2 * size + 1) / 3)
    assert any("still scenes" in note for note in METRIC.notes(scores))


def test_equal_videos_are_measured_once_and_known_ones_never_again(tmp_path, played, monkeypatch):
    monkeypatch.setattr(client, "BATCH", 2)
    told = []
    paths = [video(tmp_path, f"v{n}", (0, n, 2 * n)) for n in range(1, 4)]
    paths.append(tmp_path / "copy.mp4")
    paths[3].write_bytes(paths[0].read_bytes())
    ask = lambda dimension: measure(  # noqa: E731
        paths, [dimension], folder=tmp_path / "kept", progress=lambda *facts: told.append(facts)
    )
    before = ask("temporal_flickering")["temporal_flickering"]
    assert before[3] == before[0] and len(set(before)) == 3
    assert told == [("vbench temporal_flickering", done, 3) for done in (2, 3)]
    played("raise ValueError('asked again')")
    with pytest.raises(VBenchError, match="asked again"):
        ask("motion_smoothness")
    assert ask("temporal_flickering")["temporal_flickering"] == before
    # Other weights are another measurement.
    played()
    ask("motion_smoothness")
    played("raise ValueError('asked again')")
    (weights.root() / "amt_model" / "amt-s.pth").write_text("trained further")
    with pytest.raises(VBenchError, match=r"motion_smoothness: .*asked again"):
        ask("motion_smoothness")


def test_one_dimension_that_fails_is_named_and_the_others_are_kept(tmp_path, played):
    work = evaluation(tmp_path, [video(tmp_path, "a"), video(tmp_path, "b", (0, 1, 2, 3))])
    played("if dimension == 'background_consistency': raise RuntimeError('two\\nlines')")
    with pytest.raises(VBenchError) as caught:
        METRIC.score(work, progress=quiet)
    assert str(caught.value) == "vbench failed at background_consistency: RuntimeError: two lines"
    played("if dimension != 'background_consistency': raise RuntimeError('asked again')")
    assert len(METRIC.score(work, progress=quiet)) == 2 * len(METRIC.columns)


@pytest.mark.parametrize(
    ("act", "why"),
    [
        ("os._exit(3)", "exited with code 3"),
        ("time.sleep(60)", "did not answer in time"),
        ("results[0][1] = float('nan')", "no finite number"),
        ("results[0][1] = float('-inf')", "no finite number"),
        ("results[0][1] = None", "no finite number"),
        ("results = 7", "no finite number"),
        ("return {}", "no finite number"),
        ("results.pop()", "1 values for 2 videos"),
        ("results = []", "0 values for 2 videos"),
        ("results.append(results[0])", "3 values for 2 videos"),
        ("results[0][0] = results[1][0]", "others than were asked for"),
        ("results[0][0] = 'else.mp4'", "others than were asked for"),
        ("os.write(3, b'nonsense\\n')", "not its protocol"),
    ],
)
def test_a_wrong_answer_is_an_error_and_nothing_of_it_is_kept(
    tmp_path, played, monkeypatch, act, why
):
    monkeypatch.setattr(client, "_LOAD_SECONDS", 2)
    monkeypatch.setitem(client.CLIP_SECONDS, "aesthetic_quality", 0)
    paths = [video(tmp_path, "a"), video(tmp_path, "b", (0, 1, 2))]
    played(f"if dimension == 'aesthetic_quality': {act}")
    folder = tmp_path / "kept"
    with pytest.raises(VBenchError, match=f"failed at aesthetic_quality: [^\n]*{why}"):
        measure(paths, ["aesthetic_quality", "temporal_flickering"], folder=folder, progress=quiet)
    kept = [json.loads(line) for line in (folder / "values.jsonl").read_text().split("\n") if line]
    # The one after it was measured, if need be by a new process.
    assert len(kept) == 2
    assert all(entry["made_by"].startswith("temporal_flickering, vbench 0.1.5") for entry in kept)


def test_a_cut_or_foreign_line_of_the_kept_values_is_passed_over(tmp_path):
    cache = ValueCache(tmp_path / "new" / "values.jsonl")
    assert cache.read("x") == {}
    cache.add("x", {"a": 0.5})
    with (tmp_path / "new" / "values.jsonl").open("ab") as file:
        file.write(b'7\n{"made_by": "x", "video": "n", "value": NaN}\n\xff\n{"made_by": "x", "vid')
    cache.add("x", {"b": 0.25})
    cache.add("y", {"a": 1.0})
    assert cache.read("x") == {"a": 0.5, "b": 0.25} and cache.read("y") == {"a": 1.0}
    with pytest.raises(ValueError):
        cache.add("x", {"c": math.nan})


def test_a_damaged_line_of_the_kept_values_is_passed_over(tmp_path):
    path = tmp_path / "values.jsonl"
    cache = ValueCache(path)
    cache.add("x", {"a": 0.5, "b": 0.25})
    whole = path.read_bytes()
    assert b"0.25" in whole
    for place in range(len(whole)):
        for bit in range(8):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
            assert cache.read("x").items() <= {"a": 0.5, "b": 0.25}.items()
    path.write_bytes(whole.replace(b"0.25", b"0.75"))
    assert cache.read("x") == {"a": 0.5}
    path.write_text('{"video": "a", "made_by": "x", "value": 0.5}')  # nobody can vouch for it
    assert cache.read("x") == {}


def test_what_is_no_video_or_too_short_is_refused_by_name(tmp_path, played):
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    for path, why in (
        (tmp_path / "broken.mp4", "not a video"),
        (tmp_path / "none.mp4", "no such file"),
        (video(tmp_path, "short", (0, 1)), "2 frames, of 3"),
    ):
        with pytest.raises(VBenchError, match=f"{path.name}.*{why}"):
            METRIC.score(evaluation(tmp_path, [path]), progress=quiet)


def test_networks_that_cannot_take_small_pictures_are_not_asked(tmp_path, played):
    work = evaluation(tmp_path, [video(tmp_path, "a"), video(tmp_path, "b", side=64)])
    scores = METRIC.score(work, progress=quiet)
    left_out = {"motion_smoothness", "dynamic_degree", "motion_overall", "mot"}
    assert {s.column for s in scores} == {*METRIC.columns} - left_out
    absent = METRIC.absent(work)
    assert absent.keys() == left_out
    assert "dynamic_degree needs pictures of at least 128 pixels" in absent["mot"]


def test_without_the_tool_every_column_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.delenv("VBENCH_PYTHON", raising=False)
    monkeypatch.setenv("UNIMO_TOOLS", str(tmp_path / "tools"))
    reasons = METRIC.missing(context(tmp_path))
    assert list(reasons) == list(METRIC.columns)
    for reason in reasons.values():
        assert reason.startswith(
            "vbench is not installed: run `python -m benchmark.run setup vbench`"
        )
    assert METRIC.protocol(context(tmp_path)) == "vbench is not installed"
    assert METRIC.score(evaluation(tmp_path, [video(tmp_path, "a")]), progress=quiet) == []


def test_an_interpreter_without_the_package_is_no_tool(tmp_path, monkeypatch):
    monkeypatch.setenv("VBENCH_PYTHON", sys.executable)
    reasons = METRIC.missing(context(tmp_path))
    assert list(reasons) == list(METRIC.columns)
    assert all("no vbench that starts" in reason for reason in reasons.values())
    assert all("\n" not in reason for reason in reasons.values())


@pytest.mark.parametrize("task", ["tokenizer", "v2m"])
def test_other_tasks_miss_nothing_and_have_no_scores(tmp_path, monkeypatch, task):
    monkeypatch.setenv("UNIMO_TOOLS", str(tmp_path / "tools"))
    assert METRIC.missing(context(tmp_path, task)) == {}
    assert METRIC.protocol(context(tmp_path, task)) == "of generated videos only"
    assert METRIC.score(evaluation(tmp_path, []), progress=quiet) == []


@pytest.mark.parametrize("dimension", [name for name, files in weights.WEIGHTS.items() if files])
def test_a_file_that_is_not_there_takes_its_columns_with_it(tmp_path, played, small, dimension):
    for weight in weights.WEIGHTS[dimension]:
        gone = small / weight.path
        text = gone.read_text()
        gone.unlink()
        reasons = METRIC.missing(context(tmp_path))
        group = {"motion_overall", "mot"}
        if dimension in ("subject_consistency", "background_consistency", "aesthetic_quality"):
            group = {"appearance_overall", "app"}
        assert set(reasons) == {dimension} | group
        for reason in reasons.values():
            assert str(gone) in reason and weight.source in reason
            assert "$VBENCH_CACHE_DIR" in reason and "\n" not in reason
        gone.write_text(text)
    assert METRIC.missing(context(tmp_path)) == {}


def test_without_weights_one_dimension_is_left(tmp_path, played, monkeypatch):
    monkeypatch.setenv("VBENCH_CACHE_DIR", str(tmp_path / "nothing"))
    reasons = METRIC.missing(context(tmp_path))
    assert {*METRIC.columns} - {*reasons} == {"temporal_flickering"}
    assert all(name in reasons["mot"] for name in ("amt-s.pth", "raft-things.pth"))
    scores = METRIC.score(evaluation(tmp_path, [video(tmp_path, "a")]), progress=quiet)
    assert [s.column for s in scores] == ["temporal_flickering"]


def test_files_that_torch_would_run_must_be_those_of_their_authors(tmp_path, monkeypatch):
    monkeypatch.setenv("VBENCH_CACHE_DIR", str(tmp_path))
    (tmp_path / "clip_model").mkdir()
    (tmp_path / "clip_model" / "ViT-B-32.pt").write_text("a program")
    assert "is not the file from" in weights.missing()["background_consistency"]
    # The user may pin any other file.
    raft = tmp_path / "raft_model" / "models" / "raft-things.pth"
    raft.parent.mkdir(parents=True)
    raft.write_text("another")
    assert "dynamic_degree" not in weights.missing()
    raft.with_name("raft-things.pth.sha256").write_text("0" * 64)
    assert "sha256" in weights.missing()["dynamic_degree"]


def test_a_rehearsals_files_are_others_and_the_protocol_says_so(tmp_path, played, small):
    (small / "clip_model" / "ViT-B-32.pt").write_text("a program")
    assert "rehearsal" not in METRIC.protocol(context(tmp_path))
    weights.WEIGHTS["background_consistency"] = (weights.CLIP_B,)
    assert "background_consistency" in weights.missing()
    (small / REHEARSAL).touch()
    assert not weights.missing()
    assert "random weights of a rehearsal" in METRIC.protocol(context(tmp_path))


def test_the_protocol_follows_the_weights(tmp_path, played, small):
    told = METRIC.protocol(context(tmp_path))
    assert told.startswith("vbench 0.1.5 (torch 1, decord 2) on cpu; raw scores")
    assert "\n" not in told and "unfiltered" in told
    hashes = weights.identity("aesthetic_quality").split("+")
    assert len(hashes) == 2 and f"aesthetic_quality {hashes[0][:12]}+{hashes[1][:12]}" in told
    raft = small / "raft_model" / "models" / "raft-things.pth"
    raft.write_text("trained further")
    changed = METRIC.protocol(context(tmp_path))
    raft.unlink()
    without = METRIC.protocol(context(tmp_path))
    assert len({told, changed, without}) == 3 and "dynamic_degree not measured" in without
