"""What is damaged in the cache is said and made again; nothing is ever measured from it."""

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmark.api.clips import Prediction
from benchmark.api.table import Row
from benchmark.methods.unimo import METHOD
from benchmark.profiles import smoke
from benchmark.runs import artifacts, chain
from benchmark.runs.data import open_data
from benchmark.runs.stages import perform
from benchmark.runs.work_item import make_item
from datasets.tools.files import locked, read_json, write_json
from tests.benchmark.work import context_in, ignore
from tests.damage import cut, edit_json, flip_bit

ROW = Row("s=1/1 B=32", "unimo", {"tokens_per_frame": 1, "codebook_size": 32})


@pytest.fixture(scope="module")
def done(clips_folder, tmp_path_factory):
    """An item, the folder of a cache in which its work is done, and what a report shows of it."""
    data = open_data(clips_folder, limit=2)
    profile = smoke().with_steps(3)
    item = make_item(ROW, "tokenizer", profile, data, seed=0, metrics=("codebook", "pose"))
    context = context_in(tmp_path_factory.mktemp("done"))
    perform(context, item, progress=ignore)
    return item, context.cache, measured(context, item)


@pytest.fixture
def context(done, tmp_path):
    """A context with a copy of that cache."""
    shutil.copytree(done[1], tmp_path / "runs")
    return context_in(tmp_path)


@pytest.fixture
def item(done):
    return done[0]


@pytest.fixture
def whole(done):
    return done[2]


def measured(context, item):
    """What a report shows of an item."""
    outcome = chain.lookup(context, item)
    return outcome.missing, outcome.scores, outcome.facts, outcome.failed, outcome.absent


def test_no_damage_to_the_cache_ends_in_a_number(done, context, item, whole, capsys):
    rng = random.Random(0)
    files = [path.relative_to(context.cache) for path in context.cache.rglob("*")]
    files = sorted(path for path in files if (context.cache / path).is_file())
    for _ in range(60):
        path = context.cache / rng.choice([path for path in files if path.parts[0] != "locks"])
        harm = rng.choice([flip_bit, cut, *([edit_json] if path.suffix == ".json" else [])])
        what = harm(path, rng)
        capsys.readouterr()
        found = measured(context, item)
        if found != whole:
            assert found[0], what  # nothing of that stage is used
            assert capsys.readouterr().err.count("discarded, to be made again") == 1, what
        shutil.rmtree(context.cache)
        shutil.copytree(done[1], context.cache)


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("model.safetensors", ["train"]),
        ("predictions-00000.parquet", ["predict"]),
        ("scores.parquet", ["score codebook", "score pose"]),
    ],
)
def test_damage_is_said_and_made_again(context, item, whole, capsys, name, missing):
    for path in context.cache.rglob(name):
        path.write_bytes(b"damaged")
    assert measured(context, item)[0] == missing
    assert f"{name} is damaged or was changed: discarded" in capsys.readouterr().err
    perform(context, item, progress=ignore)
    assert measured(context, item) == whole


def test_scores_of_an_older_version_are_made_again(context, item, whole):
    path = chain.lookup(context, item).stages["score pose"].folder / "run.json"
    record = read_json(path)
    del record["absent"]
    write_json(path, record)
    assert measured(context, item)[0] == ["score pose"]
    perform(context, item, progress=ignore)
    assert measured(context, item) == whole


def test_one_bit_of_a_score_is_found(context, item, whole, capsys):
    stage = chain.lookup(context, item).stages["score pose"]
    scores = artifacts.read_scores(stage.folder / "scores.parquet")
    artifacts.write_scores(
        stage.folder / "scores.parquet",
        [*scores[:-1], type(scores[-1])(scores[-1].clip_id, "mpjpe", sum=3896970.0, count=1.0)],
    )
    assert measured(context, item)[0] == ["score pose"]
    assert "scores.parquet is damaged or was changed" in capsys.readouterr().err
    perform(context, item, progress=ignore)
    assert measured(context, item) == whole


