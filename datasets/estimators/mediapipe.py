"""BlazePose's landmarks and a fit of the SMPL-X body: video -> motion in the camera's frame.

Bazarevsky et al., "BlazePose: On-device Real-time Body Pose tracking" (2020). The two networks are
files of the PyPI package ``mediapipe`` (Apache-2.0) in an environment of its own
(``benchmark.run setup mediapipe``) and run on the CPU, offline. The fit is ours
(`datasets.estimators.landmark_fit`) and runs on the CPU whatever the device, so that a clip gives
the same bits everywhere. Depth is a guess: lean, and limbs towards or away from the camera, are
its weak side, and it knows no gravity.
"""

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from datasets.bodies import load_body
from datasets.estimators import ClipVideo, Estimate, EstimateError, EstimatorUnavailable
from datasets.estimators.gaps import fill
from datasets.estimators.landmark_fit import fit
from datasets.estimators.landmark_fit.landmarks import POINTS, BodyPoints, Landmarks, body_points
from datasets.tools import isolated
from datasets.tools.files import sha256_of
from datasets.tools.isolated.worker import (
    LastingWorker,
    Worker,
    WorkerError,
    WorkerFailed,
    WorkerGone,
    WorkerTimeout,
)
from datasets.video.files import read_frames
from datasets.video.probe import VideoError, VideoInfo, probe

# The networks in the package ``mediapipe`` 0.10.21.
NETWORKS = {
    "detector": (
        "pose_detection/pose_detection.tflite",
        "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
    ),
    "landmarks": (
        "pose_landmark/pose_landmark_full.tflite",
        "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
    ),
}
# Finding a package does not import it.
_INSTALLED = """
import importlib.metadata as m, importlib.util as u, json
names = ("ai-edge-litert", "mediapipe", "numpy", "pillow")
folder = u.find_spec("mediapipe").submodule_search_locations[0]
print(json.dumps([folder, {name: m.version(name) for name in names}]))
"""
_SCRIPT = Path(__file__).parent / "blazepose" / "worker.py"
_PIECE = 16  # pictures at a time: 100 MB of 1920 x 1080
_SECONDS = 600  # for a piece, and for the start
_LEAST_FOUND = 0.5  # of the pictures
_MARGIN = 1.25  # the side of a crop, in heights of the person
_LARGEST_REPROJECTION = 0.03  # of the person's height; a track that is lost has ten times more
_WORKER_VERSION = 1  # raised when the same pictures give other landmarks


@dataclass(frozen=True)
class MediapipeEstimator:
    """BlazePose (the networks of MediaPipe) with a fit of the body."""

    name = "mediapipe"
    note = (
        "BlazePose's landmarks and a fit of the body: the largest, most central person; pose is "
        "good in the picture plane, depth and lean are guesses"
    )

    def identity(self) -> dict[str, str]:
        """Versions of packages and of our own steps, sha256 of the networks and of the body.

        Raises:
            EstimatorUnavailable: see `preflight`.
        """
        _, _, versions = self._installed()
        return {
            **versions,
            **{name: sha256 for name, sha256 in NETWORKS.values()},
            "tracking": str(_WORKER_VERSION),
            "fit": str(fit.VERSION),
            "body_sha256": load_body().sha256,
        }

    def preflight(self) -> Path:
        """Return the interpreter, once the environment and both networks are there.

        Raises:
            EstimatorUnavailable: the environment is not built, or a network is not the pinned one.
        """
        return self._installed()[0]

    @contextmanager
    def start(self, device: str) -> "Iterator[_Session]":
        """Start the tool's process and load the networks, on the CPU whatever the device.

        Raises:
            EstimatorUnavailable: see `preflight`; or the process does not start.
        """
        interpreter, networks, _ = self._installed()
        options = {name: str(path) for name, path in networks.items()}
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mediapipe-"))
            env = isolated.tool_environment(Path(folder))

            def make() -> Worker:
                return Worker(interpreter, _SCRIPT, env=env, options=options, timeout=_SECONDS)

            worker = stack.enter_context(LastingWorker(make))
            session = _Session(worker, Path(folder), body_points(load_body()))
            session.hello()
            yield session

    def _installed(self) -> tuple[Path, dict[str, Path], dict[str, str]]:
        """Interpreter, files of the networks, and versions."""
        try:
            interpreter = isolated.python("mediapipe")
        except isolated.ToolMissing as error:
            raise EstimatorUnavailable(str(error)) from error
        command = [str(interpreter), "-I", "-c", _INSTALLED]
        found = subprocess.run(command, capture_output=True, text=True)
        if found.returncode:
            why = " ".join(found.stderr.strip().splitlines()[-1:])
            raise EstimatorUnavailable(f"{interpreter} lacks packages of mediapipe: {why}")
        folder, versions = json.loads(found.stdout)
        networks = {}
        for name, (file, sha256) in NETWORKS.items():
            networks[name] = path = Path(folder) / "modules" / file
            if not path.is_file() or sha256_of(path) != sha256:
                raise EstimatorUnavailable(
                    f"{path} is not the network of mediapipe 0.10.21 with sha256 {sha256}: delete "
                    f"{isolated.folder('mediapipe')} and run `python -m benchmark.run setup "
                    "mediapipe`"
                )
        return interpreter, networks, versions


