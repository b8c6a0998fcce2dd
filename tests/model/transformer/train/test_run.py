"""Training of the transformer: what a run leaves, how it resumes, and what it refuses."""

import csv
import dataclasses
import shutil

import numpy as np
import pytest
import torch

from datasets.adapters.embedded_shots import EmbeddedShots
from datasets.prepare.prepare_store import prepare
from datasets.store.joined import open_stores
from datasets.store.reader import ClipStore
from model.system import TrainedSystem
from model.tokenizer import MotionTokenizer
from model.training.config import TrainingError
from model.training.loop import TrainingRun
from model.training.optimizer import make_optimizer
from model.training.sidecar import read_sidecar
from model.transformer import UniMo
from model.transformer.train import __main__, distributed, sharded
from model.transformer.train import token_set as tokens_module
from model.transformer.train.__main__ import main
from model.transformer.train.config import ARTrainingConfig
from model.transformer.train.held_out import examine
from model.transformer.train.run import train
from model.transformer.train.token_set import Tokens
from model.video_tokens.fitted.linear import LinearCodec
from tests.model.mini_unimo import CONFIG, fresh_model, make_store, make_tokenizer
from tests.model.training.stopping import stopped


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("unimo")
    make_store(path / "shots")
    make_tokenizer(path)
    return path


@pytest.fixture(scope="module")
def tokens(folder):
    tokenizer = MotionTokenizer.load(folder / "tokenizer.safetensors")
    store = ClipStore.open(folder / "shots")
    return Tokens.of(store, LinearCodec(), tokenizer, cache=folder / "cache", progress=False)


def settings(steps=6, **changes):
    return ARTrainingConfig.embedded(steps, **{"batch_size": 4, **changes})


def rows(folder):
    with open(folder / "losses.csv") as file:
        return list(csv.DictReader(file))


def test_recordings_are_held_out_whole(tokens):
    def recordings(clips):
        return {name.split("/")[2] for name in clips.ids}

    assert len(tokens.train.ids) == 7 and len(tokens.held_out.ids) == 7
    assert not recordings(tokens.train) & recordings(tokens.held_out)


def test_a_run_leaves_a_checkpoint_and_curves_by_task_and_modality(tokens, tmp_path):
    model = fresh_model()
    path = train(model, settings(40), tokens, tmp_path, progress=False)
    again = UniMo.load(path)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    curve = rows(tmp_path)
    assert int(curve[-1]["step"]) == 40
    for name in ("v2m_motion", "i2vm_visual", "i2vm_motion"):
        assert float(curve[-1][name]) < float(curve[0][name])
    assert {"held_out_v2m_motion", "shuffled_gap"} <= curve[-1].keys()
    facts = read_sidecar(path)["extra"]["training"]
    assert facts["tokens_sha256"] and facts["tasks"] == ["v2m", "i2vm"]
    assert facts["skipped_clips"] == 0 and facts["dataset"] == "embedded_shots"
    assert (facts["fps"], facts["space"]) == (30.0, "camera")
    assert facts["threads"] == torch.get_num_threads()
    assert float(curve[-1]["learning_rate"]) < float(curve[20]["learning_rate"])
    assert not (tmp_path / "resume.pt").exists()


@pytest.mark.parametrize("changes", [{"optimizer": "adamw", "ema_decay": 0.9}, {}])
def test_a_run_that_is_stopped_and_resumed_ends_bit_for_bit_the_same(tokens, tmp_path, changes):
    whole = train(fresh_model(), settings(**changes), tokens, tmp_path / "whole", progress=False)
    with stopped(after=3):
        train(fresh_model(), settings(**changes), tokens, tmp_path / "parts", progress=False)
    assert torch.load(tmp_path / "parts" / "resume.pt", weights_only=True)["step"] == 3
    parts = train(fresh_model(), settings(**changes), tokens, tmp_path / "parts", progress=False)
    assert parts.read_bytes() == whole.read_bytes()
    assert rows(tmp_path / "parts")[-1] == rows(tmp_path / "whole")[-1]


def test_the_average_of_the_weights_is_what_is_kept(tokens, tmp_path):
    plain = train(fresh_model(), settings(), tokens, tmp_path / "a", progress=False)
    averaged = train(fresh_model(), settings(ema_decay=0.9), tokens, tmp_path / "b", progress=False)
    first, second = UniMo.load(plain).state_dict(), UniMo.load(averaged).state_dict()
    start = fresh_model().state_dict()
    name = "layers.0.feed_forward.w2.weight"
    moved = [(weights[name] - start[name]).norm() for weights in (first, second)]
    assert 0 < moved[1] < moved[0]


