"""The speed of everything beside the transformer: tokenizer, metrics, clip stores."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch

from benchmark.commands.speed.bench import Bench, Part, Row
from benchmark.commands.speed.machine import typical
from benchmark.metrics.features.motion import geometric_features, kinetic_features
from benchmark.metrics.pose import pose_errors
from datasets.motion import Motion
from datasets.sequence import Clip
from datasets.store.reader import ClipStore
from datasets.store.writer import ClipStoreWriter
from model.tokenizer import MotionTokenizer, TokenizerConfig
from model.training.config import TrainingConfig
from model.training.loop import TrainingRun
from model.transformer.train import distributed

_FRAMES = 65
_JOINTS, _VERTICES, _SMPL_VERTICES = 22, 10475, 6890

Work: TypeAlias = Callable[[], object]


def _rows(bench: Bench) -> Iterator[Row]:
    """Yield a row for each kind of work: what, of how many, how fast."""
    paper, cuda = bench.size == "paper", bench.device == "cuda"
    config = TokenizerConfig.paper() if paper else TokenizerConfig.small()
    # The paper's batch is 128 windows: minutes for a CPU, where so few have the same rate.
    windows = (128 if cuda else 2) if paper else 4
    clips = 300 if bench.size != "tiny" else 8
    coded = 4 if paper and not cuda else clips
    of = f"({config.width} channels, k = {config.tokens_per_frame})"

    def rate(what: str, size: str, frames: int, prepare: Callable[..., Work], *args) -> Row:
        amount = int(size.split()[0]) * frames

        def measure() -> dict:
            taken = typical(prepare(*args))
            return {"seconds": taken, "rate": amount / taken}

        return {
            "what": what,
            "size": size,
            "unit": "frames/s" if frames > 1 else "clips/s",
        }, measure

    window, size = TrainingConfig.paper().window, f"{clips} clips"
    step = f"tokenizer, training step {of}"
    yield rate(step, f"{windows} windows", window, _training, bench, config, windows)
    for what in ("encode", "decode"):
        name = f"tokenizer, {what} {of}"
        yield rate(name, f"{coded} clips", _FRAMES, _coding, bench, config, coded, what)
    for vertices in (0, _SMPL_VERTICES, _VERTICES):
        what = f"{vertices} vertices" if vertices else "joints"
        yield rate(f"pose metrics, {what} (CPU)", size, _FRAMES, _pose, vertices, clips)
    yield rate("FID and DIV features (CPU)", size, _FRAMES, _features, clips)
    with tempfile.TemporaryDirectory() as name:
        for what, prepare in _STORES.items():
            yield rate(f"clip store, {what}", size, 1, prepare, Path(name), clips)


def _channels(clips: int) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal((clips, _FRAMES, 79), np.float32)


def _training(bench: Bench, config: TokenizerConfig, windows: int) -> Work:
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
            loss = model.loss(batch, 0.5, torch.Generator().manual_seed(0))
        run.update([loss])

    return step


def _coding(bench: Bench, config: TokenizerConfig, clips: int, what: str) -> Work:
    model, channels = MotionTokenizer(config), _channels(clips)
    model.fit_statistics(model.prepare(channels), 32)
    model = model.to(bench.device).eval()
    ids = np.zeros((clips, _FRAMES * config.tokens_per_frame), np.int64)
    encode = what == "encode"
    return lambda: model.encode_channels(channels) if encode else model.decode_channels(ids)


def _pose(vertices: int, clips: int) -> Work:
    rng = np.random.default_rng(0)
    pred, true = rng.standard_normal((2, _FRAMES, _JOINTS, 3))
    meshes = rng.standard_normal((2, _FRAMES, vertices, 3), np.float32) if vertices else (None,) * 2
    # One after the other, as tables are scored.
    return lambda: [pose_errors(pred, true, *meshes, pelvis=(1, 2)) for _ in range(clips)]


def _features(clips: int) -> Work:
    joints = np.random.default_rng(0).standard_normal((clips, _FRAMES, 24, 3))
    return lambda: (kinetic_features(joints), geometric_features(joints, check_up=False))


def _store(folder: Path, clips: int) -> Path:
    """Write a clip store in a folder of its own; returns its path."""
    path = Path(tempfile.mkdtemp(dir=folder)) / "store"
    with ClipStoreWriter(path, num_frames=_FRAMES) as writer:
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
    return path


def _read(folder: Path, clips: int) -> Work:
    path = _store(folder, clips)
    return lambda: (store := ClipStore.open(path)).channels(store.clip_ids)


def _read_each(folder: Path, clips: int) -> Work:
    store = ClipStore.open(_store(folder, clips))
    return lambda: [store[number] for number in range(clips)]


_STORES: dict[str, Callable[[Path, int], Work]] = {
    "write": lambda folder, clips: lambda: _store(folder, clips),
    "open and read motions": _read,
    "read clips one by one": _read_each,
}
PART = Part(
    title="Tokenizer, metrics, stores",
    columns={
        "what": "what",
        "size": "at once",
        "seconds": "seconds",
        "rate": "rate",
        "unit": "unit",
        "how": "how",
    },
    rows=_rows,
    notes=("Motions are noise, and networks have random weights.",),
)
