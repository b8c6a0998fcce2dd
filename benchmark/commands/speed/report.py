"""The verb ``speed``: measure, write JSON and Markdown, print the latter."""

import math
import sys
from collections.abc import Callable
from pathlib import Path

from benchmark.api.errors import Unavailable
from benchmark.commands.options import device_named
from benchmark.commands.speed import generation, machine, rates, training
from benchmark.commands.speed.bench import Bench, Part
from benchmark.results.render.layout import Field
from benchmark.results.render.markdown import escape, table
from benchmark.runs import provenance
from datasets.tools.files import write_json, write_text

SCHEMA_VERSION = 1
# Name -> part, in the order in which they are measured.
PARTS = {
    "machine": machine.PART,
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
    return {
        "schema_version": SCHEMA_VERSION,
        "device": device,
        "size": size,
        "weights": weights,
        "machine": machine.describe(device),
        "parts": [_measure_part(name, part, bench) for name, part in PARTS.items()],
        "provenance": provenance.collect(),
    }


def _measure_part(name: str, part: Part, bench: Bench) -> dict:
    """Measure the rows of one part, JSON-ready; memory is free again afterwards."""
    rows = [measured_row(*row) for row in part.rows(bench)]
    machine.release(bench.device)
    return {"name": name, **part._asdict(), "rows": rows}


def measured_row(labels: dict[str, str | int], measure: Callable[[], dict]) -> dict:
    """Return the labels with what `measure` returns, or with the reason why it failed."""
    print(", ".join(map(str, list(labels.values())[:2])), file=sys.stderr, flush=True)
    try:
        values = {"how": "measured", **measure()}
        wrong = [k for k, v in values.items() if isinstance(v, float) and not math.isfinite(v)]
        if wrong:
            raise Unavailable(f"{', '.join(wrong)} came out as no finite number")
        return {**labels, **values}
    # Whatever is wrong with one row on a machine never seen before, the others are worth having.
    except Exception as error:
        text = " ".join(str(error).split()) or "no reason given"
        kind = "" if isinstance(error, Unavailable) else f"{type(error).__name__}: "
        return {**labels, "how": f"unavailable: {kind}{text[:200]}"}


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