@pytest.mark.parametrize(
    ("tasks", "unified", "columns"),
    [
        (("v2m",), False, {"v2m_motion"}),
        (("i2vm",), False, {"i2vm_visual", "i2vm_motion"}),
        (("v2m", "i2vm"), True, {"v2m_motion", "i2vm_visual", "i2vm_motion"}),
    ],
)
def test_the_papers_ablations_train(tokens, tmp_path, tasks, unified, columns):
    model = fresh_model(unified=unified)
    train(model, settings(4, tasks=tasks), tokens, tmp_path, progress=False)
    found = {name for name in rows(tmp_path)[0] if name.startswith(("v2m", "i2vm"))}
    assert found == columns


def test_the_gap_shows_whether_the_video_is_used(tokens):
    """A blind model has none, and guesses."""
    model = fresh_model()
    model.motion_output.weight.data.zero_()
    blind = examine(model, settings(tasks=("v2m",)), tokens.held_out)
    assert blind["shuffled_gap"] == 0.0
    assert blind["held_out_v2m_motion"] == pytest.approx(np.log(512), abs=1e-4)


def test_a_folder_with_another_run_is_refused(tokens, tmp_path):
    train(fresh_model(), settings(1), tokens, tmp_path, progress=False)
    with pytest.raises(TrainingError, match="another run"):
        train(fresh_model(), settings(1, seed=1), tokens, tmp_path, progress=False)
    with pytest.raises(TrainingError, match="another run"):
        train(fresh_model(unified=True), settings(1), tokens, tmp_path, progress=False)
    with pytest.raises(TrainingError, match="start is random there, cosmos 1 here"):
        train(fresh_model(), settings(1), tokens, tmp_path, start="cosmos 1", progress=False)


def test_tokens_that_do_not_fit_the_model_are_refused(tokens, tmp_path):
    with pytest.raises(TrainingError, match=r"wants \(2, 4, 4\)"):
        train(fresh_model(latent_shape=[2, 4, 4]), settings(), tokens, tmp_path, progress=False)
    with pytest.raises(TrainingError, match=r"motion tokens run from .* rows for 0 to 15"):
        train(fresh_model(motion_vocab=16), settings(), tokens, tmp_path, progress=False)
    wrong = dataclasses.replace(tokens.train, visual=tokens.train.visual + 64000)
    with pytest.raises(TrainingError, match="visual tokens run from"):
        train(
            fresh_model(),
            settings(),
            dataclasses.replace(tokens, train=wrong),
            tmp_path,
            progress=False,
        )
    wrong = dataclasses.replace(tokens.held_out, motion=tokens.held_out.motion + 512)
    with pytest.raises(TrainingError, match="motion tokens run from"):
        dataclasses.replace(tokens, held_out=wrong).require_fitting(CONFIG)


def test_clips_of_one_recording_cannot_be_parted(folder, tmp_path):
    class Unused(LinearCodec):
        def encode(self, frames):
            raise AssertionError("it is known before hours of work")

    store = ClipStore.open(one_recording(tmp_path / "one"))
    tokenizer = MotionTokenizer.load(folder / "tokenizer.safetensors")
    with pytest.raises(TrainingError, match=r"7 training clips .* at least two are needed"):
        Tokens.of(store, Unused(), tokenizer, cache=tmp_path / "cache", progress=False)


def one_recording(folder):
    dataset = EmbeddedShots(1, 0, name="others")
    prepare(dataset, None, folder, num_frames=17, video_size=64, progress=False)
    return folder


