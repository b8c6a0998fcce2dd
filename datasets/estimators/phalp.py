"""4D-Humans: HMR2.0 tracked by PHALP, video -> SMPL motion in the camera.

Goel et al., "Humans in 4D" (ICCV 2023), run by the ``track.py`` of the user's own installation
(`datasets.estimators.phalp_worker`), which needs a CUDA GPU, detectron2 and SMPL and cannot be
installed from a package index. What it writes is read by `datasets.adapters.formats.phalp_file`.

HMR2.0 knows no camera: it assumes one, with which its metric depth means nothing. The translation
is brought to the clip's intrinsics such that the pelvis stays where it is in the picture; errors
relative to the pelvis do not depend on that.

Frames in which the person is not seen are interpolated, and counted in the diagnostics
(``frames_interpolated``): accelerations of such a motion are biased, zero within a gap and too
large at its ends.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datasets.adapters.formats.phalp_file import FOCAL_PER_PIXEL, NobodySeen, PhalpTrack, read_track
from datasets.estimators import ClipVideo, Estimate, EstimateError, EstimatorUnavailable
from datasets.estimators.external import checked_sha256, see_only
from datasets.estimators.gaps import fill
from datasets.motion import Motion
from datasets.rotation import matrix_to_axis_angle
from datasets.sequence import finite_rows
from datasets.tools.isolated.worker import LastingWorker, Worker, WorkerError, WorkerTimeout
from datasets.video.files import VideoError, probe

ENV_PYTHON = "PHALP_PYTHON"
ENV_HOME = "PHALP_HOME"
# HMR2.0b, below the home folder.
_CHECKPOINT = ".cache/4DHumans/logs/train/multiruns/hmr2/0/checkpoints/epoch=35-step=1000000.ckpt"
_PAGE = "https://github.com/shubham-goel/4D-Humans"
MAX_GAP = 1.0  # seconds without the person that are still interpolated
# Up to this share of the images others may be in the picture: people who pass by, false alarms.
# With somebody there for most of the clip, the largest person need not be the one that is meant.
MAX_CROWDED = 0.5
_SCRIPT = Path(__file__).parent / "phalp_worker.py"
_START_SECONDS = 1800
_SECONDS = 3600  # for a clip


@dataclass(frozen=True)
class PhalpEstimator:
    """4D-Humans as its authors run it on videos."""

    name = "phalp"
    note = (
        "4D-Humans (HMR2.0 tracked by PHALP): SMPL of the largest person, frame by frame and not "
        "smoothed; its depth is not metric"
    )

    def identity(self) -> dict[str, str]:
        """sha256 of the program and of HMR2.0's weights, settings.

        Raises:
            EstimatorUnavailable: see `preflight`.
        """
        _, track, checkpoint = self.preflight()
        return {
            "track.py": checked_sha256(track),
            "checkpoint": checked_sha256(checkpoint),
            "person": f"largest summed area; none where others are in {MAX_CROWDED:.0%} of images",
            "missing": f"interpolated up to {MAX_GAP:g} s",
            "K": "of the clip, depth scaled by the focal length",
        }

    def preflight(self) -> tuple[Path, Path, Path]:
        """Return the interpreter, ``track.py`` and HMR2.0's checkpoint; starts nothing.

        Raises:
            EstimatorUnavailable: what is missing, and how to get it.
        """
        python, home = os.environ.get(ENV_PYTHON), os.environ.get(ENV_HOME)
        if not python or not home:
            raise EstimatorUnavailable(
                f"install 4D-Humans with PHALP ({_PAGE}; it needs a CUDA GPU) in an environment of "
                f"its own, set ${ENV_PYTHON} to that environment's python and ${ENV_HOME} to the "
                "folder with its track.py"
            )
        track = Path(home).absolute() / "track.py"
        checkpoint = Path.home() / _CHECKPOINT
        for path, cure in (
            (Path(python).absolute(), f"correct ${ENV_PYTHON}"),
            (track, f"correct ${ENV_HOME}"),
            (checkpoint, f"run 4D-Humans' demo once, which fetches it ({_PAGE})"),
        ):
            if not path.is_file():
                raise EstimatorUnavailable(f"phalp cannot run: no {path}: {cure}")
        return Path(python).absolute(), track, checkpoint

    @contextmanager
    def start(self, device: str) -> Iterator["PhalpSession"]:
        """Load the networks on a GPU, once for many clips.

        Raises:
            EstimatorUnavailable: see `preflight`; the device is not a GPU; or it does not start.
        """
        python, track, _ = self.preflight()
        if not device.startswith("cuda"):
            raise EstimatorUnavailable(f"phalp runs on CUDA GPUs only, not on {device}")
        with tempfile.TemporaryDirectory(prefix="phalp-") as folder:
            env = {**see_only(device, os.environ), "TMPDIR": folder}
            options = {"home": str(track.parent), "out": folder}

            def make() -> Worker:
                return Worker(python, _SCRIPT, env=env, options=options, timeout=_START_SECONDS)

            with LastingWorker(make) as worker:
                try:
                    worker.hello()
                except WorkerError as error:
                    raise EstimatorUnavailable(f"4D-Humans does not start: {error}") from error
                yield PhalpSession(worker, Path(folder))


@dataclass(frozen=True)
class PhalpSession:
    """The running tool; after a clip at which it died it is loaded again.

    Attributes:
        worker: its process.
        work: a folder for what goes between.
    """

    worker: LastingWorker
    work: Path

    def estimate(self, clip: ClipVideo) -> Estimate:
        """Estimate one clip.

        Raises:
            EstimateError: this clip cannot be estimated.
        """
        try:
            info = probe(clip.video)
        except VideoError as error:
            raise EstimateError("decode_error", str(error)) from error
        with tempfile.TemporaryDirectory(dir=self.work) as folder:
            video = Path(folder) / "clip.mp4"  # a name without what it would cut or misread
            video.symlink_to(clip.video.absolute())
            output = self._track(video, Path(folder))
            # It catches its own errors: only the file tells.
            result = Path(folder) / "results" / "demo_clip.pkl"
            if not result.is_file():
                raise EstimateError("error", f"PHALP wrote no result; it said: {output}")
            try:
                track = read_track(result)
            except NobodySeen:
                raise EstimateError("no_person", "PHALP sees nobody") from None
            except ValueError as error:
                raise EstimateError("error", str(error)) from error
        if track.crowded > MAX_CROWDED:
            raise EstimateError(
                "multi_person", f"PHALP sees others in {track.crowded:.0%} of the person's images"
            )
        return Estimate(
            to_motion(track, clip, info.width, info.height),
            diagnostics={
                "frames_interpolated": len(clip.K) - len(track.images),
                "people": track.num_people,
            },
        )

    def _track(self, video: Path, out: Path) -> str:
        """Run the tool on a video, and return the last it said."""
        request = {"video": str(video), "out": str(out)}
        try:
            output = self.worker.request(request, timeout=_SECONDS)["said"]
        except WorkerTimeout:
            raise EstimateError("timeout", f"PHALP took more than {_SECONDS} s") from None
        except WorkerError as error:
            raise EstimateError("error", f"PHALP: {error}") from error
        return " ".join(output.split())[-500:]


def to_motion(track: PhalpTrack, clip: ClipVideo, width: int, height: int) -> Motion:
    """A track as the motion of all frames of a clip, in the camera with the clip's intrinsics.

    Betas are the mean over the track. Frames without the person are interpolated (`gaps.fill`),
    and held before the first and after the last one with it. Width and height are of the clip's
    video, in pixels.

    Raises:
        EstimateError: the person is missing for more than a second, or the numbers are no motion.
    """
    num_frames = len(clip.K)
    known = track.images - 1
    if known[0] < 0:
        raise EstimateError("error", "PHALP numbered the images from 0, not from 1")
    if known[-1] >= num_frames:
        raise EstimateError("error", f"PHALP saw more than the clip's {num_frames} frames")
    longest = int(np.diff(known, prepend=-1, append=num_frames).max()) - 1
    if longest > MAX_GAP * clip.fps:
        raise EstimateError(
            "no_person", f"PHALP does not see the person for {longest} of {num_frames} frames"
        )
    if not finite_rows(track.global_orient, track.body_pose, track.betas, track.camera).all():
        raise EstimateError("nan", "PHALP's result is not finite")
    try:
        motion = Motion(
            body_pose=matrix_to_axis_angle(track.body_pose).reshape(-1, 69),
            global_orient=matrix_to_axis_angle(track.global_orient).reshape(-1, 3),
            betas=track.betas.mean(0),
            transl=_translation(track, clip.K[known], width, height),
            fps=clip.fps,
            space="camera",
            body="smpl",
        )
    except ValueError as error:
        raise EstimateError("error", f"PHALP's result is no motion: {error}") from error
    return fill(motion, known, num_frames)


def _translation(track: PhalpTrack, K: np.ndarray, width: int, height: int) -> np.ndarray:
    """SMPL's translations (n, 3) in front of cameras with K (n, 3, 3) instead of PHALP's own.

    A point (x, y, z) is at pixel focal * x / z + size / 2 of PHALP's picture. The same size in the
    picture needs the depth z * f / focal, and the same pixel then gives x and y. The point is the
    pelvis, or SMPL's origin where the file has no joints.
    """
    rest = np.zeros((1, 3)) if track.pelvis_rest is None else track.pelvis_rest.astype(np.float64)
    point = track.camera.astype(np.float64) + rest
    K = K.astype(np.float64)
    own = FOCAL_PER_PIXEL * max(width, height)
    pixels = own * point[:, :2] / point[:, 2:] + np.array([width, height]) / 2
    focal = K[:, [0, 1], [0, 1]]
    depth = point[:, 2:] * focal[:, :1] / own
    moved = np.concatenate([(pixels - K[:, :2, 2]) / focal * depth, depth], axis=1)
    return moved - rest.mean(0)  # J0 of the mean betas: it is linear in them


ESTIMATOR = PhalpEstimator
