"""The verb ``compare`` on tasks with videos: what is measured, and what does not fit together."""

import dataclasses
import functools
import json
import shutil

import numpy as np
import pytest

from benchmark import discover, profiles, run
from benchmark.methods import transformers
from benchmark.profiles import smoke
from benchmark.results.statistics import pooled_mean
from benchmark.runs import chain, outcomes
from benchmark.runs.data import open_data
from benchmark.runs.work_item import WorkItem
from benchmark.runs.workers import execute
from datasets.adapters.embedded_shots import EmbeddedShots
from datasets.bodies.smplx_file import STAND_IN
from datasets.prepare.prepare_store import prepare
from tests.benchmark.commands.comparing import command, put, without_workers
from tests.benchmark.work import context_in, ignore
from tests.damage import rewrite_json
from tests.model.mini_unimo import make_tokenizer

LIMIT = 3
A, B, REGRESSOR = (f"{name}/model.safetensors" for name in ("a", "b", "regressor"))


def hardly_trained():
    """The smoke profile with a few steps: `embedded` where these tests train an estimator."""
    return smoke().with_steps(2)


@pytest.fixture(scope="module")
def trained(shots_folder, tmp_path_factory):
    """Folder with the transformers a and b, which differ in their seed, and a regressor."""
    folder, data = tmp_path_factory.mktemp("runs"), open_data(shots_folder, task="v2m")
    regressor = discover.method("regressor", "v2m")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("model.transformer.train.token_set.CACHE", folder / "tokens")
        for seed, name in enumerate("ab"):
            (folder / name).mkdir()
            wanted = transformers.training_spec(hardly_trained(), tasks=("v2m", "i2vm"), seed=seed)
            transformers.train(wanted, data, folder / name, device="cpu", progress=ignore)
    (folder / "regressor").mkdir()
    wanted = regressor.training_spec({}, hardly_trained(), seed=0)
    regressor.train(wanted, data, folder / "regressor", device="cpu", progress=ignore)
    return folder


@pytest.fixture(scope="module")
def held_out(tmp_path_factory):
    """A store of a test split, as of an external test set."""
    path = tmp_path_factory.mktemp("data") / "held-out"
    dataset = EmbeddedShots(1, 1, shot_frames=17, image_size=64)
    prepare(dataset, None, path, split="test", num_frames=17, video_size=64, progress=False)
    return path


@pytest.fixture
def here(monkeypatch, tmp_path, no_drawing):
    """In this process, and with no external tool, whatever is installed on the machine."""
    monkeypatch.setenv("UNIMO_TOOLS", str(tmp_path / "no-tools"))
    monkeypatch.delenv("VBENCH_PYTHON", raising=False)
    monkeypatch.setattr(outcomes, "execute", without_workers)
    monkeypatch.setattr(profiles, "embedded", hardly_trained)


def compared(out, words):
    assert run.main(words) == 0
    (path,) = out.glob("compare/*/compare.json")
    return json.loads(path.read_text())


def refused(words, capsys):
    assert run.main(words) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ") and len(message.splitlines()) == 1
    return message


def changed(folder, target, *, name="a", **values):
    """A copy of a checkpoint whose sidecar says otherwise: of its config, or of its training."""
    shutil.copytree(folder / name, target)
    sidecar = json.loads((target / "model.json").read_text())
    for key, value in values.items():
        part = sidecar["config"] if key in sidecar["config"] else sidecar["extra"]["training"]
        part[key] = value
    rewrite_json(target / "model.json", sidecar)
    return target / "model.safetensors"


def by_column(made, against):
    return {line["column"]: line for line in made["comparisons"] if line["against"] == against}


def test_v2m_of_transformers_and_a_regressor(trained, shots_folder, tmp_path, here, capsys):
    words = command(trained, shots_folder, tmp_path, B, REGRESSOR, "paper", task="v2m")
    made = compared(tmp_path, [*words, "--limit", str(LIMIT)])
    assert (made["task"], made["table"], made["estimator"]) == ("v2m", "table3", None)
    assert list(made["systems"]) == ["a/model", "b/model", "regressor/model"]
    data = open_data(shots_folder, task="v2m", limit=LIMIT, splits=("test",))
    assert made["provenance"]["data"][data.name]["sha256"] == data.sha256

    context = context_in(tmp_path)
    item = WorkItem(task="v2m", method="unimo", data=data, weights=trained / A, metrics=("pose",))
    outcome = chain.lookup(context, item)
    assert outcome.missing == []
    line = by_column(made, "b/model")["mpjpe"]
    own = [score for score in outcome.scores["pose"] if score.column == "mpjpe"]
    assert line["value"] == pooled_mean([s.sum for s in own], [s.count for s in own])
    assert line["run_id"] == outcome.stages["score pose"].id
    for opponent in ("b/model", "regressor/model"):
        for line in by_column(made, opponent).values():
            assert (line["n"], line["groups"]) == (LIMIT, 1)
            assert line["difference"] == line["value"] - line["against_value"] != 0
            assert line["low"] is None and line["verdict"] == "undecided"  # clips of one shot
    to_paper = by_column(made, "paper")["accel"]
    assert (to_paper["against_value"], to_paper["p"]) == (4.5647, None)
    assert "## against b/model" in capsys.readouterr().out


