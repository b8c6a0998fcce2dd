"""The cache: everything a report needs, under keys made of contents, never of names.

A stage (one of `benchmark.runs.STAGES`) with fixed inputs has the folder
``<root>/<stage>/<key>/``, where the key is a hash of all that can change its result:

* ``inputs.json``: the hashed object in clear;
* what the stage writes: checkpoints, ``predictions-00000.parquet`` …, ``scores.parquet``;
* ``run.json``: a `StageRecord`, with the sha256 of each of these files and of itself. It is written
  last: a stage without it is unfinished, and goes on from the parts that it has;
* ``error.json``: why the last attempt failed.

Files appear under their final name complete or not at all, so a kill at any moment is harmless.
Whoever reads the record checks it and the files (once for as long as they stay the same): what is
damaged, missing or edited is said, discarded and made again. A record of an earlier version, which
has no sha256, is read as it is.
"""

import contextlib
import functools
import hashlib
import json
import resource
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmark import discover
from benchmark.api.errors import Unavailable, one_line
from benchmark.api.paths import display_path
from benchmark.runs import provenance
from benchmark.runs.checkpoints import weights_sha256
from datasets.tools.files import (
    OWN_SHA256,
    BusyError,
    fits_own_sha256,
    locked,
    read_json,
    sha256_of,
    with_own_sha256,
    write_json,
)
from datasets.tools.typed_json import printable

SCHEMA_VERSION = 1
_KEY_LENGTH = 16
_RECORDS = ("inputs.json", "run.json", "error.json")  # of the cache itself


def make_key(inputs: dict) -> str:
    """Hash of a JSON object, whatever the order of its fields.

    Raises:
        ValueError: a value that is not finite.
        TypeError: a value that JSON does not know.
    """
    text = json.dumps(inputs, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:_KEY_LENGTH]


# Stage -> what its work returns, by name and type. A record that lacks a part is unfinished.
_RESULTS: Mapping[str, Mapping[str, type]] = {
    "train": {"weights": str, "weights_sha256": str},
    "predict": {"facts": dict, "failed": dict},
    "enhance": {"failed": dict},
    "estimate": {"failed": dict},
    "score": {"absent": dict},
}


@dataclass(frozen=True, kw_only=True)
class StageRecord:
    """``run.json`` of a finished stage: when, where and how long it ran, and what came out.

    Attributes:
        started: UTC time of the start of the last attempt, ISO 8601.
        finished: UTC time of its end.
        seconds: duration of the last attempt.
        peak_memory_mb: the most memory that its process had held.
        device: ``cpu`` or ``cuda``.
        git: commit of this program, and whether its files differ from it.
        python: version of the interpreter.
        packages: distribution -> version.
        cpu: model of the processor.
        weights: of ``train``: file name of the weights, in the stage's folder.
        weights_sha256: of ``train``: their identity, `benchmark.runs.checkpoints.weights_sha256`.
        skipped_clips: of ``train``: number of clips that could not be used; None if unknown.
        gpu: of ``train`` on a GPU: its name.
        gpu_memory_mb: of ``train`` on a GPU: the most of its memory that was held.
        facts: of ``predict``: numbers of the trained model.
        failed: of ``predict``, ``enhance`` and ``estimate``: clip id -> error message.
        absent: of ``score``: column -> why these clips have no value of it.
    """

    started: str = ""
    finished: str = ""
    seconds: float | None = None
    peak_memory_mb: int | None = None
    device: str = ""
    git: Mapping[str, object] | None = None
    python: str = ""
    packages: Mapping[str, str | None] | None = None
    cpu: str = ""
    weights: str = ""
    weights_sha256: str = ""
    skipped_clips: int | None = None
    gpu: str = ""
    gpu_memory_mb: int | None = None
    facts: Mapping[str, float] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)

    def to_json(self, stage: str) -> dict:
        """The content of ``run.json`` without sha256: what the stage has to say."""
        return {"schema_version": SCHEMA_VERSION} | {
            name: value
            for name, value in vars(self).items()
            if value not in (None, "", {}) or name in _RESULTS[stage]
        }

    @classmethod
    def from_json(cls, stage: str, value: Mapping[str, Any]) -> "StageRecord | None":
        """Return the record, or None if it is of another schema or lacks what the stage returns."""
        if value.get("schema_version") != SCHEMA_VERSION:
            return None
        if not all(isinstance(value.get(name), kind) for name, kind in _RESULTS[stage].items()):
            return None
        known = {one.name for one in fields(cls)}
        return cls(**{name: part for name, part in value.items() if name in known})


@dataclass(frozen=True)
class Failure:
    """The failure of a stage.

    Attributes:
        reason: in one line.
        unavailable: True if something is not here that it needs; else it is a fault.
    """

    reason: str
    unavailable: bool


