"""Everything beside the transformer: tokenizer, metrics, stores."""

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmark.commands.speed.bench import Bench, Case, Part
from benchmark.commands.speed.machine import seconds, typical
from benchmark.metrics.features.motion import geometric_features, kinetic_features
from benchmark.metrics.pose import pose_errors
from datasets.motion import Motion
from datasets.sequence import Clip
from datasets.store.reader import ClipStore
from datasets.store.writer import ClipStoreWriter
from model.tokenizer import MotionTokenizer, TokenizerConfig
from model.tokenizer.trainable import Step
from model.training.config import TrainingConfig
from model.training.loop import TrainingRun
from model.transformer.train import distributed

_FRAMES = 65
_JOINTS, _VERTICES, _SMPL_VERTICES = 22, 10475, 6890


def cases(bench: Bench) -> Iterator[Case]:
    """Rows: what, of how many, how fast."""
    paper = bench.size == "paper"
    config = TokenizerConfig.paper() if paper else TokenizerConfig.small()
    # The paper's batch is 128 windows: minutes for a CPU, where so few have the same rate.
    windows = (128 if bench.device == "cuda" else 2) if paper else 4
    clips = 300 if bench.size != "tiny" else 8
    coded = (clips if bench.device == "cuda" else 4) if paper else clips
    of = f"{config.width} channels, k = {config.tokens_per_frame}"
    for what, size, unit, measure in (
        (f"tokenizer, training step ({of})", f"{windows} windows", "frames/s", _training),
        (f"tokenizer, encode ({of})", f"{coded} clips", "frames/s", _encode),
        (f"tokenizer, decode ({of})", f"{coded} clips", "frames/s", _decode),
    ):
        count = windows if measure is _training else coded
        labels = {"what": what, "size": size, "unit": unit}
        yield Case(labels, partial(measure, bench, config, count))
    for what, vertices in (
        ("joints", 0),
        (f"{_SMPL_VERTICES} vertices", _SMPL_VERTICES),
        (f"{_VERTICES} vertices", _VERTICES),
    ):
        labels = {"what": f"pose metrics, {what} (CPU)", "size": f"{clips} clips"}
        yield Case({**labels, "unit": "frames/s"}, partial(_pose, vertices, clips))
    labels = {"what": "FID and DIV features (CPU)", "size": f"{clips} clips", "unit": "frames/s"}
    yield Case(labels, partial(_features, clips))
    for what, measure in (
        ("clip store, write", _write),
        ("clip store, open and read motions", _read),
        ("clip store, read clips one by one", _read_each),
    ):
        labels = {"what": what, "size": f"{clips} clips", "unit": "clips/s"}
        yield Case(labels, partial(measure, clips))


def _channels(clips: int) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal((clips, _FRAMES, 79), np.float32)


def _row(taken: float, amount: float) -> dict:
    return {"seconds": taken, "rate": amount / taken}


def _training(bench: Bench, config: TokenizerConfig, windows: int) -> dict:
    preset = TrainingConfig.paper if bench.size == "paper" else TrainingConfig.small
    training = preset(steps=1000)
    model = MotionTokenizer(config).to(bench.device)
    prepared = model.prepare(_channels(windows))
    model.fit_statistics(prepared, training.window)
    batch = prepared[:, : training.window].to(bench.device)
    run = TrainingRun(model, training, {}, Path())
    precise = distributed.precision(bench.device, 1)
    model.train()

    def step() -> None:
        with precise():
            loss = model.loss(batch, Step(0.5, torch.Generator().manual_seed(0)))
        run.update([loss])

    return _row(typical(step, bench.device), windows * training.window)


def _coder(bench: Bench, config: TokenizerConfig, clips: int) -> tuple[MotionTokenizer, np.ndarray]:
    model, channels = MotionTokenizer(config), _channels(clips)
    model.fit_statistics(model.prepare(channels), 32)
    return model.to(bench.device).eval(), channels


def _encode(bench: Bench, config: TokenizerConfig, clips: int) -> dict:
    model, channels = _coder(bench, config, clips)
    taken = typical(lambda: model.encode_channels(channels), bench.device, repeats=3)
    return _row(taken, clips * _FRAMES)


def _decode(bench: Bench, config: TokenizerConfig, clips: int) -> dict:
    model, _ = _coder(bench, config, clips)
    ids = np.zeros((clips, _FRAMES * config.tokens_per_frame), np.int64)
    taken = typical(lambda: model.decode_channels(ids), bench.device, repeats=3)
    return _row(taken, clips * _FRAMES)


def _pose(vertices: int, clips: int) -> dict:
    rng = np.random.default_rng(0)
    pred, true = rng.standard_normal((2, _FRAMES, _JOINTS, 3))
    meshes = rng.standard_normal((2, _FRAMES, vertices, 3), np.float32) if vertices else (None,) * 2

    def work() -> None:
        for _ in range(clips):  # one after the other, as tables are scored
            pose_errors(pred, true, *meshes, pelvis=(1, 2))

    return _row(typical(work, "cpu", repeats=3), clips * _FRAMES)


def _features(clips: int) -> dict:
    joints = np.random.default_rng(0).standard_normal((clips, _FRAMES, 24, 3))

    def work() -> None:
        kinetic_features(joints)
        geometric_features(joints, check_up=False)

    return _row(typical(work, "cpu", repeats=3), clips * _FRAMES)


def _store(folder: Path, clips: int) -> None:
    with ClipStoreWriter(folder, num_frames=_FRAMES) as writer:
        for number, channels in enumerate(_channels(clips)):
            writer.add(
                Clip(
                    clip_id=f"speed/train/{number}/0/0/0",
                    dataset="speed",
                    sequence=str(number),
                    split="train",
                    frame_ids=np.arange(_FRAMES),
                    valid=np.ones(_FRAMES, bool),
                    fps=30.0,
                    world_motion=Motion.from_channels(channels, fps=30.0, space="world"),
                )
            )
        writer.close({})


def _write(clips: int) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        return _row(seconds(lambda: _store(Path(folder) / "store", clips), "cpu"), clips)


def _read(clips: int) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        _store(Path(folder) / "store", clips)

        def work() -> None:
            store = ClipStore.open(Path(folder) / "store")
            store.channels(store.clip_ids)

        return _row(typical(work, "cpu"), clips)


def _read_each(clips: int) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        _store(Path(folder) / "store", clips)
        store = ClipStore.open(Path(folder) / "store")
        return _row(seconds(lambda: [store[i] for i in range(clips)], "cpu"), clips)


PART = Part(
    name="rates",
    title="Tokenizer, metrics, stores",
    columns={
        "what": "what",
        "size": "at once",
        "seconds": "seconds",
        "rate": "rate",
        "unit": "unit",
        "how": "how",
    },
    cases=cases,
    notes=("Of noise in the place of motion, and networks with random weights.",),
)