def test_i2vm_with_an_estimator_trained_here(trained, shots_folder, tmp_path, here, capsys):
    words = command(trained, shots_folder, tmp_path, B, "paper", task="i2vm")
    made = compared(tmp_path, [*words, "--limit", str(LIMIT)])
    lines = by_column(made, "b/model")
    assert {lines[name]["n"] for name in ("mpjpe", "pa_mpjpe", "pve", "accel")} == {LIMIT}
    # Of all clips together: a difference, and nothing to test it on.
    for name in ("fid", "div", "fid_g", "div_g"):
        assert lines[name]["difference"] is not None
        assert lines[name]["p"] is None and "no single clip" in lines[name]["reason"]
    assert "vbench is not installed" in lines["app"]["reason"]
    assert by_column(made, "paper")["fid"]["against_value"] == 27.3984
    runs = made["systems"]["a/model"]["runs"]
    assert {"predict", "train estimator", "estimate", "score pose"} <= runs.keys()
    assert runs["train estimator"]["run_id"] in made["estimator"]
    assert "21 training clips" in made["estimator"]
    assert f"**Estimator:** {made['estimator'].split(' ')[0]}" in capsys.readouterr().out


def test_i2vm_with_an_estimator_of_the_users(trained, held_out, tmp_path, here):
    words = command(trained, held_out, tmp_path, B, task="i2vm")
    made = compared(tmp_path, [*words, "--estimator", str(trained / REGRESSOR), "--limit", "2"])
    assert by_column(made, "b/model")["mpjpe"]["n"] == 2
    assert str(trained / REGRESSOR) in made["estimator"]
    assert "train estimator" not in made["systems"]["a/model"]["runs"]


def test_a_clip_that_one_checkpoint_fails_on_is_in_no_difference(
    trained, shots_folder, tmp_path, here, monkeypatch
):
    method = type(discover.method("unimo", "i2vm"))
    whole = method.predict

    def predict(self, weights, clips, **options):
        made = whole(self, weights, clips, **options)
        failed = {clips.ids[0]: "decode_error: cut short"} if weights.parent.name == "b" else {}
        return dataclasses.replace(made, failed=failed)

    monkeypatch.setattr(method, "predict", predict)
    words = command(trained, shots_folder, tmp_path, B, task="i2vm")
    words += ["--estimator", str(trained / REGRESSOR), "--limit", str(LIMIT)]
    made = compared(tmp_path, words)
    lines = by_column(made, "b/model")
    cells = made["systems"]["a/model"]["cells"]
    assert lines["mpjpe"]["n"] == LIMIT - 1 < cells["mpjpe"]["n"] == LIMIT
    assert lines["mpjpe"]["value"] != cells["mpjpe"]["value"]
    assert lines["mpjpe"]["against_value"] == made["systems"]["b/model"]["cells"]["mpjpe"]["value"]
    assert lines["fid"]["difference"] is None and "all clips together" in lines["fid"]["reason"]
    (note,) = [note for note in made["notes"] if note.startswith("Against b/model")]
    assert "on the 2 clips that both have; a/model has 3, b/model 2 (MPJPE" in note


def test_without_an_estimator_columns_say_why(trained, held_out, tmp_path, here, capsys):
    words = command(trained, held_out, tmp_path, B, task="i2vm")
    made = compared(tmp_path, [*words, "--limit", "2"])
    lines = by_column(made, "b/model")
    for name in ("mpjpe", "accel"):
        assert lines[name]["difference"] is None
        assert "has no train clips" in lines[name]["reason"]
        assert "--estimator" in lines[name]["reason"]
    assert lines["fid"]["difference"] is not None
    # In full once as a reason and once as a fact; the cells have its letter.
    assert capsys.readouterr().out.count("has no train clips") == 2


