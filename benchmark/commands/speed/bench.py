"""The machine and the sizes that speed is measured with, and the parts of the report."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import torch

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

    @property
    def config(self) -> UniMoConfig:
        """The transformer's."""
        return getattr(UniMoConfig, self.size)()

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


# The labels of a row, of which the first two are printed as progress, and what returns its
# numbers, with ``how`` where that is not ``measured``.
Row: TypeAlias = tuple[dict[str, str | int], Callable[[], dict]]


class Part(NamedTuple):
    """One table of the report.

    Attributes:
        title: of the table.
        columns: key -> heading.
        rows: yields the rows of a bench, which are measured one after the other.
        notes: below the table.
    """

    title: str
    columns: dict[str, str]
    rows: Callable[[Bench], Iterable[Row]]
    notes: tuple[str, ...] = ()
