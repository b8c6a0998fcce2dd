"""Videos staged for VBench's process, and its answers checked.

A value is that of a video's bytes: videos that are equal are measured once, and none twice.
"""

import functools
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmark.api.method import Progress
from benchmark.metrics.vbench_tool import weights
from benchmark.metrics.vbench_tool.values import ValueCache, finite_number
from datasets.tools import isolated
from datasets.tools.files import sha256_of
from datasets.tools.isolated.worker import LastingWorker, Worker, WorkerError
from datasets.video.probe import VideoError, VideoInfo, probe

SCRIPT = Path(__file__).parent / "worker.py"
MIN_FRAMES = 3  # motion_smoothness guesses a frame from those beside it
# Pixels of the shorter side. Both networks halve an eighth of the picture three times. Of a single
# row, which is what is left of a smaller one, they make NaN, and of that a value, without an error.
MIN_SIDE = {"motion_smoothness": 128, "dynamic_degree": 128}
# Videos a request. Each loads the network anew, and what it measured is kept.
BATCH = 16
_LOAD_SECONDS = 600
# For each video of a request; most take a fraction of it on a CPU.
CLIP_SECONDS = {
    "subject_consistency": 1200,
    "background_consistency": 600,
    "aesthetic_quality": 1800,
    "motion_smoothness": 1200,
    "temporal_flickering": 120,
    "dynamic_degree": 7200,
}
# What the tool sees of our environment. PATH is not among it: nothing is to be run.
_INHERITED = ("LD_LIBRARY_PATH", "LANG", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")


class VBenchError(RuntimeError):
    """Something could not be measured; the message is one line."""


class Tool(NamedTuple):
    """The VBench that is installed.

    Attributes:
        python: the interpreter that has it.
        versions: package -> version, of those that values depend on.
        device: ``cpu`` or ``cuda``, where it runs.
    """

    python: Path
    versions: Mapping[str, str]
    device: str

    def __str__(self) -> str:
        first, *others = (f"{name} {version}" for name, version in self.versions.items())
        return f"{first} ({', '.join(others)}) on {self.device}"


def find_tool() -> Tool:
    """Return the VBench that is installed; starts it the first time, for its versions.

    Raises:
        ToolMissing: there is none.
    """
    return _ask_tool(isolated.python("vbench"), SCRIPT)


@functools.cache
def _ask_tool(python: Path, script: Path) -> Tool:
    try:
        with _Session(python, script) as session:
            hello = session.hello()
            return Tool(python, dict(hello["versions"]), str(hello["device"]))
    except (WorkerError, KeyError, TypeError, ValueError) as error:
        raise isolated.ToolMissing(f"{python} has no vbench that starts: {error}") from error


def too_small(videos: Sequence[Path]) -> set[str]:
    """Return the dimensions that some of the videos are too small for, see `MIN_SIDE`.

    Raises:
        VBenchError: one of them is no video.
    """
    sides = [min(info.width, info.height) for info in map(_probe, videos)]
    return {name for name, least in MIN_SIDE.items() if min(sides) < least}


def measure(
    videos: Sequence[Path], dimensions: Sequence[str], *, folder: Path, progress: Progress
) -> dict[str, list[float]]:
    """Values of VBench's dimensions, as the package gives them.

    Args:
        videos: N mp4 files of at least `MIN_FRAMES` frames.
        dimensions: some of `weights.WEIGHTS` whose files are there, and none of `too_small`.
        folder: where values are kept.
        progress: told the videos that are measured, not those whose values are known.

    Returns:
        Dimension -> N values.

    Raises:
        ToolMissing: see `find_tool`.
        VBenchError: a video is none, or a dimension could not be measured. The values of the
            others, and of the videos before, are kept.
        OSError: a file cannot be read or written.
    """
    tool = find_tool()
    hashes = [_checked_hash(video) for video in videos]
    files = dict(zip(hashes, videos, strict=True))
    cache = ValueCache(folder / "values.jsonl")
    values, failures = {}, []
    with _Session(tool.python, SCRIPT) as session:
        for dimension in dimensions:
            made_by = f"{dimension}, {tool}, weights {weights.identity(dimension)}"
            known = cache.read(made_by)
            todo = [sha256 for sha256 in files if sha256 not in known]
            try:
                for start in range(0, len(todo), BATCH):
                    batch = {sha256: files[sha256] for sha256 in todo[start : start + BATCH]}
                    measured = session.measure(dimension, batch)
                    cache.add(made_by, measured)
                    known |= measured
                    progress(f"vbench {dimension}", start + len(batch), len(todo))
            except VBenchError as error:
                failures.append(f"{dimension}: {error}")
            else:
                values[dimension] = [known[sha256] for sha256 in hashes]
    if failures:
        raise VBenchError(f"vbench failed at {'; '.join(failures)}")
    return values


def _checked_hash(video: Path) -> str:
    """Return the sha256 of a video that VBench can measure.

    Raises:
        VBenchError: it cannot.
    """
    info = _probe(video)
    if info.num_frames < MIN_FRAMES:
        raise VBenchError(
            f"vbench cannot measure {video}: it has {info.num_frames} frames, of {MIN_FRAMES} or "
            "more that are needed"
        )
    return sha256_of(video)


def _probe(video: Path) -> VideoInfo:
    try:
        return probe(video)
    except VideoError as error:
        raise VBenchError(f"vbench cannot measure {error}") from error


class _Session:
    """The tool's process and its working folder; a context manager."""

    def __init__(self, python: Path, script: Path):
        self._python, self._script = python, script
        self._worker = LastingWorker(self._make)

    def __enter__(self) -> "_Session":
        self._folder = tempfile.TemporaryDirectory(prefix="vbench-")
        self._work = Path(self._folder.name)
        return self

    def __exit__(self, kind, error, trace) -> None:
        self._worker.__exit__(kind, error, trace)
        self._folder.cleanup()

    def hello(self) -> dict:
        """Return the process's description of itself.

        Raises:
            WorkerError: it does not start.
        """
        return self._worker.hello()

    def measure(self, dimension: str, videos: Mapping[str, Path]) -> dict[str, float]:
        """One dimension of videos by their sha256.

        Raises:
            VBenchError: it gives no answer, or another than one finite number a video.
        """
        with tempfile.TemporaryDirectory(dir=self._work, prefix="batch-") as batch:
            staged, results = Path(batch, "videos"), Path(batch, "results")
            staged.mkdir()
            names = {sha256[:16]: sha256 for sha256 in videos}
            for name, sha256 in names.items():  # the package has views on names
                (staged / f"{name}.mp4").symlink_to(videos[sha256].absolute())
            request = {"dimension": dimension, "videos": str(staged), "results": str(results)}
            seconds = _LOAD_SECONDS + CLIP_SECONDS[dimension] * len(videos)
            try:
                answer = self._worker.request(request, timeout=seconds)
            except WorkerError as error:
                raise VBenchError(str(error)) from error
        return {names[name]: value for name, value in _checked(answer, set(names)).items()}

    def _make(self) -> Worker:
        return Worker(
            self._python, self._script, env=self._env(), options={}, timeout=_LOAD_SECONDS
        )

    def _env(self) -> dict[str, str]:
        """All that the tool's process knows of the world outside."""
        env = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        links, hub, home = (self._work / name for name in ("weights", "torch", "home"))
        if not home.exists():
            home.mkdir()
            weights.link(links, hub)
        return env | {
            "PATH": str(home),  # empty; none at all would mean the system's
            "HOME": str(home),
            "TMPDIR": str(home),
            "MPLCONFIGDIR": str(home),
            weights.ENV_ROOT: str(links),
            "TORCH_HOME": str(hub),
            "TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1",  # whatever the package asks for
            "HF_HUB_OFFLINE": "1",
        }


def _checked(answer: dict, names: set[str]) -> dict[str, float]:
    """Value by the staged name of its video.

    Raises:
        VBenchError: not exactly one finite number for each name.
    """
    try:
        values = [(Path(path).stem, finite_number(value)) for path, value in answer["results"]]
    except (ValueError, KeyError, TypeError):
        raise VBenchError("a value that is no finite number") from None
    if sorted(name for name, _ in values) != sorted(names):
        raise VBenchError(
            f"{len(values)} values for {len(names)} videos, or for others than were asked for"
        )
    return dict(values)
