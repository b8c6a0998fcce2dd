"""SeedVR: optional restoration of finished videos, in the user's own installation.

Wang et al., "SeedVR: Seeding Infinity in Diffusion Transformer Towards Generic Video Restoration"
(CVPR 2025), the 3B model with 50 steps, by the repository's own ``inference_seedvr_3b.py``; it
needs a CUDA GPU. ``$SEEDVR_HOME`` is the clone, ``$SEEDVR_PYTHON`` its environment's interpreter.
It unpickles its weights as they are: take them from their owners only. Without an installation
videos stay as they are; what comes back says which, as numbers with and without it do not compare.
"""

import os
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path

from datasets.tools.isolated import ToolMissing, command_worker, tool_environment
from datasets.tools.isolated.worker import Worker, WorkerError, WorkerTimeout
from datasets.video.files import VideoError, probe

ENV_PYTHON = "SEEDVR_PYTHON"
ENV_HOME = "SEEDVR_HOME"
_PAGE = "https://github.com/ByteDance-Seed/SeedVR"
_PROGRAM = "projects/inference_seedvr_3b.py"
# Where the program looks, below its folder.
_FILES = (
    _PROGRAM,
    "configs_3b/main.yaml",
    "ckpts/seedvr_ema_3b.pth",
    "ckpts/ema_vae.pth",
    "pos_emb.pt",
    "neg_emb.pt",
)
_COLOUR = "projects/video_diffusion_sr/color_fix.py"  # not part of the repository
_SCRIPT = Path(command_worker.__file__)
_START_SECONDS = 60


class EnhanceError(RuntimeError):
    """A video could not be enhanced; the message is one line."""


@dataclass(frozen=True, kw_only=True)
class SeedVR:
    """An installation.

    Attributes:
        python: the interpreter of its environment.
        home: the folder of the clone, with the weights where it looks for them.
        timeout: seconds for a video, with the loading of the networks.
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
            raise ToolMissing(f"SeedVR lacks {', '.join(missing)} (from {_PAGE})")

    @property
    def note(self) -> str:
        """One line: what makes the pixels."""
        colour = "with" if (self.home / _COLOUR).is_file() else "without"
        return f"enhanced by SeedVR 3B (50 steps, {colour} its colour correction)"


@dataclass(frozen=True)
class Enhanced:
    """A video to go on with.

    Attributes:
        video: its file.
        note: one line: what made its pixels.
    """

    video: Path
    note: str


def enhance(
    video: Path, out: Path, *, tool: SeedVR | None, size: tuple[int, int], seed: int
) -> Enhanced:
    """Enhance a video, or leave it as it is.

    Args:
        video: an mp4.
        out: of the mp4 to write; it appears when it is complete, and not at all if anything fails.
        tool: the installation; with None `video` itself is returned and nothing is written.
        size: height and width in pixels. The video is brought to that area, whatever its own, and
            cut to multiples of 16.
        seed: of the noise.

    Raises:
        ToolMissing: files of the installation are missing.
        EnhanceError: the tool fails, takes too long, or writes another number of frames.
        VideoError: `video` is not one.
    """
    if tool is None:
        return Enhanced(video, "not enhanced: no SeedVR is installed")
    tool.preflight()
    num_frames = probe(video).num_frames
    # Beside `out`, so that the result can be renamed into place.
    with tempfile.TemporaryDirectory(prefix=".seedvr-", dir=out.parent) as folder:
        source, target = (Path(folder).absolute() / name for name in ("given", "made"))
        source.mkdir()  # the program takes everything in it for a video
        (source / "clip.mp4").symlink_to(video.absolute())
        output = _run(tool, source, target, size, seed)
        result = target / "clip.mp4"
        if not result.is_file():
            raise EnhanceError(f"SeedVR wrote no video; it said: {output}")
        try:
            found = probe(result).num_frames
        except VideoError as error:
            raise EnhanceError(f"SeedVR's video cannot be read: {error.why}") from error
        if found != num_frames:
            raise EnhanceError(f"SeedVR's video has {found} frames instead of {num_frames}")
        os.replace(result, out)
    return Enhanced(out, tool.note)


def _run(tool: SeedVR, given: Path, made: Path, size: tuple[int, int], seed: int) -> str:
    """Run the program on all videos of a folder, and return the last it said."""
    options = {
        "--video_path": given,
        "--output_dir": made,
        "--seed": seed,
        "--res_h": size[0],
        "--res_w": size[1],
        "--sp_size": 1,
    }
    words = [str(word) for option in options.items() for word in option]
    # What torchrun sets up for one process. Itself it would start the program in a session of its
    # own, which would outlive a timeout, and us.
    process = {
        "RANK": "0",
        "LOCAL_RANK": "0",
        "WORLD_SIZE": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        # `python FILE` finds modules beside the file; the program wants those of its own folder.
        "PYTHONPATH": str(tool.home),
    }
    worker = Worker(
        tool.python,
        _SCRIPT,
        env=tool_environment(given.parent) | process,
        options={"folder": str(tool.home)},
        timeout=_START_SECONDS,
    )
    try:
        with worker:
            command = [str(tool.python), _PROGRAM, *words]
            output = worker.request({"command": command}, timeout=tool.timeout)["said"]
    except WorkerTimeout:
        raise EnhanceError(f"SeedVR took more than {tool.timeout:g} s") from None
    except WorkerError as error:
        raise EnhanceError(f"SeedVR: {error}") from error
    return " ".join(output.split())[-500:]


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
