"""A running GVHMR: clips staged for its process, and what comes back as motions."""

import os
import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from datasets.estimators import ClipVideo, Estimate, EstimateError, EstimatorUnavailable
from datasets.estimators.external import see_only
from datasets.estimators.gaps import fill
from datasets.motion import Motion
from datasets.tools.isolated import tool_environment
from datasets.tools.isolated.worker import (
    LastingWorker,
    Worker,
    WorkerError,
    WorkerFailed,
    WorkerGone,
    WorkerTimeout,
)
from datasets.video.files import VideoError, read_video, write_video

FPS = 30  # the network's
_NEAR = 1.5  # frames per second off `FPS` up to which the package takes a video as it is
_SCRIPT = Path(__file__).parent / "gvhmr_worker.py"
_START_SECONDS = 600
_CLIP_SECONDS = 3600  # a picture takes half a minute on a CPU


@dataclass
class GvhmrSession:
    """The tool's process on one device, and its working folder; a context manager."""

    python: Path  # the interpreter of the tool's environment
    device: str  # ``cpu``, ``cuda`` or ``cuda:N``
    weights: Path  # the folder of the package's weights
    bodies: Path  # the folder of the body models
    denoiser: Path  # the denoiser's checkpoint
    preprocess: Path | None  # a folder of caches by clip id, or None
    _clips: int = field(default=0, init=False)

    def __enter__(self) -> "GvhmrSession":
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="gvhmr-"))
            self._work = Path(folder)
            self._worker = stack.enter_context(LastingWorker(self._make))
            found = self._hello()["device"]
            if found != self.device.partition(":")[0]:
                raise EstimatorUnavailable(
                    f"gvhmr would run on {found}, not on {self.device}: the torch of {self.python} "
                    "does not see that device"
                )
            self._held = stack.pop_all()
        return self

    def __exit__(self, kind, error, trace) -> None:
        self._held.close()

    def estimate(self, clip: ClipVideo) -> Estimate:
        """Estimate one clip.

        Clips that are not at 30 fps are re-timed to it, every picture of the 30 fps video being
        the clip's nearest. Each frame of the clip gets the estimate of a picture that shows it;
        where the clip is faster, frames that are not shown are interpolated, and counted in the
        diagnostics (``frames_interpolated``): accelerations of such a motion are biased, zero at
        these frames and too large between them.

        Raises:
            EstimateError: this clip cannot be estimated.
        """
        num_frames = len(clip.K)
        if num_frames < 2:
            raise EstimateError("too_short", f"{num_frames} frame; GVHMR needs two")
        self._clips += 1
        name = f"clip{self._clips}"  # a clip's own name may be anything, also to the package
        try:
            shown, picture = retimed(num_frames, clip.fps)
            self._stage(clip, shown, name)
            self._ask(clip, name)
            with np.load(self._work / name / "result.npz") as file:
                result = {key: file[key] for key in file.files}
        finally:
            for path in self._work.glob(f"{name}.*"):
                path.unlink()
            shutil.rmtree(self._work / name, ignore_errors=True)
        return _read(result, clip, shown, picture)

    def _stage(self, clip: ClipVideo, shown: np.ndarray, name: str) -> None:
        """Put a video at 30 fps and its K into the working folder."""
        video = self._work / f"{name}.mp4"
        if np.array_equal(shown, np.arange(len(clip.K))):
            video.symlink_to(clip.video.absolute())
        else:
            try:
                write_video(video, read_video(clip.video)[shown], fps=FPS)
            except (VideoError, IndexError) as error:
                raise EstimateError("decode_error", str(error)) from error
        np.savez(self._work / f"{name}.npz", K=np.asarray(clip.K, np.float64)[shown])

    def _ask(self, clip: ClipVideo, name: str) -> None:
        """Have the tool write its result; a process that dies is replaced, and asked once more.

        Raises:
            EstimateError: it says that it cannot, or gives no answer.
            EstimatorUnavailable: it does not start again.
        """
        request = {
            "name": name,
            "static": clip.static_camera is True,
            "focal": float(np.median(clip.K[:, 0, 0])),
            "preprocess": self._preprocess(clip.clip_id),
        }
        for last in (False, True):
            try:
                self._hello()
                answer = self._worker.request(request, timeout=_CLIP_SECONDS)
                break
            except WorkerFailed as error:
                raise EstimateError("error", str(error)) from error
            except WorkerGone as error:
                shutil.rmtree(self._work / name, ignore_errors=True)
                if isinstance(error, WorkerTimeout):
                    raise EstimateError("timeout", f"GVHMR: {error}") from error
                if last:
                    raise EstimateError("error", f"GVHMR, twice: {error}") from error
        if answer["status"] != "ok":
            raise EstimateError(answer["status"], answer["reason"])

    def _preprocess(self, clip_id: str) -> str | None:
        if self.preprocess is None:
            return None
        root = Path(self.preprocess).resolve()
        folder = (root / clip_id).resolve()
        return str(folder) if folder.is_relative_to(root) and folder.is_dir() else None

    def _hello(self) -> dict:
        try:
            return self._worker.hello()
        except WorkerError as error:
            raise EstimatorUnavailable(f"gvhmr does not start: {error}") from error

    def _make(self) -> Worker:
        options = {"work": str(self._work), "checkpoint": str(self.denoiser)}
        return Worker(
            self.python, _SCRIPT, env=self._env(), options=options, timeout=_START_SECONDS
        )

    def _env(self) -> dict[str, str]:
        """All that the tool's process knows of the world outside."""
        home = str(self._work)
        return see_only(self.device, tool_environment(self._work)) | {
            "YOLO_CONFIG_DIR": home,
            "MPLCONFIGDIR": home,
            "GVHMR_CHECKPOINTS": str(self.weights),
            "GVHMR_BODY_MODELS": str(self.bodies),
            "GVHMR_DATA_ROOT": home,
            "GVHMR_CONFIG": os.devnull,  # a user's settings for the package must not change results
            "GVHMR_DEVICE": self.device.partition(":")[0],
            "GVHMR_PREPROC_FP32": "1",
            # Missing files were reported before; nothing is fetched, installed or sent anywhere.
            "YOLO_OFFLINE": "1",
            "YOLO_AUTOINSTALL": "0",
        }


