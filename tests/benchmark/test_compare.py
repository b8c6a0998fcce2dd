"""The verb ``compare`` and the statistics of paired clips."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats as scipy_stats

from benchmark import data, run, stages
from benchmark.compare import result, systems, trainings
from benchmark.paired import Pairs, difference_interval, holm, join, signed_rank
from benchmark.spec import Column, Score, UserError
from benchmark.stats import pooled_mean
from datasets.body_file import find_body
from datasets.embedded import EmbeddedDataset
from datasets.prepare import prepare
from tests.benchmark.comparing import command, put, without_workers

CLIPS, FRAMES, REPEATS = 100, 65, 1000
CLIP_SD, NOISE_SD, RHO = 3.0, 4.0, 0.9
MPJPE = Column("mpjpe", "MPJPE", "mm", "lower", 2)


def simulated(seed, *, shift=0.0):
    """Sums (2, REPEATS, CLIPS) of two systems' errors, and the counts (CLIPS,) of frames.

    A clip is as hard for both systems; each system's own error on it is constant plus noise that
    is correlated from frame to frame, AR(1). The first system's mean is larger by `shift`.
    """
    rng = np.random.default_rng(seed)
    counts = rng.integers(30, FRAMES + 1, size=CLIPS)
    shape = (2, REPEATS, CLIPS)
    level = rng.gamma(4.0, 10.0, size=shape[1:]) + rng.normal(0, CLIP_SD, size=shape)
    level[0] += shift
    noise, sums = rng.normal(0, NOISE_SD, size=shape), np.zeros(shape)
    for frame in range(FRAMES):
        sums += (frame < counts) * (level + noise)
        noise = RHO * noise + rng.normal(0, NOISE_SD * np.sqrt(1 - RHO**2), size=shape)
    return sums, counts


def closed_form_sd(counts):
    """Standard deviation of the simulated difference of pooled means, given the counts."""
    lags = np.arange(1, FRAMES)
    ar = [n + 2 * np.sum(np.clip(n - lags, 0, None) * RHO**lags) for n in counts]
    of_sums = 2 * (counts**2 * CLIP_SD**2 + NOISE_SD**2 * np.array(ar))
    return np.sqrt(of_sums.sum()) / counts.sum()


def each(sums, counts):
    ids = tuple(f"{number:03d}" for number in range(CLIPS))
    for repeat in range(REPEATS):
        yield Pairs(ids, sums[:, repeat], np.stack([counts, counts]).astype(float))


def scores(means, counts=None):
    """Scores of clips a, b, c … with these means."""
    counts = counts or [10] * len(means)
    return [
        Score(chr(97 + clip), "mpjpe", mean * count, count)
        for clip, (mean, count) in enumerate(zip(means, counts, strict=True))
    ]


def test_the_interval_and_the_test_are_calibrated():
    sums, counts = simulated(0)
    pairs = list(each(sums, counts))
    differences = np.array([pair.difference for pair in pairs])
    assert differences.std() == pytest.approx(closed_form_sd(counts), rel=0.07)
    bounds = np.array([difference_interval(pair) for pair in pairs])
    covered = np.mean((bounds[:, 0] <= 0) & (bounds[:, 1] >= 0))
    assert 0.93 <= covered <= 0.97
    rejected = np.mean([signed_rank(pair.differences) < 0.05 for pair in pairs])
    assert 0.03 <= rejected <= 0.07


def test_a_shift_is_found_as_often_as_the_normal_approximation_says():
    _, counts = simulated(1)
    shift = 2.8 * closed_form_sd(counts)
    power = scipy_stats.norm.cdf(2.8 - 1.96)  # 0.80
    bounds = np.array([difference_interval(pair) for pair in each(*simulated(1, shift=shift))])
    assert np.mean(bounds[:, 0] > 0) == pytest.approx(power, abs=0.04)


def test_on_few_clips_the_interval_is_wide_enough():
    rng = np.random.default_rng(2)
    counts, covered = np.full((2, 6), 20.0), 0
    for _ in range(REPEATS):
        low, high = difference_interval(Pairs(tuple("abcdef"), rng.normal(size=(2, 6)), counts))
        covered += low <= 0 <= high
    assert 0.93 <= covered / REPEATS <= 0.97  # plain percentiles: 0.87


def test_equal_scores_differ_by_exactly_zero():
    rng = np.random.default_rng(3)
    own = scores(rng.uniform(5, 90, 20), list(rng.integers(1, 65, 20)))
    pairs = join(own, own)
    assert pairs.difference == 0.0
    assert difference_interval(pairs) == (0.0, 0.0)
    assert signed_rank(pairs.differences) == 1.0


def test_a_constant_shift_leaves_no_doubt():
    pairs = join(scores([11.0, 22.0, 33.0], [1, 2, 3]), scores([10.0, 21.0, 32.0], [1, 2, 3]))
    low, high = difference_interval(pairs)
    assert low <= pairs.difference <= high
    assert (low, high) == pytest.approx((1.0, 1.0))
    assert difference_interval(join(scores([1.0]), scores([2.0]))) is None


def test_frames_not_clips_have_equal_weight():
    first, second = scores([1.0, 5.0], [30, 10]), scores([2.0, 2.0], [30, 10])
    assert join(first, second).difference == pytest.approx((30 * 1 + 10 * 5) / 40 - 2.0)


def test_clips_are_joined_by_id_whatever_their_order():
    first, second = scores([1.0, 2.0, 3.0]), scores([1.5, 2.5, 9.0])
    straight, turned = join(first, second), join(first[::-1], [second[1], second[2], second[0]])
    assert straight.ids == turned.ids == ("a", "b", "c")
    assert turned.differences.tolist() == [-0.5, -0.5, -6.0]
    assert difference_interval(straight) == difference_interval(turned)


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        (scores([1.0, 2.0]), scores([1.0]), "1 clips are scored on one side only, as b"),
        (scores([1.0]), scores([1.0, 2.0, 3.0]), "2 clips are scored on one side only, as b"),
        (scores([1.0]) * 2, scores([1.0]), "scored more than once"),
        (scores([1.0, 2.0], [10, 0]), scores([1.0, 2.0]), "frames on one side only, as b"),
    ],
)
def test_clips_that_only_one_side_has_are_refused(first, second, says):
    with pytest.raises(ValueError, match=says):
        join(first, second)
    cells = [{"row": name, "column": "mpjpe", "value": 1.0, "run_id": name} for name in "xy"]
    with pytest.raises(UserError, match=f"MPJPE of x and y: .*{says}"):
        result.against(MPJPE, *cells, first, second)


def test_clips_too_short_for_the_column_on_both_sides_are_left_out():
    assert join(scores([1.0, 0.0], [10, 0]), scores([2.0, 0.0], [10, 0])).ids == ("a",)


def test_signed_rank_is_scipys():
    rng = np.random.default_rng(4)
    for clips in (5, 12, 80):
        values = rng.normal(0.2, 1.0, clips)
        assert signed_rank(values) == scipy_stats.wilcoxon(values).pvalue
        assert signed_rank([*values, 0.0, 0.0]) == signed_rank(values)
    # Five clips, all worse: one of the 2^5 equally likely patterns of signs, and its mirror image.
    assert signed_rank([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(2 / 2**5)


def test_holm_is_the_step_down_of_the_definition():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.5]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


def test_a_comparison_tells_who_gained():
    cells = [{"row": name, "column": "mpjpe", "value": 1.0, "run_id": name} for name in "xy"]
    own, theirs = scores([float(clip) for clip in range(12)]), scores([6.0] * 12)
    line = result.against(MPJPE, *cells, own, theirs)
    assert (line["improved"], line["worsened"], line["n"]) == (6, 5, 12)
    assert [clip["clip_id"] for clip in line["best"]] == list("abcdef")
    assert line["worst"][0] == {"clip_id": "l", "difference": 5.0}
    higher = result.against(Column("mpjpe", "MPJPE", "", "higher"), *cells, own, theirs)
    assert (higher["improved"], higher["worst"][0]["clip_id"]) == (5, "a")
    pooled = [Score("pooled", "mpjpe", 10.0, 512)]
    assert "no single clip" in result.against(MPJPE, *cells, pooled, pooled)["reason"]


def test_a_verdict_needs_interval_and_test():
    rng = np.random.default_rng(5)
    cells = [{"row": name, "column": "mpjpe", "value": 1.0, "run_id": name} for name in "xy"]

    def decided(shift, clips):
        own, theirs = rng.normal(50 + shift, 1, clips), rng.normal(50, 1, clips)
        cells[0]["value"], cells[1]["value"] = own.mean(), theirs.mean()
        line = result.against(MPJPE, *cells, scores(own), scores(theirs))
        result.decide([line], [MPJPE])
        return line["verdict"]

    assert [decided(shift, 20) for shift in (-5, 0, 5)] == ["better", "undecided", "worse"]
    assert decided(5, 4) == "undecided"  # four clips can never be significant


# --- the command ---


@pytest.fixture(scope="module")
def trained(clips_folder, tmp_path_factory):
    """Folder with the tokenizers a and b, and c to replace one of them."""
    import torch

    from benchmark.profiles import smoke
    from datasets.clip_store import ClipStore
    from model.tokenizer import MotionTokenizer
    from model.tokenizer.train import train
    from model.training import TrainingConfig

    folder = tmp_path_factory.mktemp("runs")
    store = ClipStore.open(clips_folder)
    channels = store.channels(store.ids("train"))
    for seed, name in enumerate("abc"):
        torch.manual_seed(seed)
        tokenizer = MotionTokenizer(smoke().tokenizer(tokens_per_frame=8, codebook_size=64))
        training = TrainingConfig.small(steps=1, batch_size=2, seed=seed)
        train(tokenizer, training, channels, folder / name, progress=False)
    return folder


def test_end_to_end_again_from_the_cache_and_after_training_again(
    trained, clips_folder, tmp_path, monkeypatch, capsys
):
    done = []

    def counted(tasks, setup, **options):
        done.append([task.label for task in tasks])
        return (execute if len(done) == 1 else without_workers)(tasks, setup, **options)

    execute = systems.execute
    monkeypatch.setattr(systems, "execute", counted)
    put(trained / "a/model.safetensors", tmp_path / "a/model.safetensors")
    put(trained / "b/model.safetensors", tmp_path / "b/model.safetensors")
    words = command(tmp_path, clips_folder, tmp_path / "out", "b/model.safetensors", "paper")

    def compared():
        assert run.main(words) == 0
        said = capsys.readouterr().out
        folder = Path(re.search(r"^wrote (.+)/compare\.json$", said, re.M)[1])
        assert said.startswith((folder / "compare.md").read_text())
        made = json.loads((folder / "compare.json").read_text())
        made.pop("provenance")
        return made

    first = compared()
    (folder,) = (tmp_path / "out" / "compare").iterdir()
    assert folder.name.startswith(f"a-model-against-b-model-paper-on-{clips_folder.name}-")
    assert done == [["a/model", "b/model"]]
    assert sorted(path.name for path in folder.iterdir()) == [
        f"compare.{suffix}" for suffix in ("csv", "json", "md", "png", "svg")
    ]

    # What it says is what the stages of `run --checkpoint` have in the cache.
    clips = data.open_data(clips_folder)
    setup = stages.Setup(tmp_path / "out" / "runs", find_body(), device="cpu")
    weights = tmp_path / "a/model.safetensors"
    task = stages.Task("tokenizer", "unimo", clips, 0, {}, weights, ("pose",))
    outcome = stages.lookup(setup, task)
    assert outcome.missing == []
    lines = {(line["against"], line["column"]): line for line in first["comparisons"]}
    line = lines["b/model", "mpjpe"]
    own = [score for score in outcome.scores["pose"] if score.column == "mpjpe"]
    assert line["value"] == pooled_mean([s.sum for s in own], [s.count for s in own])
    assert line["run_id"] == outcome.runs["score pose"].id
    assert line["n"] == len(clips.test_ids) == 4
    assert line["low"] < line["difference"] < line["high"]
    assert line["difference"] == line["value"] - line["against_value"]
    tested = [line for line in first["comparisons"] if line["against"] == "b/model"]
    assert [line["p_holm"] for line in tested] == holm([line["p"] for line in tested])
    assert {line["verdict"] for line in tested} == {"undecided"}
    assert any("4 clips are too few for a verdict" in note for note in first["notes"])
    to_paper = lines["paper", "mpjpe"]
    assert to_paper["difference"] == line["value"] - 8.6344
    assert to_paper["p"] is to_paper["low"] is to_paper["verdict"] is None
    assert any("tokens_per_frame 36 (here 8)" in note for note in first["notes"])
    assert (folder / "compare.png").read_bytes()[:4] == b"\x89PNG"
    drawing = (folder / "compare.svg").read_text()
    assert "MPJPE" in drawing and "95 % interval" in drawing
    with (folder / "compare.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    assert float(rows[0]["difference"]) == line["difference"]

    parts = {path: path.stat().st_mtime_ns for path in setup.cache.rglob("*.parquet")}
    assert compared() == first
    assert done[1:] == [[]]
    assert parts == {path: path.stat().st_mtime_ns for path in setup.cache.rglob("*.parquet")}

    put(trained / "c/model.safetensors", tmp_path / "b/model.safetensors")
    again = {(line["against"], line["column"]): line for line in compared()["comparisons"]}
    assert done[2:] == [["b/model"]]
    assert again["b/model", "mpjpe"]["value"] == line["value"]
    assert again["b/model", "mpjpe"]["against_value"] != line["against_value"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["none.safetensors"], "there is no such file"),
        (["bare.safetensors"], "bare.json beside it names no class"),
        (["other.safetensors"], "names the class FittedCodec; give a trained checkpoint of Motion"),
        (["video.safetensors"], "does v2m and i2vm, not tokenizer"),
        (["broken.safetensors"], "is not a readable safetensors file"),
        (["foreign.safetensors"], "tensor quantizer.codebook is"),
        (["a/model.safetensors"], "is the same checkpoint as"),
        (["copy.safetensors"], "is the same checkpoint as"),
        (["b/model.safetensors", "b/model.safetensors"], "is the same checkpoint as"),
        (["paper", "paper"], "names paper twice"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_are_one_line_and_exit_2(words, says, trained, clips_folder, tmp_path, capsys):
    for name in "ab":
        put(trained / name / "model.safetensors", tmp_path / name / "model.safetensors")
    put(tmp_path / "a/model.safetensors", tmp_path / "copy.safetensors")
    sidecar = json.loads((tmp_path / "copy.json").read_text())
    (tmp_path / "bare.safetensors").touch()
    (tmp_path / "other.safetensors").touch()
    (tmp_path / "other.json").write_text('{"class": "FittedCodec"}')
    (tmp_path / "video.safetensors").touch()
    (tmp_path / "video.json").write_text('{"class": "UniMo"}')
    (tmp_path / "broken.safetensors").write_bytes(b"no weights")
    (tmp_path / "broken.json").write_text(json.dumps(sidecar))
    put(tmp_path / "copy.safetensors", tmp_path / "foreign.safetensors")
    sidecar["config"]["codebook_size"] = 32
    (tmp_path / "foreign.json").write_text(json.dumps(sidecar))
    assert run.main(command(tmp_path, clips_folder, tmp_path / "out", *words)) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ") and says in message
    assert len(message.splitlines()) == 1


def test_the_spread_over_seeds_is_that_of_the_trainings(
    trained, clips_folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(systems, "execute", without_workers)
    seeds = [str(trained / name / "model.safetensors") for name in "bc"]
    words = command(trained, clips_folder, tmp_path, "b/model.safetensors")
    assert run.main([*words, "--seeds", *seeds]) == 0
    made = json.loads(next(tmp_path.glob("compare/*/compare.json")).read_text())
    assert [own["seed"] for own in made["trainings"].values()] == [0, 1, 2]
    found = made["seeds"]["mpjpe"]
    # The trainings are measured like any system: those that are one have its numbers.
    values = [system["cells"]["mpjpe"]["value"] for system in made["systems"].values()]
    assert found["values"][:2] == values and len({*found["values"]}) == 3
    assert found["mean"] == pytest.approx(sum(found["values"]) / 3)
    squares = sum((value - found["mean"]) ** 2 for value in found["values"])
    assert found["std"] == pytest.approx((squares / 2) ** 0.5)
    # Nothing else is of several trainings.
    line = next(line for line in made["comparisons"] if line["column"] == "mpjpe")
    assert (line["value"], line["against_value"]) == tuple(values)
    assert any("tests and verdicts are of a/model alone" in note for note in made["notes"])
    text = capsys.readouterr().out
    assert f"{found['mean']:.2f} ± {found['std']:.2f}" in text
    assert f"{min(found['values']):.2f} to {max(found['values']):.2f}" in text


def test_seed_statistics_in_closed_form():
    def cells(value, reason=None):
        return {"mpjpe": {"value": value, "reason": reason}}

    # 1, 2, ... n: mean (n + 1) / 2 and variance n (n + 1) / 12.
    found = trainings.seed_statistics([cells(float(k)) for k in range(1, 8)], [MPJPE])["mpjpe"]
    assert (found["n"], found["mean"]) == (7, 4.0)
    assert found["std"] == pytest.approx((7 * 8 / 12) ** 0.5)
    found = trainings.seed_statistics([cells(1.0), cells(None, "no file")], [MPJPE])["mpjpe"]
    assert (found["mean"], found["std"], found["reason"]) == (None, None, "no file")
    assert found["values"] == [1.0, None]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (None, "is the same checkpoint as"),
        ({"training": {"seed": 0}}, "has the seed 0, as"),
        ({"training": {"steps": 2}}, "not in the seed alone, but in steps:"),
        ({"training": {"device": "cuda:0"}}, "not in the seed alone, but in device:"),
        ({"training": {"seed": None}}, "names no seed"),
        ({"config": {"commitment": 0.5}}, "not in the seed alone, but in config commitment:"),
        ({"training": {"seconds": 9e9}}, None),
    ],
    ids=str,
)
def test_only_the_seed_may_differ(
    changes, says, trained, clips_folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(systems, "execute", without_workers)
    source = trained / ("a" if changes is None else "b") / "model.safetensors"
    path = put(source, tmp_path / "other.safetensors")
    if changes:
        sidecar = json.loads(path.with_suffix(".json").read_text())
        sidecar["extra"]["training"].update(changes.get("training", {}))
        sidecar["config"].update(changes.get("config", {}))
        path.with_suffix(".json").write_text(json.dumps(sidecar))
    words = [*command(trained, clips_folder, tmp_path / "out", "paper"), "--seeds", str(path)]
    assert run.main(words) == (0 if says is None else 2)
    message = capsys.readouterr().err
    assert says is None or (says in message and len(message.splitlines()) == 1)


def test_a_store_needs_test_clips_only(trained, tmp_path, capsys):
    store = tmp_path / "train-only"
    prepare(EmbeddedDataset(1, 1), None, store, split="train", video_size=None, progress=False)
    assert run.main(command(trained, store, tmp_path / "out", "b/model.safetensors")) == 2
    assert "has no test clips" in capsys.readouterr().err
    assert run.main(command(trained, tmp_path / "x", tmp_path / "out", "paper")) == 2
    assert "no clip store at" in capsys.readouterr().err


@pytest.mark.parametrize("gone", ["--checkpoint", "--against", "--task", "--data"])
def test_what_is_needed_is_said_in_one_line(gone, tmp_path, capsys):
    words = command(tmp_path, tmp_path, tmp_path, "paper")
    at = words.index(gone)
    with pytest.raises(SystemExit) as stop:
        run.main(words[:at] + words[at + 2 :])
    message = capsys.readouterr().err
    assert stop.value.code == 2 and gone in message
    assert len(message.splitlines()) == 1


def test_an_unknown_task_is_refused(tmp_path, capsys):
    words = command(tmp_path, tmp_path, tmp_path, "paper")
    words[words.index("tokenizer")] = "tokeniser"
    with pytest.raises(SystemExit) as stop:
        run.main(words)
    message = capsys.readouterr().err
    assert stop.value.code == 2 and "tokeniser" in message and "tokenizer" in message
    assert len(message.splitlines()) == 1


def test_labels_are_the_shortest_ends_that_differ(tmp_path):
    runs = [tmp_path / name / "model.safetensors" for name in ("mine", "other")]
    assert systems._labels(runs) == ["mine/model", "other/model"]
    assert systems._labels([runs[0], tmp_path / "last.safetensors"]) == ["model", "last"]
    assert systems._labels([tmp_path / "mine" / "paper.safetensors"]) == ["mine/paper"]
