"""Cosmos's 7B diffusion decoder: ids of DV8x16x16 to latents of CV8x8x8 to pictures.

It runs in the user's own installation of cosmos-predict1, which has an environment of its own and
needs a CUDA GPU: ``$COSMOS_HOME`` is the clone, with the weights in ``checkpoints/`` as its own
scripts put them there, ``$COSMOS_PYTHON`` its environment's interpreter. That side is
`model.video_tokens.cosmos.diffusion_worker`. Weights are NVIDIA's (NVIDIA Open Model License).

Guidance g is the released code's: out = c + g (c - u), with c and u what the network says with and
without the ids. So g = 1 is what others call a scale of 2. The paper's "CFG scale 2" could be
either; the default takes it for the code's own g. Its "15 DDIM steps" are Euler steps here: the
released sampler has no other.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datasets.estimators.external import checked_sha256, see_only
from datasets.tools.isolated import ToolMissing, tool_environment
from datasets.tools.isolated.worker import LastingWorker, Worker, WorkerError
from model.training.config_checks import require_choice, require_count, require_number
from model.video_tokens.codec import checked_ids, like_input
from model.video_tokens.cosmos.networks import CV, DV, Release
from model.video_tokens.cosmos.tokenizer import CosmosCV
from model.video_tokens.cosmos.windows import OPTIONS, join, split

ENV_PYTHON = "COSMOS_PYTHON"
ENV_HOME = "COSMOS_HOME"
DIFFUSION = Release(
    repo="Cosmos-Predict1-7B-Decoder-DV8x16x16ToCV8x8x8-720p",
    older="Cosmos-1.0-Diffusion-7B-Decoder-DV8x16x16ToCV8x8x8",
    md5={
        "model.pt": "a30149cc3730f3142b01fd374b6076f8",
        "aux_vars.pt": "29e450d81839e82bb4bdbf12e43a74f1",
    },
)
FPS = 24  # what the released pipeline tells the network, whatever the video's own
_PAGE = "https://github.com/nvidia-cosmos/cosmos-predict1"
_SAMPLER = "cosmos_predict1/autoregressive/diffusion_decoder/model.py"
_SCRIPT = Path(__file__).parent / "diffusion_worker.py"
_START_SECONDS = 1800  # 14 GB of weights
_WINDOW_SECONDS = 3600


class DecodeError(RuntimeError):
    """A video could not be decoded; the message is one line."""


@dataclass(frozen=True, kw_only=True)
class DiffusionDecoder:
    """Settings of the decoder.

    Attributes:
        windows: A or B of `model.video_tokens.cosmos.windows`.
        guidance: g, see above.
        steps: of the sampler.
        seed: of the noise; every window of every video starts from the same.
    """

    windows: str = "B"
    guidance: float = 2.0
    steps: int = 15
    seed: int = 0

    def __post_init__(self):
        require_choice("windows", self.windows, OPTIONS)
        require_number("guidance", self.guidance, 0.0, 30.0)
        require_count("steps", self.steps, minimum=1)
        require_count("seed", self.seed, minimum=0)

    @property
    def decoder(self) -> str:
        """One line: what makes the pixels, for whoever looks at them."""
        return (
            f"Cosmos's 7B diffusion decoder (g = {self.guidance:g} of c + g (c - u), "
            f"{self.steps} Euler steps, windows {self.windows}) and CV8x8x8"
        )

    def identity(self) -> dict[str, str]:
        """Settings, and sha256 of all weights and of the sampler's program.

        Raises:
            ToolMissing: see `preflight`.
            CheckpointError: a file is not the one that it is pinned to be.
        """
        _, home = self.preflight()
        settings = {
            "windows": self.windows,
            "guidance": f"{self.guidance:g}",
            "steps": str(self.steps),
            "seed": str(self.seed),
            "fps": str(FPS),
        }
        files = {
            f"{release.repo}/{name}": found
            for release in (DIFFUSION, CV)
            for name, found in release.identity(_folder(home, release)).items()
        }
        return {**settings, "sampler": checked_sha256(home / _SAMPLER), **files}

    def preflight(self) -> tuple[Path, Path]:
        """Return the interpreter and the installation, once all files are there; starts nothing.

        Raises:
            ToolMissing: what is missing, where it belongs and where to get it.
        """
        python, home = os.environ.get(ENV_PYTHON), os.environ.get(ENV_HOME)
        if not python or not home:
            raise ToolMissing(
                f"install cosmos-predict1 ({_PAGE}; it needs a CUDA GPU) in an environment of its "
                f"own, set ${ENV_PYTHON} to that environment's python and ${ENV_HOME} to the clone"
            )
        interpreter, root = Path(python).absolute(), Path(home).absolute()
        problems = []
        if not interpreter.is_file():
            problems.append(f"no {interpreter}: correct ${ENV_PYTHON}")
        if not (root / _SAMPLER).is_file():
            problems.append(f"no {root / _SAMPLER}: correct ${ENV_HOME}")
        # The network's configuration loads DV's, too.
        problems += [found for r in (DIFFUSION, CV, DV) if (found := r.missing(_folder(root, r)))]
        if problems:
            raise ToolMissing(f"the diffusion decoder cannot run: {'; '.join(problems)}")
        return interpreter, root

    @contextmanager
    def start(self, device: str) -> Iterator["DiffusionSession"]:
        """Load the networks on a device.

        Args:
            device: ``cuda`` or ``cuda:N``; one of 80 GB holds both.

        Raises:
            ToolMissing: see `preflight`.
            CheckpointError: CV8x8x8's files are not what they should be.
            DecodeError: the installation does not start, or does not see the device.
        """
        python, home = self.preflight()
        weights = _folder(home, DIFFUSION)
        with ExitStack() as stack:
            work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cosmos-")))
            options = {
                "home": str(home),
                "weights": str(weights / "model.pt"),
                "context": str(weights / "aux_vars.pt"),
            }
            pixels = CosmosCV.load(_folder(home, CV), device)
            env = see_only(device, tool_environment(work))

            def make() -> Worker:
                return Worker(python, _SCRIPT, env=env, options=options, timeout=_START_SECONDS)

            worker = stack.enter_context(LastingWorker(make))
            try:
                found = worker.hello()["device"]
            except WorkerError as error:
                raise DecodeError(f"cosmos-predict1 does not start: {error}") from error
            if found != device.partition(":")[0]:
                raise DecodeError(f"cosmos-predict1 would run on {found}, not on {device}")
            yield DiffusionSession(self, worker, pixels, work)


@dataclass(frozen=True)
class DiffusionSession:
    """The running network; after a window at which it died it is loaded again.

    Attributes:
        settings: how to decode.
        worker: the tool's process.
        pixels: makes pictures of its latents.
        work: a folder for what goes between.
    """

    settings: DiffusionDecoder
    worker: LastingWorker
    pixels: CosmosCV
    work: Path

    def decode(self, ids: np.ndarray) -> np.ndarray:
        """Return videos of ids, as `VideoCodec.decode` does.

        Raises:
            ValueError: not such ids, or more latents than CV8x8x8 has statistics of.
            DecodeError: the tool cannot, or gives something else than latents.
        """
        videos = checked_ids(ids)
        windows = split(videos.shape[1], self.settings.windows)
        decoded = [
            join(windows, [self._window(video[window.latents]) for window in windows])
            for video in videos
        ]
        return like_input(np.stack(decoded), ids, single=3)

    def _window(self, ids: np.ndarray) -> np.ndarray:
        """Frames of the ids (t, h, w) of one window."""
        t, h, w = ids.shape
        source, target = self.work / "ids.npy", self.work / "latents.npy"
        np.save(source, ids.astype(np.int32))
        target.unlink(missing_ok=True)
        request = {
            "ids": str(source),
            "latents": str(target),
            "guidance": self.settings.guidance,
            "steps": self.settings.steps,
            "seed": self.settings.seed,
            "fps": FPS,
        }
        try:
            self.worker.request(request, timeout=_WINDOW_SECONDS)
            latents = np.load(target, allow_pickle=False)
        except (WorkerError, OSError, ValueError, EOFError) as error:
            raise DecodeError(f"cosmos-predict1: {error}") from error
        if latents.shape != (16, t, 2 * h, 2 * w) or not np.isfinite(latents).all():
            raise DecodeError(
                f"cosmos-predict1 gives {latents.shape} for ids {ids.shape}, or what is not finite"
            )
        return self.pixels.decode(latents)


def _folder(home: Path, release: Release) -> Path:
    return home / "checkpoints" / release.repo
