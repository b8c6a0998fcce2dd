import contextlib
import csv
import errno
import itertools
import json
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from datasets.tools import files
from model.tokenizer import MotionTokenizer, TokenizerConfig
from model.tokenizer.train import TrainingError, main, train
from model.training import loop
from model.training.config import TrainingConfig
from model.training.resume import read_state, write_state
from model.training.sidecar import CheckpointError, read_sidecar

CONFIG = TokenizerConfig(
    tokens_per_frame=4, strides=(1, 4), width=16, code_dim=8, depth=1, codebook_size=32
)
TRAINING = TrainingConfig(
    steps=20, batch_size=3, learning_rate=1e-3, schedule="cosine", warmup_steps=3, window=8
)


class Killed(BaseException):
    """Stands in for the process being killed."""


class Fragile(MotionTokenizer):
    """A tokenizer whose training dies, or meets a NaN, at the steps named."""

    dies_at: int | None = None
    nan_at: int | None = None
    calls = 0

    def loss(self, windows, progress, generator):
        at = round(progress * TRAINING.steps)
        self.calls += 1
        if at == self.dies_at:
            raise Killed
        loss, stats = super().loss(windows, progress, generator)
        return loss * (float("nan") if at == self.nan_at else 1.0), stats


def make_clips(clips=6, frames=12):
    """Sinusoids that a small network can learn."""
    rng = np.random.default_rng(0)
    t = np.arange(frames)[:, None] / 6
    phase, mix = rng.uniform(0, 6, (clips, 1, 4)), rng.normal(0, 0.15, (4, 79))
    channels = np.sin(t[None] + phase) @ mix
    channels[..., 66:76] = rng.normal(size=(clips, 1, 10))
    return channels.astype(np.float32)


def fresh(config=CONFIG, seed=0):
    torch.manual_seed(seed)
    return Fragile(config)


