"""Runs of two real processes, which talk over gloo; both go through all scenarios once."""

import contextlib
import csv
import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model.system import TokenizerFiles, TrainedSystem
from model.token_store import TokenClips, join
from model.training.config import TrainingError
from model.training.identity import identity_of
from model.training.sidecar import read_sidecar
from model.transformer import UniMo, UniMoConfig
from model.transformer.train import distributed, sharded
from model.transformer.train.config import ARTrainingConfig
from model.transformer.train.held_out import examine
from model.transformer.train.run import train
from model.transformer.train.steps import step_losses
from model.transformer.train.token_set import Tokens
from tests.model.mini_unimo import make_store, make_tokenizer

pytestmark = pytest.mark.slow  # both processes import torch four times: 25 s of CPU

TINY = {"dim": 32, "ffn_hidden_size": 48, "visual_vocab": 61, "motion_vocab": 13}
CONFIGS = {
    "table": UniMoConfig.tiny(**TINY),
    "digits": UniMoConfig.tiny(
        **{**TINY, "visual_vocab": 64000},
        visual_embedding="factorised",
        ape="hidden",
        ape_gate=0.05,
        motion_rope="factorised",
    ),
    "unified": UniMoConfig.tiny(**TINY, unified=True),
}
TRAINING = ARTrainingConfig(
    steps=6,
    batch_size=4,
    learning_rate=3e-3,
    warmup_steps=2,
    betas=(0.9, 0.95),
    weight_decay=0.01,
    token_noise=0.1,
    ema_decay=0.8,
    clips_at_once=2,
    activation_checkpointing=True,
)
# With as many clips a step as there are processes, each has one task only.
TRAININGS = {
    "table": TRAINING,
    "digits": replace(TRAINING, batch_size=2, steps=3, activation_checkpointing=False),
    "unified": replace(TRAINING, batch_size=2, steps=3, ema_decay=0.0),
}

ONE_TASK = replace(TRAINING, batch_size=2)


class Killed(BaseException):
    """Stands in for all processes being killed."""


def make_tokens(config: UniMoConfig) -> Tokens:
    def clips(count: int, seed: int) -> TokenClips:
        rng = np.random.default_rng(seed)
        motion = (count, config.num_frames * config.tokens_per_frame)
        return TokenClips(
            ids=tuple(f"take/{number}" for number in range(count)),
            visual=rng.integers(config.visual_vocab, size=(count, *config.latent_shape)),
            motion=rng.integers(config.motion_vocab, size=motion),
            skipped=(),
            sha256="",
        )

    return Tokens(clips(7, 0), clips(2, 1), torch.zeros(1, 1), {"clips": 7})


def many_clips() -> TokenClips:
    """Thirteen clips: seven passes of two, which two processes cannot share evenly."""
    tokens = make_tokens(CONFIGS["digits"])
    return join([tokens.train, tokens.held_out, tokens.held_out, tokens.held_out])


def fresh(name: str) -> UniMo:
    torch.manual_seed(0)
    return UniMo(CONFIGS[name])


def whole(name: str, out: Path) -> Path:
    """A training from start to end, as the command does it."""
    return train(fresh(name), TRAININGS[name], make_tokens(CONFIGS[name]), out, progress=False)


class Trainee:
    """A run of "table" that may be stopped and is saved after every step."""

    def __init__(
        self,
        out: Path,
        *,
        training: ARTrainingConfig = TRAINING,
        poison: Callable[[int], float] = lambda step: 1.0,
    ):
        out.mkdir(exist_ok=True)
        self.training = training
        self.rank, self.processes = distributed.rank_and_processes()
        self.model, self.clips, self.poison = fresh("table"), make_tokens(CONFIGS["table"]), poison
        self.model.activation_checkpointing = True
        identity = identity_of(self.model, training, self.clips.identity)
        self.run = sharded.start(self.model, training, identity, out, "cpu", 0.8)
        self.model.train()

    def losses(self, step: int):
        found = step_losses(
            self.model,
            self.training,
            self.clips.train,
            step,
            rank=self.rank,
            processes=self.processes,
        )
        for loss, stats in found:
            yield loss * self.poison(step), stats

    def go(self, *, dies_at: int | None = None) -> "Trainee":
        """Until after step `dies_at`, before its state is saved."""

        def on_step(step: int, text: str) -> None:
            if step == dies_at:
                raise Killed

        self.run.resume()
        self.run.go(
            self.losses,
            text_of=str,
            progress=False,
            # Only process 0's clock counts.
            checkpoint_seconds=0.0 if self.rank == 0 else math.inf,
            on_step=on_step,
        )
        return self

    def update(self, steps: int) -> "Trainee":
        """Steps that no row of the curve is written of."""
        for _ in range(steps):
            self.run.update(self.losses(self.run.step))
        return self

    def finish(self) -> None:
        self.run.finish("a test")


