"""One measurement of speed: parts made of cases, each of which may fail alone."""

import math
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import torch

from benchmark.api.errors import Unavailable
from benchmark.commands.speed import machine
from model.transformer.config import UniMoConfig


@dataclass
class Bench:
    """What is measured, and what the parts learn for each other.

    Attributes:
        device: ``cpu`` or ``cuda``.
        size: ``paper``, ``embedded`` or ``tiny``.
        weights: ``bf16``, ``fp32``, ``int8`` or ``fp8``, of generation.
        batches: clips at once, of generation.
        bandwidth: bytes a second, once measured.
        peak: FLOP/s of a matrix product in the dtype of training, once measured.
    """

    device: str
    size: str
    weights: str
    batches: tuple[int, ...]
    bandwidth: float | None = None
    peak: float | None = None
    config: UniMoConfig = field(init=False)

    def __post_init__(self):
        self.config = getattr(UniMoConfig, self.size)()

    @property
    def dtype(self) -> torch.dtype:
        """Of activations in generation."""
        if self.weights in ("bf16", "fp32"):
            return torch.bfloat16 if self.weights == "bf16" else torch.float32
        small_on_cpu = self.device == "cpu" and self.size != "paper"
        return torch.float32 if small_on_cpu else torch.bfloat16

    @property
    def weight_bytes(self) -> int:
        """Of one weight in generation."""
        return 1 if self.weights in ("int8", "fp8") else self.dtype.itemsize

    @property
    def estimates(self) -> bool:
        """Whether whole sequences would take hours here."""
        return self.device == "cpu" and self.size == "paper"


@dataclass(frozen=True)
class Case:
    """One row of a part.

    Attributes:
        labels: column -> what the row is about, the first two as progress tells it.
        measure: column -> number; ``how`` may say that they are estimated.
    """

    labels: dict[str, str | int]
    measure: Callable[[], dict[str, float | str | None]]


@dataclass(frozen=True)
class Part:
    """One table.

    Attributes:
        name: of the part.
        title: of the table.
        columns: key -> heading.
        cases: of a bench, made one after the other.
        notes: below the table.
    """

    name: str
    title: str
    columns: dict[str, str]
    cases: Callable[[Bench], Iterator[Case]]
    notes: tuple[str, ...] = ()


def run(parts: Iterable[Part], bench: Bench) -> list[dict]:
    """Measure the parts; JSON-ready. Progress goes to stderr."""
    done = []
    for part in parts:
        rows = _rows(part, bench)
        machine.release(bench.device)
        done.append(
            {
                "name": part.name,
                "title": part.title,
                "columns": part.columns,
                "rows": rows,
                "notes": list(part.notes),
            }
        )
    return done


def _rows(part: Part, bench: Bench) -> list[dict]:
    rows = []
    for case in part.cases(bench):
        said = ", ".join(str(label) for label in list(case.labels.values())[:2])
        print(f"{part.name}: {said}", file=sys.stderr, flush=True)
        rows.append({**case.labels, **_measured(case)})
    return rows


def _measured(case: Case) -> dict:
    try:
        values = {"how": "measured", **case.measure()}
        wrong = [k for k, v in values.items() if isinstance(v, float) and not math.isfinite(v)]
        if wrong:
            raise Unavailable(f"{', '.join(wrong)} came out as no finite number")
        return values
    # Whatever is wrong with one case on a machine never seen before, the others are worth having.
    except Exception as error:
        text = " ".join(str(error).split()) or "no reason given"
        kind = "" if isinstance(error, Unavailable) else f"{type(error).__name__}: "
        return {"how": f"unavailable: {kind}{text[:200]}"}