def test_another_size_is_refused(trained, shots_folder, tmp_path, capsys):
    shorter = changed(trained, tmp_path / "shorter", latent_shape=[2, 4, 4])
    wider = changed(trained, tmp_path / "wider", latent_shape=[3, 4, 8])
    words = functools.partial(command, tmp_path, shots_folder, tmp_path / "out", task="v2m")
    message = refused(words("paper", checkpoint=shorter), capsys)
    assert "17 frames of 64x64 pixels" in message and "--frames 9 --size 64" in message
    message = refused(words(str(wider), checkpoint=shorter), capsys)
    assert "9 frames of 64x64 pixels" in message and "17 frames of 128x64 pixels" in message
    broken = changed(trained, tmp_path / "broken", latent_shape="large")
    assert "latent_shape" in refused(words("paper", checkpoint=broken), capsys)


def test_other_tokens_are_refused(trained, shots_folder, tmp_path, capsys):
    shutil.copytree(trained / "b", tmp_path / "b")
    put(make_tokenizer(tmp_path), tmp_path / "b/tokenizer.safetensors")
    words = command(trained, shots_folder, tmp_path / "out", str(tmp_path / B), task="v2m")
    message = refused(words, capsys)
    assert "was trained on other tokens" in message and str(tmp_path / B) in message


@pytest.mark.parametrize(
    ("training", "says"),
    [
        ({"tasks": ["i2vm"]}, "does i2vm (first picture -> video and motion), not v2m"),
        ({"codec": None}, "was trained on other tokens"),
    ],
)
def test_a_transformer_of_something_else_is_refused(
    training, says, trained, shots_folder, tmp_path, capsys
):
    other = changed(trained, tmp_path / "other", name="b", **training)
    words = command(trained, shots_folder, tmp_path / "out", str(other), task="v2m")
    assert says in refused(words, capsys)


def test_a_store_without_videos_is_refused(trained, clips_folder, tmp_path, capsys):
    words = command(trained, clips_folder, tmp_path, B, task="v2m")
    assert "have no video" in refused(words, capsys)


def test_bodies_are_not_mixed(trained, shots_folder, tmp_path, capsys):
    with np.load(STAND_IN) as file:
        arrays = dict(file)
    arrays["v_template"] = 1.1 * arrays["v_template"]
    np.savez(tmp_path / "taller.npz", **arrays)
    words = command(trained, shots_folder, tmp_path / "out", B, task="v2m")
    message = refused([*words, "--body", str(tmp_path / "taller.npz")], capsys)
    assert "was prepared with the body stand-in" in message
    other = changed(trained, tmp_path / "other", name="regressor", body_sha256="0" * 64)
    words = command(trained, shots_folder, tmp_path / "out", str(other), task="v2m")
    assert "was trained on another body" in refused(words, capsys)
    words = command(trained, shots_folder, tmp_path / "out", B, task="i2vm")
    assert "another body" in refused([*words, "--estimator", str(other)], capsys)


def test_an_estimator_must_be_one(trained, shots_folder, tmp_path, capsys):
    words = functools.partial(command, trained, shots_folder, tmp_path, B)
    message = refused([*words(task="v2m"), "--estimator", str(trained / REGRESSOR)], capsys)
    assert "--estimator is for --task i2vm" in message
    message = refused([*words(task="i2vm"), "--estimator", str(trained / A)], capsys)
    assert "is of the method unimo: give a regressor" in message


def test_seeds_of_a_transformer(trained, shots_folder, tmp_path, here, capsys):
    words = command(trained, shots_folder, tmp_path, "paper", task="v2m")
    made = compared(tmp_path, [*words, "--seeds", str(trained / B), "--limit", "2"])
    found = made["seeds"]["mpjpe"]
    assert found["values"][0] == made["systems"]["a/model"]["cells"]["mpjpe"]["value"]
    low, high = sorted(found["values"])
    assert (found["mean"], found["std"]) == pytest.approx(((low + high) / 2, (high - low) / 2**0.5))
    longer = changed(trained, tmp_path / "longer", name="b", steps=5)
    message = refused([*words, "--seeds", str(longer)], capsys)
    assert "not in the seed alone, but in steps" in message


@pytest.mark.slow
def test_in_worker_processes_the_same_numbers(trained, shots_folder, tmp_path, here, monkeypatch):
    """And the whole of what is trained here travels with the work item."""

    def comparisons(name):
        words = command(trained, shots_folder, tmp_path / name, B, task="i2vm")
        return compared(tmp_path / name, words)["comparisons"]

    one = comparisons("one")
    monkeypatch.setattr(outcomes, "execute", execute)
    assert comparisons("two") == one