def message(action: Callable[[], object]) -> str:
    try:
        action()
    except (TrainingError, OSError) as error:
        return str(error)
    return "no error"


def scenarios(rank: int, folder: Path) -> dict:
    """What both processes do; returns what they saw."""
    facts = {}
    for name in CONFIGS:
        path = whole(name, folder / name)
        facts[f"{name} left"] = sorted(file.name for file in path.parent.iterdir())
    before = (folder / "table" / "model.safetensors").stat().st_mtime_ns
    again = fresh("table")
    train(again, TRAINING, make_tokens(CONFIGS["table"]), folder / "table", progress=False)
    facts["trained again"] = (folder / "table/model.safetensors").stat().st_mtime_ns != before
    facts["norm of finished"] = float(sum(p.detach().norm() for p in again.parameters()))

    files = TokenizerFiles(codec="linear", tokenizer=folder / "tokenizer.safetensors")
    for steps in (3, TRAINING.steps):
        train(
            fresh("table"),
            replace(TRAINING, steps=steps),
            make_tokens(CONFIGS["table"]),
            folder / "longer",
            files=files,
            keep_state=True,
            progress=False,
        )

    model = sharded.shard(fresh("digits"), "cpu")
    facts["of held-out clips"] = examine(model, TRAINING, many_clips())

    Trainee(folder / "straight").go().finish()
    for stop in (1, 3, 5):
        try:
            Trainee(folder / "pieces").go(dies_at=stop)
        except Killed:
            facts[f"valid after {stop}"] = sharded.read_marker(folder / "pieces")
    last = Trainee(folder / "pieces").go()
    facts["steps of the last piece"] = len(last.run.rows)
    last.finish()

    Trainee(folder / "mid-row", training=ONE_TASK).update(2).run.save()
    later = Trainee(folder / "mid-row", training=ONE_TASK)
    later.run.resume()
    facts["a row across a stop"] = later.update(1).run.log()
    facts["the same row"] = Trainee(folder / "row", training=ONE_TASK).update(3).run.log()

    # The other files of a state are there, the one that makes it valid is not.
    trainee, replace_file = Trainee(folder / "half"), os.replace

    def fragile(source, target):
        if Path(target).name == "state.json" and trainee.run.step == 5:
            raise OSError("the disk is full")
        replace_file(source, target)

    os.replace = fragile
    facts["disk full"] = message(trainee.go)
    os.replace = replace_file
    facts["folders after it"] = sorted(p.name for p in (folder / "half/resume").iterdir())
    torch.distributed.barrier()
    Trainee(folder / "half").go().finish()

    poison = float("nan") if rank == 1 else 1.0
    ill = Trainee(folder / "nan", poison=lambda step: poison if step == 2 else 1.0)
    facts["nan"] = message(ill.go)
    facts["after nan"] = sharded.read_marker(folder / "nan")

    for name in ("a part lost", "a part damaged"):
        with contextlib.suppress(Killed):
            Trainee(folder / name).go(dies_at=3)
        torch.distributed.barrier()
        if rank == 1:
            part = folder / name / "resume/00000002/rank-1-of-2.pt"
            content = bytearray(part.read_bytes())
            content[len(content) // 2] ^= 1
            part.write_bytes(content)
            if name == "a part lost":
                part.unlink()
        facts[name] = message(lambda name=name: Trainee(folder / name).go().finish())

    facts["of one process"] = message(lambda: Trainee(folder / "of-one"))
    with contextlib.suppress(Killed):
        Trainee(folder / "of-two").go(dies_at=3)
    return facts


def process(rank: int, port: int, folder: Path) -> None:
    os.environ.update(RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1")
    os.environ.update(MASTER_PORT=str(port), LOCAL_RANK=str(rank))
    torch.set_num_threads(1)
    with distributed.processes("cpu"):
        facts = scenarios(rank, folder / "two")
        (folder / f"facts-{rank}.json").write_text(json.dumps(facts))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """``one`` and ``two``: the runs of one process and of two, by name."""
    folder = tmp_path_factory.mktemp("runs")
    for name in ("one", "two"):
        (folder / name).mkdir()
    make_tokenizer(folder / "two")
    with pytest.raises(Killed):
        Trainee(folder / "two" / "of-one").go(dies_at=3)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    two = torch.multiprocessing.spawn(process, (port, folder), nprocs=2, join=False)
    for name in CONFIGS:
        whole(name, folder / "one" / name)
    Trainee(folder / "one" / "straight").go().finish()
    while not two.join():
        pass
    return folder


@pytest.fixture(scope="module")
def facts(folder) -> dict:
    found = [json.loads((folder / f"facts-{rank}.json").read_text()) for rank in range(2)]
    assert found[0] == found[1]
    return found[0]


def curve(run: Path) -> dict[str, list[float]]:
    rows = list(csv.DictReader((run / "losses.csv").open()))
    return {name: [float(row[name] or "nan") for row in rows] for name in rows[0]}


@pytest.mark.parametrize("name", CONFIGS)
def test_two_processes_train_as_one(folder, name):
    one, two = (curve(folder / count / name) for count in ("one", "two"))
    assert one.keys() == two.keys() > {"loss", "v2m_motion", "i2vm_visual", "grad_norm"}
    for column, values in one.items():
        np.testing.assert_allclose(two[column], values, rtol=0, atol=1e-4, err_msg=column)
    # The average of the weights where one is kept, and loaded by one process.
    models = [UniMo.load(folder / count / name / "model.safetensors") for count in ("one", "two")]
    first = fresh(name).state_dict()
    moved = 0.0
    for key, value in models[0].state_dict().items():
        torch.testing.assert_close(models[1].state_dict()[key], value, rtol=0, atol=1e-4)
        moved = max(moved, float((value - first[key]).abs().max()))
    assert moved > 3e-3


def test_the_checkpoint_says_what_one_process_would(folder, facts):
    one, two = (
        read_sidecar(folder / count / "table/model.safetensors") for count in ("one", "two")
    )
    for sidecar in (one, two):
        for name in ("seconds", "last_losses"):
            del sidecar["extra"]["training"][name]
        del sidecar["sha256"], sidecar["own_sha256"]  # sums of processes round differently
    assert one == two
    assert facts["table left"] == ["losses.csv", "model.json", "model.safetensors"]


def test_a_finished_run_is_not_trained_again(folder, facts):
    assert not facts["trained again"]
    finished = UniMo.load(folder / "two/table/model.safetensors")
    norm = float(sum(p.detach().norm() for p in finished.parameters()))
    assert facts["norm of finished"] == pytest.approx(norm)


def test_a_finished_run_goes_on_with_more_steps_and_has_its_tokenizer_beside_it(folder, facts):
    table, longer = folder / "two/table", folder / "two/longer"
    weights = "model.safetensors"
    assert (longer / weights).read_bytes() == (table / weights).read_bytes()
    tokenizer = "tokenizer.safetensors"
    assert (longer / tokenizer).read_bytes() == (folder / "two" / tokenizer).read_bytes()
    assert (longer / "resume/state.json").exists()


def test_processes_share_the_held_out_clips_and_see_what_one_sees(facts):
    found = examine(fresh("digits"), TRAINING, many_clips())
    assert facts["of held-out clips"] == pytest.approx(found, abs=1e-5)
    assert found["shuffled_gap"] != 0.0


@pytest.mark.parametrize("name", ["pieces", "half"])
def test_stopped_and_resumed_anywhere_is_bit_identical(folder, facts, name):
    straight, other = (folder / "two" / run for run in ("straight", name))
    content = (straight / "model.safetensors").read_bytes()
    assert (other / "model.safetensors").read_bytes() == content
    assert (other / "losses.csv").read_text() == (straight / "losses.csv").read_text()
    assert facts["steps of the last piece"] == TRAINING.steps


def test_a_row_of_several_steps_is_that_of_one_process(facts, tmp_path):
    row = Trainee(tmp_path / "run", training=ONE_TASK).update(3).run.log()
    assert facts["the same row"] == pytest.approx(row, abs=1e-4)
    assert facts["a row across a stop"] == facts["the same row"]


def test_a_state_is_valid_once_all_parts_are_there(facts):
    stops = {stop: facts[f"valid after {stop}"] for stop in (1, 3, 5)}
    assert stops == {1: None, 3: [2, 2], 5: [4, 2]}
    assert "the disk is full" in facts["disk full"]
    assert {"00000004", "00000005", "state.json"} <= set(facts["folders after it"])


def test_a_loss_that_is_not_finite_stops_all_processes(facts):
    assert "the loss is not finite after 3 of 6 steps" in facts["nan"]
    assert facts["after nan"] == [2, 2]


def test_where_a_part_is_lost_or_damaged_all_processes_start_anew(folder, facts):
    for name in ("a part lost", "a part damaged"):
        assert facts[name] == "no error"
        ended = folder / "two" / name / "model.safetensors"
        assert ended.read_bytes() == (folder / "two/straight/model.safetensors").read_bytes()


def test_another_number_of_processes_is_refused(folder, facts):
    with pytest.raises(TrainingError, match=r"a run of 2 processes .* one of 1: start as many"):
        Trainee(folder / "two/of-two")
    assert (
        "holds a run of 1 process that was stopped, and this is one of 2" in facts["of one process"]
    )


def test_the_state_is_plain_tensors_of_uneven_parts(folder):
    resume = folder / "two/of-two/resume"
    assert json.loads((resume / "state.json").read_text()) == {"step": 2, "processes": 2}
    parts = [
        torch.load(resume / f"00000002/rank-{rank}-of-2.pt", weights_only=True) for rank in range(2)
    ]
    names = [name for name, _ in fresh("table").named_parameters()]
    for kept in ("parameters", "average"):
        shapes = [
            {name: p.shape for name, p in zip(names, part[kept], strict=True)} for part in parts
        ]
        assert [found["special_embeddings.weight"] for found in shapes] == [(2, 32), (1, 32)]
        assert [found["layers.0.ape_gate"] for found in shapes] == [(1,), (0,)]
        assert all(type(value) is torch.Tensor for part in parts for value in part[kept])


def test_a_damaged_state_is_named(folder, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(folder / "two/of-two", out)
    (out / "resume/state.json").write_text("{")
    with pytest.raises(TrainingError, match=r"state\.json cannot be read: delete"):
        Trainee(out)


def test_torchrun_trains_as_one_process_and_may_be_ended(tmp_path):
    make_store(tmp_path / "shots")
    words = [
        *(
            "-m",
            "model.transformer.train",
            "--quiet",
            "--data",
            tmp_path / "shots",
            "--codec",
            "linear",
        ),
        *("--tokenizer", make_tokenizer(tmp_path), "--optimizer", "adamw", "--batch-size", "4"),
    ]
    launcher = ["-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"]
    launcher += ["--nproc-per-node", "2"]

    def start(*before: str, steps: int, out: str) -> subprocess.Popen:
        command = [sys.executable, *before, *words, "--steps", steps, "--out", tmp_path / out]
        return subprocess.Popen(
            [str(word) for word in command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[4],
        )

    for before, out in (((), "one"), (launcher, "two")):
        running = start(*before, steps=5, out=out)
        printed, errors = running.communicate()
        assert running.returncode == 0, errors
        assert printed.split() == [str(tmp_path / out / "model.safetensors")]
        system = TrainedSystem.open(tmp_path / out)
        assert system.tokenizer.parent == tmp_path / out and system.codec == "linear"
    one, two = (curve(tmp_path / out) for out in ("one", "two"))
    for column, values in one.items():
        np.testing.assert_allclose(two[column], values, rtol=0, atol=1e-4, err_msg=column)

    running = start(*launcher, steps=10**6, out="ended")
    marker = sharded.marker_path(tmp_path / "ended")
    while not marker.exists():
        assert running.poll() is None, running.communicate()
        time.sleep(0.2)
    running.send_signal(signal.SIGTERM)
    running.communicate()
    step, processes = sharded.read_marker(tmp_path / "ended")
    for rank in range(processes):
        part = torch.load(marker.parent / f"{step:08d}" / f"rank-{rank}-of-2.pt", weights_only=True)
        assert part["step"] == step
    alone = start(steps=10**6, out="ended")
    assert "a run of 2 processes that was stopped" in alone.communicate()[1]
    assert alone.returncode == 1
