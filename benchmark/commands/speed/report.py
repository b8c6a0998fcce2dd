"""The verb ``speed``: measure, write JSON and Markdown, print the latter."""

import functools
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmark.commands.options import device_named
from benchmark.commands.speed import generation, machine, rates, training
from benchmark.commands.speed.bench import Bench, Part, measured_row
from benchmark.results.render.layout import Field
from benchmark.results.render.markdown import escape, table
from benchmark.runs import provenance
from datasets.tools.files import write_json, write_text

SCHEMA_VERSION = 1


def _machine_rows(bench: Bench) -> Iterator[dict]:
    large = bench.device == "cuda"
    buffer = 1 << 30 if large else 1 << (24 if bench.size == "tiny" else 28)
    side = 8192 if large else 256 if bench.size == "tiny" else 2048

    def copy() -> dict:
        bench.bandwidth = machine.copy_bandwidth(bench.device, buffer)
        return {"value": bench.bandwidth / 1e9, "unit": "GB/s"}

    def product(dtype: torch.dtype) -> dict:
        bench.peak = machine.matmul_flops(bench.device, side, dtype)
        return {"value": bench.peak / 1e12, "unit": "TFLOP/s"}

    yield measured_row({"what": f"copy of {buffer >> 20} MB, read and written"}, copy)
    dtype = torch.bfloat16 if large else torch.float32
    name = str(dtype).removeprefix("torch.")
    what = f"product of {side} x {side} matrices, {name}"
    yield measured_row({"what": what}, functools.partial(product, dtype))
    sheet = machine.datasheet_flops(bench.device)
    if sheet:
        values = {"value": sheet / 1e12, "unit": "TFLOP/s", "how": "the datasheet"}
        yield measured_row({"what": "dense bfloat16 product"}, lambda: values)


# Name -> part, in the order in which they are measured.
PARTS = {
    "machine": Part(
        title="Machine",
        columns={"what": "what", "value": "value", "unit": "unit", "how": "how"},
        rows=_machine_rows,
    ),
    "generation": generation.PART,
    "training": training.PART,
    "rates": rates.PART,
}


def measure(device: str, size: str | None, weights: str | None, batches: list[int]) -> dict:
    """Measure all parts; returns a JSON-ready result. Defaults depend on the device.

    Raises:
        UserError: a device that is not there.
    """
    device = device_named(device)
    size = size or ("paper" if device == "cuda" else "embedded")
    weights = weights or ("bf16" if device == "cuda" or size == "paper" else "fp32")
    bench = Bench(device=device, size=size, weights=weights, batches=tuple(dict.fromkeys(batches)))
    facts = machine.describe(device)
    return {
        "schema_version": SCHEMA_VERSION,
        "device": device,
        "size": size,
        "weights": weights,
        "machine": facts,
        "parts": [measure_part(name, part, bench) for name, part in PARTS.items()],
        "provenance": provenance.collect(),
    }


def measure_part(name: str, part: Part, bench: Bench) -> dict:
    """Measure the rows of one part, JSON-ready; memory is free again afterwards."""
    rows = list(part.rows(bench))
    machine.release(bench.device)
    heading = {"title": part.title, "columns": part.columns}
    return {"name": name, **heading, "rows": rows, "notes": list(part.notes)}


def write(result: dict, out: Path) -> list[Path]:
    """Write the files of a result; returns their paths."""
    path = out / "speed" / f"{result['device']}-{result['size']}"
    paths = [path.with_name(path.name + suffix) for suffix in (".json", ".md")]
    write_json(paths[0], result)
    write_text(paths[1], to_markdown(result))
    return paths


def to_markdown(result: dict) -> str:
    """Return the report as text."""
    lines = [f"# Speed: {result['size']} size, {result['weights']} weights, {result['device']}", ""]
    names = {"load": "load before (processes that compute)", "free_memory_gb": "free memory, GB"}
    for name, value in result["machine"].items():
        lines.append(f"- {names.get(name, name)}: {escape(str(value))}")
    for part in result["parts"]:
        grid = [list(part["columns"].values())]
        grid += [[_text(row.get(key)) for key in part["columns"]] for row in part["rows"]]
        fields = [[Field(text) for text in line] for line in grid]
        lines += ["", f"## {part['title']}", "", *table(fields), ""]
        lines += [f"- {escape(note)}" for note in part["notes"]]
    return "\n".join(lines).rstrip() + "\n"


def _text(value: float | str | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)
