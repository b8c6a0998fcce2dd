"""A file of measured values."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path

from datasets.tools.files import OWN_SHA256, fits_own_sha256, locked, with_own_sha256


class ValueCache:
    """Values on disk, one JSON line each with a sha256 of its own; damaged lines are ignored."""

    def __init__(self, path: Path):
        self._path = path

    def read(self, made_by: str) -> dict[str, float]:
        """Return video's sha256 -> value, for the values that `made_by` describes."""
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return {}
        known = {}
        for line in lines:
            try:
                entry = json.loads(line)
                whole = OWN_SHA256 in entry and fits_own_sha256(entry)
                if whole and entry["made_by"] == made_by:
                    known[str(entry["video"])] = finite_number(entry["value"])
            except (ValueError, KeyError, TypeError):
                continue
        return known

    def add(self, made_by: str, values: Mapping[str, float]) -> None:
        """Append values by their video's sha256."""
        entries = [{"video": sha, "made_by": made_by, "value": v} for sha, v in values.items()]
        # The first line break ends a line that was cut off.
        lines = (json.dumps(with_own_sha256(entry), allow_nan=False) for entry in entries)
        text = "".join(f"\n{line}" for line in lines) + "\n"
        with locked(self._path.with_suffix(".lock")), self._path.open("ab") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())


def finite_number(value: object) -> float:
    """Return a number, or the truth of dynamic_degree, as a finite float.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no finite number")
    return float(value)
