"""The verb ``compare``: the result of two systems, and the command."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

from benchmark import run
from benchmark.api.errors import UserError
from benchmark.api.metric import Score
from benchmark.api.table import Column
from benchmark.commands.compare import result, trainings
from benchmark.commands.compare.schema import ClipChange
from benchmark.results.paired import holm
from benchmark.results.schema import Cell
from benchmark.results.statistics import pooled_mean
from benchmark.runs import chain, data, outcomes
from benchmark.runs.checkpoints import labels_of
from benchmark.runs.work_item import RunContext, WorkItem
from datasets.adapters.embedded import EmbeddedDataset
from datasets.bodies.smplx_file import find_body
from datasets.prepare.prepare_store import prepare
from tests.benchmark.commands.comparing import EMPTY, command, put, scores, without_workers
from tests.damage import rewrite_json

MPJPE = Column("mpjpe", "MPJPE", unit="mm", better="lower", decimals=2)


def cells_of(*values):
    """Cells of the systems x and y."""
    return [
        Cell(row=name, column="mpjpe", value=value, status="measured", run_id=name)
        for name, value in zip("xy", values, strict=True)
    ]


def test_clips_that_one_side_alone_has_are_in_no_number():
    own, theirs = scores([1.0, 2.0, 9.0]), scores([3.0, 6.0])
    line = result.against(MPJPE, *cells_of(4.0, 4.5), own, theirs, str)
    assert (line.value, line.against_value, line.difference, line.n) == (1.5, 4.5, -3.0, 2)
    assert line.relative == pytest.approx(-3.0 / 4.5) and (line.improved, line.worsened) == (2, 0)
    line = result.against(MPJPE, *cells_of(9.0, 4.5), own[2:], theirs, str)
    assert (line.difference, line.n, line.p) == (None, None, None)
    assert line.reason == "no clip has a value of both systems"


def test_a_clip_that_is_scored_twice_is_refused():
    with pytest.raises(UserError, match=r"MPJPE of x and y \(.*\): .*scored more than once"):
        result.against(MPJPE, *cells_of(1.0, 1.0), scores([1.0]) * 2, scores([1.0]), str)


def test_a_comparison_tells_who_gained():
    cells = cells_of(1.0, 1.0)
    own, theirs = scores([float(clip) for clip in range(12)]), scores([6.0] * 12)
    line = result.against(MPJPE, *cells, own, theirs, str)
    assert (line.improved, line.worsened, line.n) == (6, 5, 12)
    assert [clip.clip_id for clip in line.best] == list("abcdef")
    assert line.worst[0] == ClipChange(clip_id="l", difference=5.0)
    higher = result.against(Column("mpjpe", "MPJPE", better="higher"), *cells, own, theirs, str)
    assert (higher.improved, higher.worst[0].clip_id) == (5, "a")
    pooled = [Score("pooled", "mpjpe", sum=10.0, count=512)]
    assert "no single clip" in result.against(MPJPE, *cells, pooled, pooled, str).reason


def test_clips_of_one_take_count_once():
    rng = np.random.default_rng(7)
    cells = cells_of(50.0, 60.0)
    own, theirs = scores(rng.normal(50, 1, 20)), scores(rng.normal(60, 1, 20))
    lines = [result.against(MPJPE, *cells, own, theirs, of) for of in (str, lambda _: "a take")]
    lines = result.decide(lines, [MPJPE])
    assert [(line.n, line.groups) for line in lines] == [(20, 20), (20, 1)]
    assert lines[0].verdict == "better"
    assert lines[1].low is None and lines[1].p == 1.0
    assert lines[1].verdict == "undecided"


def test_a_verdict_needs_interval_and_test():
    rng = np.random.default_rng(5)

    def decided(shift, clips):
        own, theirs = rng.normal(50 + shift, 1, clips), rng.normal(50, 1, clips)
        cells = cells_of(own.mean(), theirs.mean())
        line = result.against(MPJPE, *cells, scores(own), scores(theirs), str)
        return result.decide([line], [MPJPE])[0].verdict

    assert [decided(shift, 20) for shift in (-5, 0, 5)] == ["better", "undecided", "worse"]
    assert decided(5, 4) == "undecided"  # four clips can never be significant


# --- the command ---


@pytest.fixture(scope="module")
def trained(clips_folder, tmp_path_factory):
    """Folder with the tokenizers a and b, and c to replace one of them."""
    import torch

    from benchmark.methods.tokenizers import variant
    from benchmark.profiles import smoke
    from datasets.store.reader import ClipStore
    from model.tokenizer import MotionTokenizer
    from model.tokenizer.train import train
    from model.training.config import TrainingConfig

    folder = tmp_path_factory.mktemp("runs")
    store = ClipStore.open(clips_folder)
    channels = store.channels(store.ids("train"))
    for seed, name in enumerate("abc"):
        torch.manual_seed(seed)
        config = variant(smoke().tokenizer, {"tokens_per_frame": 8, "codebook_size": 64})
        tokenizer = MotionTokenizer(config)
        training = TrainingConfig.small(steps=1, batch_size=2, seed=seed)
        train(tokenizer, training, channels, folder / name, progress=False)
    return folder


def test_end_to_end_again_from_the_cache_and_after_training_again(
    trained, clips_folder, tmp_path, monkeypatch, capsys
):
    done = []

    def counted(items, context, **options):
        done.append([item.label for item in items])
        return without_workers(items, context, **options)

    monkeypatch.setattr(outcomes, "execute", counted)
    put(trained / "a/model.safetensors", tmp_path / "a/model.safetensors")
    put(trained / "b/model.safetensors", tmp_path / "b/model.safetensors")
    words = command(tmp_path, clips_folder, tmp_path / "out", "b/model.safetensors", "paper")

    def compared():
        assert run.main(words) == 0
        said = capsys.readouterr().out
        folder = Path(re.search(r"^wrote (.+)/compare\.json$", said, re.M)[1])
        assert said.startswith((folder / "compare.md").read_text())
        made = json.loads((folder / "compare.json").read_text())
        del made["provenance"], made["own_sha256"]
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
    context = RunContext(tmp_path / "out" / "runs", find_body(), device="cpu")
    weights = tmp_path / "a/model.safetensors"
    item = WorkItem(
        task="tokenizer", method="unimo", data=clips, weights=weights, metrics=("pose",)
    )
    outcome = chain.lookup(context, item)
    assert outcome.missing == []
    lines = {(line["against"], line["column"]): line for line in first["comparisons"]}
    line = lines["b/model", "mpjpe"]
    own = [score for score in outcome.scores["pose"] if score.column == "mpjpe"]
    assert line["value"] == pooled_mean([s.sum for s in own], [s.count for s in own])
    assert line["run_id"] == outcome.stages["score pose"].id
    assert line["n"] == len(clips.test_ids) == 4
    assert line["groups"] == 2  # two clips of each of two takes
    assert line["low"] < line["difference"] < line["high"]
    assert line["difference"] == line["value"] - line["against_value"]
    tested = [line for line in first["comparisons"] if line["against"] == "b/model"]
    assert [line["p_holm"] for line in tested] == holm([line["p"] for line in tested])
    assert {line["verdict"] for line in tested} == {"undecided"}
    assert any("2 groups are too few for a verdict" in note for note in first["notes"])
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

    parts = {path: path.stat().st_mtime_ns for path in context.cache.rglob("*.parquet")}
    assert compared() == first
    assert len(done) == 1
    assert parts == {path: path.stat().st_mtime_ns for path in context.cache.rglob("*.parquet")}

    put(trained / "c/model.safetensors", tmp_path / "b/model.safetensors")
    again = {(line["against"], line["column"]): line for line in compared()["comparisons"]}
    assert done[1:] == [["b/model"]]
    assert again["b/model", "mpjpe"]["value"] == line["value"]
    assert again["b/model", "mpjpe"]["against_value"] != line["against_value"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["none.safetensors"], "there is no such file"),
        (["alone.safetensors"], "there is no alone.json beside it"),
        (["bare.safetensors"], "bare.json beside it names no class"),
        (["other.safetensors"], "names the class FittedCodec; give a trained checkpoint of Motion"),
        (["video.safetensors"], "picture -> video and motion), not tokenizer (motion"),
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
    (tmp_path / "alone.safetensors").touch()
    (tmp_path / "bare.safetensors").touch()
    (tmp_path / "bare.json").write_text("{}")
    (tmp_path / "other.safetensors").touch()
    (tmp_path / "other.json").write_text('{"class": "FittedCodec"}')
    (tmp_path / "video.safetensors").write_bytes(EMPTY)
    (tmp_path / "video.json").write_text('{"class": "UniMo"}')
    (tmp_path / "broken.safetensors").write_bytes(b"no weights")
    (tmp_path / "broken.json").write_text(json.dumps(sidecar))
    put(tmp_path / "copy.safetensors", tmp_path / "foreign.safetensors")
    sidecar["config"]["codebook_size"] = 32
    rewrite_json(tmp_path / "foreign.json", sidecar)
    assert run.main(command(tmp_path, clips_folder, tmp_path / "out", *words)) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ") and says in message
    assert len(message.splitlines()) == 1


def test_the_spread_over_seeds_is_that_of_the_trainings(
    trained, clips_folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(outcomes, "execute", without_workers)
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
        status = "measured" if reason is None else "unavailable"
        return {"mpjpe": Cell(row="x", column="mpjpe", status=status, value=value, reason=reason)}

    # 1, 2, ... n: mean (n + 1) / 2 and variance n (n + 1) / 12.
    found = trainings.seed_statistics([cells(float(k)) for k in range(1, 8)], [MPJPE])["mpjpe"]
    assert (found.n, found.mean) == (7, 4.0)
    assert found.std == pytest.approx((7 * 8 / 12) ** 0.5)
    found = trainings.seed_statistics([cells(1.0), cells(None, "no file")], [MPJPE])["mpjpe"]
    assert (found.mean, found.std, found.reason) == (None, None, "no file")
    assert found.values == (1.0, None)


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
    monkeypatch.setattr(outcomes, "execute", without_workers)
    source = trained / ("a" if changes is None else "b") / "model.safetensors"
    path = put(source, tmp_path / "other.safetensors")
    if changes:
        sidecar = json.loads(path.with_suffix(".json").read_text())
        sidecar["extra"]["training"].update(changes.get("training", {}))
        sidecar["config"].update(changes.get("config", {}))
        rewrite_json(path.with_suffix(".json"), sidecar)
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
    def labels(*names):
        return list(labels_of([tmp_path / f"{name}.safetensors" for name in names]).values())

    assert labels("mine/model", "other/model") == ["mine/model", "other/model"]
    # `model` and `paper` alone say nothing, or something else.
    assert labels("mine/model", "last") == ["mine/model", "last"]
    assert labels("mine/paper") == ["mine/paper"]
    assert labels("a/mine/model", "b/mine/model", "c/x") == ["a/mine/model", "b/mine/model", "x"]
    both = labels_of([tmp_path / "x.safetensors", tmp_path / "x.bin"])
    assert len(set(both.values())) == 2