def run(out, *, training=TRAINING, model=None, clips=None, **options):
    model = model or fresh()
    clips = make_clips() if clips is None else clips
    path = train(model, training, clips, out, progress=False, **options)
    return model, path


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The model and the checkpoint of a training from start to end, which no test changes."""
    return run(tmp_path_factory.mktemp("whole"))


def killed(out, step, model=None):
    """A training that is saved after every step and dies at one."""
    model = model or fresh()
    model.dies_at = step
    with pytest.raises(Killed):
        run(out, model=model, checkpoint_seconds=0)


@pytest.mark.parametrize("quantizer", ["ema", "gradient"])
def test_stopped_and_resumed_anywhere_is_bit_identical(tmp_path, quantizer):
    config = TokenizerConfig.from_dict({**CONFIG.to_dict(), "quantizer": quantizer})
    whole, path = run(tmp_path / "whole", model=fresh(config))
    out = tmp_path / "pieces"
    for stop in (1, 2, 9, 17, 19):
        killed(out, stop, fresh(config))
        assert not (out / "model.safetensors").exists()
        torch.manual_seed(stop)  # no state of the process may matter
    pieces, resumed = run(out, model=fresh(config, seed=7))
    assert pieces.calls == 1
    for name, value in whole.state_dict().items():
        assert torch.equal(value, pieces.state_dict()[name]), name
    assert resumed.read_bytes() == path.read_bytes()
    assert (out / "losses.csv").read_text() == (tmp_path / "whole/losses.csv").read_text()


def test_optimiser_state_is_resumed(tmp_path):
    states = []
    for name, stops in (("straight", [19]), ("pieces", [4, 11, 19])):
        for stop in stops:
            killed(tmp_path / name, stop)
        states.append(torch.load(tmp_path / name / "resume.pt", weights_only=True))
    straight, pieces = (state["optimizer"] for state in states)
    assert straight["param_groups"] == pieces["param_groups"]
    for index, entry in straight["state"].items():
        for key, value in entry.items():
            assert torch.equal(value, pieces["state"][index][key])


def test_a_stop_between_checkpoints_loses_nothing_but_time(whole, tmp_path):
    model = fresh()
    model.dies_at = 13
    with pytest.raises(Killed):
        run(tmp_path / "again", model=model, checkpoint_seconds=1000)
    assert not (tmp_path / "again/resume.pt").exists()
    _, again = run(tmp_path / "again")
    assert again.read_bytes() == whole[1].read_bytes()


@pytest.mark.parametrize(("large", "written"), [(10**9, True), (0, False)])
def test_a_large_state_is_written_seldom(tmp_path, monkeypatch, large, written):
    """A step takes 20 s here: more than between two small states, less than between large ones."""
    monkeypatch.setattr(loop, "_LARGE", large)
    seconds = itertools.count(step=20)
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    model = fresh()
    model.dies_at = 3
    with pytest.raises(Killed):
        run(tmp_path, model=model)
    assert (tmp_path / "resume.pt").exists() == written


def test_training_learns_and_fills_the_codebook(tmp_path):
    training = TrainingConfig(
        steps=150, batch_size=6, learning_rate=5e-3, schedule="cosine", window=12
    )
    _, path = run(tmp_path, training=training, model=fresh())
    rows = list(csv.DictReader((tmp_path / "losses.csv").read_text().splitlines()))
    assert [int(row["step"]) for row in rows] == list(range(1, 151))
    experts = ("theta", "beta", "phi", "tau")
    first, last = (sum(float(row[name]) for name in experts) for row in (rows[0], rows[-1]))
    assert last < 0.3 * first
    assert float(rows[-1]["codes_used"]) > 0.6
    facts = read_sidecar(path)["extra"]["training"]
    assert (facts["steps"], facts["steps_done"], facts["clips"]) == (150, 150, 6)


def test_a_finished_run_is_loaded_not_repeated(tmp_path):
    done, path = run(tmp_path)
    before = path.stat().st_mtime_ns
    again, _ = run(tmp_path, model=fresh(seed=3))
    assert again.calls == 0
    assert path.stat().st_mtime_ns == before
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "losses.csv",
        "model.json",
        "model.safetensors",
    ]
    for name, value in done.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])


@pytest.mark.parametrize("finished", [True, False])
def test_another_run_in_the_folder_is_refused(tmp_path, finished):
    model = fresh()
    model.dies_at = None if finished else 10
    try:
        run(tmp_path, model=model, checkpoint_seconds=0)
    except Killed:
        assert not finished
    longer = TrainingConfig.from_dict({**TRAINING.to_dict(), "steps": 30})
    with pytest.raises(TrainingError, match="steps is 20 there, 30 here"):
        run(tmp_path, training=longer)
    narrower = TokenizerConfig.from_dict({**CONFIG.to_dict(), "width": 8})
    with pytest.raises(TrainingError, match="width is 16 there, 8 here"):
        run(tmp_path, model=fresh(narrower))
    with pytest.raises(TrainingError, match="data_sha256 is "):
        run(tmp_path, clips=make_clips() + 1)


def test_a_damaged_resume_state_is_said_and_the_training_starts_anew(whole, tmp_path, capsys):
    out = tmp_path / "again"
    for damage in ("a bit", "the record", "all of it"):
        killed(out, 9)
        file = out / ("resume.json" if damage == "the record" else "resume.pt")
        content = bytearray(file.read_bytes())
        content[-10 if damage == "the record" else len(content) // 2] ^= 1
        file.write_bytes(b"not a checkpoint" if damage == "all of it" else content)
        capsys.readouterr()
        model, again = run(out)
        assert model.calls == 20
        assert capsys.readouterr().err == (
            f"{out / 'resume.pt'} is damaged: its record has another sha256: "
            "the training starts anew\n"
        )
        assert again.read_bytes() == whole[1].read_bytes()
        shutil.rmtree(out)


def test_a_kill_between_the_record_and_the_state_loses_nothing(tmp_path):
    first, second = ({"step": step, "weights": torch.zeros(3) + step} for step in (1, 2))
    write_state(tmp_path / "resume.pt", first)
    for _ in range(3):
        real = torch.save
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("os.replace", _only_json(os.replace))
            with pytest.raises(Killed):
                write_state(tmp_path / "resume.pt", second)
        assert torch.save is real
        assert read_state(tmp_path / "resume.pt", torch.device("cpu"))["step"] == 1
    write_state(tmp_path / "resume.pt", second)
    assert read_state(tmp_path / "resume.pt", torch.device("cpu"))["step"] == 2


def _only_json(replace):
    def die_at_weights(source, target):
        if str(target).endswith(".pt"):
            raise Killed
        replace(source, target)

    return die_at_weights


def test_a_resume_state_of_an_older_version_is_read(tmp_path):
    killed(tmp_path, 9)
    (tmp_path / "resume.json").unlink()
    model, _ = run(tmp_path)
    assert model.calls == 11


@pytest.mark.parametrize("file", ["resume.pt", "model.safetensors", "model.json", "losses.csv"])
def test_a_full_disk_is_said_with_the_file_and_loses_nothing(whole, tmp_path, monkeypatch, file):
    out = tmp_path / "full"
    full = []

    @contextlib.contextmanager
    def replacing_until_full(target, **options):
        with files.replacing(target, **options) as temporary:
            yield temporary
            if full and target.name == file:
                raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("model.training.checkpoint.replacing", replacing_until_full)
    with pytest.raises(CheckpointError, match=rf"{file} cannot be written .*No space left"):
        run(
            out,
            on_step=lambda step, _: full.append(step) if step == 19 else None,
            checkpoint_seconds=0,
        )
    assert not ((out / "model.safetensors").exists() and (out / "model.json").exists())
    full.clear()
    model, again = run(out, checkpoint_seconds=0)
    assert model.calls == {"resume.pt": 2, "losses.csv": 1}.get(file, 0)
    assert again.read_bytes() == whole[1].read_bytes()
    assert not (out / "resume.pt").exists() and not (out / "resume.json").exists()


def test_two_trainings_in_one_folder_have_one_owner(tmp_path, capsys):
    with files.owned(tmp_path / "out", "training"):
        assert main(["--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert "out" in error and error.count("\n") == 1


def test_weights_have_the_mode_of_any_new_file(whole, tmp_path):
    (tmp_path / "any").write_text("")
    assert whole[1].stat().st_mode == (tmp_path / "any").stat().st_mode


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"model\.json is not a readable sidecar .*: delete it"),
        (
            '{"format_version": 1, "class": "Fragile", "config": 5}',
            "is not a sidecar .*: delete it",
        ),
    ],
)
def test_a_damaged_sidecar_is_named(whole, tmp_path, text, message):
    shutil.copytree(whole[1].parent, tmp_path, dirs_exist_ok=True)
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(TrainingError, match=message):
        run(tmp_path)


def test_a_sidecar_without_the_facts_of_a_training_is_of_another_run(tmp_path):
    model, path = run(tmp_path)
    model.save(path, extra={"training": {}})
    with pytest.raises(TrainingError, match="another run"):
        run(tmp_path)


def test_nan_stops_the_run_and_keeps_the_last_good_state(tmp_path):
    model = fresh()
    model.nan_at = 12
    with pytest.raises(TrainingError, match="not finite after 13 of 20 steps"):
        run(tmp_path, model=model, checkpoint_seconds=0)
    assert not (tmp_path / "model.safetensors").exists()
    state = torch.load(tmp_path / "resume.pt", weights_only=True)
    assert state["step"] == 12
    assert all(torch.isfinite(value).all() for value in state["model"].values())


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        (make_clips(frames=7), "T of at least 8 frames"),
        (make_clips()[0], "expected \\(N, T, 79\\)"),
        (make_clips()[:0], "expected \\(N, T, 79\\)"),
        (np.where(make_clips() > 0.3, np.nan, 0), "not finite"),
    ],
)
def test_unusable_clips_are_refused(tmp_path, clips, message):
    with pytest.raises(TrainingError, match=message):
        run(tmp_path, clips=clips)


def test_command_line(tmp_path):
    command = [sys.executable, "-m", "model.tokenizer.train"]
    shown = subprocess.run([*command, "--help"], capture_output=True, text=True)
    assert shown.returncode == 0
    assert "--tokens-per-frame" in shown.stdout
    options = ["--data", str(tmp_path / "none"), "--out", str(tmp_path / "out")]
    failed = subprocess.run([*command, *options], capture_output=True, text=True)
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: no clip store at")
    assert failed.stderr.count("\n") == 1


def test_sidecar_is_plain_json(tmp_path):
    _, path = run(tmp_path, description="k=4")
    sidecar = json.loads(path.with_suffix(".json").read_text())
    assert sidecar["config"]["tokens_per_frame"] == 4
    assert sidecar["extra"]["training"]["description"] == "k=4"
