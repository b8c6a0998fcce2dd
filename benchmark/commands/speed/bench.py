"""The machine and the sizes that speed is measured with, and rows that may fail one by one."""

import math
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch

from benchmark.api.errors import Unavailable
from model.transformer.config import UniMoConfig


@dataclass(kw_only=True)
class Bench:
    """The settings of a measurement, and the numbers that later parts need from earlier ones.

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
        """Dtype of activations in generation."""
        if self.weights in ("bf16", "fp32"):
            return torch.bfloat16 if self.weights == "bf16" else torch.float32
        small_on_cpu = self.device == "cpu" and self.size != "paper"
        return torch.float32 if small_on_cpu else torch.bfloat16

    @property
    def weight_bytes(self) -> int:
        """Bytes of one weight in generation."""
        return 1 if self.weights in ("int8", "fp8") else self.dtype.itemsize

    @property
    def estimates(self) -> bool:
        """True if whole sequences would take hours here."""
        return self.device == "cpu" and self.size == "paper"


@dataclass(frozen=True, kw_only=True)
class Part:
    """One table of the report.

    Attributes:
        title: of the table.
        columns: key -> heading.
        rows: measures the rows of a bench, one after the other.
        notes: below the table.
    """

    title: str
    columns: dict[str, str]
    rows: Callable[[Bench], Iterable[dict]]
    notes: tuple[str, ...] = ()


def measured_row(labels: dict[str, str | int], measure: Callable[[], dict]) -> dict:
    """Return the labels with what `measure` returns, or with the reason why it failed.

    Args:
        labels: column -> what the row is about. The first two are printed as progress.
        measure: returns column -> number, and ``how`` if that is not ``measured``.
    """
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
