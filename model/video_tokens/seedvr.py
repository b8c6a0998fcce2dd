"""SeedVR: optional restoration of finished videos, in the user's own installation.

Wang et al., "SeedVR: Seeding Infinity in Diffusion Transformer Towards Generic Video Restoration"
(CVPR 2025), the 3B model with 50 steps, by the repository's own ``inference_seedvr_3b.py``; it
needs a CUDA GPU. ``$SEEDVR_HOME`` is the clone, ``$SEEDVR_PYTHON`` its environment's interpreter.
It unpickles its weights as they are: take them from their owners only; a file ``NAME.sha256``
beside one of them pins it. Numbers with and without it do not compare: say which with `note`.
"""

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from datasets.estimators import EstimatorUnavailable
from datasets.estimators.external import checked_sha256, see_only
from datasets.tools.isolated import ToolMissing, tool_environment
from datasets.tools.isolated.worker import LastingWorker, Worker, WorkerError, WorkerTimeout
from datasets.video.files import VideoError, probe

ENV_PYTHON = "SEEDVR_PYTHON"
ENV_HOME = "SEEDVR_HOME"
PAGE = "https://github.com/ByteDance-Seed/SeedVR"
PROGRAM = "projects/inference_seedvr_3b.py"
# Where the program looks, below its folder.
WEIGHTS = ("ckpts/seedvr_ema_3b.pth", "ckpts/ema_vae.pth", "pos_emb.pt", "neg_emb.pt")
_FILES = (PROGRAM, "configs_3b/main.yaml", *WEIGHTS)
_COLOUR = "projects/video_diffusion_sr/color_fix.py"  # not part of the repository
_SCRIPT = Path(__file__).parent / "seedvr_worker.py"
_START_SECONDS = 1800
_RATE_ERROR = 0.01  # of a file that is said to have the same frames per second


class EnhanceError(RuntimeError):
    """A video could not be enhanced; the message is one line."""


@dataclass(frozen=True, kw_only=True)
class SeedVR:
    """An installation.

    Attributes:
        python: the interpreter of its environment.
        home: the folder of the clone, with the weights where it looks for them.
        timeout: seconds for a video.
    """

    python: Path
    home: Path
    timeout: float = 3600

    @classmethod
    def installed(cls) -> "SeedVR | None":
        """Return the installation that the environment names, None if it names none.

        Raises:
            ToolMissing: it names half of one, or files are missing there.
        """
        python, home = os.environ.get(ENV_PYTHON), os.environ.get(ENV_HOME)
        if not python and not home:
            return None
        if not python or not home:
            raise ToolMissing(f"set both ${ENV_PYTHON} and ${ENV_HOME} for SeedVR, or neither")
        tool = cls(python=Path(python).absolute(), home=Path(home).absolute())
        tool.preflight()
        return tool

    def preflight(self) -> None:
        """Starts nothing.

        Raises:
            ToolMissing: what is missing, and where to get it.
        """
        paths = [self.python, *(self.home / name for name in _FILES)]
        missing = [str(path) for path in paths if not path.is_file()]
        if missing:
            raise ToolMissing(f"SeedVR lacks {', '.join(missing)} (from {PAGE})")

    @property
    def note(self) -> str:
        """One line: what makes the pixels."""
        colour = "with" if self._corrects_colour else "without"
        return f"enhanced by SeedVR 3B (50 steps, {colour} its colour correction)"

    @property
    def _corrects_colour(self) -> bool:
        return (self.home / _COLOUR).is_file()

    def identity(self) -> dict[str, str]:
        """sha256 of the program, its configuration and its weights; size and seed are the call's.

        Raises:
            ToolMissing: files are missing, or one is not what it is pinned to be.
        """
        self.preflight()
        names = [*_FILES, *([_COLOUR] if self._corrects_colour else [])]
        try:
            return {name: checked_sha256(self.home / name) for name in names}
        except EstimatorUnavailable as error:
            raise ToolMissing(str(error)) from error

    @contextmanager
    def start(self, device: str) -> Iterator["SeedVRSession"]:
        """Load the networks on a GPU, once for many videos.

        Args:
            device: ``cuda`` or ``cuda:N``.

        Raises:
            ToolMissing: files of the installation are missing.
            EnhanceError: it does not start.
        """
        self.preflight()
        with tempfile.TemporaryDirectory(prefix="seedvr-") as folder:
            env = see_only(device, tool_environment(Path(folder)))

            def make() -> Worker:
                # What torchrun sets up for one process. It would start the program in a session of
                # its own, which would outlive a timeout, and us.
                process = {
                    "RANK": "0",
                    "LOCAL_RANK": "0",
                    "WORLD_SIZE": "1",
                    "MASTER_ADDR": "127.0.0.1",
                    "MASTER_PORT": str(_free_port()),
                }
                options = {"home": str(self.home)}
                return Worker(
                    self.python, _SCRIPT, env=env | process, options=options, timeout=_START_SECONDS
                )

            with LastingWorker(make) as worker:
                try:
                    worker.hello()
                except WorkerError as error:
                    raise EnhanceError(f"SeedVR does not start: {error}") from error
                yield SeedVRSession(self, worker)


@dataclass(frozen=True)
class SeedVRSession:
    """The running networks; after a video at which they died they are loaded again.

    Attributes:
        tool: the installation.
        worker: its process.
    """

    tool: SeedVR
    worker: LastingWorker

    def enhance(self, video: Path, out: Path, *, size: tuple[int, int], seed: int) -> None:
        """Enhance a video; the result depends on no other.

        Args:
            video: an mp4.
            out: of the mp4 to write, may be `video`; it appears when it is complete, and not at all
                if anything fails.
            size: height and width in pixels. The video is brought to that area, whatever its own,
                and cut to multiples of 16.
            seed: of the noise.

        Raises:
            EnhanceError: the tool fails, takes too long, or writes other frames or another rate.
            VideoError: `video` is not one.
        """
        source_info = probe(video)
        # Beside `out`, so that the result can be renamed into place.
        with tempfile.TemporaryDirectory(prefix=".seedvr-", dir=out.parent) as folder:
            source, target = (Path(folder).absolute() / name for name in ("input", "output"))
            source.mkdir()  # the program takes everything in it for a video
            (source / "clip.mp4").symlink_to(video.absolute())
            request = {
                "video_path": str(source),
                "output_dir": str(target),
                "seed": seed % 2**32,  # numpy takes no more
                "res_h": size[0],
                "res_w": size[1],
            }
            try:
                self.worker.request(request, timeout=self.tool.timeout)
            except WorkerTimeout:
                raise EnhanceError(f"SeedVR took more than {self.tool.timeout:g} s") from None
            except WorkerError as error:
                raise EnhanceError(f"SeedVR: {error}") from error
            result = target / "clip.mp4"
            if not result.is_file():
                raise EnhanceError("SeedVR wrote no video")
            try:
                found = probe(result)
            except VideoError as error:
                raise EnhanceError(f"SeedVR's video cannot be read: {error.why}") from error
            frames, rate = found.num_frames, float(found.fps)
            if frames != source_info.num_frames:
                raise EnhanceError(
                    f"SeedVR's video has {frames} frames instead of {source_info.num_frames}"
                )
            # Dynamic degree and the like are of the rate that the file says.
            if abs(rate / float(source_info.fps) - 1) > _RATE_ERROR:
                raise EnhanceError(
                    f"SeedVR's video has {rate:g} frames per second instead of "
                    f"{float(source_info.fps):g}: use the released program without --out_fps"
                )
            os.replace(result, out)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
