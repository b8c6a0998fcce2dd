"""The verb ``speed``: measure, write JSON and Markdown, print the latter."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch

from benchmark.commands.options import device_named
from benchmark.commands.speed import generation, machine, rates, training
from benchmark.commands.speed.bench import Bench, Case, Part, run
from benchmark.results.render.markdown import escape
from benchmark.runs import provenance
from datasets.tools.files import write_json, write_text

SCHEMA_VERSION = 1


def _machine_cases(bench: Bench) -> Iterator[Case]:
    large = bench.device == "cuda"
    buffer = 1 << 30 if large else 1 << (24 if bench.size == "tiny" else 28)
    side = 8192 if large else 256 if bench.size == "tiny" else 2048

    def copy() -> dict:
        bench.bandwidth = machine.copy_bandwidth(bench.device, buffer)
        return {"value": bench.bandwidth / 1e9, "unit": "GB/s"}

    def product(dtype: torch.dtype) -> dict:
        bench.peak = machine.matmul_flops(bench.device, side, dtype)
        return {"value": bench.peak / 1e12, "unit": "TFLOP/s"}

    yield Case({"what": f"copy of {buffer >> 20} MB, read and written"}, copy)
    dtype = torch.bfloat16 if large else torch.float32
    name = str(dtype).removeprefix("torch.")
    yield Case({"what": f"product of {side} x {side} matrices, {name}"}, partial(product, dtype))
    sheet = machine.datasheet_flops(bench.device)
    if sheet:
        row = {"value": sheet / 1e12, "unit": "TFLOP/s", "how": "the datasheet"}
        yield Case({"what": "dense bfloat16 product"}, lambda: row)


MACHINE = Part(
    name="machine",
    title="Machine",
    columns={"what": "what", "value": "value", "unit": "unit", "how": "how"},
    cases=_machine_cases,
)
PARTS = (MACHINE, generation.PART, training.PART, rates.PART)


def measure(device: str, size: str | None, weights: str | None, batches: list[int]) -> dict:
    """Everything, as a JSON-ready result; defaults depend on the device.

    Raises:
        UserError: a device that is not there.
    """
    device = device_named(device)
    size = size or ("paper" if device == "cuda" else "embedded")
    weights = weights or ("bf16" if device == "cuda" or size == "paper" else "fp32")
    bench = Bench(device, size, weights, tuple(dict.fromkeys(batches)))
    facts = machine.describe(device)
    parts = run(PARTS, bench)
    return {
        "schema_version": SCHEMA_VERSION,
        "device": device,
        "size": size,
        "weights": weights,
        "machine": facts,
        "parts": parts,
        "provenance": provenance.collect(),
    }


def write(result: dict, out: Path) -> list[Path]:
    """Write the files of a result; returns their paths."""
    path = out / "speed" / f"{result['device']}-{result['size']}"
    paths = [path.with_name(path.name + suffix) for suffix in (".json", ".md")]
    write_json(paths[0], result)
    write_text(paths[1], to_markdown(result))
    return paths


def to_markdown(result: dict) -> str:
    """The report as text."""
    lines = [f"# Speed: {result['size']} size, {result['weights']} weights, {result['device']}", ""]
    names = {"load": "load before (processes that compute)", "free_memory_gb": "free memory, GB"}
    for name, value in result["machine"].items():
        lines.append(f"- {names.get(name, name)}: {escape(str(value))}")
    for part in result["parts"]:
        lines += ["", f"## {part['title']}", "", *_table(part), ""]
        lines += [f"- {escape(note)}" for note in part["notes"]]
    return "\n".join(lines).rstrip() + "\n"


def _table(part: dict) -> list[str]:
    grid = [list(part["columns"].values())]
    for row in part["rows"]:
        grid.append([_text(row.get(key)) for key in part["columns"]])
    grid = [[escape(text) for text in line] for line in grid]
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    lines = [f"| {' | '.join(map(str.ljust, line, widths))} |" for line in grid]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


def _text(value: float | str | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)