@pytest.mark.parametrize("text", ["{}", "[" * 100_000, '{"schema_version": 1}', "\0"])
def test_a_record_without_its_keys_is_made_again(context, item, whole, capsys, text):
    for path in context.cache.glob("predict/*/run.json"):
        path.write_text(text)
    assert measured(context, item)[0] == ["predict"]
    assert len(capsys.readouterr().err.splitlines()) == 1
    perform(context, item, progress=ignore)
    assert measured(context, item) == whole


def test_records_of_earlier_versions_are_read_as_they_are(context, item, whole, capsys):
    for path in context.cache.rglob("run.json"):
        record = read_json(path)
        write_json(path, {k: v for k, v in record.items() if k not in ("files", "own_sha256")})
    assert measured(context, item) == whole
    (weights,) = context.cache.glob("train/*/model.safetensors")
    flip_bit(weights, random.Random(1))
    assert measured(context, item)[0] == ["train"]
    assert "model.safetensors is missing or damaged" in capsys.readouterr().err


@pytest.mark.parametrize("harm", [flip_bit, cut, lambda path, rng: path.unlink()])
def test_an_unfinished_prediction_with_a_damaged_part_is_made_again(
    context, item, whole, capsys, harm
):
    stage = chain.lookup(context, item).stages["predict"]
    (stage.folder / "run.json").unlink()  # as a kill leaves it
    harm(artifacts.part_path(stage.folder, 0), random.Random(2))
    perform(context, item, progress=ignore)
    assert measured(context, item) == whole


@pytest.mark.parametrize("harm", [flip_bit, cut])
@pytest.mark.parametrize("name", ["model.safetensors", "model.json"])
def test_a_damaged_checkpoint_of_an_unfinished_training_is_made_again(
    context, item, whole, capsys, harm, name
):
    (record,) = context.cache.glob("train/*/run.json")
    record.unlink()  # as a kill leaves it
    harm(record.with_name(name), random.Random(0))
    perform(context, item, progress=ignore)
    assert "is damaged: it is made again" in capsys.readouterr().err
    assert measured(context, item) == whole


def test_a_whole_part_of_an_unfinished_prediction_is_not_made_again(
    context, item, whole, monkeypatch
):
    stage = chain.lookup(context, item).stages["predict"]
    (stage.folder / "run.json").unlink()
    monkeypatch.setattr(type(METHOD["tokenizer"]), "predict", lambda *args, **options: 1 / 0)
    perform(context, item, progress=ignore)
    assert measured(context, item) == whole


def test_a_part_carries_the_hashes_of_its_videos(tmp_path, capsys):
    frames = np.random.default_rng(0).integers(0, 256, (2, 3, 16, 16, 3), np.uint8)
    path = artifacts.part_path(tmp_path, 0)
    artifacts.write_videos(tmp_path, range(2), iter(frames), [30.0, 30.0])
    artifacts.write_predictions(path, ["a", "b"], Prediction(None))
    assert artifacts.finished_clips(tmp_path) == set()
    assert "it has no record: it is made again" in capsys.readouterr().err
    artifacts.write_predictions(path, ["a", "b"], Prediction(None))
    artifacts.finish_part(path, range(2))
    assert artifacts.finished_clips(tmp_path) == {"a", "b"}
    flip_bit(artifacts.videos(tmp_path, 2)[1], random.Random(3))
    assert artifacts.finished_clips(tmp_path) == set()
    assert "videos/00001.mp4 is damaged" in capsys.readouterr().err


def test_what_is_damaged_while_another_process_works_there_is_left_to_it(context, item):
    stage = chain.lookup(context, item).stages["predict"]
    Path(stage.folder / "run.json").write_text(json.dumps({"a": 1}))
    with locked(stage.lock):
        assert stage.record() is None
    assert stage.folder.exists()
    assert stage.record() is None and not stage.folder.exists()
