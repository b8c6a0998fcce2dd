"""4D-Humans: HMR2.0 tracked by PHALP, video -> SMPL motion in the camera.

Goel et al., "Humans in 4D" (ICCV 2023), run by the ``track.py`` of the user's own installation,
which needs a CUDA GPU, detectron2 and SMPL and cannot be installed from a package index. What it
writes is read by `datasets.phalp_file`.

HMR2.0 knows no camera: it assumes one, with which its metric depth means nothing. The translation
is brought to the clip's intrinsics such that the person stays where it is in the picture; errors
relative to the pelvis do not depend on that.
"""

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datasets.estimators import ClipVideo, Estimate, EstimateError, EstimatorUnavailable
from datasets.estimators.external import checked_sha256, see_only
from datasets.estimators.gaps import fill
from datasets.motion import Motion
from datasets.phalp_file import FOCAL_PER_PIXEL, NobodySeen, PhalpTrack, read_track
from datasets.rotation import matrix_to_axis_angle
from datasets.sequence import finite_rows
from datasets.video import VideoError, probe

ENV_PYTHON = "PHALP_PYTHON"
ENV_HOME = "PHALP_HOME"
# HMR2.0b, below the home folder.
_CHECKPOINT = ".cache/4DHumans/logs/train/multiruns/hmr2/0/checkpoints/epoch=35-step=1000000.ckpt"
_PAGE = "https://github.com/shubham-goel/4D-Humans"
MAX_GAP = 1.0  # seconds without the person that are still interpolated
_SECONDS = 3600  # for a clip, with the loading of the models


@dataclass(frozen=True)
class PhalpEstimator:
    """4D-Humans as its authors run it on videos; one process a clip."""

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
            "person": "largest summed area",
            "missing": f"interpolated up to {MAX_GAP:g} s",
            "K": "of the clip, depth scaled by the focal length",
        }

    def preflight(self) -> tuple[Path, Path, Path]:
        """The interpreter, ``track.py`` and HMR2.0's checkpoint; starts nothing.

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
        """Check the installation and the device; PHALP itself starts with every clip.

        Raises:
            EstimatorUnavailable: see `preflight`; or the device is not a GPU.
        """
        python, track, _ = self.preflight()
        if not device.startswith("cuda"):
            raise EstimatorUnavailable(f"phalp runs on CUDA GPUs only, not on {device}")
        yield PhalpSession(python, track, see_only(device, os.environ))


@dataclass(frozen=True)
class PhalpSession:
    """Runs ``track.py`` clip by clip.

    Attributes:
        python: the interpreter of its environment.
        track: the script.
        env: environment variables.
    """

    python: Path
    track: Path
    env: dict[str, str]

    def estimate(self, clip: ClipVideo) -> Estimate:
        """Estimate one clip.

        Raises:
            EstimateError: this clip cannot be estimated.
        """
        try:
            info = probe(clip.video)
        except VideoError as error:
            raise EstimateError("decode_error", str(error)) from error
        with tempfile.TemporaryDirectory(prefix="phalp-") as folder:
            video = Path(folder) / "clip.mp4"  # a name without what it would cut or misread
            video.symlink_to(clip.video.absolute())
            said = self._run(video, Path(folder))
            # It catches its own errors and exits with 0: only the file tells.
            result = Path(folder) / "results" / "demo_clip.pkl"
            if not result.is_file():
                raise EstimateError("error", f"PHALP wrote no result; it said: {said}")
            try:
                track = read_track(result)
            except NobodySeen:
                raise EstimateError("no_person", "PHALP sees nobody") from None
            except ValueError as error:
                raise EstimateError("error", str(error)) from error
        return Estimate(
            to_motion(track, clip, info.width, info.height),
            diagnostics={
                "seen": len(track.images) / len(clip.K),
                "people": float(track.num_people),
            },
        )

    def _run(self, video: Path, out: Path) -> str:
        """Run the tool, and return the last it said."""
        options = {
            "video.source": video,
            "video.output_dir": out,
            "video.end_frame": -1,  # else frames from 1300 on are dropped
            "render.enable": False,
            "overwrite": True,
        }
        command = [self.python, self.track, *(f"{key}={value}" for key, value in options.items())]
        with (out / "said.txt").open("w+b") as said:
            process = subprocess.Popen(
                command,
                cwd=self.track.parent,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,  # so that its children can be ended with it
            )
            try:
                process.wait(_SECONDS)
            except subprocess.TimeoutExpired:
                raise EstimateError("timeout", f"PHALP took more than {_SECONDS} s") from None
            finally:
                if process.poll() is None:
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
            said.seek(0)
            words = said.read().decode(errors="replace").split()
        return " ".join(words)[-500:]


def to_motion(track: PhalpTrack, clip: ClipVideo, width: int, height: int) -> Motion:
    """A track as the motion of all frames of a clip, in the camera with the clip's intrinsics.

    Betas are the mean over the track. Frames without the person are interpolated (`gaps.fill`).

    Args:
        track: of the clip's video.
        clip: T frames.
        width: of the video, in pixels.
        height: of the video, in pixels.

    Raises:
        EstimateError: the person is missing for more than a second, or the numbers are no motion.
    """
    num_frames = len(clip.K)
    known = track.images - 1
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
            transl=_translation(track.camera, clip.K[known], width, height),
            fps=clip.fps,
            space="camera",
            body="smpl",
        )
    except ValueError as error:
        raise EstimateError("error", f"PHALP's result is no motion: {error}") from error
    return fill(motion, known, num_frames)


def _translation(camera: np.ndarray, K: np.ndarray, width: int, height: int) -> np.ndarray:
    """PHALP's translations (N, 3) for its own camera, in front of cameras with K (N, 3, 3) instead.

    A point (x, y, z) is at pixel focal * x / z + size / 2 of PHALP's picture. The same size in the
    picture needs the depth z * f / focal, and the same pixel then gives x and y.
    """
    own = FOCAL_PER_PIXEL * max(width, height)
    camera, K = camera.astype(np.float64), K.astype(np.float64)
    pixels = own * camera[:, :2] / camera[:, 2:] + np.array([width, height]) / 2
    focal = K[:, [0, 1], [0, 1]]
    depth = camera[:, 2:] * focal[:, :1] / own
    return np.concatenate([(pixels - K[:, :2, 2]) / focal * depth, depth], axis=1)


ESTIMATOR = PhalpEstimator