def test_two_stores_are_trained_on_together(folder, tmp_path, monkeypatch, tokens):
    """And a small one is not all held out."""
    monkeypatch.setattr(tokens_module, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(
        __main__.UniMoConfig, "embedded", classmethod(lambda cls, **changes: CONFIG)
    )
    stores = [folder / "shots", one_recording(tmp_path / "others")]
    command = ["--codec", "linear", "--tokenizer", str(folder / "tokenizer.safetensors")]
    command += ["--steps", "1", "--batch-size", "2", "--quiet"]
    facts = []
    for name, order in (("a", stores), ("b", stores[::-1])):
        out = tmp_path / name
        assert main([*command, "--out", str(out), "--data", *map(str, order)]) == 0
        facts.append(read_sidecar(out / "model.safetensors")["extra"]["training"])
    assert facts[0]["clips"] == 2 * (7 + 7)  # with mirror images; 7 more are held out
    assert facts[0]["datasets"] == ["embedded_shots", "others"] and facts[0]["dataset"] == ""
    assert facts[0]["tokens_sha256"] == facts[1]["tokens_sha256"]
    assert (tmp_path / "a/model.safetensors").read_bytes() == (
        tmp_path / "b/model.safetensors"
    ).read_bytes()
    tokenizer = MotionTokenizer.load(folder / "tokenizer.safetensors")
    both = Tokens.of(
        open_stores(stores), LinearCodec(), tokenizer, cache=tmp_path / "cache", progress=False
    )
    assert both.held_out.ids == tokens.held_out.ids
    rows = [both.train.ids.index(name) for name in tokens.train.ids]
    np.testing.assert_array_equal(both.train.visual[rows], tokens.train.visual)
    np.testing.assert_array_equal(both.train.motion[rows], tokens.train.motion)


@pytest.mark.parametrize(
    ("shape", "frames", "size"), [((2, 4, 4), 9, 64), ((3, 8, 8), 17, 128), ((2, 8, 8), 9, 128)]
)
def test_clips_of_another_size_are_refused_before_any_token_is_made(
    folder, tmp_path, capsys, monkeypatch, shape, frames, size
):
    other = dataclasses.replace(CONFIG, latent_shape=shape)
    monkeypatch.setattr(__main__.UniMoConfig, "embedded", classmethod(lambda cls, **changes: other))
    monkeypatch.setattr(LinearCodec, "encode", lambda *_: pytest.fail("tokens are made"))
    words = f"--out {tmp_path / 'run'} --data {folder / 'shots'} --codec linear --quiet"
    assert main(words.split()) == 1
    assert capsys.readouterr().err.endswith(
        f"shots holds clips of 17 frames of 64 pixels, the model takes {frames} of {size}: prepare "
        f"it again with --frames {frames} --size {size}, or choose another --config\n"
    )


def test_skipped_clips_are_said_and_kept_in_the_record(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(tokens_module, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(
        __main__.UniMoConfig, "embedded", classmethod(lambda cls, **changes: CONFIG)
    )
    shutil.copytree(folder / "shots", tmp_path / "shots")
    store = ClipStore.open(tmp_path / "shots")
    damaged = store.ids("train")[3]
    store[damaged].video.write_bytes(b"no video")
    words = f"--out {tmp_path / 'run'} --data {store.path} --codec linear --quiet --steps 1"
    words += f" --batch-size 2 --tokenizer {folder / 'tokenizer.safetensors'}"
    assert main(words.split()) == 0
    assert f"1 training clips cannot be used and are left out; {damaged}" in capsys.readouterr().err
    facts = read_sidecar(tmp_path / "run" / "model.safetensors")["extra"]["training"]
    assert facts["skipped_clips"] == 1
    assert main(words.split()) == 0  # found again: it is not part of what a run is known by


def test_missing_weights_of_cosmos_are_named_before_the_tokens_are_made(tmp_path, capsys):
    words = f"--out {tmp_path / 'run'} --cosmos {tmp_path / 'none.pt'} --data {tmp_path / 'none'}"
    assert main(words.split()) == 1
    assert "none.pt is not there: request Cosmos" in capsys.readouterr().err


def test_tensorboard_is_asked_for_before_any_work(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    words = f"--out {tmp_path / 'run'} --data {tmp_path / 'none'} --tensorboard"
    assert main(words.split()) == 1
    assert capsys.readouterr().err == (
        "error: --tensorboard needs the package: pip install tensorboard\n"
    )


def test_the_command_line_trains_on_a_store(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(tokens_module, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(
        __main__.UniMoConfig, "embedded", classmethod(lambda cls, **changes: CONFIG)
    )
    command = f"--out {tmp_path / 'run'} --data {folder / 'shots'} --codec linear --quiet"
    words = [*command.split(), "--tokenizer", str(folder / "tokenizer.safetensors")]
    assert main([*words, "--steps", "2", "--batch-size", "2"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "run" / "model.safetensors")
    assert main([*words, "--steps", "3", "--batch-size", "2"]) == 1
    assert "learning rate falls towards its last step): start from its result, with --init" in (
        capsys.readouterr().err
    )
    assert main([*words, "--steps", "1", "--batch-size", "2"]) == 1
    assert "another run (steps is 2 there, 1 here)" in capsys.readouterr().err
    assert main([*words[:2], "--data", str(tmp_path / "nothing"), "--quiet"]) == 1
    assert capsys.readouterr().err.startswith("error: ")


def constant(steps, **changes):
    """A training of which every step is a function of its number alone."""
    fixed = {"schedule": "constant", "warmup_steps": 1, "clip_noise": 0.3, "optimizer": "adamw"}
    return settings(steps, **{**fixed, **changes})


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_a_finished_run_goes_on_as_if_it_had_trained_so_long_from_the_start(
    tokens, tmp_path, ema_decay
):
    def run(name, steps):
        training = constant(steps, ema_decay=ema_decay)
        return train(
            fresh_model(), training, tokens, tmp_path / name, keep_state=True, progress=False
        )

    whole, parts = run("whole", 5), run("parts", 2)
    first = parts.read_bytes()
    with stopped(after=4):
        run("parts", 5)
    assert parts.read_bytes() == first  # it is there until the longer one has ended
    assert run("parts", 5).read_bytes() == whole.read_bytes() != first
    assert read_sidecar(parts)["extra"]["training"]["steps"] == 5
    with pytest.raises(TrainingError, match="steps is 5 there, 2 here"):
        run("parts", 2)


@pytest.mark.parametrize(
    ("first", "then", "message"),
    [
        (constant(2), constant(3, warmup_steps=2), "warmup_steps is 1 there, 2 here"),
        (constant(2, schedule="cosine"), constant(3, schedule="cosine"), "learning rate falls"),
        (constant(2, clip_noise=0.9), constant(3, clip_noise=0.9), "its noise changes"),
        (constant(2), constant(3), "whose last state is gone"),
        (constant(2), constant(3, seed=1), "another run"),
    ],
)
def test_a_run_that_cannot_go_on_says_why(tokens, tmp_path, first, then, message):
    path = train(fresh_model(), first, tokens, tmp_path, progress=False)
    before = path.read_bytes()
    with pytest.raises(TrainingError, match=message) as caught:
        train(fresh_model(), then, tokens, tmp_path, progress=False)
    assert ("--init" in str(caught.value)) == (message != "another run")
    assert path.read_bytes() == before


def test_a_trained_system_is_fine_tuned_on_other_clips(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(tokens_module, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(
        __main__.UniMoConfig,
        "embedded",
        classmethod(lambda cls, **changes: dataclasses.replace(CONFIG, **changes)),
    )
    others = EmbeddedShots(2, 0, name="others")
    prepare(others, None, tmp_path / "others", num_frames=17, video_size=64, progress=False)

    def run(name, *words):
        out = str(tmp_path / name)
        return main([*words, "--out", out, "--quiet", "--batch-size", "2", "--learning-rate", "0"])

    own = ["--codec", "linear", "--tokenizer", str(folder / "tokenizer.safetensors")]
    assert run("first", "--data", str(folder / "shots"), *own, "--steps", "2") == 0
    tune = ["--init", str(tmp_path / "first"), "--data", str(tmp_path / "others")]
    assert run("tuned", *tune, "--steps", "1", "--tasks", "v2m") == 0
    first, tuned = (TrainedSystem.open(tmp_path / name) for name in ("first", "tuned"))
    # At a learning rate of zero, the weights it starts from are those it ends with.
    assert tuned.weights.read_bytes() == first.weights.read_bytes()
    assert tuned.tokenizer.read_bytes() == first.tokenizer.read_bytes() and tuned.codec == "linear"
    assert (tuned.facts["start"], first.facts["start"]) == (f"system {first.sha256}", "random")
    assert tuned.facts["init"] == {
        "sha256": first.sha256,
        "tasks": ["v2m", "i2vm"],
        "steps": 2,
        "dataset": "embedded_shots",
        "datasets": ["embedded_shots"],
        "start": "random",
    }
    assert (tuned.facts["tasks"], tuned.facts["dataset"]) == (["v2m"], "others")
    capsys.readouterr()
    for words, message in (
        ([*tune, "--unified"], "has another model (unified is False there, True here)"),
        (["--init", str(tmp_path / "none")], "none is not there: give the folder of a finished"),
    ):
        assert run("refused", *words) == 1
        assert message in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        run("refused", *tune, "--cosmos")
    assert caught.value.code == 2


def test_a_head_that_starts_from_the_codes_gives_near_codes_like_logits():
    model = fresh_model()
    codes = torch.randn(512, 8, generator=torch.Generator().manual_seed(1))
    codes[1] = codes[0] + 1e-3
    embeddings = model.motion_embeddings.weight.clone()
    model.start_from_codes(codes)
    head = model.motion_output.weight.detach()
    near, far = (head[0] - head[1]).norm(), (head[0] - head[2:]).norm(dim=1)
    assert near < 0.7 * far.median()
    assert torch.equal(model.motion_embeddings.weight, embeddings)


def test_muon_steps_along_orthogonal_matrices_and_leaves_the_rest_to_adamw():
    model, training = fresh_model(), settings(1, warmup_steps=0, weight_decay=0.0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = make_optimizer(model, training)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    optimizer.step()
    moved = {name: value - before[name] for name, value in model.state_dict().items()}
    singular = torch.linalg.svdvals(moved["layers.0.attention.wo.weight"])
    assert singular.max() < 2.5 * singular.min()  # of a random matrix it would be far more
    # AdamW's first step has the size of the learning rate, whatever the gradient's.
    np.testing.assert_allclose(moved["motion_output.weight"].abs(), training.learning_rate, 1e-3)


def test_one_process_alone_has_no_group(tmp_path):
    with distributed.processes("cpu"), distributed.first_process_first():
        run = sharded.start(UniMo(CONFIG), settings(), {}, tmp_path, "cpu", 0.0)
        assert type(run) is TrainingRun
        assert distributed.rank_and_processes() == (0, 1)