@dataclass(frozen=True, eq=False)
class _Session:
    worker: LastingWorker
    work: Path  # a folder for pictures and landmarks in passing
    body: BodyPoints

    def estimate(self, clip: ClipVideo) -> Estimate:
        """Estimate one clip; frames without a person are interpolated, or held at the ends.

        The diagnostics are the share of frames with a person (``found``), the people in the first
        of them (``people``), the median distance of visible landmarks from those of the motion
        (``reprojection_px``), and the mean visibility.

        Raises:
            EstimateError: this clip cannot be estimated.
        """
        video = _probed(clip)
        seen, people = self._look(clip, video)
        num_frames, found = len(clip.K), len(seen.frames) / len(clip.K)
        if found < _LEAST_FOUND:
            raise EstimateError(
                "no_person",
                f"a person is in {len(seen.frames)} of {num_frames} frames; half are needed",
            )
        size = (video.width, video.height)
        try:
            result = fit.fit(seen, clip.K[seen.frames], size=size, fps=clip.fps, body=self.body)
        except ValueError as error:
            raise EstimateError("nan", f"the fit is no motion: {error}") from error
        height = float(np.median(seen.crop_size)) / _MARGIN
        # Also refused where it is NaN: no landmark is visible.
        if not result.reprojection_px <= _LARGEST_REPROJECTION * height:
            raise EstimateError(
                "no_person",
                f"the track is lost: landmarks are {result.reprojection_px:.1f} pixels off the "
                f"body, of a person {height:.0f} pixels high",
            )
        return Estimate(
            fill(result.motion, seen.frames, num_frames),
            diagnostics={
                "found": found,
                "people": people,
                "reprojection_px": result.reprojection_px,
                "visibility": float(seen.visibility.mean()),
            },
        )

    def hello(self) -> None:
        """Start the process if it does not run.

        Raises:
            EstimatorUnavailable: it does not start.
        """
        try:
            self.worker.hello()
        except WorkerError as error:
            raise EstimatorUnavailable(f"mediapipe does not start: {error}") from error

    def _look(self, clip: ClipVideo, video: VideoInfo) -> tuple[Landmarks, int]:
        """Landmarks of a clip, and the people in it; a process that dies is asked once more."""
        for last in (False, True):
            try:
                self.hello()
                return self._look_once(clip, video)
            except VideoError as error:
                raise EstimateError("decode_error", str(error)) from error
            except WorkerFailed as error:
                raise EstimateError("error", str(error)) from error
            except WorkerTimeout as error:
                raise EstimateError("timeout", f"mediapipe: {error}") from error
            except WorkerGone as error:
                if last:
                    raise EstimateError("error", f"mediapipe, twice: {error}") from error
        raise AssertionError

    def _look_once(self, clip: ClipVideo, video: VideoInfo) -> tuple[Landmarks, int]:
        pictures, out = self.work / "pictures.npy", self.work / "landmarks.npz"
        frames = read_frames(clip.video, range(len(clip.K)), info=video)
        pieces: list[dict[str, np.ndarray]] = []
        while piece := list(islice(frames, _PIECE)):
            np.save(pictures, np.stack(piece))
            request = {"pictures": str(pictures), "out": str(out), "first": not pieces}
            people = self.worker.request(request, timeout=_SECONDS)["people"]
            with np.load(out) as file:
                pieces.append({name: file[name] for name in file.files})
        whole = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
        seen, numbers = whole["seen"], [point.number for point in POINTS]
        return Landmarks(
            frames=np.flatnonzero(seen),
            image=whole["image"][seen][:, numbers],
            world=whole["world"][seen][:, numbers],
            visibility=whole["visibility"][seen][:, numbers],
            centre=whole["crop"][seen, :2],
            crop_size=whole["crop"][seen, 2],
        ), people


def _probed(clip: ClipVideo) -> VideoInfo:
    try:
        video = probe(clip.video)
    except VideoError as error:
        raise EstimateError("decode_error", str(error)) from error
    if video.num_frames != len(clip.K):
        raise EstimateError(
            "decode_error", f"{video.num_frames} pictures in the video, {len(clip.K)} in the index"
        )
    return video


ESTIMATOR = MediapipeEstimator
