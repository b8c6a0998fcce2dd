"""The cache of runs: everything a report needs, under keys made of contents, never of names.

A run is one stage (``train``, ``predict``, ``estimate`` or ``score``) with fixed inputs. It lives
in ``<root>/<stage>/<key>/``, where the key is a hash of all that can change its result:

* ``inputs.json``: the hashed object in clear;
* what the stage writes: checkpoints, ``predictions-00000.parquet`` …, ``scores.parquet``;
* ``run.json``: when, where, how long, and the result's facts. Written last: a run without it is
  unfinished, and goes on from whatever parts it has;
* ``error.json``: why the last attempt failed.

Files appear under their final name complete or not at all, so a kill at any moment is harmless.
"""

import contextlib
import hashlib
import json
import resource
import shutil
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmark.api.errors import one_line
from benchmark.runs import provenance
from datasets.tools.files import read_json, write_json

SCHEMA_VERSION = 1
_KEY_LENGTH = 16


def make_key(inputs: dict) -> str:
    """Hash of a JSON object, whatever the order of its fields.

    Raises:
        ValueError: a value that is not finite.
        TypeError: a value that JSON does not know.
    """
    text = json.dumps(inputs, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:_KEY_LENGTH]


@dataclass(frozen=True)
class CachedStage:
    """One stage with fixed inputs, and its folder in the cache."""

    root: Path
    stage: str
    inputs: dict

    @property
    def key(self) -> str:
        """Hash of the stage's name, its inputs and the layout of the cache."""
        return make_key({"schema": SCHEMA_VERSION, "stage": self.stage, **self.inputs})

    @property
    def id(self) -> str:
        """``stage/key``: what reports quote."""
        return f"{self.stage}/{self.key}"

    @property
    def folder(self) -> Path:
        """Where the run's files are."""
        return self.root / self.stage / self.key

    def record(self) -> dict | None:
        """Contents of ``run.json``: None while the run is not finished."""
        record = read_json(self.folder / "run.json") or {}
        return record if record.get("schema_version") == SCHEMA_VERSION else None

    @property
    def lock(self) -> Path:
        """File to hold with `locked` while working on the run; outside what `discard` removes."""
        return self.root / "locks" / f"{self.stage}-{self.key}"

    def failure(self) -> str | None:
        """Why the last attempt failed, in one line; None where it did not."""
        return (read_json(self.folder / "error.json") or {}).get("reason")

    def discard(self) -> None:
        """Forget everything, so that the run starts from nothing."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextlib.contextmanager
    def attempt(self, *, device: str) -> Iterator[dict]:
        """Work on the run, whose lock the caller holds.

        Yields a dictionary for the result's facts. On leaving, it and the circumstances become
        ``run.json``; an exception becomes ``error.json`` instead and is passed on.
        """
        write_json(self.folder / "inputs.json", {"stage": self.stage, **self.inputs})
        (self.folder / "error.json").unlink(missing_ok=True)
        started, clock = _now(), time.perf_counter()
        facts: dict = {}
        try:
            yield facts
        except Exception as error:
            details = {"reason": one_line(error), "traceback": traceback.format_exc()}
            write_json(self.folder / "error.json", {"time": _now(), **details})
            raise
        circumstances = {
            "schema_version": SCHEMA_VERSION,
            "started": started,
            "finished": _now(),
            "seconds": round(time.perf_counter() - clock, 2),
            "peak_memory_mb": peak_memory_mb(),
            "device": device,
            **provenance.software(),
        }
        write_json(self.folder / "run.json", circumstances | facts)


def peak_memory_mb() -> int:
    """Most memory this process has held so far, MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
