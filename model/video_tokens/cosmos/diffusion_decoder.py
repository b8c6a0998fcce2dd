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

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datasets.estimators.external import see_only
from datasets.tools.files import sha256_of
from datasets.tools.isolated import tool_environment
from datasets.tools.isolated.worker import LastingWorker, Worker, WorkerError
from model.training.config_checks import require_choice, require_count, require_number
from model.video_tokens.codec import checked_ids, like_input
from model.video_tokens.cosmos.files import CV, DIFFUSION, SAMPLER, cosmos_predict1
from model.video_tokens.cosmos.tokenizer import CosmosCV
from model.video_tokens.cosmos.windows import OPTIONS, join, split

FPS = 24  # what the released pipeline tells the network, whatever the video's own
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
            ToolMissing: see `cosmos_predict1`.
            CheckpointError: a file is not the one that it is pinned to be.
        """
        _, home = cosmos_predict1()
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
            for name, found in release.identity(release.folder(home)).items()
        }
        return {**settings, "sampler": sha256_of(home / SAMPLER), **files}

    @contextmanager
    def start(self, device: str) -> Iterator["DiffusionSession"]:
        """Load the networks on a device.

        Args:
            device: ``cuda`` or ``cuda:N``; one of 80 GB holds both.

        Raises:
            ToolMissing: see `cosmos_predict1`.
            CheckpointError: CV8x8x8's files are not what they should be.
            DecodeError: the installation does not start, or does not see the device.
        """
        python, home = cosmos_predict1()
        weights = DIFFUSION.folder(home)
        with ExitStack() as stack:
            work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cosmos-")))
            options = {
                "home": str(home),
                "weights": str(weights / "model.pt"),
                "context": str(weights / "aux_vars.pt"),
            }
            pixels = CosmosCV.load(CV.folder(home), device)
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