def retimed(num_frames: int, fps: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the conversion of a clip to a video at 30 fps, and back.

    Up to 30 fps every frame of the clip is in the video, above it some are not.

    Returns:
        (L,) the frame of the clip that each picture shows, the nearest in time; and (T,) the
        picture that is nearest in time to each frame of the clip.
    """
    frames = np.arange(num_frames)
    if abs(fps - FPS) <= _NEAR:
        return frames, frames
    pictures = np.arange(max(2, _nearest(num_frames * FPS / fps)))
    rows = _nearest(pictures * fps / FPS).clip(max=num_frames - 1)
    return rows, _nearest(frames * FPS / fps).clip(max=len(pictures) - 1)


def _nearest(times: np.ndarray | float) -> np.ndarray:
    # Halves go up: rounding to even would show every other frame of 15 fps three times.
    return np.floor(np.asarray(times) + 0.5).astype(int)


def _read(
    result: dict[str, np.ndarray], clip: ClipVideo, shown: np.ndarray, picture: np.ndarray
) -> Estimate:
    """The motions of the clip's own frames, from the package's arrays of the 30 fps pictures."""
    if not all(np.isfinite(array).all() for array in result.values() if array.dtype.kind == "f"):
        raise EstimateError("nan", "GVHMR's result is not finite")
    if not np.allclose(result["intrinsics"], clip.K[shown], rtol=1e-5):
        raise EstimateError("error", "GVHMR used other intrinsics than the clip's")
    for name in ("body_pose", "betas"):
        if not np.array_equal(result[f"camera_{name}"], result[f"world_{name}"]):
            raise EstimateError("error", f"GVHMR's camera and world motions differ in {name}")
    known = np.flatnonzero(shown[picture] == np.arange(len(picture)))
    rows = picture[known]
    motions = []
    for space in ("camera", "world"):
        parts = {
            name: result[f"{space}_{name}"][rows]
            for name in ("body_pose", "global_orient", "transl")
        }
        try:
            motion = Motion(**parts, betas=result[f"{space}_betas"][0], fps=clip.fps, space=space)
        except ValueError as error:
            raise EstimateError("error", f"GVHMR's result is no motion: {error}") from error
        motions.append(fill(motion, known, len(picture)))
    return Estimate(
        *motions,
        diagnostics={
            "keypoint_confidence": float(result["kp2d"][..., 2].mean()),
            "box_size_px": float(np.median(result["bbx_xys"][:, 2])),
            "frames_interpolated": len(picture) - len(known),
        },
    )
