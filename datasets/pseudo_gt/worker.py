"""The worker of an extraction: estimates the clips of a shard, one after the other.

What it has done so far is on disk, so any process can go on with a shard at any time: every clip's
result is a file of the shard's scratch folder, and the file ``tries`` there has a line for every
clip that was begun, with Python's own report where a clip took too long. So a clip that kills its
worker twice, or hangs, is found out by whoever comes next, on any machine.
"""

import contextlib
import faulthandler
import functools
import json
import math
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
import pyarrow as pa

from datasets.estimators import (
    ClipVideo,
    Estimate,
    EstimateError,
    Estimator,
    EstimatorUnavailable,
    Session,
)
from datasets.pseudo_gt.shards import (
    SCHEMA,
    SIZE,
    TRIES,
    Shard,
    failed_row,
    is_full_disk,
    read_rows,
    scratch_files,
    write_rows,
)
from datasets.store.schema import video_fault
from datasets.tools.files import hash_lines
from datasets.tools.workers.worker import WorkerContext

_DEATHS = 2  # of its workers that a clip may cause
RETRIES = _DEATHS * SIZE  # of a shard: enough for one in which every clip is deadly


@dataclass(frozen=True, eq=False)
class Request:
    """A clip to be estimated, and the sha256 that its video must have."""

    clip: ClipVideo
    video_sha256: str


@dataclass(frozen=True, eq=False)
class ShardTask:
    """A shard with all that a worker needs to know of its clips."""

    shard: Shard
    requests: list[Request]
    work: Path  # the job's working folder


@dataclass(frozen=True, eq=False)
class StartWorker:
    """Starts an estimator in a worker process (see `datasets.tools.workers.spread`)."""

    estimator: Estimator  # what to start
    timeout: float  # seconds for one clip
    temporary: Path  # folder for the worker's temporary files, which a worker that is killed leaves

    @contextlib.contextmanager
    def __call__(self, worker: WorkerContext) -> Iterator[Callable[[ShardTask], Counter[str]]]:
        """Hold the running estimator; yields the function that does a shard with it."""
        tempfile.tempdir = str(self.temporary)
        with self.estimator.start(worker.device) as session:
            yield functools.partial(run_shard, session=session, timeout=self.timeout)


def run_shard(task: ShardTask, *, session: Session, timeout: float) -> Counter[str]:
    """Estimate the clips of a shard that have no result yet, then write the shard's file.

    Returns:
        The number of the shard's clips with each status.

    Raises:
        EstimatorUnavailable: the estimator cannot run any more.
        OSError: the results cannot be written.
    """
    shard = task.shard
    scratch, file = shard.scratch(task.work), shard.file(task.work)
    scratch.mkdir(parents=True, exist_ok=True)
    file.parent.mkdir(exist_ok=True)
    tables = []
    with open(scratch / TRIES, "a+", errors="replace") as log:
        tries = _Tries(log, timeout, shard.key)
        found = {file.stem: file for file in scratch_files(scratch)}
        for position, request in enumerate(task.requests):
            name = f"{position:02d}"
            table = read_rows(found[name], shard.key) if name in found else None
            if table is None:
                if name in found:
                    print(f"{found[name]} is damaged: it is made again", file=sys.stderr)
                    found[name].unlink()
                row = _try(request, session, tries, position)
                table = pa.Table.from_pylist([row], schema=SCHEMA)
                write_rows(shard.clip_file(task.work, position, row["status"]), table, shard.key)
            tables.append(table)
    whole = pa.concat_tables(tables)
    write_rows(file, whole, shard.key)
    return Counter(whole.column("status").to_pylist())


def resume(work: Path) -> Path:
    """Make the working folder of a job that may have been killed fit to go on; what is done stays.

    Every clip gets its tries back: that a whole job was killed is not a clip's fault.

    Returns:
        An empty folder for temporary files.
    """
    for file in (work / "scratch").glob(f"*/{TRIES}"):
        file.unlink()
    temporary = work.resolve() / "temporary"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(exist_ok=True)
    return temporary


