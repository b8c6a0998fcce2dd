"""Training steps of the transformer, and the share of the machine's FLOP/s that they use."""

import functools
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmark.api.errors import Unavailable
from benchmark.commands.speed.bench import Bench, Part, Row
from benchmark.commands.speed.generation import build
from benchmark.commands.speed.machine import datasheet_flops, require_memory, typical
from model.training.loop import TrainingRun
from model.transformer import cost as formulas
from model.transformer.train import distributed
from model.transformer.train.config import ARTrainingConfig
from model.transformer.train.memory import device_bytes
from model.transformer.train.steps import schedules

_LONGEST = 60.0  # seconds of a step beyond which it is not tried
_CLIPS = {"paper": 1, "embedded": 16, "tiny": 2}


def _measure(bench: Bench, task: str) -> dict:
    config, device, clips = bench.config, bench.device, _CLIPS[bench.size]
    schedule = schedules(config)[task]
    flops = clips * formulas.training_flops(config, schedule)
    preset = ARTrainingConfig.paper if bench.size == "paper" else ARTrainingConfig.embedded
    training = preset(steps=1000, tasks=(task,), batch_size=clips)
    needed = device_bytes(config, training, device)
    require_memory(device, needed, "weights, gradients, averages and what blocks keep")
    if bench.peak and flops / bench.peak > _LONGEST:
        minutes = flops / bench.peak / 60
        raise Unavailable(f"a step of {flops / 1e12:.0f} TFLOP takes {minutes:.0f} minutes here")
    model = build(bench, torch.float32)
    model.activation_checkpointing = training.activation_checkpointing
    model.train()
    run = TrainingRun(model, training, {}, Path())
    precise = distributed.precision(device, 1)
    tokens = torch.zeros(clips, len(schedule), dtype=torch.int64, device=device)
    targets = clips * (len(schedule) - schedule.prefix)

    def step() -> None:
        with precise():
            losses = model.losses(tokens, schedule)
            loss = sum(found.sum() for found in losses.values()) / targets
        run.update([(loss, {})])

    taken = typical(step)
    sheet = datasheet_flops(device)
    return {
        "step_seconds": taken,
        "rate": clips * len(schedule) / taken,
        "tflop": flops / 1e12,
        "tflops": flops / taken / 1e12,
        "mfu": 100 * flops / taken / bench.peak if bench.peak else None,
        "mfu_datasheet": 100 * flops / taken / sheet if sheet else None,
    }


def _rows(bench: Bench) -> Iterator[Row]:
    for task in ("v2m", "i2vm"):
        labels = {"task": task, "clips": _CLIPS[bench.size]}
        yield labels, functools.partial(_measure, bench, task)


PART = Part(
    title="Training of the transformer",
    columns={
        "task": "task",
        "clips": "clips a step",
        "step_seconds": "step s",
        "rate": "tokens/s",
        "tflop": "TFLOP a step",
        "tflops": "TFLOP/s",
        "mfu": "MFU %",
        "mfu_datasheet": "of datasheet %",
        "how": "how",
    },
    rows=_rows,
    notes=(
        "One process, with the optimiser of the training preset (paper, or embedded); float32, on "
        "a GPU with bf16 autocast.",
        "FLOP: three times the forward pass; what is computed again to save memory is not counted. "
        "MFU: of the matrix product measured above, and of the GPU's datasheet where it is known.",
    ),
)