@dataclass(frozen=True)
class CachedStage:
    """One stage with fixed inputs, and its folder in the cache.

    Attributes:
        root: folder of the cache.
        name: one of `benchmark.runs.STAGES`.
        inputs: all that can change its result, as JSON values.
    """

    root: Path
    name: str
    inputs: dict

    @functools.cached_property
    def key(self) -> str:
        """Hash of the stage's name, its inputs and the layout of the cache."""
        return make_key({"schema": SCHEMA_VERSION, "stage": self.name, **self.inputs})

    @property
    def id(self) -> str:
        """``train/0123456789abcdef``, as reports quote it."""
        return f"{self.name}/{self.key}"

    @property
    def folder(self) -> Path:
        """The folder of the stage's files."""
        return self.root / self.name / self.key

    def record(self) -> StageRecord | None:
        """Read ``run.json`` and check the stage's files; None while the stage is not finished.

        What is damaged is said on stderr and discarded, unless another process works on it.
        """
        record, damage = self._read()
        if damage:
            # Whoever works there will find the damage, too; a folder may be read-only.
            with contextlib.suppress(BusyError, OSError), locked(self.lock, wait=False):
                record, damage = self._read()
                self._discard_damaged(damage)
        return record

    def _read(self) -> tuple[StageRecord | None, str]:
        """The record, or None and what is damaged, where anything is."""
        if not (self.folder / "run.json").exists():
            return None, ""
        value, damage = read_record(self.folder)
        record = None if damage else StageRecord.from_json(self.name, value)
        if record is None:
            return None, damage or "run.json lacks what a stage returns"
        if record.weights and "files" not in value:
            file = self.folder / record.weights
            if not file.is_file() or weights_sha256(file) != record.weights_sha256:
                return None, f"{record.weights} is missing or damaged"
        return record, ""

    def _discard_damaged(self, damage: str) -> None:
        if damage:
            where = display_path(self.folder)
            say(f"{where}: {damage}: discarded, to be made again")
            self.discard()

    @property
    def lock(self) -> Path:
        """File to hold with `locked` while working; `discard` does not remove it."""
        return self.root / "locks" / f"{self.name}-{self.key}"

    def failure(self) -> Failure | None:
        """The failure of the last attempt; None if it succeeded."""
        found = read_json(self.folder / "error.json") or {}
        reason = found.get("reason")
        if not isinstance(reason, str):
            return None
        return Failure(reason, unavailable=found.get("unavailable") is True)

    def discard(self) -> None:
        """Remove all files, so that the stage starts from nothing."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def finish(self, work: Callable[[], Mapping[str, Any]], *, device: str) -> StageRecord:
        """Do the work unless it is done; of several processes, one does it.

        Args:
            work: writes the stage's files and returns its results: fields of `StageRecord`.
            device: that it runs on.

        Returns:
            The stage's record.

        Raises:
            Exception: whatever the work raises; the reason is kept in ``error.json``.
        """
        with locked(self.lock):
            record, damage = self._read()
            self._discard_damaged(damage)
            return record or self._attempt(work, device)

    def _attempt(self, work: Callable[[], Mapping[str, Any]], device: str) -> StageRecord:
        write_json(self.folder / "inputs.json", {"stage": self.name, **self.inputs})
        (self.folder / "error.json").unlink(missing_ok=True)
        started, clock = _now(), time.perf_counter()
        try:
            results = work()
        except Exception as error:
            reason, file = one_line(error), self.folder / "error.json"
            if place := discover.place_of(error):
                reason = f"{place}: {reason} (the whole traceback: {display_path(file)})"
            details = {"reason": reason, "unavailable": isinstance(error, Unavailable)}
            write_json(file, {"time": _now(), **details, "traceback": traceback.format_exc()})
            if place and not isinstance(error, Unavailable):
                raise RuntimeError(reason) from error
            raise
        record = StageRecord(
            started=started,
            finished=_now(),
            seconds=round(time.perf_counter() - clock, 2),
            peak_memory_mb=peak_memory_mb(),
            device=device,
            **provenance.software(),
            **results,
        )
        files = {"files": hashes(self.folder, _files(self.folder))}
        write_json(self.folder / "run.json", with_own_sha256(record.to_json(self.name) | files))
        return record


def read_record(folder: Path) -> tuple[dict[str, Any], str]:
    """Return what ``run.json`` in a stage's folder says, and what is damaged there, or ""."""
    value = read_json(folder / "run.json")
    if value is None:
        return {}, "run.json is missing or damaged"
    return value, damage_of(folder, value)


def damage_of(folder: Path, record: Mapping[str, Any]) -> str:
    """Return what is damaged of a record of files or of the files, or "".

    Args:
        folder: of the files.
        record: with ``files``, see `hashes`, and the sha256 of itself. One with neither, of an
            earlier version, says nothing.
    """
    if "files" not in record and OWN_SHA256 not in record:
        return ""
    if OWN_SHA256 not in record or not fits_own_sha256(dict(record)):
        return "its record was changed"
    for name, sha256 in record.get("files", {}).items():
        try:
            found = sha256_of(folder / name)
        except OSError:
            return f"{name} is missing"
        if found != sha256:
            return f"{name} is damaged or was changed"
    return ""


def hashes(folder: Path, files: Iterable[Path]) -> dict[str, str]:
    """Return path below the folder -> sha256 of each file, as records name them."""
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}


def _files(folder: Path) -> list[Path]:
    """Return the files of a stage's work: not this module's own, nor what a kill left behind."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.name[0] != "."
        and path.suffix != ".tmp"
        and not (path.parent == folder and path.name in _RECORDS)
    ]


def say(line: str) -> None:
    """Print a line on stderr."""
    print(printable(line), file=sys.stderr)


def peak_memory_mb() -> int:
    """Most memory this process has held so far, MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
