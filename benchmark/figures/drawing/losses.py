"""Reads the losses of a training."""

import csv
from pathlib import Path
from typing import TypeAlias

Curve: TypeAlias = tuple[list[int], list[float]]
"""Steps and values."""


def read_losses(path: Path) -> dict[str, Curve]:
    """Return column of a ``losses.csv`` -> steps and values, of the columns that have values."""
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    found = {}
    for column in lines[0] if lines else ():
        points = [(int(line["step"]), float(line[column])) for line in lines if line[column]]
        if points and column != "step":
            steps, values = zip(*points, strict=True)
            found[column] = list(steps), list(values)
    return found