class _Tries:
    """The file ``tries`` of a shard: clips that were begun, by position, and which took too long.

    A line has the position and a hash of it. One that is damaged counts for no clip.

    Attributes:
        starts: how often each clip was begun.
        timeouts: the clips that were still running at the end of their time.
    """

    def __init__(self, file: TextIO, timeout: float, key: str):
        self.file, self.timeout = file, timeout
        self._lines = [
            f"{position} {hash_lines([key, str(position)])}\n" for position in range(SIZE)
        ]
        self.starts: Counter[int] = Counter()
        self.timeouts: set[int] = set()
        position, positions = -1, {line: position for position, line in enumerate(self._lines)}
        file.seek(0)
        for line in file:
            if line.startswith("Timeout"):  # the beginning of Python's report
                self.timeouts.add(position)
            else:
                position = positions.get(line, -1)
                self.starts[position] += 1

    @contextlib.contextmanager
    def begin(self, position: int) -> Iterator[None]:
        """Count a try. This process ends where it is not done in time."""
        self.file.write(self._lines[position])
        self.file.flush()
        # A thread outside the interpreter: it ends even a process that hangs in foreign code.
        faulthandler.dump_traceback_later(self.timeout, file=self.file, exit=True)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


def _try(request: Request, session: Session, tries: _Tries, position: int) -> dict:
    """The row of a clip; one that has shown that it kills workers or hangs is not tried again."""
    if position in tries.timeouts:
        return _failed(request, "timeout", f"it takes longer than {tries.timeout:g} seconds")
    if tries.starts[position] >= _DEATHS:
        return _failed(request, "crashed", f"its worker died {_DEATHS} times")
    with tries.begin(position):
        return _row(request, session)


def _row(request: Request, session: Session) -> dict:
    clip = request.clip
    try:
        if fault := video_fault(clip.video, request.video_sha256):
            raise EstimateError("decode_error", fault)
        estimate = session.estimate(clip)
        _check(estimate, clip)
        diagnostics = _json(estimate.diagnostics)
    except EstimatorUnavailable:
        raise
    except EstimateError as error:
        return _failed(request, error.status, error.reason)
    except MemoryError as error:
        return _failed(request, "out_of_memory", str(error))
    except (Exception, SystemExit) as error:  # foreign code also exits where it should raise
        if is_full_disk(error):
            raise  # it is not the clip's fault
        kind = type(error).__name__
        status = "out_of_memory" if kind == "OutOfMemoryError" else "error"  # torch's
        return _failed(request, status, f"{kind}: {error}")
    motion, world = estimate.camera_motion, estimate.world_motion
    none = np.zeros(0, np.float32)
    return {
        **_facts(request),
        "status": "ok",
        "reason": "",
        "diagnostics": diagnostics,
        "body": motion.body,
        "body_pose": motion.body_pose.reshape(-1),
        "betas": motion.betas.reshape(-1),
        "global_orient_camera": motion.global_orient.reshape(-1),
        "transl_camera": motion.transl.reshape(-1),
        "global_orient_world": none if world is None else world.global_orient.reshape(-1),
        "transl_world": none if world is None else world.transl.reshape(-1),
    }


def _failed(request: Request, status: str, reason: str) -> dict:
    if status == "ok" or not (status.isidentifier() and status.isascii()):
        status, reason = "error", f"{status}: {reason}"
    # Where the store lies is not the clip's: the same results are the same bytes anywhere.
    reason = reason.replace(str(request.clip.video), request.clip.video.name)
    return failed_row(status=status, reason=" ".join(reason.split())[:500], **_facts(request))


def _facts(request: Request) -> dict:
    clip = request.clip
    return {"clip_id": clip.clip_id, "K_source": clip.K_source, "n_frames": len(clip.K)}


def _check(estimate: Estimate, clip: ClipVideo) -> None:
    """Refuse what is not a neutral motion of this clip; `Motion` has checked the numbers."""
    camera = estimate.camera_motion
    motions = {"camera": camera, "world": estimate.world_motion}
    for space, motion in motions.items():
        if motion is None:  # no world
            continue
        for what, found, expected in (
            ("space", motion.space, space),
            ("gender", motion.gender, "neutral"),
            ("length", len(motion), len(clip.K)),
            ("fps", motion.fps, clip.fps),
        ):
            if found != expected:
                raise EstimateError(
                    "error", f"the {space} motion has {what} {found}, not {expected}"
                )
        # Stored once for both.
        if motion.body != camera.body or not (
            np.array_equal(motion.body_pose, camera.body_pose)
            and np.array_equal(motion.betas, camera.betas)
        ):
            raise EstimateError("error", "the camera and the world motion differ in pose or shape")


def _json(diagnostics: dict[str, float]) -> str:
    numbers = {name: float(value) for name, value in diagnostics.items()}
    kept = {name: value if math.isfinite(value) else None for name, value in numbers.items()}
    return json.dumps(kept, sort_keys=True)
